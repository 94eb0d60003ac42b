//! What a pass did to a model, told in figures that are never mixed.

use crate::archive::{self, Job, Pass};
use crate::args::{Arguments, Subject, Target};
use crate::failure::Failure;
use crate::labels::Accuracy;
use crate::model;
use crate::output::{complain, print};
use crate::report::Conversion;
use caribou_ir::{Rewrite, ValidGraph};
use caribou_optimize::cost::{Cost, cost};
use caribou_optimize::layer::LayerChange;
use caribou_optimize::memory::Change;
use caribou_optimize::structured::UnitChange;
use caribou_runtime::{Array, Session};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What a pass did.
pub(crate) struct Optimization {
    /// The name of the command.
    pub(crate) pass: &'static str,
    pub(crate) before: Cost,
    pub(crate) after: Cost,
    /// Changes of operators.
    pub(crate) rewrites: Vec<Rewrite>,
    /// Changes of weights.
    pub(crate) layers: Vec<LayerChange>,
    /// What was done to filters and units.
    pub(crate) units: Vec<UnitChange>,
    /// How far the outputs are from those of the network in which the same filters are masked.
    pub(crate) masked: Option<f64>,
    /// How far the outputs moved; `None` when nothing was run.
    pub(crate) deviation: Option<Deviation>,
    /// What a search within a bound found.
    pub(crate) found: Option<Outcome>,
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

/// How a network stands to the bound that was set.
pub(crate) struct Outcome {
    /// The bound; `None` where a recipe was done without one.
    pub(crate) max_drop: Option<f64>,
    /// How far the network falls behind: in accuracy where there are labels, else the largest relative difference.
    pub(crate) drop: f64,
    /// The accuracies at the outputs with labels.
    pub(crate) accuracies: Vec<Accuracy>,
    /// How many networks were judged.
    pub(crate) evaluations: usize,
    /// What was done, as it can be done again.
    pub(crate) recipe: String,
}

impl Outcome {
    fn to_json(&self) -> Value {
        json!({
            "max_drop": self.max_drop,
            "measure": if self.accuracies.is_empty() { "deviation" } else { "accuracy" },
            "drop": self.drop,
            "accuracies": self.accuracies.iter().map(|accuracy| {
                json!({ "output": accuracy.output, "before": accuracy.before, "after": accuracy.after })
            }).collect::<Vec<_>>(),
            "evaluations": self.evaluations,
            "recipe": self.recipe,
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .accuracies
            .iter()
            .map(|accuracy| {
                format!(
                    "  accuracy at output {}: {:.4} before, {:.4} after",
                    accuracy.output, accuracy.before, accuracy.after
                )
            })
            .collect();
        let measure = match self.accuracies.is_empty() {
            true => "moved outputs by",
            false => "lost an accuracy of",
        };
        let bound = self
            .max_drop
            .map_or_else(String::new, |bound| format!(", at most {bound} allowed"));
        lines.push(format!(
            "  {measure} {:.2e}{bound}; {} networks were judged",
            self.drop, self.evaluations
        ));
        lines
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

    /// The arrays in these files, in the order of the model's inputs.
    pub(crate) fn given(source: &ValidGraph, files: &[PathBuf]) -> Result<Self, Failure> {
        let inputs = model::arrays(source, files, "--inputs")?;
        let expected = Session::new(source)
            .run(&inputs)
            .map_err(|error| Failure::Usage(format!("--inputs: {error}")))?;
        let samples = inputs
            .first()
            .map_or(0, |array| array.shape().first().copied().unwrap_or(1));
        Ok(Self {
            inputs,
            expected,
            samples,
            seeded: false,
        })
    }

    /// The outputs of `changed`.
    pub(crate) fn outputs(&self, changed: &ValidGraph) -> Result<Vec<Array>, Failure> {
        Session::new(changed)
            .run(&self.inputs)
            .map_err(|error| Failure::Differ(format!("the changed network can't be run: {error}")))
    }

    /// How far these outputs of `changed` are from the source's.
    pub(crate) fn distance(&self, changed: &ValidGraph, found: &[Array]) -> Result<Deviation, Failure> {
        let differences = model::differences(&self.expected, found).map_err(Failure::Differ)?;
        let ports = changed.outputs().iter().zip(differences);
        Ok(Deviation {
            samples: self.samples,
            seeded: self.seeded,
            outputs: ports
                .map(|(port, (absolute, relative))| (port.name.clone(), absolute, relative))
                .collect(),
        })
    }

    /// How far the outputs of `changed` are from the source's.
    pub(crate) fn deviation(&self, changed: &ValidGraph) -> Result<Deviation, Failure> {
        self.distance(changed, &self.outputs(changed)?)
    }

    /// The same, with the examples as `changed` sees them: what its archive is compared with.
    pub(crate) fn settle(self, changed: &ValidGraph) -> Result<(Deviation, Examples), Failure> {
        let outputs = self.outputs(changed)?;
        let deviation = self.distance(changed, &outputs)?;
        let inputs = self.inputs;
        Ok((deviation, Examples { inputs, outputs }))
    }
}

/// Inputs of a network with its outputs.
pub(crate) struct Examples {
    pub(crate) inputs: Vec<Array>,
    pub(crate) outputs: Vec<Array>,
}

impl Optimization {
    /// What became of the weights that are others now.
    pub(crate) fn change(&self) -> Change {
        match self.pass {
            _ if !self.rewrites.is_empty() || !self.units.is_empty() => Change::Rewritten,
            "prune" | "optimize" => Change::Pruned,
            _ => Change::InPlace,
        }
    }

    /// The figures of `source` and `changed`, with nothing else yet.
    pub(crate) fn new(pass: &'static str, source: &ValidGraph, changed: &ValidGraph) -> Self {
        Self {
            pass,
            before: cost(source),
            after: cost(changed),
            rewrites: Vec::new(),
            layers: Vec::new(),
            units: Vec::new(),
            masked: None,
            deviation: None,
            found: None,
        }
    }

    /// Whether most of the numbers that were looked at are zeros.
    pub(crate) fn is_sparse(&self) -> bool {
        let sum = |of: fn(&LayerChange) -> usize| -> usize { self.layers.iter().map(of).sum() };
        sum(|change| change.zeros) * 2 > sum(|change| change.elements)
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
            "layers": self.layers.iter().map(layer_to_json).collect::<Vec<_>>(),
            "units": self.units.iter().map(units_to_json).collect::<Vec<_>>(),
            "masked_max_rel": self.masked,
            "deviation": self.deviation.as_ref().map(|deviation| json!({
                "samples": deviation.samples,
                "inputs": if deviation.seeded { "seeded" } else { "given" },
                "max_rel": deviation.largest(),
                "outputs": deviation.outputs.iter().map(|(name, absolute, relative)| {
                    json!({ "name": name, "max_abs": absolute, "max_rel": relative })
                }).collect::<Vec<_>>(),
            })),
            "search": self.found.as_ref().map(Outcome::to_json),
        })
    }

    /// The figures as text.
    fn lines(&self, source_bytes: u64, bytes: u64) -> Vec<String> {
        let mut lines: Vec<String> = self
            .rewrites
            .iter()
            .map(|rewrite| format!("  {} {}: {}", rewrite.name, rewrite.origin.layer, rewrite.reason))
            .collect();
        if !self.layers.is_empty() {
            lines.push(format!(
                "  {:<32} {:<12} {:>11} {:>8} {:>4} {:>7}  worst channel",
                "layer", "weight", "elements", "sparsity", "bits", "SQNR dB"
            ));
            lines.extend(self.layers.iter().map(|change| layer_line(change, self.pass)));
        }
        if !self.units.is_empty() {
            lines.push(format!("  {:<32} {:<12} {:>11}", "layer", "units of", "kept"));
            lines.extend(self.units.iter().map(units_line));
        }
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
        if let Some(masked) = self.masked {
            lines.push(format!(
                "  against the network with the same filters masked: largest relative difference {masked:.1e}"
            ));
        }
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
        lines.extend(self.found.iter().flat_map(Outcome::lines));
        lines
    }
}

fn layer_to_json(change: &LayerChange) -> Value {
    // An infinite ratio, of what stayed as it was, has no place in JSON.
    let finite = |decibels: f64| decibels.is_finite().then_some(decibels);
    json!({
        "layer": change.layer,
        "role": change.role,
        "elements": change.elements,
        "zeros": change.zeros,
        "sparsity": change.sparsity(),
        "bits": change.bits,
        "sqnr_db": finite(change.sqnr),
        "worst_channel": change.worst_channel.map(|(channel, decibels)| {
            json!({ "channel": channel, "sqnr_db": finite(decibels) })
        }),
        "changed": change.changed,
    })
}

fn layer_line(change: &LayerChange, pass: &str) -> String {
    let mut line = format!(
        "  {:<32} {:<12} {:>11} {:>8.4}",
        change.layer,
        change.role,
        change.elements,
        change.sparsity()
    );
    line += &change
        .bits
        .map_or_else(|| format!(" {:>4}", "-"), |bits| format!(" {bits:>4}"));
    line += &format!(" {:>7.1}", change.sqnr);
    if let Some((channel, decibels)) = change.worst_channel {
        line += &format!("  {channel} ({decibels:.1})");
    }
    // Other passes change nearly all numbers, or tell the zeros.
    if pass == "clip" {
        line += &format!("  {} changed", change.changed);
    }
    line
}

fn units_to_json(change: &UnitChange) -> Value {
    json!({
        "layer": change.layer,
        "role": change.role,
        "before": change.before,
        "after": change.after,
        "reason": change.reason,
    })
}

fn units_line(change: &UnitChange) -> String {
    let kept = format!("{} of {}", change.after, change.before);
    let mut line = format!("  {:<32} {:<12} {kept:>11}", change.layer, change.role);
    if let Some(reason) = &change.reason {
        line += &format!("  {reason}");
    }
    line
}

/// Runs a command that changes a network, and prints what it did. Where weights repeat themselves afterwards, the archive is
/// worth deflating.
pub(crate) fn rewritten(
    subject: &Subject,
    arguments: &Arguments,
    repetitive: bool,
    pass: &mut Pass,
) -> Result<(), Failure> {
    let job = Job {
        model: &subject.model,
        parts: &subject.parts,
        target: &subject.target,
        unroll_recurrent: None,
        with_training_state: subject.with_training_state,
        surgery: None,
        repetitive,
        arguments,
    };
    let conversion = archive::write(&job, Some(pass))?;
    if !arguments.quiet {
        conversion.findings.iter().for_each(complain);
        print(&summary(job.target, arguments.json, &conversion))?;
    }
    Ok(())
}

/// What an optimising command prints.
fn summary(target: &Target, json: bool, conversion: &Conversion) -> String {
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
