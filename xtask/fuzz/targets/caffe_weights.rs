//! The weights of a Caffe network.
#![no_main]

const NETWORK: &[u8] = b"input: 'data' input_shape { dim: 1 dim: 2 dim: 4 dim: 4 }
layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv' convolution_param { num_output: 3 kernel_size: 3 } }
layer { name: 'fc' type: 'InnerProduct' bottom: 'conv' top: 'fc' inner_product_param { num_output: 5 } }";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caribou_fuzz::read_weights(&caribou_reader_caffe::CaffeReader::default(), NETWORK, bytes);
});
