//! What a pass did to a model, told in figures that are never mixed.

use crate::args::Target;
use crate::failure::Failure;
use crate::model;
use crate::report::Conversion;
use caribou_ir::{Rewrite, ValidGraph};
use caribou_optimize::cost::{Cost, cost};
use caribou_runtime::{Array, Session};
use serde_json::{Value, json};

/// What a pass did.
pub(crate) struct Optimization {
    /// The name of the command.
    pub(crate) pass: &'static str,
    pub(crate) before: Cost,
    pub(crate) after: Cost,
    /// Changes of operators.
    pub(crate) rewrites: Vec<Rewrite>,
    /// How far the outputs moved; `None` when nothing was run.
    pub(crate) deviation: Option<Deviation>,
}

/// How far the outputs moved from those of the source.
pub(crate) struct Deviation {
    pub(crate) samples: usize,
    /// Whether the inputs were random numbers; those of the model's own kind may move its outputs more or less.
    pub(crate) seeded: bool,
    /// For each output: its name, the largest absolute difference, and that relative to its largest magnitude.
    pub(crate) outputs: Vec<(String, f64, f64)>,
}

impl Deviation {
    /// The largest relative difference of all outputs.
    pub(crate) fn largest(&self) -> f64 {
        let relative = self.outputs.iter().map(|(_, _, relative)| *relative);
        // A NaN is larger than every number here: it must not pass for a small difference.
        relative.fold(0.0, |a, b| if b.is_nan() { f64::INFINITY } else { a.max(b) })
    }
}

/// Inputs with what the source gives for them.
pub(crate) struct Truth {
    pub(crate) inputs: Vec<Array>,
    pub(crate) expected: Vec<Array>,
    pub(crate) samples: usize,
    pub(crate) seeded: bool,
}

impl Truth {
    /// Seeded examples.
    pub(crate) fn seeded(source: &ValidGraph, samples: usize) -> Result<Self, Failure> {
        let (inputs, expected) = model::seeded_run(source, samples, 1)?;
        Ok(Self {
            inputs,
            expected,
            samples,
            seeded: true,
        })
    }

    /// How far the outputs of `changed` are from the source's.
    pub(crate) fn deviation(&self, changed: &ValidGraph) -> Result<Deviation, Failure> {
        let found = Session::new(changed)
            .run(&self.inputs)
            .map_err(|error| Failure::Differ(format!("the changed network can't be run: {error}")))?;
        let differences = model::differences(&self.expected, &found).map_err(Failure::Differ)?;
        let ports = changed.outputs().iter().zip(differences);
        Ok(Deviation {
            samples: self.samples,
            seeded: self.seeded,
            outputs: ports
                .map(|(port, (absolute, relative))| (port.name.clone(), absolute, relative))
                .collect(),
        })
    }
}

impl Optimization {
    /// The figures of `source` and `changed`, with nothing else yet.
    pub(crate) fn new(pass: &'static str, source: &ValidGraph, changed: &ValidGraph) -> Self {
        Self {
            pass,
            before: cost(source),
            after: cost(changed),
            rewrites: Vec::new(),
            deviation: None,
        }
    }

    /// The figures as JSON.
    pub(crate) fn to_json(&self, source_bytes: u64, bytes: u64) -> Value {
        let figures = |cost: &Cost, bytes: u64| {
            json!({
                "bytes_on_disk": bytes,
                "bytes_in_memory": cost.bytes_in_memory,
                "multiply_adds": cost.multiply_adds,
                "parameters": cost.parameters,
            })
        };
        let rewrites = self.rewrites.iter().map(|rewrite| {
            json!({ "name": rewrite.name, "where": rewrite.origin.layer.to_string(), "reason": rewrite.reason })
        });
        json!({
            "pass": self.pass,
            "before": figures(&self.before, source_bytes),
            "after": figures(&self.after, bytes),
            "rewrites": rewrites.collect::<Vec<_>>(),
            "deviation": self.deviation.as_ref().map(|deviation| json!({
                "samples": deviation.samples,
                "inputs": if deviation.seeded { "seeded" } else { "given" },
                "max_rel": deviation.largest(),
                "outputs": deviation.outputs.iter().map(|(name, absolute, relative)| {
                    json!({ "name": name, "max_abs": absolute, "max_rel": relative })
                }).collect::<Vec<_>>(),
            })),
        })
    }

    /// The figures as text.
    fn lines(&self, source_bytes: u64, bytes: u64) -> Vec<String> {
        let mut lines: Vec<String> = self
            .rewrites
            .iter()
            .map(|rewrite| format!("  {} {}: {}", rewrite.name, rewrite.origin.layer, rewrite.reason))
            .collect();
        let count = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mut figure = |name: &str, before: String, after: String| {
            lines.push(format!("  {name:<16} {before:>16} {after:>16}"));
        };
        figure("", "before".into(), "after".into());
        figure("bytes on disk", source_bytes.to_string(), bytes.to_string());
        figure(
            "bytes in memory",
            self.before.bytes_in_memory.to_string(),
            self.after.bytes_in_memory.to_string(),
        );
        figure(
            "multiply-adds",
            count(self.before.multiply_adds),
            count(self.after.multiply_adds),
        );
        if let Some(deviation) = &self.deviation {
            let (samples, kind) = (
                deviation.samples,
                if deviation.seeded { "seeded" } else { "given" },
            );
            for (name, absolute, relative) in &deviation.outputs {
                lines.push(format!(
                    "  output {name} moved by at most {absolute:.2e}, relative {relative:.1e}, on {samples} {kind} examples"
                ));
            }
        }
        lines
    }
}

/// What an optimising command prints.
pub(crate) fn summary(target: &Target, json: bool, conversion: &Conversion) -> String {
    if json {
        return format!("{:#}", conversion.to_json());
    }
    let kind = conversion
        .report
        .as_ref()
        .map_or("", |report| report.target.as_str());
    let mut lines = vec![format!("{}: {kind}", target.output.display())];
    if let Some(optimization) = &conversion.optimization {
        lines.extend(optimization.lines(conversion.source_bytes(), conversion.bytes));
    }
    lines.push(match &conversion.verification {
        Some(v) => format!(
            "  the archive was read back: largest relative difference {:.1e} on {} samples",
            v.max_rel, v.samples
        ),
        None => "  not verified".to_owned(),
    });
    lines.join("\n")
}
