//! `caribou words convert`.

use super::Reading;
use super::target::Target;
use super::vocabulary::Vocabulary;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::report;
use caribou_ir::{Code, Finding, Findings, Severity};
use caribou_word_vectors::{Loss, WordVectors, loss, normalize, quantize_int8, reduce};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Vectors without a length, which none can be given.
const ZERO: Code = Code("W0201");
/// Vectors that hold no numbers, which no step has.
const NOT_FINITE: Code = Code("W0203");

#[derive(Args)]
pub(crate) struct Options {
    /// The vectors: word2vec text or binary, GloVe, fastText, DL4J's zip; found by content.
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Keep the words that this file lists, one on each line, in its order.
    #[arg(long, value_name = "FILE")]
    vocabulary: Option<PathBuf>,
    /// Keep the first words only; files list the frequent ones first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    top: Option<u64>,
    /// Project the vectors onto this many principal axes, about the origin.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    dimensions: Option<u32>,
    /// Bring every vector to length one.
    #[arg(long)]
    normalize: bool,
    /// Let each number be one of 255 multiples of a step of its word: short as text, and eight bits of content.
    #[arg(long, value_enum)]
    quantize: Option<QuantizeChoice>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, ValueEnum)]
enum QuantizeChoice {
    /// Eight bits.
    Int8,
}

/// What was done.
struct Written {
    /// Words of the source.
    found: usize,
    vectors: WordVectors,
    bytes: u64,
    from: String,
    findings: Findings,
    /// The share of the sum of squares that fewer dimensions keep.
    kept: Option<f64>,
    loss: Option<Loss>,
}

pub(crate) fn run(options: &Options, arguments: &Arguments) -> Result<(), Failure> {
    let mut inputs: Vec<&Path> = vec![&options.file];
    inputs.extend(options.vocabulary.as_deref());
    let output = options.target.create(&inputs)?;
    let import = options.reading.read(&options.file, arguments)?;
    let mut written = Written {
        found: import.vectors.len(),
        vectors: import.vectors,
        bytes: 0,
        from: import.form.to_string(),
        findings: import.findings,
        kept: None,
        loss: None,
    };
    written.select(options, arguments)?;
    written.change(options)?;
    written.bytes = options.target.write(
        &written.vectors,
        &options.file,
        output,
        &mut written.findings,
        arguments,
    )?;
    if arguments.quiet {
        return Ok(());
    }
    written.findings.iter().for_each(complain);
    print(&if arguments.json {
        written.to_json(options)
    } else {
        written.summary(options)
    })
}

impl Written {
    /// Keeps the words that are asked for.
    fn select(&mut self, options: &Options, arguments: &Arguments) -> Result<(), Failure> {
        if let Some(path) = &options.vocabulary {
            let vocabulary = Vocabulary::read(path, &arguments.limits())?;
            let words = self.vectors.words();
            let rows: Vec<usize> = vocabulary
                .places()
                .filter_map(|(_, word)| words.find(word))
                .collect();
            self.findings
                .extend(vocabulary.findings(|word| words.find(word).is_some()));
            self.vectors = self.vectors.select(&rows);
        }
        if let Some(top) = options.top {
            let top = usize::try_from(top).unwrap_or(usize::MAX).min(self.vectors.len());
            self.vectors = self.vectors.select(&(0..top).collect::<Vec<_>>());
        }
        if self.vectors.is_empty() {
            return Err(Failure::model(format!(
                "{}: no word is left",
                options.file.display()
            )));
        }
        Ok(())
    }

    /// Changes the numbers, and says what that has cost.
    fn change(&mut self, options: &Options) -> Result<(), Failure> {
        let lossy = options.dimensions.is_some() || options.quantize.is_some();
        let before = lossy.then(|| self.vectors.clone());
        if let Some(dimensions) = options.dimensions {
            let reduced = reduce(&self.vectors, dimensions as usize)
                .map_err(|error| Failure::model(format!("{}: {error}", options.file.display())))?;
            self.vectors = reduced.vectors;
            self.kept = Some(reduced.kept);
        }
        let mut note = |code, count: usize, what: &str| {
            if count > 0 {
                let message = format!("{count} vectors {what}, and stay as they are");
                self.findings
                    .push(Finding::new(Severity::Warning, code, None, message));
            }
        };
        if options.normalize {
            note(
                ZERO,
                normalize(&mut self.vectors),
                "are zero or no numbers, so that they have no direction",
            );
        }
        if let Some(QuantizeChoice::Int8) = options.quantize {
            note(
                NOT_FINITE,
                quantize_int8(&mut self.vectors),
                "hold NaN or infinity",
            );
        }
        self.loss = before.and_then(|before| loss(&before, &self.vectors));
        Ok(())
    }

    fn to_json(&self, options: &Options) -> String {
        let loss = self.loss.map(|loss| {
            json!({
                "mean_cosine_change": loss.cosine_change, "largest_cosine_change": loss.largest_cosine_change,
                "neighbours_kept": loss.neighbours_kept, "rank_agreement": loss.rank_agreement,
            })
        });
        let value = json!({
            "format": self.from, "words_read": self.found, "words": self.vectors.len(),
            "dimensions": self.vectors.dimensions(), "bytes": self.bytes, "verified": !options.target.no_verify,
            "squares_kept": self.kept, "loss": loss,
            "findings": self.findings.iter().map(report::finding).collect::<Vec<_>>(),
        });
        format!("{value:#}")
    }

    fn summary(&self, options: &Options) -> String {
        let vectors = &self.vectors;
        let (output, dimensions) = (options.target.output.display(), vectors.dimensions());
        let mut lines = vec![
            format!(
                "{output}: {} words of {dimensions} dimensions, {} bytes",
                vectors.len(),
                self.bytes
            ),
            format!("  from {} with {} words", self.from, self.found),
        ];
        if let Some(kept) = self.kept {
            lines.push(format!(
                "  {dimensions} dimensions keep {:.2} % of the sum of squares",
                kept * 100.0
            ));
        }
        if let Some(loss) = &self.loss {
            lines.push(format!(
                "  cosines change by {:.4} on average, {:.4} at most; of the 10 nearest words {:.1} % stay, their ranks agree by {:.3} (on a sample)",
                loss.cosine_change,
                loss.largest_cosine_change,
                loss.neighbours_kept * 100.0,
                loss.rank_agreement
            ));
        }
        lines.push(format!("  {}", options.target.verified()));
        lines.join("\n")
    }
}
