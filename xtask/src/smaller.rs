//! The judges of networks of which filters were taken out, and of archives of 16-bit numbers.

use crate::Failure;
use crate::case::Case;
use crate::judge::{Judge, Request};
use crate::optimize::{COLUMNS, fed};
use crate::training;
use crate::verdict::{self, Verdict};
use crate::verify::{Change, Converted, Verdicts, convert_changed, lock, permuted, within, written};
use caribou_ir::{Code, Findings, Graph, Op, Operator as _, Precision, ValidGraph, Validator};
use caribou_optimize::OptimizeError;
use caribou_optimize::prune::Scope;
use caribou_optimize::selection::Selection;
use caribou_optimize::structured::{Criterion, Options, masked, shrink};
use caribou_runtime::{Largest, Session};
use caribou_writer_dl4j::ArchiveLayout;
use ndarray::ArrayD;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Mutex;

/// How far sums of the same terms may be apart when zeros among them move the bounds of blocks.
const TOLERANCE: f64 = 1e-5;

/// The number of a column of this name.
fn column(name: &str) -> usize {
    4 + COLUMNS.iter().position(|column| *column == name).unwrap_or(0)
}

/// Takes half of the filters of a case out, wherever there are some, and judges the smaller network against the whole one in
/// which the same are masked; of some cases its archive too, by stock DL4J, which also trains it for a step.
pub(crate) fn verdicts(
    case: &Case,
    judge: Option<&Mutex<Judge>>,
    chosen: bool,
    work: &Path,
) -> Result<Verdicts, Failure> {
    let whole: RefCell<Option<Graph>> = RefCell::default();
    let nothing = RefCell::new(false);
    let criteria = [Criterion::L1, Criterion::L2, Criterion::Median];
    let options = Options {
        criterion: criteria[case.case.len() % criteria.len()],
        sparsity: 0.5,
        scope: Scope::PerLayer,
        selection: Selection::default(),
        overrides: Vec::new(),
    };
    let pass = |graph: &ValidGraph| -> Result<Graph, String> {
        match shrink(graph, &options) {
            Ok(shrunk) if shrunk.taken == 0 => *nothing.borrow_mut() = true,
            Ok(shrunk) => {
                let mask = masked(graph, &shrunk.cuts).map_err(|error| error.to_string())?;
                *whole.borrow_mut() = Some(mask);
                return Ok(shrunk.graph);
            }
            // The network has no filters that may go.
            Err(OptimizeError::Option { .. }) => *nothing.borrow_mut() = true,
            Err(error) => return Err(error.to_string()),
        }
        Ok(Graph::clone(graph))
    };
    let change = Change {
        pass: Some(&pass),
        ..Change::default()
    };
    let label = format!("{} (smaller)", case.case);
    let mut verdicts = Verdicts::new();
    let converted = convert_changed(case, ArchiveLayout::Keep, work, &change);
    if *nothing.borrow() {
        return Ok(verdicts);
    }
    let converted = match converted {
        Ok(converted) => converted,
        Err(findings) => {
            let refused = Verdict::Refused(verdict::shortened(&findings));
            verdicts.push((column("smaller"), label, refused));
            return Ok(verdicts);
        }
    };
    let Some(whole) = whole.take() else {
        return Ok(verdicts);
    };
    let whole = Validator::default()
        .validate(whole)
        .map_err(|findings| findings.to_string())?;
    let inputs = fed(case, &converted)?;
    let (expected, found) = match (
        Session::new(&whole).run(&inputs),
        Session::new(&converted.graph).run(&inputs),
    ) {
        (Ok(expected), Ok(found)) => (expected, found),
        (Err(error), _) | (_, Err(error)) => {
            verdicts.push((column("smaller"), label, Verdict::Wrong(error.to_string())));
            return Ok(verdicts);
        }
    };
    verdicts.push((
        column("smaller"),
        label.clone(),
        within(&expected, &found, TOLERANCE),
    ));
    if let Some(judge) = judge.filter(|_| chosen) {
        let tolerance = case.tolerance;
        let verdict = match stock(case, &converted, found, judge, tolerance, case.trains, work)? {
            Verdict::Wrong(error) if training::told(&converted.report.findings, &error) => {
                Verdict::DiffersAsTold
            }
            verdict => verdict,
        };
        verdicts.push((column("changed DL4J"), label, verdict));
    }
    Ok(verdicts)
}

/// How far 16-bit numbers and sums of them may move outputs, relative to the largest magnitude: twenty times the 2^-11 by which
/// each number may be off.
const HALF: f64 = 20.0 / 2048.0;

/// A parameter that is too large for the numbers of an archive.
const TOO_LARGE: Code = Code("D0204");

/// A layer that stock DL4J can't run in 16 bits.
const UNRUNNABLE: Code = Code("D0206");

/// What stock DL4J says where it mixes 16-bit numbers with 32-bit ones, of which the conversion tells: in norms over images.
const FAULT: &str = "BroadcastDivOp";

/// The case as an archive of 16-bit numbers, in which stock DL4J computes too.
pub(crate) fn half(
    case: &Case,
    judge: &Mutex<Judge>,
    work: &Path,
) -> Result<(usize, String, Verdict), Failure> {
    let change = Change {
        precision: Precision::Half,
        ..Change::default()
    };
    let label = format!("{} (half)", case.case);
    let verdict = match convert_changed(case, ArchiveLayout::Keep, work, &change) {
        // A composition may need numbers that 16 bits have not, and a layer more than stock DL4J does in them.
        Err(findings) if tells(&findings, &[TOO_LARGE, UNRUNNABLE]) => Verdict::RefusedAsExpected,
        Err(findings) => Verdict::Refused(verdict::shortened(&findings)),
        Ok(converted) => {
            let expected = case.arrays(&case.outputs)?;
            match stock(case, &converted, expected, judge, HALF, false, work)? {
                Verdict::Wrong(error)
                    if error.contains(FAULT) && tells(&converted.report.findings, &[UNRUNNABLE]) =>
                {
                    Verdict::DiffersAsTold
                }
                // The command refuses these when it verifies what it has written.
                Verdict::Wrong(_) if reaches_beyond(case, &converted)? => Verdict::RefusedAsExpected,
                verdict => verdict,
            }
        }
    };
    Ok((column("changed DL4J"), label, verdict))
}

/// Whether values inside the network lie beyond those of 16 bits.
fn reaches_beyond(case: &Case, converted: &Converted) -> Result<bool, Failure> {
    let mut largest = Largest::of(Precision::Half);
    let inputs = fed(case, converted)?;
    Session::new(&converted.graph).run_observed(&inputs, &mut |node, outputs| {
        largest.observe(node, outputs);
    })?;
    Ok(largest.beyond().is_some())
}

/// Whether one of these is among the findings.
fn tells(findings: &Findings, codes: &[Code]) -> bool {
    findings.iter().any(|found| codes.contains(&found.code))
}

/// What stock DL4J computes from the archive, against these arrays in the source's axis order, and whether it trains it.
pub(crate) fn stock(
    case: &Case,
    converted: &Converted,
    expected: Vec<ArrayD<f32>>,
    judge: &Mutex<Judge>,
    tolerance: f64,
    trains: bool,
    work: &Path,
) -> Result<Verdict, Failure> {
    let ports = &converted.report;
    let request = Request {
        tolerance,
        archive: converted.archive.clone(),
        inputs: written(&permuted(fed(case, converted)?, &ports.inputs), "in", work)?,
        prefix: work.join("out"),
        fit: trains,
        training: None,
    };
    let answer = lock(judge).run(&request)?;
    if !answer.ok {
        return Ok(Verdict::Wrong(answer.error));
    }
    let expected = permuted(expected, &ports.outputs);
    let mut found = Vec::with_capacity(expected.len());
    for i in 0..expected.len() {
        found.push(ndarray_npy::read_npy(work.join(format!("out{i}.npy")))?);
    }
    let verdict = within(&expected, &found, tolerance);
    let learns = converted.graph.nodes().any(|(_, node)| {
        let constant = matches!(node.op, Op::Constant(_));
        !constant && !node.op.parameters().is_empty()
    });
    Ok(
        match (verdict, trains.then(|| answer.untrained(learns)).flatten()) {
            (Verdict::Right(_), Some(error)) => Verdict::Wrong(format!("training: {error}")),
            (verdict, _) => verdict,
        },
    )
}
