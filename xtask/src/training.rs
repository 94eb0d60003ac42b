//! The judge of training: stock DL4J goes on where the source framework stopped, on the same batches, and its losses are
//! those that the source framework recorded.

use crate::Failure;
use crate::case::{Case, Course};
use crate::judge::{Batches, Judge, Request};
use crate::verdict::Verdict;
use crate::verify::{Converted, permuted, written};
use caribou_ir::{Findings, PortReport};
use std::path::{Path, PathBuf};

/// Trains the archive on, and compares the losses.
pub(crate) fn judge(
    case: &Case,
    course: &Course,
    converted: &Converted,
    judge: &mut Judge,
    work: &Path,
) -> Result<Verdict, Failure> {
    let fed = judge.normalized(converted, case.arrays(&case.inputs)?, work)?;
    let inputs = permuted(fed, &converted.report.inputs);
    let request = Request {
        tolerance: case.tolerance,
        archive: converted.archive.clone(),
        inputs: written(&inputs, "in", work)?,
        prefix: work.join("out"),
        fit: false,
        training: Some(Batches {
            inputs: batches(case, &course.inputs, &converted.report.inputs, "x", work)?,
            labels: batches(case, &course.labels, &converted.report.outputs, "y", work)?,
            steps: course.losses.len(),
            penalties: course.penalties,
        }),
    };
    let answer = judge.run(&request)?;
    if !answer.ok {
        return Ok(Verdict::Wrong(answer.error));
    }
    let mut worst = (0.0f64, 0);
    for (step, (expected, found)) in course.losses.iter().zip(&answer.losses).enumerate() {
        let error = (found.parse::<f64>()? - expected).abs() / expected.abs();
        if error.is_nan() || error > worst.0 {
            worst = (if error.is_nan() { f64::INFINITY } else { error }, step);
        }
    }
    if answer.losses.len() != course.losses.len() {
        return Ok(Verdict::Wrong(format!("{} losses", answer.losses.len())));
    }
    let (error, step) = worst;
    let told = |code: &str| {
        let findings = converted.findings.iter().chain(&converted.report.findings);
        findings.into_iter().any(|finding| finding.code.0 == code)
    };
    Ok(match &course.differs {
        _ if error <= course.tolerance => Verdict::Right(error),
        // Where the losses can't agree, in this layout, the user is told so.
        Some(code) if told(code) => Verdict::DiffersAsTold,
        _ => Verdict::Wrong(format!(
            "relative error {error:.1e} of the loss of step {step}: {} instead of {}",
            answer.losses[step], course.losses[step]
        )),
    })
}

/// Recorded batches in the archive's axis order.
fn batches(
    case: &Case,
    files: &[String],
    ports: &[PortReport],
    prefix: &str,
    work: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let mut arrays = Vec::with_capacity(files.len());
    for (file, port) in files.iter().zip(ports) {
        let array: ndarray::ArrayD<f32> = ndarray_npy::read_npy(case.directory.join(file))?;
        // The first axis counts batches. Class indices have no features to permute.
        let axes = std::iter::once(0).chain(port.permutation.iter().map(|axis| axis + 1));
        let order: Vec<usize> = axes.collect();
        arrays.push(array.permuted_axes(order).as_standard_layout().into_owned());
    }
    written(&arrays, prefix, work)
}

/// Findings that tell of a network that stock DL4J can't train, each with what it throws then.
const UNTRAINABLE: [(&str, &str); 3] = [
    ("D0119", "[prelu_bp]"),
    ("D0120", "Cannot do backward pass: errors not set"),
    ("D0120", "because \"output\" is null"),
];

/// Whether the conversion tells of what stock DL4J throws where it trains the network.
pub(crate) fn told(findings: &Findings, error: &str) -> bool {
    let tells = |code: &str| findings.iter().any(|finding| finding.code.0 == code);
    UNTRAINABLE
        .iter()
        .any(|(code, thrown)| error.contains(thrown) && tells(code))
}
