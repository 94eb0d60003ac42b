//! `caribou soften`: the teacher's targets are those that Keras computes, whatever the size of a batch.

use super::{caribou, case, text};
use ndarray::{Array, Array2, ArrayD};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::{Path, PathBuf};

fn digits(name: &str) -> PathBuf {
    case("digits_cnn").join("../../digits").join(name)
}

fn softened(model: &Path, inputs: &str, options: &[&str], output: &Path) -> ArrayD<f32> {
    let arguments = [
        "soften",
        text(model),
        "--inputs",
        inputs,
        "-o",
        text(output),
        "--force",
    ];
    let done = caribou(&[&arguments[..], options].concat());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let mut npz = NpzReader::new(File::open(output).unwrap()).unwrap();
    let names = npz.names().unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    npz.by_name(&names[0]).unwrap()
}

#[test]
fn targets_are_those_of_keras() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("targets.npz");
    for (model, input, truth) in [
        (
            case("digits_cnn").join("model.h5"),
            case("digits_cnn").join("in0.npy"),
            "cnn_softened.npy",
        ),
        (
            digits("residual.h5"),
            digits("residual_input.npy"),
            "residual_softened.npy",
        ),
    ] {
        let expected: ArrayD<f32> = ndarray_npy::read_npy(digits(truth)).unwrap();
        for size in ["1", "2", "64"] {
            let options = ["--temperature", "3", "--batch-size", size];
            let found = softened(&model, text(&input), &options, &output);
            assert_eq!(found.shape(), expected.shape());
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= 2e-6, "{truth}: {a} {b}");
            }
        }
    }
}

/// An archive teaches as its source does, and integers are as good as numbers.
#[test]
fn archives_teach_and_integers_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let model = case("digits_cnn").join("model.h5");
    let done = caribou(&["convert", text(&model), "-o", text(&path("a.zip"))]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let images: Array<u8, _> =
        Array::from_shape_fn((7, 8, 8, 1), |(n, y, x, _)| ((n * 5 + y * 3 + x) % 2) as u8);
    ndarray_npy::write_npy(path("x.npy"), &images).unwrap();
    let input = format!("input={}", text(&path("x.npy")));
    let from_archive = softened(&path("a.zip"), &input, &["--batch-size", "3"], &path("a.npz"));
    let from_source = softened(&model, text(&path("x.npy")), &[], &path("b.npz"));
    for (a, b) in from_archive.iter().zip(&from_source) {
        assert!((a - b).abs() <= 1e-6, "{a} {b}");
    }
}

#[test]
fn what_is_no_classifier_and_what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    ndarray_npy::write_npy(path("x.npy"), &Array2::<f32>::zeros((3, 4))).unwrap();
    std::fs::write(path("text.npy"), "no array").unwrap();
    let model = case("digits_cnn").join("model.h5");
    let linear = case("dense_relu").join("model.h5");
    let images = case("digits_cnn").join("in0.npy");
    let [x, no_array, missing] = ["x.npy", "text.npy", "missing.npy"].map(path);
    for (model, input, options, code, says) in [
        (&linear, text(&x), &[][..], 3, "no softmax"),
        (&model, text(&x), &[], 2, "expects an array"),
        (&model, text(&no_array), &[], 2, "no .npy array"),
        (&model, text(&missing), &[], 2, "missing.npy"),
        (&model, text(&images), &["--temperature", "0"], 3, "--temperature"),
        (&model, text(&images), &["--inputs", text(&images)], 2, "input"),
    ] {
        let output = path("t.npz");
        let arguments = ["soften", text(model), "--inputs", input, "-o", text(&output)];
        let refused = caribou(&[&arguments[..], options].concat());
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(code), "{input} {options:?} {message}");
        assert!(message.contains(says), "{message}");
        assert!(!output.exists());
    }
    std::fs::write(path("there.npz"), "precious").unwrap();
    let there = path("there.npz");
    let refused = caribou(&[
        "soften",
        text(&model),
        "--inputs",
        text(&images),
        "-o",
        text(&there),
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read(there).unwrap(), b"precious");
}

/// The most memory of its own that the command had while it ran, in KiB, and what it printed: pages of mapped files are not
/// counted, which the system takes back when it needs them.
#[cfg(target_os = "linux")]
fn observed(arguments: &[&str]) -> (u64, String) {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("caribou"))
        .args(arguments)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let own = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let own = own.and_then(|own| own.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(own.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    (most, String::from_utf8(done.stderr).unwrap())
}

/// Twenty times the images take no more memory, and a pipe gets no progress bar.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_number_of_examples() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let model = case("digits_cnn").join("model.h5");
    let mut peaks = Vec::new();
    for count in [2_000usize, 40_000] {
        // Zeros that take no room on the disk.
        let [input, output] = ["x.npy", "t.npz"].map(path);
        let shape = format!("({count}, 8, 8, 1)");
        let text_of_it = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{text_of_it:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(header.as_bytes());
        std::fs::write(&input, &bytes).unwrap();
        let file = File::options().write(true).open(&input).unwrap();
        file.set_len((bytes.len() + count * 64 * 4) as u64).unwrap();
        let arguments = [
            "soften",
            text(&model),
            "--inputs",
            text(&input),
            "-o",
            text(&output),
            "--force",
        ];
        let (peak, printed) = observed(&arguments);
        assert_eq!(printed.lines().count(), 1, "{printed:?}");
        assert!(printed.contains(&format!("{count} examples")), "{printed:?}");
        let mut npz = NpzReader::new(File::open(&output).unwrap()).unwrap();
        let name = npz.names().unwrap().remove(0);
        let targets: Array2<f32> = npz.by_name(&name).unwrap();
        assert_eq!(targets.dim(), (count, 10));
        peaks.push(peak);
    }
    // All of the images together are 10 MB.
    let [few, many] = peaks[..] else { unreachable!() };
    assert!(few > 0 && many < few + 4096, "{few} and {many} KiB");
}
