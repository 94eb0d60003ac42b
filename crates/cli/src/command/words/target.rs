//! Where word vectors go, and how they are written.

use crate::args::Arguments;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::progress::Progress;
use caribou_ir::{Code, Finding, Findings, Limits, Severity, Source};
use caribou_word_vectors::{Format, Settings, WordText, WordVectors, WriteError, WriteOptions, read, write};
use clap::{Args, ValueEnum};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A form that not all of DeepLearning4j reads.
const ONE_LOADER: Code = Code("W0202");

/// What a number takes as text, more or less: for a bar, nothing rests on it.
const BYTES: u64 = 11;

/// Where vectors go.
#[derive(Args)]
pub(super) struct Target {
    /// Where to write them.
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,
    /// What to write; by the name's ending unless given: .zip is a zip, .bin is binary, all else is text. With .gz behind
    /// it, it is gzipped.
    #[arg(long, value_enum)]
    format: Option<FormatChoice>,
    /// How words are written in text: for DeepLearning4j on any machine, or as they are for gensim.
    #[arg(long, value_enum, default_value = "b64")]
    words: WordChoice,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
    /// Do not read the file back and compare every word and number.
    #[arg(long)]
    pub(super) no_verify: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatChoice {
    /// A line with the counts, then a word on each line.
    Text,
    /// DeepLearning4j's zip with syn0.txt.
    Zip,
    /// Word2vec binary without line breaks.
    Binary,
    /// Text without the first line.
    Glove,
}

#[derive(Clone, Copy, ValueEnum)]
enum WordChoice {
    /// `B64:` and the base64 of each word.
    B64,
    /// The words as they are.
    Plain,
}

impl Target {
    /// Begins the file.
    pub(super) fn create(&self, inputs: &[&Path]) -> Result<Destination, Failure> {
        Destination::create(&self.output, self.force, inputs)
    }

    /// What is written, by flag or by the ending of the name.
    fn options(&self) -> WriteOptions {
        let name = self.output.to_string_lossy().to_lowercase();
        let (name, gzip) = match name.strip_suffix(".gz") {
            Some(name) => (name, true),
            None => (&*name, false),
        };
        let format = match self.format {
            Some(FormatChoice::Text) => Format::Text,
            Some(FormatChoice::Zip) => Format::Zip,
            Some(FormatChoice::Binary) => Format::Binary,
            Some(FormatChoice::Glove) => Format::Glove,
            None if name.ends_with(".zip") => Format::Zip,
            None if name.ends_with(".bin") => Format::Binary,
            None => Format::Text,
        };
        let words = match self.words {
            WordChoice::B64 => WordText::Base64,
            WordChoice::Plain => WordText::Plain,
        };
        WriteOptions {
            format,
            words,
            gzip: gzip && format != Format::Zip,
        }
    }

    /// Writes the file, reads it back, and gives it its name; gives its size.
    pub(super) fn write(
        &self,
        vectors: &WordVectors,
        source: &Path,
        mut output: Destination,
        findings: &mut Findings,
        arguments: &Arguments,
    ) -> Result<u64, Failure> {
        let options = self.options();
        if options.gzip {
            let message = "readWord2VecModel of DeepLearning4j reads gzipped vectors, and loadStaticModel takes them for something else";
            findings.push(Finding::new(Severity::Note, ONE_LOADER, None, message));
        }
        let buffered = BufWriter::with_capacity(1 << 20, output.file());
        let expected = vectors.values().len() as u64 * BYTES;
        let mut sink = Progress::new(buffered, expected, arguments.quiet);
        write(vectors, &mut sink, &options).map_err(|error| refused(source, error))?;
        sink.flush().map_err(|error| Failure::io(&self.output, &error))?;
        drop(sink);
        let metadata = output.file().metadata();
        let bytes = metadata.map_err(|error| Failure::io(&self.output, &error))?.len();
        if !self.no_verify {
            verify(vectors, output.temporary(), &arguments.limits())?;
        }
        output.complete()?;
        Ok(bytes)
    }

    /// What was compared, in words.
    pub(super) fn verified(&self) -> &'static str {
        match self.no_verify {
            true => "not verified",
            false => "read back: every word and every number is equal",
        }
    }
}

fn refused(path: &Path, error: WriteError) -> Failure {
    let help = match &error {
        WriteError::Word { help, .. } => (*help).to_owned(),
        _ => String::new(),
    };
    Failure::Model {
        message: format!("{}: {error}", path.display()),
        help,
        findings: Findings::new(),
    }
}

/// Reads back what was written.
fn verify(vectors: &WordVectors, path: &Path, limits: &Limits) -> Result<(), Failure> {
    let source = Source::open(path).map_err(|error| Failure::io(path, &error))?;
    let settings = Settings {
        limits: limits.clone(),
        skip_malformed: false,
    };
    let written = read(&source, &settings).map_err(Failure::read)?.vectors;
    let same = |a: &f32, b: &f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    let equal = written.len() == vectors.len()
        && written.dimensions() == vectors.dimensions()
        && written.words().iter().eq(vectors.words().iter())
        && written
            .values()
            .iter()
            .zip(vectors.values())
            .all(|(a, b)| same(a, b));
    match equal {
        true => Ok(()),
        false => Err(Failure::Differ(
            "the file does not hold what was to be written".into(),
        )),
    }
}
