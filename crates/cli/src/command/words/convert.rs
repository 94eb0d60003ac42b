//! `caribou words convert`.

use super::Reading;
use super::vocabulary::Vocabulary;
use crate::args::Arguments;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::report;
use caribou_ir::{Code, Finding, Findings, Limits, Severity, Source};
use caribou_word_vectors::{
    Format, Settings, WordText, WordVectors, WriteError, WriteOptions, normalize, read, write,
};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A form that not all of DeepLearning4j reads.
const ONE_LOADER: Code = Code("W0202");
/// Vectors without a length, which none can be given.
const ZERO: Code = Code("W0201");

#[derive(Args)]
pub(crate) struct Options {
    /// The vectors: word2vec text or binary, GloVe, fastText, DL4J's zip; found by content.
    file: PathBuf,
    /// Where to write them.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// What to write; by the name's ending unless given: .zip is a zip, .bin is binary, all else is text.
    #[arg(long, value_enum)]
    format: Option<FormatChoice>,
    /// How words are written in text: for DeepLearning4j on any machine, or as they are for gensim.
    #[arg(long, value_enum, default_value = "b64")]
    words: WordChoice,
    /// Keep the words that this file lists, one on each line, in its order.
    #[arg(long, value_name = "FILE")]
    vocabulary: Option<PathBuf>,
    /// Keep the first words only; files list the frequent ones first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    top: Option<u64>,
    /// Bring every vector to length one.
    #[arg(long)]
    normalize: bool,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
    /// Do not read the file back and compare every word and number.
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    reading: Reading,
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

impl Options {
    /// What is written, by flag or by the ending of the name.
    fn write_options(&self) -> WriteOptions {
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
}

pub(crate) fn run(options: &Options, arguments: &Arguments) -> Result<(), Failure> {
    let mut inputs: Vec<&Path> = vec![&options.file];
    inputs.extend(options.vocabulary.as_deref());
    let mut output = Destination::create(&options.output, options.force, &inputs)?;
    let import = options.reading.read(&options.file, arguments)?;
    let mut findings = import.findings;
    let mut vectors = import.vectors;
    let found = vectors.len();
    if let Some(path) = &options.vocabulary {
        let vocabulary = Vocabulary::read(path, &arguments.limits())?;
        let rows: Vec<usize> = vocabulary
            .words()
            .filter_map(|word| vectors.words().find(word))
            .collect();
        findings.extend(vocabulary.findings(|word| vectors.words().find(word).is_some()));
        vectors = vectors.select(&rows);
    }
    if let Some(top) = options.top {
        let top = usize::try_from(top).unwrap_or(usize::MAX).min(vectors.len());
        vectors = vectors.select(&(0..top).collect::<Vec<_>>());
    }
    if options.normalize {
        let zero = normalize(&mut vectors);
        if zero > 0 {
            let message = format!(
                "{zero} vectors are zero or no numbers, and stay as they are: they have no direction"
            );
            findings.push(Finding::new(Severity::Warning, ZERO, None, message));
        }
    }
    let write_options = options.write_options();
    if write_options.gzip {
        let message = "readWord2VecModel of DeepLearning4j reads gzipped vectors, and loadStaticModel takes them for something else";
        findings.push(Finding::new(Severity::Note, ONE_LOADER, None, message));
    }
    let mut sink = BufWriter::with_capacity(1 << 20, output.file());
    write(&vectors, &mut sink, &write_options).map_err(|error| refused(&options.file, error))?;
    sink.flush()
        .map_err(|error| Failure::io(&options.output, &error))?;
    drop(sink);
    let metadata = output.file().metadata();
    let bytes = metadata
        .map_err(|error| Failure::io(&options.output, &error))?
        .len();
    if !options.no_verify {
        verify(&vectors, output.temporary(), &arguments.limits())?;
    }
    output.complete()?;
    if arguments.quiet {
        return Ok(());
    }
    findings.iter().for_each(complain);
    summary(
        options,
        arguments,
        &Written {
            found,
            vectors,
            bytes,
            from: import.form.to_string(),
            findings,
        },
    )
}

/// What was written.
struct Written {
    found: usize,
    vectors: WordVectors,
    bytes: u64,
    from: String,
    findings: Findings,
}

fn summary(options: &Options, arguments: &Arguments, written: &Written) -> Result<(), Failure> {
    let Written {
        found,
        vectors,
        bytes,
        from,
        findings,
    } = written;
    if arguments.json {
        return print(&format!(
            "{:#}",
            json!({
                "format": from, "words_read": found, "words": vectors.len(), "dimensions": vectors.dimensions(),
                "bytes": bytes, "verified": !options.no_verify,
                "findings": findings.iter().map(report::finding).collect::<Vec<_>>(),
            })
        ));
    }
    let lines = [
        format!(
            "{}: {} words of {} dimensions, {bytes} bytes",
            options.output.display(),
            vectors.len(),
            vectors.dimensions()
        ),
        format!("  from {from} with {found} words"),
        match options.no_verify {
            true => "  not verified".to_owned(),
            false => "  read back: every word and every number is equal".to_owned(),
        },
    ];
    print(&lines.join("\n"))
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
        && (written.dimensions() == vectors.dimensions() || vectors.is_empty())
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
