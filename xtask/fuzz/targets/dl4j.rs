//! Archives of DL4J.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caribou_fuzz::read(&caribou_reader_dl4j::Dl4jReader, bytes));
