//! The judges of the optimising passes: the runtime and stock DL4J on every archive that a pass made.

use crate::Failure;
use crate::case::Case;
use crate::judge::{Judge, Request};
use crate::verdict::{self, Verdict};
use crate::verify::{Converted, Verdicts, convert_changed, difference, judged, lock, permuted, written};
use caribou_ir::{Graph, Rewrite, ValidGraph};
use caribou_optimize::simplify::{Simplify, simplify};
use caribou_runtime::Session;
use caribou_writer_dl4j::ArchiveLayout;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Mutex;

/// The columns of the table; they follow those of the conversion.
pub(crate) const COLUMNS: [&str; 2] = ["simplify", "simplified DL4J"];
/// The number of the first of them.
const FIRST: usize = 4;
/// How far rounding may move the outputs of a simplified network, relative to the largest magnitude.
const TOLERANCE: f64 = 1e-5;

/// Simplifies the case, and judges the graph against the one it was made of, and its archive by stock DL4J where anything
/// was changed.
pub(crate) fn verdicts(case: &Case, judge: Option<&Mutex<Judge>>, work: &Path) -> Result<Verdicts, Failure> {
    let before: RefCell<Option<ValidGraph>> = RefCell::default();
    let rewrites: RefCell<Vec<Rewrite>> = RefCell::default();
    let pass = |graph: &ValidGraph| -> Result<Graph, String> {
        let options = Simplify {
            evaluate: Some(&caribou_runtime::evaluate),
        };
        let simplified = simplify(graph, &options).map_err(|error| error.to_string())?;
        *before.borrow_mut() = Some(graph.clone());
        *rewrites.borrow_mut() = simplified.rewrites;
        Ok(simplified.graph)
    };
    let label = case.case.clone();
    let converted = match convert_changed(case, ArchiveLayout::Keep, work, Some(&pass)) {
        Ok(converted) => converted,
        Err(findings) => {
            let refused = Verdict::Refused(verdict::shortened(&findings));
            return Ok(vec![(FIRST, label, refused)]);
        }
    };
    let Some(before) = before.take() else {
        return Ok(Verdicts::new());
    };
    if rewrites.take().is_empty() {
        return Ok(Verdicts::new());
    }
    let mut verdicts = vec![(FIRST, label.clone(), same(case, &before, &converted)?)];
    if let Some(judge) = judge {
        verdicts.push((FIRST + 1, label, stock(case, &converted, judge, work)?));
    }
    Ok(verdicts)
}

/// Whether both graphs compute the same.
fn same(case: &Case, before: &ValidGraph, after: &Converted) -> Result<Verdict, Failure> {
    let inputs = case.arrays(&case.inputs)?;
    let run = |graph| Session::new(graph).run(&inputs);
    Ok(match (run(before), run(&after.graph)) {
        (Ok(expected), Ok(found)) => match difference(&expected, &found) {
            Ok(error) if error <= TOLERANCE => Verdict::Right(error),
            Ok(error) => Verdict::Wrong(format!("relative difference {error:.1e}")),
            Err(message) => Verdict::Wrong(message),
        },
        (Err(error), _) | (_, Err(error)) => Verdict::Wrong(error.to_string()),
    })
}

/// What stock DL4J computes from the archive, against what the source's framework did.
pub(crate) fn stock(
    case: &Case,
    converted: &Converted,
    judge: &Mutex<Judge>,
    work: &Path,
) -> Result<Verdict, Failure> {
    let ports = &converted.report;
    let request = Request {
        tolerance: case.tolerance,
        archive: converted.archive.clone(),
        inputs: written(&permuted(case.arrays(&case.inputs)?, &ports.inputs), "in", work)?,
        prefix: work.join("out"),
        fit: false,
        training: None,
    };
    let answer = lock(judge).run(&request)?;
    if !answer.ok {
        return Ok(Verdict::Wrong(answer.error));
    }
    let expected = permuted(case.arrays(&case.outputs)?, &ports.outputs);
    let mut found = Vec::with_capacity(expected.len());
    for i in 0..expected.len() {
        found.push(ndarray_npy::read_npy(work.join(format!("out{i}.npy")))?);
    }
    Ok(judged(case, &expected, &found))
}
