//! Word vectors: text, binary, gzipped, and DL4J's zip.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caribou_fuzz::read_words(bytes));
