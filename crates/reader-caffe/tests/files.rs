//! Whole files: weights in every form, and damaged ones, which are refused with their place and never panic.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use caribou_ir::{Import, ReadError, ReadOptions, Reader, Source};
use caribou_reader_caffe::{Apply, CaffeReader, Preprocessing};
use std::path::Path;

const NET: &str = r#"
name: "net"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 3 } } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 2 }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 2 } }
"#;

/// A field of the wire format whose value has a length.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = varint(u64::from(number << 3 | 2));
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

fn blob(shape: &[u64], values: usize) -> Vec<u8> {
    let sizes: Vec<u8> = shape.iter().flat_map(|&size| varint(size)).collect();
    let numbers: Vec<u8> = (0..values)
        .flat_map(|i| (i as f32 * 0.25).to_le_bytes())
        .collect();
    [field(7, &field(1, &sizes)), field(5, &numbers)].concat()
}

fn layer(name: &str, blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = field(1, name.as_bytes());
    for blob in blobs {
        bytes.extend(field(7, blob));
    }
    field(100, &bytes)
}

fn weights() -> Vec<u8> {
    let conv = layer("conv", &[blob(&[3, 2, 2, 2], 24), blob(&[3], 3)]);
    [conv, layer("ip", &[blob(&[2, 18], 36), blob(&[2], 2)])].concat()
}

fn read(directory: &Path, net: &[u8], weights: &[u8], reader: &CaffeReader) -> Result<Import, ReadError> {
    let (text, binary) = (directory.join("net.prototxt"), directory.join("net.caffemodel"));
    std::fs::write(&text, net).unwrap();
    std::fs::write(&binary, weights).unwrap();
    let source = Source::open(text).unwrap();
    let source = source.with_weights(Source::open(binary).unwrap());
    reader.read(&source, &ReadOptions::default())
}

fn said(error: ReadError) -> String {
    error.to_string()
}

#[test]
fn damaged_weights_are_refused_at_every_length_and_with_any_byte_changed() {
    let directory = tempfile::tempdir().unwrap();
    let reader = CaffeReader::default();
    let whole = weights();
    assert!(read(directory.path(), NET.as_bytes(), &whole, &reader).is_ok());
    for length in 0..whole.len() {
        let error = said(read(directory.path(), NET.as_bytes(), &whole[..length], &reader).unwrap_err());
        assert!(!error.is_empty());
    }
    for at in 0..whole.len() {
        for bits in [0xff, 0x80, 0x01] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            // What was changed may be a number of a weight, which is then another one; else it is refused.
            let _ = read(directory.path(), NET.as_bytes(), &bytes, &reader);
        }
    }
}

#[test]
fn damaged_text_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let reader = CaffeReader::default();
    for length in 0..NET.len() {
        let _ = read(directory.path(), &NET.as_bytes()[..length], &weights(), &reader);
    }
    for at in 0..NET.len() {
        for byte in [b'{', b'}', b'"', b'9', b'-', 0xff] {
            let mut text = NET.as_bytes().to_vec();
            text[at] = byte;
            let _ = read(directory.path(), &text, &weights(), &reader);
        }
    }
    let cut = &NET.as_bytes()[..NET.len() - 3];
    let error = said(read(directory.path(), cut, &weights(), &reader).unwrap_err());
    assert!(
        error.contains("net.prototxt") && error.contains("line 9, column"),
        "{error}"
    );
}

#[test]
fn all_weights_that_do_not_fit_are_reported_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = [
        layer("conv", &[blob(&[3, 2, 3, 3], 54)]),
        layer("other", &[blob(&[1], 1)]),
    ]
    .concat();
    let error = said(read(directory.path(), NET.as_bytes(), &file, &CaffeReader::default()).unwrap_err());
    for part in [
        "conv (Convolution) at line 4",
        "ip (InnerProduct)",
        "layer other",
        "[3, 2, 2, 2]",
        "none at 1",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn the_mean_is_baked_in_or_kept_beside() {
    let directory = tempfile::tempdir().unwrap();
    let reader = |apply| CaffeReader {
        preprocessing: Preprocessing {
            apply,
            mean_values: vec![1.0, 2.0],
            scale: Some(0.5),
            ..Preprocessing::default()
        },
        ..CaffeReader::default()
    };
    let nodes = |import: &Import| import.graph.nodes().len();
    let plain = read(
        directory.path(),
        NET.as_bytes(),
        &weights(),
        &reader(Apply::Outside),
    )
    .unwrap();
    let baked = read(directory.path(), NET.as_bytes(), &weights(), &reader(Apply::Bake)).unwrap();
    assert_eq!(nodes(&baked), nodes(&plain) + 1);
    let beside = read(
        directory.path(),
        NET.as_bytes(),
        &weights(),
        &reader(Apply::Normalizer),
    )
    .unwrap();
    let normalizer = beside.normalizer.unwrap();
    assert_eq!(
        (normalizer.mean, normalizer.deviation),
        (vec![1.0, 2.0], vec![2.0, 2.0])
    );
    assert_eq!(beside.graph.nodes().len(), nodes(&plain));
}
