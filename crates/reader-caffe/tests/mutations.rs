//! Committed files, cut off and with bytes changed: never a panic, and every error says where.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use caribou_ir::{ReadError, ReadOptions, Reader, Source};
use caribou_reader_caffe::CaffeReader;
use std::path::Path;

/// A case of the corpus, and which of its files is damaged.
const FILES: &[(&str, &str)] = &[
    ("net_lenet", "deploy.prototxt"),
    ("net_mobilenet", "deploy.prototxt"),
    ("v1_layers_branches", "deploy.prototxt"),
    ("text_forms", "deploy.prototxt"),
    ("train_val", "deploy.prototxt"),
    ("net_resnet", "net.caffemodel"),
    ("lstm_inner_product", "net.caffemodel"),
    ("weights_double", "net.caffemodel"),
    ("weights_half", "net.caffemodel"),
    ("weights_legacy_shape", "net.caffemodel"),
    ("caffemodel_alone", "net.caffemodel"),
    ("weights_hdf5", "net.caffemodel.h5"),
    ("weights_hdf5_shared", "net.caffemodel.h5"),
];

/// Lengths that a file is cut to, and bytes that are changed one at a time.
const CUTS: usize = 60;
const FLIPS: usize = 120;

/// Numbers that are the same in every run (Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Reads a case of which one file has other bytes.
fn read(case: &Path, damaged: &str, bytes: &[u8], work: &Path) -> Result<(), ReadError> {
    let path = work.join(damaged);
    std::fs::write(&path, bytes).unwrap();
    let find = |name: &str| {
        let path = if name == damaged {
            path.clone()
        } else {
            case.join(name)
        };
        path.exists().then(|| Source::open(path).unwrap())
    };
    let weights = find("net.caffemodel").or_else(|| find("net.caffemodel.h5"));
    let source = match (find("deploy.prototxt"), weights) {
        (Some(net), Some(weights)) => net.with_weights(weights),
        (net, weights) => net.or(weights).unwrap(),
    };
    CaffeReader::default().probe(&source);
    CaffeReader::default()
        .read(&source, &ReadOptions::default())
        .map(drop)
}

/// Whether an error says where: at a byte, at a line and column, or in which dataset or layer.
fn says_where(error: &ReadError) -> bool {
    match error {
        ReadError::Format { message, .. } => {
            message.contains("byte") || message.contains("line ") && message.contains("column ")
        }
        ReadError::Refused { findings, .. } => findings.iter().all(|finding| {
            finding.origin.is_some() || finding.message.contains("layer") || finding.message.contains("byte ")
        }),
        _ => false,
    }
}

#[test]
fn damaged_files_of_the_corpus_are_refused_with_their_place() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/caffe");
    let work = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut silent = Vec::new();
    for (case, file) in FILES {
        let case = corpus.join(case);
        let whole = std::fs::read(case.join(file)).unwrap();
        let mut check = |what: String, bytes: &[u8]| {
            if let Err(error) = read(&case, file, bytes, work.path())
                && !says_where(&error)
            {
                silent.push(format!("{}/{file} {what}: {error}", case.display()));
            }
        };
        check("whole".into(), &whole);
        for length in (0..whole.len()).step_by(whole.len().div_ceil(CUTS)) {
            check(format!("cut to {length}"), &whole[..length]);
        }
        // Half of the changes strike the beginning, where the structure is.
        for flip in 0..FLIPS {
            let end = if flip % 2 == 0 {
                whole.len()
            } else {
                whole.len().min(300)
            };
            let (at, byte) = (numbers.below(end), numbers.below(256) as u8);
            let mut bytes = whole.clone();
            bytes[at] = byte;
            check(format!("with {byte:#04x} at {at}"), &bytes);
        }
        let mut start = whole.clone();
        let destroyed = start.len().min(16);
        start[..destroyed].fill(0xa7);
        check("with its start destroyed".into(), &start);
        assert!(
            read(&case, file, &start, work.path()).is_err(),
            "{}/{file}",
            case.display()
        );
    }
    assert!(silent.is_empty(), "{}\n{}", silent.len(), silent.join("\n"));
}
