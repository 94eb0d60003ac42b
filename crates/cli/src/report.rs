//! `REPORT.json`.

use crate::optimization::Optimization;
use caribou_ir::{Finding, Findings, PortReport, Report, Rewrite, Source};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::cell::OnceCell;

/// What is known of a conversion, whether it succeeded or not.
#[derive(Default)]
pub(crate) struct Conversion {
    pub(crate) format: String,
    pub(crate) report: Option<Report>,
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) findings: Findings,
    pub(crate) verification: Option<Verification>,
    pub(crate) bytes: u64,
    /// What a pass did before the model was written.
    pub(crate) optimization: Option<Optimization>,
    /// The model's file, and the one with its weights where there are two.
    pub(crate) sources: Vec<Source>,
    /// Their digests, once they were asked for: files may be large.
    digests: OnceCell<Vec<String>>,
}

/// How the archive was compared with its source.
pub(crate) struct Verification {
    pub(crate) samples: usize,
    pub(crate) max_abs: f64,
    pub(crate) max_rel: f64,
}

fn port(port: &PortReport) -> Value {
    json!({ "name": port.name, "source_name": port.source_name, "shape": port.shape })
}

pub(crate) fn finding(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.to_string(),
        "code": finding.code.to_string(),
        "origin": finding.origin.as_ref().map(|origin| origin.layer.to_string()),
        "message": finding.message,
        "help": finding.help,
    })
}

fn digest(source: &Source) -> String {
    Sha256::digest(source.bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn source((source, digest): (&Source, &String)) -> Value {
    json!({ "path": source.path().display().to_string(), "sha256": digest, "bytes": source.bytes().len() })
}

impl Conversion {
    /// The size of the model's files.
    pub(crate) fn source_bytes(&self) -> u64 {
        self.sources
            .iter()
            .map(|source| source.bytes().len() as u64)
            .sum()
    }

    /// The report as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let empty = Report::default();
        let report = self.report.as_ref().unwrap_or(&empty);
        let digests = self
            .digests
            .get_or_init(|| self.sources.iter().map(digest).collect());
        let mut files = self.sources.iter().zip(digests).map(source);
        let mut first = files.next().unwrap_or_else(|| json!({}));
        first["format"] = json!(self.format);
        if let Some(weights) = files.next() {
            first["weights"] = weights;
        }
        let rewrites = self.rewrites.iter().chain(&report.rewrites).map(|rewrite| {
            json!({ "name": rewrite.name, "where": rewrite.origin.layer.to_string(), "reason": rewrite.reason })
        });
        let layers = report.layers.iter().map(|layer| {
            json!({ "source": layer.source, "target": layer.target, "exact": layer.exact, "note": layer.note })
        });
        let mut value = json!({
            "caribou": env!("CARGO_PKG_VERSION"),
            "source": first,
            "target": self.report.as_ref().map(|report| report.target.clone()),
            "inputs": report.inputs.iter().map(port).collect::<Vec<_>>(),
            "outputs": report.outputs.iter().map(port).collect::<Vec<_>>(),
            "layers": layers.collect::<Vec<_>>(),
            "rewrites": rewrites.collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "verification": self.verification.as_ref().map(|verification| json!({
                "samples": verification.samples,
                "max_abs": verification.max_abs,
                "max_rel": verification.max_rel,
            })),
            "parameters": report.parameters,
            "bytes": self.bytes,
        });
        if let Some(optimization) = &self.optimization {
            value["optimization"] = optimization.to_json(self.source_bytes(), self.bytes);
        }
        value
    }
}
