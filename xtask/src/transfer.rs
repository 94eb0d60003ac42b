//! The judge of knowledge transfer: what `caribou transfer` writes against what stock DL4J's `TransferLearning.Builder` makes
//! of the same network, and twenty steps of training on handwritten digits, in which frozen parameters must not move.

use crate::Failure;
use crate::judge::{Judge, Request};
use crate::judged::{Task, command};
use crate::normalizers;
use crate::scenarios::{SCENARIOS, Scenario, Source};
use crate::verify::difference;
use ndarray::{Array2, ArrayD, Axis};
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Images in a step of training.
const BATCH: usize = 40;
/// Steps of training.
const STEPS: usize = 20;
/// Fields that differ for a reason in every network: archives do not have combinations of loss and function checked, which a
/// source may have as it likes, and say of their outputs that they are some, which nothing reads.
const DIFFERS: [&str; 2] = ["/validateOutputLayerConfig", "/outputVertex"];
/// How far two outputs of the same parameters may differ.
const TOLERANCE: f64 = 1e-6;
/// How far the losses of two trainings may differ, which add up rounding: relative.
const LOSS_TOLERANCE: f64 = 1e-4;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the scenarios whose name matches.
    #[arg(long, default_value = "*")]
    pub(crate) case: String,
}

/// What stock DL4J found.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Found {
    pub(crate) ok: bool,
    #[serde(default)]
    pub(crate) error: String,
    /// Fields that differ, seeds left out.
    #[serde(default)]
    configuration: Vec<String>,
    /// Parameters that should be the same, and are not.
    #[serde(default)]
    parameters: Vec<String>,
    /// How many numbers are bit by bit those of the source.
    #[serde(default)]
    stayed: u64,
    #[serde(default)]
    output_difference: String,
    #[serde(default)]
    losses: Vec<String>,
    #[serde(default)]
    expected_losses: Vec<String>,
    /// How many numbers are frozen.
    #[serde(default)]
    frozen: u64,
    /// Frozen parameters that training moved.
    #[serde(default)]
    moved: Vec<String>,
    /// Others that it did not.
    #[serde(default)]
    still: Vec<String>,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let besides = |caribou: &Path, judge: &mut Judge| {
        if options.case != "*" {
            return Ok(Vec::new());
        }
        let normalizers = normalizers::judge(root, caribou, judge)?;
        Ok(normalizers
            .into_iter()
            .chain(halves(root, caribou, judge)?)
            .collect())
    };
    let task = Task {
        name: "transfer",
        pattern: &options.case,
    };
    task.run(
        root,
        SCENARIOS.iter().map(|scenario| (scenario.name, scenario)),
        |scenario, caribou, judge, work| one(root, scenario, caribou, judge, work),
        besides,
    )
}

/// A frozen bottom and its head on stock DL4J, one after the other, against the whole.
fn halves(root: &Path, caribou: &Path, judge: &mut Judge) -> Result<Option<String>, Failure> {
    let work = tempfile::tempdir()?;
    let path = |name: &str| work.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let model = root.join("testdata/digits/residual.h5").display().to_string();
    let ends = [
        "--freeze-through",
        "sum_relu",
        "--replace-output",
        "5:softmax:mcxent",
    ];
    for (name, featurize) in [("whole.zip", &[][..]), ("half.zip", &["--featurize"])] {
        let target = text(name);
        let arguments = [&["transfer", &model, "-o", &target][..], &ends, featurize].concat();
        if let Err(complaint) = command(caribou, &arguments)? {
            return Ok(Some(complaint));
        }
    }
    let mut run = |archive: &str, input: PathBuf, prefix: &str, fit: bool| {
        judge.run(&Request {
            archive: path(archive),
            inputs: vec![input],
            prefix: path(prefix),
            tolerance: 1e-5,
            fit,
            training: None,
        })
    };
    let input = root.join("testdata/digits/residual_input.npy");
    let whole = run("whole.zip", input.clone(), "whole", false)?;
    let bottom = run("half.bottom.zip", input, "features", false)?;
    let head = run("half.head.zip", path("features0.npy"), "half", true)?;
    if let Some(answer) = [&whole, &bottom, &head].into_iter().find(|answer| !answer.ok) {
        return Ok(Some(format!("halves: {}", answer.error)));
    }
    if let Some(error) = head.untrained(true) {
        return Ok(Some(format!("the head can't be trained: {error}")));
    }
    let features = json!({ "features": {
        "whole": path("whole.zip"), "bottom": path("half.bottom.zip"),
        "x": root.join("testdata/digits/residual_input.npy"),
    } });
    let features: Found = judge.surgery(&features)?;
    let far = features.output_difference.parse::<f64>().unwrap_or(f64::NAN);
    if far.is_nan() || far > TOLERANCE {
        let told = format!("{}{}", features.error, features.output_difference);
        return Ok(Some(format!(
            "the bottom does not give what TransferLearningHelper featurizes: {told}"
        )));
    }
    println!("halves: as TransferLearningHelper featurizes, error {far:.1e}");
    let read = |name: &str| ndarray_npy::read_npy(path(name));
    Ok(match difference(&[read("whole0.npy")?], &[read("half0.npy")?]) {
        Ok(error) if error <= 1e-5 => {
            println!("halves: error {error:.1e}");
            None
        }
        Ok(error) => Some(format!("halves: relative error {error:.1e}")),
        Err(message) => Some(format!("halves: {message}")),
    })
}

/// Images and labels of a scenario, as files.
fn data(root: &Path, scenario: &Scenario, work: &Path) -> Result<[PathBuf; 2], Failure> {
    let images: ArrayD<u8> = ndarray_npy::read_npy(root.join("testdata/digits/images.npy"))?;
    let labels: ArrayD<u8> = ndarray_npy::read_npy(root.join("testdata/digits/labels.npy"))?;
    let count = images.len_of(Axis(0));
    let shape: Vec<usize> = [count]
        .into_iter()
        .chain(scenario.input.iter().copied())
        .collect();
    let images = images
        .mapv(|level| f32::from(level) / 16.0)
        .into_shape_with_order(shape)?;
    let mut targets = Array2::<f32>::zeros((count, scenario.classes));
    for (row, &label) in labels.iter().enumerate() {
        targets[[row, usize::from(label) % scenario.classes]] = 1.0;
    }
    let paths = [work.join("x.npy"), work.join("y.npy")];
    ndarray_npy::write_npy(&paths[0], &images)?;
    ndarray_npy::write_npy(&paths[1], &targets)?;
    Ok(paths)
}

/// An option that names a file of the corpus, wherever the task was started.
fn place(root: &Path, option: &str) -> String {
    match option.starts_with("testdata/") {
        true => root.join(option).display().to_string(),
        false => option.to_owned(),
    }
}

/// What is right about a scenario, or all that is wrong.
fn one(
    root: &Path,
    scenario: &Scenario,
    caribou: &Path,
    judge: &mut Judge,
    work: &Path,
) -> Result<Result<String, Vec<String>>, Failure> {
    let text = |path: &Path| path.display().to_string();
    let model = text(&root.join(scenario.model));
    let [base, result] = ["base.zip", "result.zip"].map(|name| work.join(name));
    let others: Vec<String> = scenario
        .convert
        .iter()
        .map(|option| place(root, option))
        .collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    if let Err(complaint) = command(
        caribou,
        &[&["convert", &model, "-o", &text(&base)][..], &others].concat(),
    )? {
        return Ok(Err(vec![complaint]));
    }
    let sizes: Vec<String> = [1].iter().chain(scenario.input).map(usize::to_string).collect();
    let sizes = sizes.join("x");
    let (source, options): (String, &[&str]) = match scenario.source {
        Source::Model => (model, &others),
        Source::Archive => (text(&base), &["--input-shape", &sizes]),
    };
    let target = text(&result);
    let arguments = [
        &["transfer", &source, "-o", &target][..],
        options,
        scenario.transfer,
    ]
    .concat();
    if let Err(complaint) = command(caribou, &arguments)? {
        return Ok(Err(vec![complaint]));
    }
    let [x, y] = data(root, scenario, work)?;
    let surgery: serde_json::Value = serde_json::from_str(scenario.surgery)?;
    let request = json!({
        "archive": text(&result), "base": text(&base), "surgery": surgery,
        "x": text(&x), "y": text(&y), "batch": BATCH, "steps": STEPS,
    });
    let found: Found = judge.surgery(&request)?;
    Ok(verdict(scenario, &found))
}

fn verdict(scenario: &Scenario, found: &Found) -> Result<String, Vec<String>> {
    if !found.ok {
        return Err(vec![found.error.clone()]);
    }
    let mut problems = Vec::new();
    let differs = |path: &&String| {
        !scenario
            .differs
            .iter()
            .chain(&DIFFERS)
            .any(|known| path.contains(known))
    };
    problems.extend(
        found
            .configuration
            .iter()
            .filter(differs)
            .map(|path| format!("configuration: {path}")),
    );
    problems.extend(found.parameters.iter().map(|key| format!("parameters: {key}")));
    problems.extend(
        found
            .moved
            .iter()
            .map(|key| format!("frozen, and moved by training: {key}")),
    );
    problems.extend(
        found
            .still
            .iter()
            .map(|key| format!("not frozen, and not moved by training: {key}")),
    );
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let difference = number(&found.output_difference);
    if difference.is_nan() || difference > TOLERANCE {
        problems.push(format!("its outputs differ by {difference:e}"));
    }
    let losses: Vec<f64> = found.losses.iter().map(|loss| number(loss)).collect();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = match losses.as_slice() {
        losses if losses.len() == STEPS => (mean(&losses[..5]), mean(&losses[STEPS - 5..])),
        _ => (f64::NAN, f64::NAN),
    };
    if first.is_nan() || last.is_nan() || last >= first {
        problems.push(format!("the loss does not fall: {losses:?}"));
    }
    if !scenario.random {
        let pairs = losses.iter().zip(&found.expected_losses);
        let far =
            pairs
                .map(|(a, b)| (a - number(b)).abs() / number(b).abs())
                .fold(0.0, |worst: f64, error| {
                    if error.is_nan() {
                        f64::INFINITY
                    } else {
                        worst.max(error)
                    }
                });
        if far > LOSS_TOLERANCE {
            problems.push(format!(
                "its losses differ from those of the other network: {far:e}"
            ));
        }
    }
    if found.frozen == 0 && scenario.freezes {
        problems.push("nothing is frozen".to_owned());
    }
    if problems.is_empty() {
        return Ok(format!(
            "{} numbers as in the source, {} frozen and not moved, loss {first:.3} to {last:.3}",
            found.stayed, found.frozen
        ));
    }
    Err(problems)
}
