//! Networks as text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caribou_fuzz::read(
    &caribou_reader_caffe::CaffeReader::default(),
    bytes
));
