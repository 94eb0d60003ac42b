//! `caribou words extract`.

use super::layer::Layer;
use super::target::Target;
use super::vocabulary::Vocabulary;
use crate::args::{Arguments, Parts};
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::{formats, report};
use caribou_word_vectors::take;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Options {
    /// The model; its format is found by its content.
    model: PathBuf,
    /// The embedding layer; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The words of the rows, one on each line; a blank line has no word.
    #[arg(long, value_name = "FILE")]
    vocabulary: PathBuf,
    /// The row of the first line's word: 1 where row 0 is padding.
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    first_row: usize,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    parts: Parts,
}

pub(crate) fn run(options: &Options, arguments: &Arguments) -> Result<(), Failure> {
    let inputs: [&Path; 2] = [&options.model, &options.vocabulary];
    let output = options.target.create(&inputs)?;
    let vocabulary = Vocabulary::read(&options.vocabulary, &arguments.limits())?;
    let read = options.parts.options(arguments.limits());
    let import = formats::read(&options.model, &options.parts, &read)?;
    let layer = Layer::find(&options.model, &import.graph, options.layer.as_deref())?;
    let (rows, features) = layer.shape();
    let table = layer.numbers(&options.model)?;
    let vectors = take(&table, features, vocabulary.rows(options.first_row)).map_err(|error| {
        Failure::Usage(format!(
            "{}: {}: {error}",
            options.vocabulary.display(),
            layer.name
        ))
    })?;
    let mut findings = import.findings;
    findings.extend(vocabulary.findings(|_| true));
    let bytes = options
        .target
        .write(&vectors, &options.model, output, &mut findings, arguments)?;
    if arguments.quiet {
        return Ok(());
    }
    findings.iter().for_each(complain);
    if arguments.json {
        let value = json!({
            "layer": layer.name, "rows": rows, "words": vectors.len(), "dimensions": features, "bytes": bytes,
            "verified": !options.target.no_verify,
            "findings": findings.iter().map(report::finding).collect::<Vec<_>>(),
        });
        return print(&format!("{value:#}"));
    }
    let lines = [
        format!(
            "{}: {} words of {features} dimensions, {bytes} bytes",
            options.target.output.display(),
            vectors.len()
        ),
        format!("  from the {rows} rows of {}", layer.name),
        format!("  {}", options.target.verified()),
    ];
    print(&lines.join("\n"))
}
