//! Whole files: weights in every form, and damaged ones, which are refused with their place and never panic.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use caribou_ir::{Confidence, Import, Normalizer, ReadError, ReadOptions, Reader, Source};
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
    let expected = Normalizer::Standardize {
        mean: vec![1.0, 2.0],
        deviation: vec![2.0, 2.0],
    };
    assert_eq!(normalizer, expected);
    assert_eq!(beside.graph.nodes().len(), nodes(&plain));
}

fn alone(directory: &Path, name: &str, bytes: &[u8]) -> Result<Import, ReadError> {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    let source = Source::open(path).unwrap();
    assert_eq!(CaffeReader::default().probe(&source), Confidence::Yes, "{name}");
    CaffeReader::default().read(&source, &ReadOptions::default())
}

#[test]
fn files_that_are_no_network_say_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let weights = said(alone(directory.path(), "net.caffemodel", &weights()).unwrap_err());
    assert!(
        weights.contains("does not say how these are connected"),
        "{weights}"
    );
    let mean = said(alone(directory.path(), "mean.binaryproto", &blob(&[1, 3, 2, 2], 12)).unwrap_err());
    assert!(mean.contains("one array of numbers"), "{mean}");
}

/// A layer of a network in binary form: name, type, bottom, top, and its parameters with their number.
fn described(words: [&str; 4], parameters: &[(u32, &[u8])], blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, word) in (1..).zip(words).filter(|(_, word)| !word.is_empty()) {
        bytes.extend(field(number, word.as_bytes()));
    }
    for (number, value) in parameters {
        bytes.extend(field(*number, value));
    }
    for blob in blobs {
        bytes.extend(field(7, blob));
    }
    field(100, &bytes)
}

/// The network that weights belong to, in binary form, with these parameters of a layer that turns axes.
fn binary(permute: &[(u32, &[u8])]) -> Vec<u8> {
    let shape = field(1, &field(1, &[1, 2, 4, 3]));
    [
        described(["data", "Input", "", "data"], &[(143, &shape)], &[]),
        described(["turn", "Permute", "data", "turn"], permute, &[]),
        described(
            ["ip", "InnerProduct", "turn", "ip"],
            &[(117, &[8, 2])],
            &[blob(&[2, 24], 48), blob(&[2], 2)],
        ),
    ]
    .concat()
}

#[test]
fn a_file_of_weights_describes_the_network_too() {
    let directory = tempfile::tempdir().unwrap();
    let order: &[u8] = &[8, 0, 8, 2, 8, 3, 8, 1];
    let import = alone(directory.path(), "net.caffemodel", &binary(&[(202, order)])).unwrap();
    let kinds: Vec<String> = import
        .graph
        .nodes()
        .map(|(_, node)| node.origin.kind.to_string())
        .collect();
    assert!(kinds.contains(&"Permute".to_owned()), "{kinds:?}");
    // The same number in another fork.
    let other = said(alone(directory.path(), "net.caffemodel", &binary(&[(149, order)])).unwrap_err());
    assert!(
        other.contains("turn (Permute) at byte") && other.contains("field 149"),
        "{other}"
    );
}

#[test]
fn damaged_networks_in_binary_form_are_refused_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let order: &[u8] = &[8, 0, 8, 2, 8, 3, 8, 1];
    let whole = binary(&[(202, order)]);
    let path = directory.path().join("net.caffemodel");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let source = Source::open(&path).unwrap();
        CaffeReader::default().probe(&source);
        CaffeReader::default().read(&source, &ReadOptions::default())
    };
    for length in 0..whole.len() {
        let _ = read(&whole[..length]);
    }
    for at in 0..whole.len() {
        for bits in [0xff, 0x80, 0x01] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            let _ = read(&bytes);
        }
    }
    let error = said(read(&whole[..whole.len() - 3]).unwrap_err());
    assert!(error.contains("net.caffemodel: byte"), "{error}");
}

#[test]
fn what_stands_behind_a_refused_layer_is_read_too() {
    let directory = tempfile::tempdir().unwrap();
    let pool = r#"layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: STOCHASTIC kernel_size: 2 } }"#;
    let net = NET.replace("type: \"ReLU\"", "type: \"Mish\"") + pool;
    match read(
        directory.path(),
        net.as_bytes(),
        &weights(),
        &CaffeReader::default(),
    )
    .unwrap_err()
    {
        ReadError::Refused { findings, rest, .. } => {
            let said = findings.to_string();
            assert!(said.contains("Mish") && said.contains("stochastic"), "{said}");
            let rest = rest.unwrap();
            assert!(rest.assumed.contains("ip"), "{:?}", rest.assumed);
            assert!(rest.graph.outputs().len() > 1);
        }
        other => panic!("{other}"),
    }
}
