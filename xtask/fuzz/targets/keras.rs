//! HDF5 files and .keras archives.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caribou_fuzz::read(&caribou_reader_keras::KerasReader, bytes));
