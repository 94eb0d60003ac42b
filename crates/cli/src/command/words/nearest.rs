//! `caribou words nearest`.

use super::Reading;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::output::{complain, print};
use caribou_word_vectors::{Query, Words, mean, nearest};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The vectors.
    file: PathBuf,
    /// Words to be near to; of several, near to the mean of their vectors.
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
    /// Words to be far from.
    #[arg(long, value_name = "WORD")]
    without: Vec<String>,
    /// How many.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    #[command(flatten)]
    reading: Reading,
}

pub(crate) fn run(options: &Options, arguments: &Arguments) -> Result<(), Failure> {
    let import = options.reading.read(&options.file, arguments)?;
    let vectors = &import.vectors;
    let rows = |words: &[String]| -> Result<Vec<usize>, Failure> {
        words
            .iter()
            .map(|word| row(vectors.words(), word, options))
            .collect()
    };
    let query = Query {
        with: rows(&options.words)?,
        without: rows(&options.without)?,
    };
    let asked: Vec<usize> = query.with.iter().chain(&query.without).copied().collect();
    let found = nearest(vectors, &mean(vectors, &query), &asked, options.count as usize);
    if arguments.json {
        let list: Vec<_> = found
            .iter()
            .map(|near| json!({ "word": vectors.words().get(near.row), "cosine": near.cosine }))
            .collect();
        print(&format!("{:#}", json!(list)))?;
    } else {
        let lines = found
            .iter()
            .map(|near| format!("{:.6} {}", near.cosine, vectors.words().get(near.row)));
        print(&lines.collect::<Vec<_>>().join("\n"))?;
    }
    if !arguments.quiet {
        import.findings.iter().for_each(complain);
    }
    Ok(())
}

/// Where a word stands.
fn row(words: &Words, word: &str, options: &Options) -> Result<usize, Failure> {
    words.find(word).ok_or_else(|| {
        let other = [word.to_lowercase(), word.to_uppercase()]
            .into_iter()
            .find(|other| words.find(other).is_some());
        let hint = other.map_or_else(String::new, |other| format!("; there is {other:?}"));
        Failure::Usage(format!(
            "{}: there is no word {word:?}{hint}",
            options.file.display()
        ))
    })
}
