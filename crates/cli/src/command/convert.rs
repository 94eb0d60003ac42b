//! `caribou convert`.

use crate::args::{Arguments, Convert};
use crate::failure::Failure;
use crate::report::{Conversion, Verification};
use crate::{formats, model};
use caribou_ir::op::Operator;
use caribou_ir::{
    Code, Finding, Findings, ReadOptions, Reader, Report, Source, ValidGraph, WriteOptions, Writer, layout,
};
use caribou_reader_dl4j::Dl4jReader;
use caribou_runtime::{Array, Session};
use caribou_writer_dl4j::Dl4jWriter;
use std::io::{BufWriter, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// A weight that is no number.
const NOT_FINITE: Code = Code("I0101");
/// Examples that the archive is compared on.
const SAMPLES: usize = 2;
/// Layers with weights from which rounding errors add up to more.
const DEEP: usize = 40;

pub(crate) fn run(options: &Convert, arguments: &Arguments) -> Result<(), Failure> {
    if options.output.exists() && !options.force {
        return Err(Failure::Usage(format!(
            "{} exists; give --force to replace it",
            options.output.display()
        )));
    }
    let mut conversion = Conversion::default();
    let result = convert(options, &mut conversion);
    if let Err(failure) = &result {
        conversion.findings.extend(failure.findings());
    }
    if let Some(path) = &options.report {
        let source = Source::open(&options.model);
        let bytes = source.as_ref().map_or(&[][..], Source::bytes);
        let text = format!("{:#}\n", conversion.to_json(&options.model, bytes));
        std::fs::write(path, text).map_err(|error| Failure::io(path, &error))?;
    }
    result?;
    if !arguments.quiet {
        for finding in &conversion.findings {
            eprintln!("{finding}");
        }
        print(options, arguments, &conversion);
    }
    Ok(())
}

fn print(options: &Convert, arguments: &Arguments, conversion: &Conversion) {
    let Some(report) = &conversion.report else { return };
    if arguments.json {
        let source = Source::open(&options.model);
        let bytes = source.as_ref().map_or(&[][..], Source::bytes);
        println!("{:#}", conversion.to_json(&options.model, bytes));
        return;
    }
    println!("{}: {}", options.output.display(), report.target);
    println!(
        "  {} parameters, {} bytes, {} rewrites",
        report.parameters,
        conversion.bytes,
        report.rewrites.len()
    );
    for (side, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            println!("  {side} {} {:?}", port.name, port.shape);
        }
    }
    match &conversion.verification {
        Some(v) => println!(
            "  same outputs on {} samples, largest relative difference {:.1e}",
            v.samples, v.max_rel
        ),
        None => println!("  not verified"),
    }
}

fn convert(options: &Convert, conversion: &mut Conversion) -> Result<(), Failure> {
    let import = formats::read(
        &options.model,
        options.weights.as_deref(),
        &ReadOptions::default(),
    )?;
    conversion.format = import.format;
    conversion.findings.extend(import.findings);
    let (sunk, rewrites) = layout::sink_transposes(&import.graph)
        .map_err(|error| Failure::model(format!("{}: {error}", options.model.display())))?;
    conversion.rewrites = rewrites;
    let sunk = model::validated(&options.model, sunk)?;
    let source = model::validated(&options.model, import.graph)?;

    let directory = options
        .output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory).map_err(|error| Failure::io(directory, &error))?;
    let writer = Dl4jWriter {
        layout: options.layout.into(),
        compression: options.compression.into(),
    };
    let mut write_options = WriteOptions::default();
    write_options.training = import.training;
    write_options.unroll_recurrent = options.unroll_recurrent.map(|max| max as usize);
    let mut sink = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    let report = writer
        .write(&sunk, &mut sink, &write_options)
        .map_err(|error| Failure::write(&options.model, error))?;
    sink.flush()
        .map_err(|error| Failure::io(&options.output, &error))?;
    drop(sink);
    conversion.findings.extend(report.findings.clone());
    conversion.bytes = file
        .as_file()
        .metadata()
        .map_err(|error| Failure::io(&options.output, &error))?
        .len();
    if !options.no_verify {
        finite(&options.model, &source)?;
        conversion.verification = Some(verify(&source, file.path(), &report)?);
    }
    conversion.report = Some(report);
    let persisted = if options.force {
        file.persist(&options.output)
    } else {
        file.persist_noclobber(&options.output)
    };
    persisted.map_err(|error| Failure::io(&options.output, &error.error))?;
    Ok(())
}

/// Refuses weights that are no numbers, all of them by name.
fn finite(path: &Path, graph: &ValidGraph) -> Result<(), Failure> {
    let mut findings = Findings::new();
    for (_, node) in graph.nodes() {
        for (role, tensor) in node.op.parameters() {
            let mut count = 0usize;
            tensor
                .stream(|block| {
                    count += block.iter().filter(|value| !value.is_finite()).count();
                    Ok::<(), caribou_ir::TensorError>(())
                })
                .map_err(|error| Failure::model(format!("{}: {error}", node.origin)))?;
            if count > 0 {
                let message = format!("its {role} holds {count} numbers that are NaN or infinite");
                findings.push(Finding::error(NOT_FINITE, &node.origin, message));
            }
        }
    }
    if findings.has_errors() {
        return Err(Failure::refused(path, findings));
    }
    Ok(())
}

/// Reads the archive back and compares its outputs with those of the source.
fn verify(source: &ValidGraph, archive: &Path, report: &Report) -> Result<Verification, Failure> {
    let sizes = |port: &caribou_ir::PortReport| {
        port.shape
            .iter()
            .map(|&size| usize::try_from(size).ok())
            .collect()
    };
    let options = ReadOptions {
        input_shapes: report.inputs.iter().map(sizes).collect(),
        ..ReadOptions::default()
    };
    let mapped = Source::open(archive).map_err(|error| Failure::io(archive, &error))?;
    let import = Dl4jReader.read(&mapped, &options).map_err(Failure::read)?;
    let written = model::validated(archive, import.graph)?;
    let (inputs, expected) = model::seeded_run(source, SAMPLES, 1)?;
    let permuted = |arrays: Vec<Array>, ports: &[caribou_ir::PortReport]| -> Vec<Array> {
        let permute = |(array, port): (Array, &caribou_ir::PortReport)| {
            array
                .permuted_axes(port.permutation.clone())
                .as_standard_layout()
                .into_owned()
        };
        arrays.into_iter().zip(ports).map(permute).collect()
    };
    let found = Session::new(&written)
        .run(&permuted(inputs, &report.inputs))
        .map_err(|error| Failure::Differ(format!("the archive can't be run: {error}")))?;
    let differences =
        model::differences(&permuted(expected, &report.outputs), &found).map_err(Failure::Differ)?;
    let weighted = source
        .nodes()
        .filter(|(_, node)| !node.op.parameters().is_empty())
        .count();
    let tolerance = if weighted < DEEP { 1e-5 } else { 1e-4 };
    for (port, (_, relative)) in report.outputs.iter().zip(&differences) {
        // A NaN is no number below the tolerance.
        if relative.is_nan() || *relative > tolerance {
            return Err(Failure::Differ(format!(
                "the archive computes something else: output {} differs by {relative:.1e}, tolerance {tolerance:.0e}",
                port.name
            )));
        }
    }
    let largest = |f: fn(&(f64, f64)) -> f64| differences.iter().map(f).fold(0.0, f64::max);
    Ok(Verification {
        samples: SAMPLES,
        max_abs: largest(|d| d.0),
        max_rel: largest(|d| d.1),
    })
}
