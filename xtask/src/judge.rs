//! Stock DL4J on a JVM: one process for many archives, started anew when native code ends it.

use crate::{Failure, maven};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What an answer starts with; native code prints on standard output too.
const MARK: &str = "@judge ";
/// What is said of an archive that ended the JVM.
const CRASHED: &str = "native code ended the JVM";
/// How long an archive may take, and how much longer for each megabyte of it.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(180), Duration::from_secs(5));

/// One archive to run.
#[derive(Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) archive: PathBuf,
    pub(crate) inputs: Vec<PathBuf>,
    /// Outputs are written to `<prefix>0.npy`, `<prefix>1.npy`, ….
    pub(crate) prefix: PathBuf,
    /// How far the outputs of another batch may differ, relative to the largest magnitude.
    pub(crate) tolerance: f64,
    /// Whether to train one step.
    pub(crate) fit: bool,
    /// What to train on in place of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) training: Option<Batches>,
}

/// Arrays whose first axis counts batches, used one after the other and then again.
#[derive(Debug, Serialize)]
pub(crate) struct Batches {
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) labels: Vec<PathBuf>,
    pub(crate) steps: usize,
    /// Whether losses count the penalties of parameters.
    pub(crate) penalties: bool,
}

/// What stock DL4J made of it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) inputs_unchanged: bool,
    #[serde(default)]
    pub(crate) repeatable: bool,
    /// Whether one example alone, and all of them twice, give the same.
    #[serde(default)]
    pub(crate) batch_independent: bool,
    #[serde(default)]
    pub(crate) parameters: u64,
    /// Whether all outputs are output or loss layers.
    pub(crate) trainable: Option<bool>,
    pub(crate) score_finite: Option<bool>,
    /// Why the step could not be taken.
    pub(crate) fit_error: Option<String>,
    /// Parameters that the step changed.
    pub(crate) changed: Option<u64>,
    /// The loss of each batch before its step, as text: it may be no number.
    #[serde(default)]
    pub(crate) losses: Vec<String>,
}

impl Answer {
    /// Why a step of training could not be taken; `None` when it could, or when there is nothing to train: only what the
    /// source has learned (`learns`) is.
    pub(crate) fn untrained(&self, learns: bool) -> Option<String> {
        match (&self.fit_error, self.trainable, self.parameters) {
            (Some(error), ..) => Some(error.clone()),
            (None, Some(true), 1..) => match (self.score_finite, self.changed) {
                (Some(true), Some(1..)) => None,
                (Some(true), Some(0)) if !learns => None,
                (score, changed) => Some(format!("finite score {score:?}, {changed:?} parameters changed")),
            },
            _ => None,
        }
    }
}

/// The judge's process.
pub(crate) struct Judge {
    classpath: String,
    process: Option<Process>,
}

struct Process {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Judge {
    /// Builds the judge with Maven, once. `None` when there is no Java or Maven.
    pub(crate) fn build(root: &Path) -> Result<Option<Self>, Failure> {
        let classpath = maven::classpath(root, "dl4j-judge")?;
        Ok(classpath.map(|classpath| Self {
            classpath,
            process: None,
        }))
    }

    /// Runs one archive. The error of an archive that ends the JVM, or takes too long, says so.
    pub(crate) fn run(&mut self, request: &Request) -> Result<Answer, Failure> {
        let megabytes = std::fs::metadata(&request.archive)?.len() / 1_000_000;
        let timeout = TIMEOUT.0 + TIMEOUT.1 * u32::try_from(megabytes)?;
        self.ask(&serde_json::to_string(request)?, timeout)
    }

    /// Compares an archive with what stock DL4J's builder makes of another one.
    pub(crate) fn surgery<T: serde::de::DeserializeOwned>(
        &mut self,
        request: &serde_json::Value,
    ) -> Result<T, Failure> {
        let answer = self.ask_for_text(&request.to_string(), TIMEOUT.0)?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Ends the JVM by a fault in native code and judges an archive all the same: what a crash costs is the archive
    /// that caused it.
    ///
    /// # Errors
    /// When the crash went unnoticed, or the JVM was not started anew.
    pub(crate) fn survives_a_crash(&mut self, request: &Request) -> Result<(), Failure> {
        let crashed = self.ask(r#"{"crash": true}"#, TIMEOUT.0)?;
        if crashed.ok || crashed.error != CRASHED {
            return Err(format!("a crash of the JVM was taken for: {}", crashed.error).into());
        }
        let answer = self.run(request)?;
        if !answer.ok {
            return Err(format!("after a crash of the JVM nothing is judged: {}", answer.error).into());
        }
        Ok(())
    }

    fn ask(&mut self, line: &str, timeout: Duration) -> Result<Answer, Failure> {
        Ok(serde_json::from_str(&self.ask_for_text(line, timeout)?)?)
    }

    fn ask_for_text(&mut self, line: &str, timeout: Duration) -> Result<String, Failure> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        let sent = writeln!(process.requests, "{line}").and_then(|()| process.requests.flush());
        let failed = |error: &str| Ok(serde_json::json!({ "ok": false, "error": error }).to_string());
        if sent.is_err() {
            return failed("the JVM was gone before the archive was read");
        }
        match process.answers.recv_timeout(timeout) {
            Ok(answer) => {
                self.process = Some(process);
                Ok(answer)
            }
            Err(RecvTimeoutError::Timeout) => {
                process.child.kill()?;
                process.child.wait()?;
                failed("no answer in time")
            }
            Err(RecvTimeoutError::Disconnected) => {
                process.child.wait()?;
                failed(CRASHED)
            }
        }
    }

    fn start(&self) -> Result<Process, Failure> {
        let mut child = Command::new("java")
            .args([
                "-Xmx3g",
                "-XX:+UseSerialGC",
                "-XX:+SuppressFatalErrorMessage",
                "-cp",
                &self.classpath,
                "caribou.Judge",
            ])
            // Threads of OpenMP wait by spinning: on busy cores a deep network would starve.
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let requests = child.stdin.take().ok_or("the judge has no standard input")?;
        let output = child.stdout.take().ok_or("the judge has no standard output")?;
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix(MARK)
                    && send.send(answer.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Ok(Process {
            child,
            requests,
            answers,
        })
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.requests);
            // A JVM that does not end by itself must not outlive us.
            process.child.kill().ok();
            process.child.wait().ok();
        }
    }
}
