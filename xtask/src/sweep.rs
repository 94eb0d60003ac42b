//! The command, as a user runs it, over a large set of networks, and stock DL4J on what it wrote.

use crate::Failure;
use crate::case::{Case, cases};
use crate::judge::{Judge, Request};
use crate::judged::built;
use crate::verify::difference;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the cases whose name matches.
    #[arg(long, default_value = "*")]
    case: String,
    /// The folder of cases.
    #[arg(long, default_value = "target/keras-sweep")]
    cases: PathBuf,
}

/// What became of a case.
enum Outcome {
    /// Stock DL4J computes what the source framework did.
    Right(f64),
    /// Right, and stock DL4J can't train it.
    Untrained(String),
    /// Refused, each finding with its layer.
    Refused(Vec<String>),
    /// Everything else.
    Wrong(String),
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let cases = cases(&root.join(&options.cases), &options.case)?;
    let caribou = built(root)?;
    let mut judge = Judge::build(root)?.ok_or("a sweep needs Java and Maven")?;
    let work = tempfile::tempdir()?;
    let (mut right, mut worst, mut wrong) = (0usize, (0.0f64, String::new()), 0usize);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut untrained: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in &cases {
        match outcome(case, &caribou, &mut judge, work.path())? {
            Outcome::Right(error) => {
                right += 1;
                if error > worst.0 {
                    worst = (error, case.case.clone());
                }
            }
            Outcome::Untrained(why) => {
                right += 1;
                untrained.entry(why).or_default().push(case.case.clone());
            }
            Outcome::Refused(findings) => {
                for finding in findings {
                    refused.entry(finding).or_default().push(case.case.clone());
                }
            }
            Outcome::Wrong(what) => {
                wrong += 1;
                println!("{}: WRONG: {what}", case.case);
            }
        }
    }
    print("refused", &refused);
    print("can't be trained", &untrained);
    println!(
        "{} cases: {right} right (worst error {:.1e}, {}), {wrong} wrong",
        cases.len(),
        worst.0,
        worst.1
    );
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(title: &str, groups: &BTreeMap<String, Vec<String>>) {
    for (message, cases) in groups {
        let some: Vec<&str> = cases.iter().take(4).map(String::as_str).collect();
        println!("{title}: {} x {message}\n    {}", cases.len(), some.join(", "));
    }
}

fn outcome(case: &Case, caribou: &Path, judge: &mut Judge, work: &Path) -> Result<Outcome, Failure> {
    let archive = work.join("model.zip");
    std::fs::remove_file(&archive).ok();
    let ended = Command::new(caribou)
        .arg("convert")
        .arg(case.model()?.0.path())
        .arg("-o")
        .arg(&archive)
        .output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    match ended.status.code() {
        Some(0) => {}
        Some(3) => {
            let findings: Vec<String> = said
                .lines()
                .filter(|line| line.starts_with("error["))
                .map(unnamed)
                .collect();
            if findings.is_empty() || archive.exists() {
                return Ok(Outcome::Wrong(format!("refused without a layer: {said}")));
            }
            return Ok(Outcome::Refused(findings));
        }
        code => return Ok(Outcome::Wrong(format!("the command ended with {code:?}: {said}"))),
    }
    let request = Request {
        tolerance: case.tolerance,
        archive,
        inputs: case
            .inputs
            .iter()
            .map(|port| case.directory.join(&port.file))
            .collect(),
        prefix: work.join("out"),
        fit: true,
        training: None,
    };
    let answer = judge.run(&request)?;
    if !answer.ok {
        return Ok(Outcome::Wrong(answer.error));
    }
    let expected = case.arrays(&case.outputs)?;
    let mut found = Vec::with_capacity(expected.len());
    for i in 0..expected.len() {
        found.push(ndarray_npy::read_npy(work.join(format!("out{i}.npy")))?);
    }
    let error = match difference(&expected, &found) {
        Ok(error) if error <= case.tolerance => error,
        Ok(error) => return Ok(Outcome::Wrong(format!("relative error {error:.1e}"))),
        Err(message) => return Ok(Outcome::Wrong(message)),
    };
    for (holds, otherwise) in [
        (answer.inputs_unchanged, "running it changed its input"),
        (answer.repeatable, "other outputs the second time"),
        (
            answer.batch_independent,
            "other outputs in a batch of another size",
        ),
    ] {
        if !holds {
            return Ok(Outcome::Wrong(otherwise.into()));
        }
    }
    Ok(match answer.untrained(true) {
        Some(why) => Outcome::Untrained(why),
        None => Outcome::Right(error),
    })
}

/// A finding without the name of its layer, so that alike ones are counted together.
fn unnamed(line: &str) -> String {
    match (line.split_once("] "), line.split_once(" (")) {
        (Some((code, _)), Some((_, rest))) => format!("{code}] ({rest}"),
        _ => line.to_owned(),
    }
}
