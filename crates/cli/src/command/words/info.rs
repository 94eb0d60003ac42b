//! `caribou words info`.

use super::Reading;
use crate::args::Arguments;
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::report;
use caribou_word_vectors::{Lengths, lengths};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Words that are shown.
const SHOWN: usize = 8;

#[derive(Args)]
pub(crate) struct Options {
    /// The vectors.
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

pub(crate) fn run(options: &Options, arguments: &Arguments) -> Result<(), Failure> {
    let import = options
        .reading
        .read(&options.file, arguments)
        .inspect_err(|failure| {
            if arguments.json {
                let findings: Vec<_> = failure.findings().iter().map(report::finding).collect();
                // What can't be printed is told by the failure itself.
                let _ = print(&format!("{:#}", json!({ "format": null, "findings": findings })));
            }
        })?;
    let vectors = &import.vectors;
    let first: Vec<&str> = vectors.words().iter().take(SHOWN).collect();
    let Lengths {
        shortest,
        mean,
        longest,
        zero,
        not_finite,
    } = lengths(vectors);
    let bytes = vectors.values().len() * 4;
    if arguments.json {
        let counts = vectors
            .counts()
            .map(|counts| counts.iter().map(|count| count.occurrences).sum::<u64>());
        print(&format!(
            "{:#}",
            json!({
                "format": import.form.to_string(), "words": vectors.len(), "dimensions": vectors.dimensions(),
                "bytes": bytes, "base64_words": import.form.escaped, "left_out": import.form.left_out,
                "repeated": import.form.repeated, "occurrences": counts,
                "length": { "shortest": shortest, "mean": mean, "longest": longest },
                "zero": zero, "not_finite": not_finite, "first_words": first,
                "findings": import.findings.iter().map(report::finding).collect::<Vec<_>>(),
            })
        ))?;
    } else {
        let mut lines = vec![
            import.form.to_string(),
            format!(
                "{} words of {} dimensions, {bytes} bytes in memory",
                vectors.len(),
                vectors.dimensions()
            ),
        ];
        if import.form.escaped > 0 {
            lines.push(format!("{} words are written as B64:", import.form.escaped));
        }
        if import.form.left_out + import.form.repeated > 0 {
            lines.push(format!(
                "left out: {} lines that can't be read, {} repeated words",
                import.form.left_out, import.form.repeated
            ));
        }
        lines.push(format!(
            "length of vectors: {shortest:.4} to {longest:.4}, {mean:.4} on average"
        ));
        lines.push(format!(
            "{zero} vectors are zero, {not_finite} hold NaN or infinity"
        ));
        lines.push(format!(
            "first words: {}",
            first
                .iter()
                .map(|word| format!("{word:?}"))
                .collect::<Vec<_>>()
                .join(" ")
        ));
        print(&lines.join("\n"))?;
    }
    if !arguments.quiet {
        import.findings.iter().for_each(complain);
    }
    Ok(())
}
