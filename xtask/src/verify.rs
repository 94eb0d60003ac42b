//! The three judges: round trip, recorded truth, stock DL4J.

use crate::Failure;
use crate::case::{Case, cases};
use crate::judge::{Judge, Request};
use crate::training;
use crate::verdict::{self, Column, Verdict};
use crate::{libhdf5, normalizers, optimize};
use caribou_ir::{
    Findings, Graph, Limits, Normalizer, Op, Operator as _, PortReport, Precision, ReadError, ReadOptions,
    Reader as _, Report, Source, ValidGraph, Validator, WriteError, WriteOptions, Writer, layout,
};
use caribou_writer_dl4j::{ArchiveLayout, Compression, Dl4jWriter};
use ndarray::ArrayD;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Also restore, run and train every archive on stock DL4J (needs Java and Maven).
    #[arg(long)]
    dl4j: bool,
    /// Instead of all that, read the files with both HDF5 libraries and compare every attribute and dataset (needs CMake).
    #[arg(long, conflicts_with_all = ["dl4j", "case", "cases"])]
    libhdf5: bool,
    /// Only the cases whose name matches.
    #[arg(long, default_value = "*")]
    case: String,
    /// Other folders of cases.
    #[arg(long, default_values = COMMITTED)]
    cases: Vec<PathBuf>,
    /// Also print the error of each case that is right.
    #[arg(long)]
    each: bool,
}

/// The folders of committed cases.
const COMMITTED: [&str; 4] = [
    "testdata/keras",
    "testdata/keras3",
    "testdata/caffe",
    "testdata/tf",
];

impl Options {
    /// All judges over all committed cases.
    pub(crate) fn everything() -> Self {
        Self {
            dl4j: true,
            libhdf5: false,
            case: "*".into(),
            cases: COMMITTED.map(PathBuf::from).to_vec(),
            each: false,
        }
    }
}

/// A converted case: the graph and its archive in one of the layouts.
pub(crate) struct Converted {
    pub(crate) graph: ValidGraph,
    pub(crate) archive: PathBuf,
    pub(crate) report: Report,
    /// What is done to the first input in front of the network.
    pub(crate) normalizer: Option<Normalizer>,
    /// What the reader said.
    pub(crate) findings: Findings,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    if options.libhdf5 {
        return libhdf5::run(root);
    }
    let mut all = Vec::new();
    for folder in &options.cases {
        all.extend(cases(&root.join(folder), &options.case)?);
    }
    let cases = all;
    if cases.is_empty() {
        return Err(format!("no case in {:?} matches {}", options.cases, options.case).into());
    }
    let stock = match options.dl4j {
        true => Judge::build(root)?,
        false => None,
    };
    if options.dl4j && stock.is_none() {
        eprintln!("SKIPPED: there is no Java or no Maven here, so stock DL4J judged nothing");
    }
    judge(&cases, stock, options.each)
}

/// The verdicts on one case: the number of the judge's column, what was judged, and what was found.
pub(crate) type Verdicts = Vec<(usize, String, Verdict)>;

/// Takes the cases through all judges and prints what they found. There is one JVM; reading, writing and running go
/// on beside it.
pub(crate) fn judge(cases: &[Case], judge: Option<Judge>, each: bool) -> Result<ExitCode, Failure> {
    let judge = judge.map(Mutex::new);
    if let Some(judge) = &judge {
        survive_a_crash(cases, judge)?;
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (send, receive) = channel();
    let mut columns = ["recorded truth", "round trip", "stock DL4J", "training"]
        .map(|name| Column::new(name, each))
        .to_vec();
    columns.extend(optimize::COLUMNS.map(|name| Column::new(name, each)));
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..workers.min(cases.len()) {
            let (send, next, stop, judge) = (send.clone(), &next, &stop, judge.as_ref());
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                    && !stop.load(Ordering::Relaxed)
                {
                    let verdicts =
                        verdicts(case, judge).map_err(|failure| format!("{}: {failure}", case.case));
                    stop.fetch_or(verdicts.is_err(), Ordering::Relaxed);
                    if send.send(verdicts).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for verdicts in receive {
            for (column, label, verdict) in verdicts? {
                columns[column].add(&label, verdict);
            }
        }
        Ok::<(), Failure>(())
    })?;
    verdict::print(&columns);
    println!("{} cases", cases.len());
    Ok(if columns.iter().any(Column::failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Has the JVM of stock DL4J end in native code, and sees that the next archive is judged all the same.
fn survive_a_crash(cases: &[Case], judge: &Mutex<Judge>) -> Result<(), Failure> {
    let work = tempfile::tempdir()?;
    for case in cases.iter().filter(|case| case.expect == "convert") {
        if let Ok(converted) = convert(case, ArchiveLayout::Keep, work.path()) {
            let request = request(case, &converted, work.path())?;
            return lock(judge).survives_a_crash(&request);
        }
    }
    Ok(())
}

/// The judge; one that another thread gave up is as good as new, since its JVM is started when it is asked.
pub(crate) fn lock(judge: &Mutex<Judge>) -> MutexGuard<'_, Judge> {
    judge.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one case through all judges, in both layouts. Where the source's axis order is DL4J's, both are the same archive,
/// and what was found of the one is said of the other.
fn verdicts(case: &Case, judge: Option<&Mutex<Judge>>) -> Result<Verdicts, Failure> {
    let work = tempfile::tempdir()?;
    let mut verdicts = Verdicts::new();
    let mut kept = None;
    for (name, archive_layout) in [("keep", ArchiveLayout::Keep), ("nchw", ArchiveLayout::Nchw)] {
        let label = format!("{} ({name})", case.case);
        let mut add = |column: usize, verdict: Verdict| verdicts.push((column, label.clone(), verdict));
        match convert(case, archive_layout, work.path()) {
            Ok(converted) if case.expect == "refuse" => {
                let layers = converted.report.layers.len();
                add(0, Verdict::Wrong(format!("was converted to {layers} layers")));
            }
            Ok(converted) => {
                if let Some(message) = misfit(case, &converted)? {
                    add(0, Verdict::Wrong(message));
                    continue;
                }
                let archive = Some(std::fs::read(&converted.archive)?);
                if kept == archive {
                    let again = verdicts.iter().filter(|(column, ..)| *column != 0);
                    let again: Verdicts = again
                        .map(|(column, _, verdict)| (*column, label.clone(), verdict.clone()))
                        .collect();
                    verdicts.extend(again);
                    continue;
                }
                kept = archive;
                if archive_layout == ArchiveLayout::Keep {
                    add(0, recorded(case, &converted)?);
                }
                add(1, round_trip(case, &converted)?);
                if let Some(judge) = judge {
                    let trains = case.trains && case.untrained_in.as_deref() != Some(name);
                    add(2, stock(case, &converted, judge, trains, work.path())?);
                    if let Some(course) = &case.training {
                        let mut judge = lock(judge);
                        add(
                            3,
                            training::judge(case, course, &converted, &mut judge, work.path())?,
                        );
                    }
                }
            }
            Err(findings) if case.expect == "refuse" && names(&findings, case) => {
                add(0, Verdict::RefusedAsExpected);
            }
            Err(findings) => add(0, Verdict::Refused(verdict::shortened(&findings))),
        }
    }
    if case.expect == "convert" {
        verdicts.extend(optimize::verdicts(case, judge, work.path())?);
    }
    Ok(verdicts)
}

fn names(findings: &Findings, case: &Case) -> bool {
    let named = |layer: &str| {
        let mut origins = findings.iter().filter_map(|finding| finding.origin.as_ref());
        origins.any(|origin| &*origin.layer == layer)
    };
    case.layer.as_deref().is_some_and(named) && case.layers_too.iter().all(|layer| named(layer))
}

/// What changes a graph before it is written.
pub(crate) type Pass<'p> = dyn Fn(&ValidGraph) -> Result<Graph, String> + 'p;

/// What is done on the way from a case to its archive.
#[derive(Default)]
pub(crate) struct Change<'p> {
    /// A pass between reading and writing; the graph that is kept is the changed one then.
    pub(crate) pass: Option<&'p Pass<'p>>,
    /// The numbers of the archive.
    pub(crate) precision: Precision,
}

pub(crate) fn convert(case: &Case, layout: ArchiveLayout, work: &Path) -> Result<Converted, Findings> {
    convert_changed(case, layout, work, &Change::default())
}

/// The same with a change.
pub(crate) fn convert_changed(
    case: &Case,
    layout: ArchiveLayout,
    work: &Path,
    change: &Change,
) -> Result<Converted, Findings> {
    let pass = change.pass;
    let broken = |message: String| {
        let code = caribou_ir::Code("X0001");
        Findings::from(caribou_ir::Finding::new(
            caribou_ir::Severity::Error,
            code,
            None,
            message,
        ))
    };
    let (source, reader) = case.model().map_err(|error| broken(error.to_string()))?;
    let import = reader
        .read(&source, &case.options())
        .map_err(|error| match error {
            ReadError::Refused { findings, .. } => findings,
            other => broken(other.to_string()),
        })?;
    let (sunk, _) = layout::sink_transposes(&import.graph).map_err(|error| broken(error.to_string()))?;
    let validator = Validator::new(Limits::default());
    let mut sunk = validator.validate(sunk)?;
    let mut graph = validator.validate(import.graph)?;
    if let Some(pass) = pass {
        sunk = validator.validate(pass(&sunk).map_err(&broken)?)?;
        graph = sunk.clone();
    }
    let archive = work.join("model.zip");
    let mut sink = BufWriter::new(File::create(&archive).map_err(|error| broken(error.to_string()))?);
    let mut options = WriteOptions::default();
    options.training = import.training.map(|mut training| {
        training.state = training
            .state
            .filter(|_| case.training.is_some() && pass.is_none() && change.precision == Precision::Single);
        training
    });
    options.unroll_recurrent = case.unroll_recurrent;
    options.normalizer.clone_from(&import.normalizer);
    options.precision = change.precision;
    let report = Dl4jWriter {
        layout,
        compression: Compression::Auto,
    }
    .write(&sunk, &mut sink, &options)
    .map_err(|error| match error {
        WriteError::Refused(findings) => findings,
        other => broken(other.to_string()),
    })?;
    drop(sink);
    Ok(Converted {
        graph,
        archive,
        report,
        normalizer: import.normalizer,
        findings: import.findings,
    })
}

/// The largest difference of all outputs, each relative to its largest magnitude; a message where they differ in kind.
pub(crate) fn difference(expected: &[ArrayD<f32>], found: &[ArrayD<f32>]) -> Result<f64, String> {
    if expected.len() != found.len() {
        return Err(format!("{} outputs instead of {}", found.len(), expected.len()));
    }
    let mut worst = 0.0f64;
    for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
        if expected.shape() != found.shape() {
            return Err(format!(
                "output {i} has shape {:?} instead of {:?}",
                found.shape(),
                expected.shape()
            ));
        }
        let scale = expected
            .iter()
            .fold(1e-30f64, |scale, value| scale.max(f64::from(value.abs())));
        for (a, b) in expected.iter().zip(found) {
            // Where the framework has no number, there must be none.
            if a.is_nan() && b.is_nan() {
                continue;
            }
            let error = f64::from((a - b).abs()) / scale;
            worst = if error.is_nan() {
                f64::INFINITY
            } else {
                worst.max(error)
            };
        }
    }
    Ok(worst)
}

pub(crate) fn judged(case: &Case, expected: &[ArrayD<f32>], found: &[ArrayD<f32>]) -> Verdict {
    within(expected, found, case.tolerance)
}

/// Whether the arrays differ by no more than the tolerance.
pub(crate) fn within(expected: &[ArrayD<f32>], found: &[ArrayD<f32>], tolerance: f64) -> Verdict {
    match difference(expected, found) {
        Ok(error) if error <= tolerance => Verdict::Right(error),
        Ok(error) => Verdict::Wrong(format!("relative error {error:.1e}")),
        Err(message) => Verdict::Wrong(message),
    }
}

/// What inputs and outputs the converted network has instead of those that were recorded, by number and axes; they can't
/// be compared then.
fn misfit(case: &Case, converted: &Converted) -> Result<Option<String>, Failure> {
    for (what, recorded, ports) in [
        ("inputs", &case.inputs, &converted.report.inputs),
        ("outputs", &case.outputs, &converted.report.outputs),
    ] {
        let arrays = case.arrays(recorded)?;
        let axes: Vec<usize> = arrays.iter().map(ArrayD::ndim).collect();
        let found: Vec<usize> = ports.iter().map(|port| port.permutation.len()).collect();
        if axes != found {
            let message = format!("{what} with {found:?} axes instead of {axes:?}");
            return Ok(Some(message));
        }
    }
    Ok(None)
}

/// Arrays of the graph's ports in the archive's axis order; of as many axes as the ports have ([`misfit`]).
pub(crate) fn permuted(arrays: Vec<ArrayD<f32>>, ports: &[PortReport]) -> Vec<ArrayD<f32>> {
    let permute = |(array, port): (ArrayD<f32>, &PortReport)| {
        array
            .permuted_axes(port.permutation.clone())
            .as_standard_layout()
            .into_owned()
    };
    arrays.into_iter().zip(ports).map(permute).collect()
}

fn recorded(case: &Case, converted: &Converted) -> Result<Verdict, Failure> {
    let fed = normalizers::applied(converted.normalizer.as_ref(), case.arrays(&case.inputs)?);
    let found = caribou_runtime::Session::new(&converted.graph).run(&fed);
    Ok(match found {
        Ok(found) => judged(case, &case.arrays(&case.outputs)?, &found),
        Err(error) => Verdict::Wrong(error.to_string()),
    })
}

/// The archive read back and run, against the source graph.
fn round_trip(case: &Case, converted: &Converted) -> Result<Verdict, Failure> {
    let inputs = normalizers::applied(converted.normalizer.as_ref(), case.arrays(&case.inputs)?);
    let expected = match caribou_runtime::Session::new(&converted.graph).run(&inputs) {
        Ok(outputs) => permuted(outputs, &converted.report.outputs),
        Err(error) => return Ok(Verdict::Wrong(error.to_string())),
    };
    let source = Source::open(&converted.archive)?;
    let options = ReadOptions {
        input_shapes: shapes(&converted.report.inputs),
        ..ReadOptions::default()
    };
    let import = match caribou_reader_dl4j::Dl4jReader.read(&source, &options) {
        Ok(import) => import,
        Err(error) => return Ok(Verdict::Wrong(format!("reading back: {error}"))),
    };
    let graph = match Validator::default().validate(import.graph) {
        Ok(graph) => graph,
        Err(findings) => return Ok(Verdict::Wrong(format!("reading back: {findings}"))),
    };
    Ok(
        match caribou_runtime::Session::new(&graph).run(&permuted(inputs, &converted.report.inputs)) {
            Ok(found) => judged(case, &expected, &found),
            Err(error) => Verdict::Wrong(error.to_string()),
        },
    )
}

/// What to ask of stock DL4J: the archive with the case's inputs.
fn request(case: &Case, converted: &Converted, work: &Path) -> Result<Request, Failure> {
    let mut request = Request {
        tolerance: case.tolerance,
        archive: converted.archive.clone(),
        inputs: Vec::new(),
        prefix: work.join("out"),
        fit: true,
        training: None,
    };
    request.inputs = written(
        &permuted(case.arrays(&case.inputs)?, &converted.report.inputs),
        "in",
        work,
    )?;
    Ok(request)
}

fn stock(
    case: &Case,
    converted: &Converted,
    judge: &Mutex<Judge>,
    trains: bool,
    work: &Path,
) -> Result<Verdict, Failure> {
    let mut request = request(case, converted, work)?;
    let mut judge = lock(judge);
    let fed = judge.normalized(converted, case.arrays(&case.inputs)?, work)?;
    request.inputs = written(&permuted(fed, &converted.report.inputs), "in", work)?;
    let answer = judge.run(&request)?;
    drop(judge);
    if !answer.ok {
        return Ok(Verdict::Wrong(answer.error));
    }
    let expected = permuted(case.arrays(&case.outputs)?, &converted.report.outputs);
    let mut found = Vec::with_capacity(expected.len());
    for i in 0..expected.len() {
        found.push(ndarray_npy::read_npy(work.join(format!("out{i}.npy")))?);
    }
    let verdict = judged(case, &expected, &found);
    if !matches!(verdict, Verdict::Right(_)) {
        return Ok(verdict);
    }
    if !answer.inputs_unchanged || !answer.repeatable || !answer.batch_independent {
        return Ok(Verdict::Wrong(
            "running it changed its input, or gave other outputs the second time or in another batch".into(),
        ));
    }
    let learns = converted.graph.nodes().any(|(_, node)| {
        let constant = matches!(node.op, Op::Constant(_));
        !constant && !node.op.parameters().is_empty()
    });
    match (answer.untrained(learns), trains) {
        (Some(error), true) if training::told(&converted.report.findings, &error) => {
            return Ok(Verdict::DiffersAsTold);
        }
        (Some(error), true) => return Ok(Verdict::Wrong(format!("training: {error}"))),
        (None, false) => {
            return Ok(Verdict::Wrong(
                "it trains, and the case says that it can't".into(),
            ));
        }
        _ => {}
    }
    Ok(verdict)
}

/// Writes arrays for the JVM.
pub(crate) fn written(arrays: &[ArrayD<f32>], prefix: &str, work: &Path) -> Result<Vec<PathBuf>, Failure> {
    let write = |(i, array): (usize, &ArrayD<f32>)| -> Result<PathBuf, Failure> {
        let path = work.join(format!("{prefix}{i}.npy"));
        ndarray_npy::write_npy(&path, array)?;
        Ok(path)
    };
    arrays.iter().enumerate().map(write).collect()
}

/// The shapes of an archive's inputs, which it does not store.
pub(crate) fn shapes(ports: &[PortReport]) -> Vec<Vec<Option<usize>>> {
    ports
        .iter()
        .map(|port| {
            port.shape
                .iter()
                .map(|&size| usize::try_from(size).ok())
                .collect()
        })
        .collect()
}
