//! The judges of the optimising passes: the runtime and stock DL4J on every archive that a pass made.

use crate::Failure;
use crate::case::Case;
use crate::judge::Judge;
use crate::normalizers;
use crate::smaller::{self, stock};
use crate::verdict::{self, Verdict};
use crate::verify::{Change, Converted, Verdicts, convert_changed, difference, within};
use caribou_ir::{Graph, Rewrite, ValidGraph, Validator};
use caribou_optimize::OptimizeError;
use caribou_optimize::kernels::Scheme;
use caribou_optimize::prune::{Prune, Scope, Target, prune};
use caribou_optimize::quantize::{EXACT, Format, Quantize, ScaleRule, quantize};
use caribou_optimize::search::{Judgement, Search, search};
use caribou_optimize::selection::Selection;
use caribou_optimize::simplify::{Simplify, simplify};
use caribou_optimize::weights::weights;
use caribou_runtime::Session;
use caribou_writer_dl4j::ArchiveLayout;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Mutex;

/// The columns of the table; they follow those of the conversion.
pub(crate) const COLUMNS: [&str; 4] = ["simplify", "simplified DL4J", "changed DL4J", "smaller"];
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
    let mut verdicts = changed(case, judge, work)?;
    verdicts.extend(smaller::verdicts(case, judge, chosen(case), work)?);
    if let Some(judge) = judge.filter(|_| chosen(case)) {
        verdicts.push(smaller::half(case, judge, work)?);
    }
    let converted = match convert_changed(case, ArchiveLayout::Keep, work, &by(&pass)) {
        Ok(converted) => converted,
        Err(findings) => {
            let refused = Verdict::Refused(verdict::shortened(&findings));
            verdicts.push((FIRST, label, refused));
            return Ok(verdicts);
        }
    };
    let Some(before) = before.take() else {
        return Ok(verdicts);
    };
    if rewrites.take().is_empty() {
        return Ok(verdicts);
    }
    verdicts.push((FIRST, label.clone(), same(case, &before, &converted)?));
    if let Some(judge) = judge {
        let expected = case.arrays(&case.outputs)?;
        verdicts.push((
            FIRST + 1,
            label,
            stock(case, &converted, expected, judge, case.tolerance, false, work)?,
        ));
    }
    Ok(verdicts)
}

/// A pass, and nothing else.
fn by<'p>(pass: &'p crate::verify::Pass<'p>) -> Change<'p> {
    Change {
        pass: Some(pass),
        ..Change::default()
    }
}

/// Every so many cases with weights that are pruned and quantized too.
const EVERY: usize = 8;

fn chosen(case: &Case) -> bool {
    let sum: usize = case.case.bytes().map(usize::from).sum();
    sum.is_multiple_of(EVERY)
}

/// The bound of the cases that are searched, and how many networks are tried on the way to it.
const MAX_DROP: f64 = 0.05;
const EVALUATIONS: usize = 40;

/// Why a network of a search could not be judged.
struct Misfit(String);

impl From<OptimizeError> for Misfit {
    fn from(error: OptimizeError) -> Self {
        Self(error.to_string())
    }
}

/// Prunes, quantizes and optimizes some of the cases, and judges each archive by stock DL4J against the changed graph in the runtime.
fn changed(case: &Case, judge: Option<&Mutex<Judge>>, work: &Path) -> Result<Verdicts, Failure> {
    let Some(judge) = judge.filter(|_| chosen(case)) else {
        return Ok(Verdicts::new());
    };
    let everything = || Selection::default();
    let pruned = |graph: &ValidGraph| -> Result<Graph, String> {
        let options = Prune {
            target: Target::Sparsity(0.6),
            scope: Scope::Global,
            selection: everything(),
            overrides: Vec::new(),
        };
        let pruned = prune(Graph::clone(graph), &options).map_err(|error| error.to_string())?;
        Ok(pruned.graph)
    };
    let quantized = |graph: &ValidGraph| -> Result<Graph, String> {
        let options = Quantize {
            format: Format::Integer {
                bits: 8,
                scheme: Scheme::Affine,
                per_channel: true,
                scale: ScaleRule::Max,
                scale_bits: EXACT,
            },
            selection: everything(),
            overrides: Vec::new(),
            bias_correction: None,
        };
        let quantized = quantize(Graph::clone(graph), &options).map_err(|error| error.to_string())?;
        Ok(quantized.graph)
    };
    let inputs = case.arrays(&case.inputs)?;
    let optimized = |graph: &ValidGraph| -> Result<Graph, String> {
        let run = |graph: &ValidGraph| {
            let found = Session::new(graph).run(&inputs);
            found.map_err(|error| Misfit(error.to_string()))
        };
        let expected = run(graph).map_err(|Misfit(message)| message)?;
        let options = Search {
            evaluations: EVALUATIONS,
            ..Search::within(MAX_DROP)
        };
        let folding = Simplify {
            evaluate: Some(&caribou_runtime::evaluate),
        };
        let mut judge = |graph: &Graph| -> Result<Judgement, Misfit> {
            let valid = Validator::default().validate(graph.clone());
            let found = run(&valid.map_err(|findings| Misfit(findings.to_string()))?)?;
            let drop = difference(&expected, &found).map_err(Misfit)?;
            Ok(Judgement {
                drop,
                noise: drop * drop,
            })
        };
        let found = search(graph, &options, &folding, &mut judge).map_err(|Misfit(message)| message)?;
        Ok(found.applied.graph)
    };
    let weightless = |graph: &ValidGraph| weights(graph).is_empty();
    let mut verdicts = Verdicts::new();
    let passes: [(&str, &crate::verify::Pass); 3] = [
        ("pruned", &pruned),
        ("quantized", &quantized),
        ("optimized", &optimized),
    ];
    for (name, pass) in passes {
        let nothing = RefCell::new(false);
        let guarded = |graph: &ValidGraph| -> Result<Graph, String> {
            if weightless(graph) {
                *nothing.borrow_mut() = true;
                return Ok(Graph::clone(graph));
            }
            pass(graph)
        };
        let label = format!("{} ({name})", case.case);
        let verdict = match convert_changed(case, ArchiveLayout::Keep, work, &by(&guarded)) {
            _ if *nothing.borrow() => continue,
            Err(findings) => Verdict::Refused(verdict::shortened(&findings)),
            Ok(converted) => match Session::new(&converted.graph).run(&fed(case, &converted)?) {
                Err(error) => Verdict::Wrong(error.to_string()),
                Ok(expected) => stock(case, &converted, expected, judge, case.tolerance, false, work)?,
            },
        };
        verdicts.push((FIRST + 2, label, verdict));
    }
    Ok(verdicts)
}

/// What the converted network is fed for the recorded inputs.
pub(crate) fn fed(case: &Case, converted: &Converted) -> Result<Vec<ndarray::ArrayD<f32>>, Failure> {
    let inputs = case.arrays(&case.inputs)?;
    Ok(normalizers::applied(converted.normalizer.as_ref(), inputs))
}

/// Whether both graphs compute the same.
fn same(case: &Case, before: &ValidGraph, after: &Converted) -> Result<Verdict, Failure> {
    let inputs = case.arrays(&case.inputs)?;
    let run = |graph| Session::new(graph).run(&inputs);
    Ok(match (run(before), run(&after.graph)) {
        (Ok(expected), Ok(found)) => within(&expected, &found, TOLERANCE),
        (Err(error), _) | (_, Err(error)) => Verdict::Wrong(error.to_string()),
    })
}
