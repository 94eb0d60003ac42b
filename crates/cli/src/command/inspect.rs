//! `caribou inspect`.

use crate::args::{Arguments, Inspect};
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::{formats, model, report, words};
use caribou_ir::op::Operator;
use caribou_ir::{
    Findings, Limits, ReadOptions, Shape, ValidGraph, WriteError, WriteOptions, Writer, layout,
};
use caribou_writer_dl4j::Dl4jWriter;
use serde_json::json;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// One layer of the source.
struct Row {
    name: String,
    kind: String,
    shape: String,
    parameters: usize,
    multiply_adds: Option<u64>,
}

pub(crate) fn run(options: &Inspect, arguments: &Arguments) -> Result<(), Failure> {
    let limits = arguments.limits();
    let formats::Opened { source, reader } = formats::open(&options.model, &options.parts)?;
    // Nothing is written: an architecture without weights is worth looking at too.
    let read = ReadOptions {
        untrained: true,
        ..options.parts.options(limits.clone())
    };
    let read = reader
        .read(&source, &read)
        .map_err(Failure::read)
        .and_then(|import| {
            let graph = model::validated(&options.model, import.graph.clone(), &limits)?;
            Ok((import, graph))
        });
    let (import, graph) = match read {
        Ok(read) => read,
        // What can't even be read has findings all the same.
        Err(failure) => {
            if arguments.json {
                let findings: Vec<_> = failure.findings().iter().map(report::finding).collect();
                print(&format!("{:#}", json!({ "format": null, "findings": findings })))?;
            }
            return Err(failure);
        }
    };
    let mut findings = import.findings;
    if reader.name() != "dl4j" {
        findings.extend(inexpressible(&options.model, &graph, &limits)?);
    }
    let rows = rows(&graph);
    let parameters: usize = rows.iter().map(|row| row.parameters).sum();
    let multiply_adds: Option<u64> = rows.iter().map(|row| row.multiply_adds).sum();
    if arguments.json {
        let layers: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name, "type": row.kind, "shape": row.shape, "parameters": row.parameters,
                    "multiply_adds": row.multiply_adds, "bytes": row.parameters * 4,
                })
            })
            .collect();
        let ports = |ports: &[caribou_ir::Port]| -> Vec<_> {
            ports
                .iter()
                .map(|port| json!({ "name": port.name, "shape": graph.shape(port.value).to_string() }))
                .collect()
        };
        print(&format!(
            "{:#}",
            json!({
                "format": import.format, "layers": layers, "inputs": ports(graph.inputs()),
                "outputs": ports(graph.outputs()), "parameters": parameters, "multiply_adds": multiply_adds,
                "bytes": parameters * 4, "findings": findings.iter().map(report::finding).collect::<Vec<_>>(),
                "training": import.training.as_ref().map(|training| words::training(training, &graph)),
                "normalizer": import.normalizer.as_ref().map(words::normalizer),
            })
        ))?;
    } else {
        let text = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mut lines = vec![
            import.format.clone(),
            format!(
                "{:<32} {:<24} {:<22} {:>12} {:>16}",
                "layer", "type", "shape", "parameters", "multiply-adds"
            ),
        ];
        for row in &rows {
            let sum = text(row.multiply_adds);
            lines.push(format!(
                "{:<32} {:<24} {:<22} {:>12} {sum:>16}",
                row.name, row.kind, row.shape, row.parameters
            ));
        }
        lines.push(format!(
            "{parameters} parameters, {} bytes, {} multiply-adds",
            parameters * 4,
            text(multiply_adds)
        ));
        if let Some(training) = &import.training {
            lines.push(words::training(training, &graph));
        }
        if let Some(normalizer) = &import.normalizer {
            lines.push(words::normalizer(normalizer));
        }
        print(&lines.join("\n"))?;
    }
    if findings.has_errors() {
        return Err(Failure::refused(&options.model, findings));
    }
    if !arguments.quiet {
        findings.iter().for_each(complain);
    }
    Ok(())
}

/// The layers in the order of the graph; the operators of one layer together.
fn rows(graph: &ValidGraph) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (_, node) in graph.nodes() {
        let shapes = |values: &[caribou_ir::ValueId]| -> Vec<Shape> {
            values.iter().map(|&v| graph.shape(v).clone()).collect()
        };
        let (inputs, outputs) = (shapes(&node.inputs), shapes(&node.outputs));
        let (inputs, outputs): (Vec<&Shape>, Vec<&Shape>) =
            (inputs.iter().collect(), outputs.iter().collect());
        let parameters: usize = node.op.parameters().iter().map(|(_, tensor)| tensor.len()).sum();
        let multiply_adds = node.op.multiply_adds(&inputs, &outputs);
        let shape = outputs
            .first()
            .map_or_else(String::new, |shape| shape.to_string());
        match rows.last_mut().filter(|row| *row.name == *node.origin.layer) {
            Some(row) => {
                row.parameters += parameters;
                row.multiply_adds = row.multiply_adds.zip(multiply_adds).map(|(a, b)| a + b);
                row.shape = shape;
            }
            None => rows.push(Row {
                name: node.origin.layer.to_string(),
                kind: node.origin.kind.to_string(),
                shape,
                parameters,
                multiply_adds,
            }),
        }
    }
    rows
}

/// What DL4J can't express, found by writing to nowhere.
fn inexpressible(path: &Path, graph: &ValidGraph, limits: &Limits) -> Result<Findings, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::model(format!("{}: {error}", path.display()));
    let (sunk, _) = layout::sink_transposes(graph).map_err(|error| failed(&error))?;
    let sunk = model::validated(path, sunk, limits)?;
    match Dl4jWriter::default().write(&sunk, &mut Nowhere::default(), &WriteOptions::default()) {
        Ok(report) => Ok(report.findings),
        Err(WriteError::Refused(findings)) => Ok(findings),
        Err(error) => Err(failed(&error)),
    }
}

/// A sink that forgets what it is given.
#[derive(Default)]
struct Nowhere {
    at: u64,
    end: u64,
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.at += bytes.len() as u64;
        self.end = self.end.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Nowhere {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        let target = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
