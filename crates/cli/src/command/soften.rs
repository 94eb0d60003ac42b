//! `caribou soften`.

use crate::args::{Arguments, Parts};
use crate::destination::{self, Destination};
use crate::failure::Failure;
use crate::npy::{Npz, Rows};
use crate::output::complain;
use crate::{formats, model, progress};
use caribou_ir::{ReadOptions, Source, ValidGraph};
use caribou_optimize::transfer;
use caribou_runtime::{RunError, Session};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Soften {
    /// The model that teaches.
    model: PathBuf,
    #[command(flatten)]
    parts: Parts,
    /// An input, `x.npy` or `name=x.npy`, of as many examples as there are, more than fit into memory too; without names, in the
    /// model's order.
    #[arg(long = "inputs", value_name = "[NAME=]FILE.npy", required = true)]
    inputs: Vec<String>,
    /// What the logits are divided by in front of the softmax: the higher, the softer.
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f64,
    /// Where to write the targets.
    #[arg(short, long, value_name = "OUT.npz")]
    output: PathBuf,
    /// Examples that are computed at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(options: &Soften, arguments: &Arguments) -> Result<(), Failure> {
    let given: Vec<(Option<&str>, &Path)> = options
        .inputs
        .iter()
        .map(|input| match input.split_once('=') {
            Some((name, path)) => (Some(name), Path::new(path)),
            None => (None, Path::new(input.as_str())),
        })
        .collect();
    let mut files = vec![options.model.as_path()];
    files.extend(given.iter().map(|(_, path)| *path));
    let mut output = Destination::create(&options.output, options.force, &files)?;
    let mut sources = Vec::with_capacity(given.len());
    for (_, path) in &given {
        let source =
            Source::open(*path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        sources.push(source);
    }
    let arrays = sources.iter().map(Rows::of).collect::<Result<Vec<_>, _>>()?;
    let graph = teacher(options, arguments, &arrays)?;
    let order = order(&graph, &given)?;
    let arrays: Vec<&Rows> = order.iter().map(|&position| &arrays[position]).collect();
    let rows = examples(&arrays)?;

    let names: Vec<String> = graph.outputs().iter().map(|port| port.name.clone()).collect();
    let failed = |error: std::io::Error| Failure::io(&options.output, &error);
    let directory = destination::directory(&options.output);
    let mut npz = Npz::new(output.file(), names, rows, directory).map_err(failed)?;
    let session = Session::new(&graph);
    let bar = progress::examples(rows as u64, arguments.quiet);
    let step = options.batch_size as usize;
    for start in (0..rows).step_by(step) {
        let range = start..rows.min(start + step);
        let batch: Vec<_> = arrays.iter().map(|array| array.rows(range.clone())).collect();
        let outputs = session.run(&batch).map_err(|error| match error {
            RunError::InputCount { .. } | RunError::InputShape { .. } => Failure::Usage(error.to_string()),
            other => Failure::model(other.to_string()),
        })?;
        npz.push(&outputs).map_err(failed)?;
        bar.inc(range.len() as u64);
    }
    bar.finish_and_clear();
    npz.finish().map_err(failed)?;
    output.complete()?;
    if !arguments.quiet {
        complain(format_args!(
            "{}: {rows} examples at temperature {}",
            options.output.display(),
            options.temperature
        ));
    }
    Ok(())
}

/// The model whose outputs are the softened targets.
fn teacher(options: &Soften, arguments: &Arguments, arrays: &[Rows]) -> Result<ValidGraph, Failure> {
    let opened = formats::open(&options.model, &options.parts)?;
    let mut read: ReadOptions = options.parts.options(arguments.limits());
    if read.input_shapes.is_empty() {
        // An archive does not store the shapes of its inputs: those of the arrays tell.
        let sizes = |array: &Rows| array.shape().iter().map(|&size| Some(size)).collect();
        read.input_shapes = arrays.iter().map(sizes).collect();
    }
    let import = opened.reader.read(&opened.source, &read).map_err(Failure::read)?;
    let soft = transfer::soften(&import.graph, options.temperature)
        .map_err(|error| Failure::model(format!("{}: {error}", options.model.display())))?;
    model::validated(&options.model, soft, &read.limits)
}

/// For each input of the model, the position of the array that is given for it.
fn order(graph: &ValidGraph, given: &[(Option<&str>, &Path)]) -> Result<Vec<usize>, Failure> {
    let ports = graph.inputs();
    let known = || {
        ports
            .iter()
            .map(|port| port.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut order = vec![None; ports.len()];
    for (position, (name, _)) in given.iter().enumerate() {
        let slot = match name {
            Some(name) => ports
                .iter()
                .position(|port| port.name == *name || port.source_name == *name),
            None => order.iter().position(Option::is_none),
        };
        match slot.filter(|&slot| order[slot].is_none()) {
            Some(slot) => order[slot] = Some(position),
            None => {
                let name = name.unwrap_or("one more");
                return Err(Failure::Usage(format!(
                    "the model has no input {name} that is still to be given; its inputs are {}",
                    known()
                )));
            }
        }
    }
    let missing = ports.iter().zip(&order).find(|(_, position)| position.is_none());
    match missing {
        Some((port, _)) => Err(Failure::Usage(format!(
            "input {} is missing; give --inputs {}=FILE.npy",
            port.name, port.name
        ))),
        None => Ok(order.into_iter().flatten().collect()),
    }
}

/// How many examples there are: as many in all arrays.
fn examples(arrays: &[&Rows]) -> Result<usize, Failure> {
    let mut counts = arrays
        .iter()
        .map(|array| array.shape().first().copied().unwrap_or(0));
    let first = counts.next().unwrap_or(0);
    if let Some(other) = counts.find(|&count| count != first) {
        return Err(Failure::Usage(format!(
            "the inputs have {first} and {other} examples"
        )));
    }
    match first {
        0 => Err(Failure::Usage("the inputs have no examples".into())),
        rows => Ok(rows),
    }
}
