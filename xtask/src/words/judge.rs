//! gensim and stock DL4J, each a process that reads files of word vectors.

use super::array;
use crate::fixtures::Environment;
use crate::{Failure, maven};
use caribou_word_vectors::{WordText, WordVectors};
use ndarray::Array2;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What an answer starts with.
const MARK: &str = "@judge ";

/// Words and numbers as somebody else knows them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Truth {
    words: Vec<String>,
    dimensions: usize,
    values: Vec<f32>,
}

impl Truth {
    /// What is to be read by others.
    pub(super) fn of(vectors: &WordVectors) -> Self {
        Self {
            words: vectors.words().iter().map(str::to_owned).collect(),
            dimensions: vectors.dimensions(),
            values: vectors.values().to_vec(),
        }
    }

    /// What was recorded for the file `name`, or for all files of its folder.
    pub(super) fn recorded(folder: &Path, name: &str) -> Result<Self, Failure> {
        let own = folder.join(format!("{name}.words.json"));
        let prefix = if own.exists() {
            format!("{name}.")
        } else {
            String::new()
        };
        let words = serde_json::from_slice(&std::fs::read(folder.join(format!("{prefix}words.json")))?)?;
        let values: Array2<f32> = ndarray_npy::read_npy(folder.join(format!("{prefix}vectors.npy")))?;
        Ok(Self {
            words,
            dimensions: values.ncols(),
            values: values.into_iter().collect(),
        })
    }

    /// Records it for the file `name`.
    pub(super) fn record(&self, folder: &Path, name: &str) -> Result<(), Failure> {
        std::fs::write(
            folder.join(format!("{name}.words.json")),
            serde_json::to_string(&self.words)?,
        )?;
        ndarray_npy::write_npy(
            folder.join(format!("{name}.vectors.npy")),
            &array(self.dimensions, &self.values)?,
        )?;
        Ok(())
    }

    /// The same with its words decoded where they were written as `B64:`.
    pub(super) fn decoded(mut self, words: WordText) -> Self {
        if words == WordText::Base64 {
            for word in &mut self.words {
                if let Some(decoded) = word.strip_prefix("B64:").and_then(base64) {
                    *word = decoded;
                }
            }
        }
        self
    }

    /// Whether the words and the bits of all numbers are the same; NaN is NaN.
    pub(super) fn same(&self, other: &Self) -> Result<(), String> {
        if self.words.len() != other.words.len() || self.dimensions != other.dimensions {
            return Err(format!(
                "expected {} words of {}, found {} of {}",
                self.words.len(),
                self.dimensions,
                other.words.len(),
                other.dimensions
            ));
        }
        if let Some(row) = (0..self.words.len()).find(|&row| self.words[row] != other.words[row]) {
            return Err(format!(
                "word {row}: expected {:?}, found {:?}",
                self.words[row], other.words[row]
            ));
        }
        let equal = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        match self
            .values
            .iter()
            .zip(&other.values)
            .position(|pair| !equal(pair))
        {
            Some(at) => Err(format!(
                "number {} of {:?}: expected {:e}, found {:e}",
                at % self.dimensions,
                self.words[at / self.dimensions],
                self.values[at],
                other.values[at]
            )),
            None if self.values.len() == other.values.len() => Ok(()),
            None => Err(format!(
                "expected {} numbers, found {}",
                self.values.len(),
                other.values.len()
            )),
        }
    }

    /// The same for vectors that were read.
    pub(super) fn compare(&self, vectors: &WordVectors) -> Result<(), String> {
        self.same(&Self::of(vectors))
    }
}

/// The text of a base64, by the book: this is a judge, and shares no code with what it judges.
fn base64(text: &str) -> Option<String> {
    let place = |byte: u8| -> Option<u32> {
        let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        all.bytes()
            .position(|other| other == byte)
            .and_then(|at| u32::try_from(at).ok())
    };
    let bits: Option<Vec<u32>> = text.trim_end_matches('=').bytes().map(place).collect();
    let mut bytes = Vec::new();
    let (mut held, mut count) = (0u32, 0);
    for six in bits? {
        held = (held << 6 | six) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(held >> count & 255).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

/// A process that reads files for us.
pub(super) struct Judge {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    vectors: PathBuf,
}

impl Judge {
    /// gensim, in its own environment.
    pub(super) fn gensim(root: &Path) -> Result<Self, Failure> {
        let python = Environment::Words.python(root)?;
        let script = root.join("xtask/fixtures/words/load.py");
        let mut command = Command::new(python);
        command.args(["-W", "ignore"]).arg(script);
        Self::start(command, root.join("target/words-gensim.f32"))
    }

    /// Stock DL4J; `None` when there is no Java or Maven.
    pub(super) fn dl4j(root: &Path) -> Result<Option<Self>, Failure> {
        let Some(classpath) = maven::classpath(root, "words-judge")? else {
            return Ok(None);
        };
        let mut command = Command::new("java");
        command
            .args([
                "-Xmx3g",
                "-XX:+UseSerialGC",
                "-cp",
                &classpath,
                "caribou.WordsJudge",
            ])
            .env("OMP_NUM_THREADS", "1");
        Self::start(command, root.join("target/words-dl4j.f32")).map(Some)
    }

    fn start(mut command: Command, vectors: PathBuf) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let requests = child.stdin.take().ok_or("the judge has no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("the judge has no standard output")?);
        Ok(Self {
            child,
            requests,
            answers,
            vectors,
        })
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        // Native code prints on standard output too.
        while self.answers.read_line(&mut line)? > 0 {
            if let Some(answer) = line.strip_prefix(MARK) {
                let answer: Value = serde_json::from_str(answer)?;
                return match answer["ok"].as_bool() {
                    Some(true) => Ok(answer),
                    _ => Err(answer["error"].as_str().unwrap_or("no error is told").into()),
                };
            }
            line.clear();
        }
        Err("the judge ended".into())
    }

    fn read(&mut self, request: &Value) -> Result<Truth, Failure> {
        let answer = self.ask(request)?;
        let bytes = std::fs::read(&self.vectors)?;
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(Truth {
            words: serde_json::from_value(answer["words"].clone())?,
            dimensions: serde_json::from_value(answer["dimensions"].clone())?,
            values: numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        })
    }

    /// What gensim reads.
    pub(super) fn load_file(&mut self, path: &Path, binary: bool, no_header: bool) -> Result<Truth, Failure> {
        let vectors = self.vectors.clone();
        self.read(&json!({ "file": path, "binary": binary, "no_header": no_header, "vectors": vectors }))
    }

    /// What a loader of stock DL4J reads.
    pub(super) fn load(&mut self, path: &Path, loader: &str) -> Result<Truth, Failure> {
        let vectors = self.vectors.clone();
        self.read(&json!({ "file": path, "loader": loader, "vectors": vectors }))
    }

    /// Has stock DL4J train a model and write it below `folder`.
    pub(super) fn train(&mut self, sentences: &[&str], folder: &Path) -> Result<(), Failure> {
        self.ask(&json!({ "train": sentences, "folder": folder }))
            .map(|_| ())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // A process that does not end by itself must not outlive us.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
