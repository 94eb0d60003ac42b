//! The three judges: round trip, recorded truth, stock DL4J.

use crate::Failure;
use crate::case::{Case, cases};
use crate::judge::{Judge, Request};
use caribou_ir::{
    Findings, Limits, PortReport, ReadError, ReadOptions, Reader, Report, Source, ValidGraph, Validator,
    WriteError, WriteOptions, Writer, layout,
};
use caribou_reader_keras::KerasReader;
use caribou_writer_dl4j::{ArchiveLayout, Compression, Dl4jWriter};
use ndarray::ArrayD;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Also restore, run and train every archive on stock DL4J (needs Java and Maven).
    #[arg(long)]
    dl4j: bool,
    /// Only the cases whose name matches.
    #[arg(long, default_value = "*")]
    case: String,
    /// Another folder of cases.
    #[arg(long, default_value = "testdata/keras")]
    cases: PathBuf,
}

impl Options {
    /// All judges over all committed cases.
    pub(crate) fn everything() -> Self {
        Self {
            dl4j: true,
            case: "*".into(),
            cases: "testdata/keras".into(),
        }
    }
}

/// What a judge found.
enum Verdict {
    /// The numbers agree, with this relative error.
    Right(f64),
    /// The layer that was expected was refused.
    RefusedAsExpected,
    /// Refused, and it should not have been.
    Refused(String),
    /// Other numbers, or none.
    Wrong(String),
}

/// The verdicts of one judge.
struct Column {
    name: &'static str,
    right: usize,
    refused_as_expected: usize,
    refused: usize,
    wrong: usize,
    worst: f64,
    worst_case: String,
}

impl Column {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            right: 0,
            refused_as_expected: 0,
            refused: 0,
            wrong: 0,
            worst: 0.0,
            worst_case: String::new(),
        }
    }

    fn add(&mut self, case: &str, verdict: Verdict) {
        match verdict {
            Verdict::Right(error) => {
                self.right += 1;
                if error > self.worst {
                    (self.worst, self.worst_case) = (error, case.to_owned());
                }
            }
            Verdict::RefusedAsExpected => self.refused_as_expected += 1,
            Verdict::Refused(why) => {
                self.refused += 1;
                println!("{case}: {}: refused: {why}", self.name);
            }
            Verdict::Wrong(what) => {
                self.wrong += 1;
                println!("{case}: {}: WRONG: {what}", self.name);
            }
        }
    }
}

/// A converted case: the graph and its archive in one of the layouts.
struct Converted {
    graph: ValidGraph,
    archive: PathBuf,
    report: Report,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let cases = cases(&root.join(&options.cases), &options.case)?;
    if cases.is_empty() {
        return Err(format!("no case in {} matches {}", options.cases.display(), options.case).into());
    }
    let stock = match options.dl4j {
        true => Judge::build(root)?,
        false => None,
    };
    if options.dl4j && stock.is_none() {
        eprintln!("SKIPPED: there is no Java or no Maven here, so stock DL4J judged nothing");
    }
    judge(&cases, stock)
}

/// Takes the cases through all judges and prints what they found.
pub(crate) fn judge(cases: &[Case], mut judge: Option<Judge>) -> Result<ExitCode, Failure> {
    let work = tempfile::tempdir()?;
    let mut crash_survived = false;
    let mut columns = vec![
        Column::new("recorded truth"),
        Column::new("round trip"),
        Column::new("stock DL4J"),
    ];
    for case in cases {
        for (name, archive_layout) in [("keep", ArchiveLayout::Keep), ("nchw", ArchiveLayout::Nchw)] {
            let label = format!("{} ({name})", case.case);
            match convert(case, archive_layout, work.path()) {
                Ok(converted) if case.expect == "refuse" => {
                    let verdict = Verdict::Wrong(format!(
                        "was converted to {} layers",
                        converted.report.layers.len()
                    ));
                    columns[0].add(&label, verdict);
                }
                Ok(converted) => {
                    if archive_layout == ArchiveLayout::Keep {
                        columns[0].add(&label, recorded(case, &converted)?);
                    }
                    columns[1].add(&label, round_trip(case, &converted)?);
                    if let Some(judge) = &mut judge {
                        if !crash_survived {
                            crash_survived = true;
                            judge.survives_a_crash(&request(case, &converted, work.path())?)?;
                        }
                        columns[2].add(&label, stock(case, &converted, judge, work.path())?);
                    }
                }
                Err(findings) if case.expect == "refuse" && names(&findings, case) => {
                    columns[0].add(&label, Verdict::RefusedAsExpected);
                }
                Err(findings) => columns[0].add(&label, Verdict::Refused(findings.to_string())),
            }
        }
    }
    println!(
        "\n{:<16} {:>6} {:>19} {:>8} {:>6}   worst error",
        "judge", "right", "refused as expected", "refused", "wrong"
    );
    for column in &columns {
        println!(
            "{:<16} {:>6} {:>19} {:>8} {:>6}   {:.1e} {}",
            column.name,
            column.right,
            column.refused_as_expected,
            column.refused,
            column.wrong,
            column.worst,
            column.worst_case
        );
    }
    println!("{} cases", cases.len());
    let failed = columns.iter().any(|column| column.refused + column.wrong > 0);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn names(findings: &Findings, case: &Case) -> bool {
    findings.iter().any(|finding| {
        finding
            .origin
            .as_ref()
            .is_some_and(|origin| Some(&*origin.layer) == case.layer.as_deref())
    })
}

fn convert(case: &Case, layout: ArchiveLayout, work: &Path) -> Result<Converted, Findings> {
    let broken = |message: String| {
        let code = caribou_ir::Code("X0001");
        Findings::from(caribou_ir::Finding::new(
            caribou_ir::Severity::Error,
            code,
            None,
            message,
        ))
    };
    let source = Source::open(case.model()).map_err(|error| broken(error.to_string()))?;
    let import = KerasReader
        .read(&source, &ReadOptions::default())
        .map_err(|error| match error {
            ReadError::Refused { findings, .. } => findings,
            other => broken(other.to_string()),
        })?;
    let (sunk, _) = layout::sink_transposes(&import.graph).map_err(|error| broken(error.to_string()))?;
    let validator = Validator::new(Limits::default());
    let sunk = validator.validate(sunk)?;
    let graph = validator.validate(import.graph)?;
    let archive = work.join("model.zip");
    let mut sink = BufWriter::new(File::create(&archive).map_err(|error| broken(error.to_string()))?);
    let mut options = WriteOptions::default();
    options.training = import.training;
    options.unroll_recurrent = case.unroll_recurrent;
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

fn judged(case: &Case, expected: &[ArrayD<f32>], found: &[ArrayD<f32>]) -> Verdict {
    match difference(expected, found) {
        Ok(error) if error <= case.tolerance => Verdict::Right(error),
        Ok(error) => Verdict::Wrong(format!("relative error {error:.1e}")),
        Err(message) => Verdict::Wrong(message),
    }
}

/// Arrays of the graph's ports in the archive's axis order.
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
    let found = caribou_runtime::Session::new(&converted.graph).run(&case.arrays(&case.inputs)?);
    Ok(match found {
        Ok(found) => judged(case, &case.arrays(&case.outputs)?, &found),
        Err(error) => Verdict::Wrong(error.to_string()),
    })
}

/// The archive read back and run, against the source graph.
fn round_trip(case: &Case, converted: &Converted) -> Result<Verdict, Failure> {
    let inputs = case.arrays(&case.inputs)?;
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
        archive: converted.archive.clone(),
        inputs: Vec::new(),
        prefix: work.join("out"),
        fit: true,
    };
    for (i, array) in permuted(case.arrays(&case.inputs)?, &converted.report.inputs)
        .iter()
        .enumerate()
    {
        let path = work.join(format!("in{i}.npy"));
        ndarray_npy::write_npy(&path, array)?;
        request.inputs.push(path);
    }
    Ok(request)
}

fn stock(case: &Case, converted: &Converted, judge: &mut Judge, work: &Path) -> Result<Verdict, Failure> {
    let answer = judge.run(&request(case, converted, work)?)?;
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
    if !answer.inputs_unchanged || !answer.repeatable {
        return Ok(Verdict::Wrong(
            "running it changed its input, or gave other outputs the second time".into(),
        ));
    }
    let trained = match (&answer.fit_error, answer.trainable, answer.parameters) {
        (Some(error), ..) => Err(error.clone()),
        (None, Some(true), 1..) => match (answer.score_finite, answer.changed) {
            (Some(true), Some(1..)) => Ok(()),
            (score, changed) => Err(format!("finite score {score:?}, {changed:?} parameters changed")),
        },
        _ => Ok(()),
    };
    match (trained, case.trains) {
        (Err(error), true) => return Ok(Verdict::Wrong(format!("training: {error}"))),
        (Ok(()), false) => {
            return Ok(Verdict::Wrong(
                "it trains, and the case says that it can't".into(),
            ));
        }
        _ => {}
    }
    Ok(verdict)
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
