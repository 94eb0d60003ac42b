//! `caribou transfer`: what it names, what it refuses, and that what stays is the source's.

use super::{caribou, case, text};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

fn digits() -> PathBuf {
    case("digits_cnn").join("model.h5")
}

fn residual() -> PathBuf {
    case("digits_cnn").join("../../digits/residual.h5")
}

fn done(arguments: &[&str]) -> String {
    let done = caribou(arguments);
    let message = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{arguments:?} {message}");
    message
}

fn run(model: &Path, input: &Path, output: &Path) -> ArrayD<f32> {
    done(&["run", text(model), "--input", text(input), "-o", text(output)]);
    ndarray_npy::read_npy(output).unwrap()
}

#[test]
fn what_can_not_be_done_is_refused_by_the_name_of_option_and_layer() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("a.zip");
    let model = digits();
    for (options, code, says) in [
        (
            &["--freeze-through", "nope"][..],
            3,
            "--freeze-through: there is no layer nope; there are conv2d,",
        ),
        (&["--freeze", "x*"], 3, "--freeze: there is no layer x*"),
        (
            &["--remove-after", "nope"],
            3,
            "--remove-after: there is no layer nope",
        ),
        (&["--resize", "nope=3"], 3, "--resize: there is no layer nope"),
        (&["--resize", "flatten=3"], 3, "flatten"),
        (&["--resize", "dense"], 2, "LAYER=N"),
        (&["--replace-output", "0"], 2, "no number of units"),
        (
            &["--replace-output", "other=5"],
            3,
            "there is no output other; there are dense_1",
        ),
        (&["--replace-output", "5:softmax:nothing"], 2, "mcxent"),
        (&["--append", "pool:3"], 2, "globalpool"),
        (&["--append", "globalpool:max"], 3, "nothing to pool"),
        (&["--updater", "adam:momentum=1"], 2, "no setting momentum"),
        (
            &["--updater", "nesterovs:momentum=1"],
            2,
            "momentum is 1: expected one from 0",
        ),
        (&["--updater", "adam:beta1=-0.1"], 2, "beta1 is -0.1"),
        (&["--updater", "rmsprop:epsilon=-1"], 2, "not below zero"),
        (&["--updater", "sgd:lr=-1"], 2, "lr is -1"),
        (&["--updater", "sgd:lr=nan"], 2, "nan"),
        (&["--updater", "lion"], 2, "adadelta"),
        (
            &["--updater", "adadelta", "--schedule", "map:0=0.1"],
            3,
            "has no learning rate",
        ),
        (&["--schedule", "map:5=0.1"], 2, "map needs a rate for step 0"),
        (&["--schedule", "map:0=1,0=2"], 2, "two rates for step 0"),
        (&["--schedule", "map:0=1,9=-2"], 2, "below zero"),
        (
            &["--schedule", "step:initial=1,decay=0.5,step=0"],
            2,
            "at least 1",
        ),
        (
            &["--schedule", "poly:initial=1,power=1,steps=0"],
            2,
            "no number of steps",
        ),
        (
            &["--schedule", "exponential:initial=-1,gamma=0.9"],
            2,
            "below zero",
        ),
        (&["--append", "dropout:1"], 2, "no share of units"),
        (&["--append", "dense:0"], 2, "no number of units"),
        (&["--append", "activation:nope"], 2, "nope"),
        (&["--append", "batchnorm:3"], 2, "batchnorm"),
        (&["--clip-gradients", "mean:1"], 2, "norm:X or value:X"),
        (&["--resize", "dense=0"], 2, "no number of units"),
        (&["--l2", "inf"], 2, "zero or larger"),
        (&["--schedule", "cosine:initial=1"], 2, "exponential"),
        (&["--schedule", "poly:initial=1"], 2, "poly needs steps"),
        (&["--clip-gradients", "norm:0"], 2, "above zero"),
        (&["--init", "he"], 2, "xavier"),
        (&["--l2=-1"], 2, "zero or larger"),
        (&["--featurize"], 3, "no layer at the front is frozen"),
        (&["--with-training-state"], 2, "training starts anew"),
    ] {
        let refused = caribou(&[&["transfer", text(&model), "-o", text(&archive)][..], options].concat());
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(code), "{options:?} {message}");
        assert!(message.contains(says), "{options:?}: {message}");
        assert!(!archive.exists(), "{options:?}");
    }
    std::fs::write(&archive, "precious").unwrap();
    let refused = caribou(&["transfer", text(&model), "-o", text(&archive)]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read(&archive).unwrap(), b"precious");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let model = digits();
    let written = |name: &str, seed: &str| {
        let archive = directory.path().join(name);
        let options = ["--replace-output", "5", "--init", "relu", "--seed", seed];
        let message = done(&[&["transfer", text(&model), "-o", text(&archive)][..], &options].concat());
        assert!(
            message.contains("dense_1: its weight [24, 5] is new"),
            "{message}"
        );
        std::fs::read(archive).unwrap()
    };
    let first = written("a.zip", "1");
    assert_eq!(first, written("b.zip", "1"));
    assert_ne!(first, written("c.zip", "2"));
}

/// The two halves of a network compute what the whole does: a chain, and a graph whose bottom gives a sum.
#[test]
fn halves_make_up_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let residual_input = residual().with_file_name("residual_input.npy");
    for (model, input, layer) in [
        (digits(), case("digits_cnn").join("in0.npy"), "flatten"),
        (residual(), residual_input, "sum_relu"),
    ] {
        let [out, bottom, head] = ["n.zip", "n.bottom.zip", "n.head.zip"].map(path);
        let options = [
            "-o",
            text(&out),
            "--freeze-through",
            layer,
            "--featurize",
            "--force",
        ];
        done(&[&["transfer", text(&model)][..], &options].concat());
        assert!(!out.exists());
        let features = path("features.npy");
        done(&[
            "run",
            text(&bottom),
            "--input",
            text(&input),
            "-o",
            text(&features),
        ]);
        let found = run(&head, &features, &path("y.npy"));
        let expected = run(&model, &input, &path("z.npy"));
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5, "{layer}: {a} {b}");
        }
    }
}

/// A layer behind what was cut off reads what the source computes there.
#[test]
fn what_is_in_front_of_a_cut_computes_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let input = residual().with_file_name("residual_input.npy");
    let archive = path("cut.zip");
    done(&[
        "transfer",
        text(&residual()),
        "-o",
        text(&archive),
        "--remove-after",
        "pool",
    ]);
    let features = run(&archive, &input, &path("y.npy"));
    assert_eq!(features.shape(), [5, 10]);
    let images = path("images.zip");
    done(&[
        "transfer",
        text(&residual()),
        "-o",
        text(&images),
        "--remove-after",
        "deep",
    ]);
    // Channels are last, as in the source.
    assert_eq!(run(&images, &input, &path("z.npy")).shape(), [5, 6, 6, 10]);
    let pooled = path("pooled.zip");
    let options = ["--remove-after", "deep", "--append", "globalpool:avg"];
    done(
        &[
            &["transfer", text(&residual()), "-o", text(&pooled)][..],
            &options,
        ]
        .concat(),
    );
    let found = run(&pooled, &input, &path("p.npy"));
    for (a, b) in found.iter().zip(&features) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

fn configuration(archive: &Path) -> serde_json::Value {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    serde_json::from_reader(zip.by_name("configuration.json").unwrap()).unwrap()
}

/// What an archive says of its training is read, shown and written again.
#[test]
fn an_archive_keeps_how_it_is_trained() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (model, layer) in [(digits(), "flatten"), (residual(), "sum_relu")] {
        let [first, second] = ["a.zip", "b.zip"].map(path);
        let options = [
            "--freeze-through",
            layer,
            "--replace-output",
            "5:softmax:mcxent",
            "--updater",
            "adam:lr=0.01",
            "--schedule",
            "step:initial=0.01,decay=0.5,step=10",
            "--l2",
            "0.25",
            "--clip-gradients",
            "value:2",
            "--force",
        ];
        done(&[&["transfer", text(&model), "-o", text(&first)][..], &options].concat());
        done(&["convert", text(&first), "-o", text(&second), "--force"]);
        assert_eq!(configuration(&first), configuration(&second), "{layer}");
        let shown = caribou(&["inspect", text(&second)]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        for says in [
            "optimizer Adam (beta1 0.9, beta2 0.999, epsilon 0.00000001), learning rate step (initial 0.01, decay 0.5, steps 10)",
            "categorical cross entropy",
            "gradients clipped: each element to 2",
            "frozen: ",
            "penalties: ",
            "l2 0.125",
        ] {
            assert!(shown.contains(says), "{says}: {shown}");
        }
        // The archive's layers, and nothing that is a field of one.
        let frozen = shown.lines().find(|line| line.starts_with("frozen: ")).unwrap();
        assert!(
            !frozen.contains("_preprocessor") && !frozen.contains("_dropout"),
            "{frozen}"
        );
    }
}
