//! `caribou words embed`.

use super::Reading;
use super::layer::Layer;
use super::vocabulary::Vocabulary;
use crate::archive::{self, Changed, Job, Model};
use crate::args::{Arguments, Parts, Target};
use crate::failure::Failure;
use crate::model;
use crate::optimization::Optimization;
use crate::output::{complain, print};
use crate::report::Conversion;
use caribou_ir::{Op, Rewrite, Tensor};
use caribou_word_vectors::{Filled, TableError, Unknown, WordVectors, fill};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The model; its format is found by its content.
    model: PathBuf,
    /// The embedding layer; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The vectors: word2vec text or binary, GloVe, fastText, DL4J's zip; found by content.
    #[arg(long, value_name = "FILE")]
    vectors: PathBuf,
    /// The words of the rows, one on each line; a blank line has no word.
    #[arg(long, value_name = "FILE")]
    vocabulary: PathBuf,
    /// The row of the first line's word: 1 where row 0 is padding.
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    first_row: usize,
    /// What becomes of rows whose word has no vector. Rows without a word stay as they are.
    #[arg(long, value_enum, default_value = "zero")]
    unknown: UnknownChoice,
    /// The seed of random rows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, ValueEnum)]
enum UnknownChoice {
    /// Zero.
    Zero,
    /// The mean of all vectors.
    Mean,
    /// Normal random numbers of the vectors' scale.
    Random,
    /// What the model has there.
    Keep,
}

impl Options {
    /// Brings options that have two names under one.
    pub(super) fn settle(&mut self) {
        self.target.settle(&mut self.parts);
    }

    fn unknown(&self) -> Unknown {
        match self.unknown {
            UnknownChoice::Zero => Unknown::Zero,
            UnknownChoice::Mean => Unknown::Mean,
            UnknownChoice::Random => Unknown::Random(self.seed),
            UnknownChoice::Keep => Unknown::Keep,
        }
    }
}

/// What was put where.
struct Embedded {
    layer: String,
    rows: usize,
    filled: Filled,
}

pub(crate) fn run(options: &Options, arguments: &Arguments) -> Result<(), Failure> {
    let job = Job {
        model: &options.model,
        parts: &options.parts,
        target: &options.target,
        unroll_recurrent: None,
        surgery: None,
        with_training_state: false,
        repetitive: false,
        arguments,
    };
    for input in [&options.vectors, &options.vocabulary] {
        crate::destination::distinct(&options.target.output, input)?;
    }
    let vocabulary = Vocabulary::read(&options.vocabulary, &arguments.limits())?;
    let import = options.reading.read(&options.vectors, arguments)?;
    let mut embedded = None;
    let conversion = archive::write(
        &job,
        Some(&mut |model| {
            change(
                options,
                arguments,
                model,
                &vocabulary,
                &import.vectors,
                &mut embedded,
            )
        }),
    )?;
    if !arguments.quiet {
        import.findings.iter().for_each(complain);
        conversion.findings.iter().for_each(complain);
        print(&summary(options, arguments, &conversion, embedded.as_ref()))?;
    }
    Ok(())
}

fn change(
    options: &Options,
    arguments: &Arguments,
    model: Model,
    vocabulary: &Vocabulary,
    vectors: &WordVectors,
    embedded: &mut Option<Embedded>,
) -> Result<Changed, Failure> {
    let mut graph = model.graph.into_graph();
    let layer = Layer::find(&options.model, &graph, options.layer.as_deref())?;
    layer.alone(&options.model, &graph)?;
    let (rows, features) = layer.shape();
    let mut table = layer.numbers(&options.model)?;
    let words = vocabulary.rows(options.first_row);
    let filled = fill(&mut table, features, vectors, words, options.unknown()).map_err(|error| {
        let place = format!("{}: {}: {error}", options.model.display(), layer.name);
        match error {
            TableError::Dimensions { .. } => Failure::Model {
                message: place,
                help: format!(
                    "caribou words convert --dimensions {features} makes them as long, if they are longer"
                ),
                findings: caribou_ir::Findings::new(),
            },
            TableError::Row { .. } => Failure::Usage(place),
        }
    })?;
    let table = Tensor::from_values(&[rows, features], table)
        .map_err(|error| Failure::model(format!("{}: {error}", options.model.display())))?;
    let mut rewrites = Vec::new();
    for &node in &layer.nodes {
        let origin = graph.node(node).origin.clone();
        if let Op::Embedding(op) = graph.op_mut(node) {
            op.table = table.clone();
            let reason = format!("{} rows are the vectors of their words", filled.known);
            rewrites.push(Rewrite::new("embed-words", &origin, reason));
        }
    }
    let graph = model::validated(&options.model, graph, &arguments.limits())?;
    let mut report = Optimization::new("words embed", model.source, &graph);
    report.rewrites = rewrites;
    *embedded = Some(Embedded {
        layer: layer.name,
        rows,
        filled,
    });
    let findings = vocabulary.findings(|word| vectors.words().find(word).is_some());
    Ok(Changed {
        graph,
        report,
        findings,
        quantization: None,
        examples: None,
    })
}

fn summary(
    options: &Options,
    arguments: &Arguments,
    conversion: &Conversion,
    embedded: Option<&Embedded>,
) -> String {
    let Some(Embedded { layer, rows, filled }) = embedded else {
        return String::new();
    };
    let Filled {
        known,
        unknown,
        without_word,
    } = filled;
    if arguments.json {
        let mut value = conversion.to_json();
        value["embedding"] = json!({
            "layer": layer, "rows": rows, "known": known, "unknown": unknown, "without_word": without_word,
        });
        return format!("{value:#}");
    }
    let kind = conversion
        .report
        .as_ref()
        .map_or("", |report| report.target.as_str());
    let unknown_is = match options.unknown {
        UnknownChoice::Zero => "are zero",
        UnknownChoice::Mean => "are the mean of all vectors",
        UnknownChoice::Random => "are random",
        UnknownChoice::Keep => "stay as they were",
    };
    let lines = [
        format!("{}: {kind}", options.target.output.display()),
        format!("  {layer}: {known} of {rows} rows are the vectors of their words"),
        format!("  {unknown} rows have a word without a vector, and {unknown_is}"),
        format!("  {without_word} rows have no word, and stay as they were"),
        match &conversion.verification {
            Some(v) => format!(
                "  the archive was read back: largest relative difference {:.1e} on {} samples",
                v.max_rel, v.samples
            ),
            None => "  not verified".to_owned(),
        },
    ];
    lines.join("\n")
}
