//! `caribou run`.

use crate::args::{Arguments, Run};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::output::complain;
use crate::{formats, model};
use caribou_ir::ReadOptions;
use caribou_runtime::{Array, RunError, Session};
use ndarray::ArrayD;
use ndarray_npy::{NpzWriter, ReadNpyExt, WriteNpyExt};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

pub(crate) fn run(options: &Run, arguments: &Arguments) -> Result<(), Failure> {
    let mut given = Vec::new();
    let mut files = vec![options.model.as_path()];
    for argument in &options.inputs {
        let (name, path) = match argument.split_once('=') {
            Some((name, path)) => (Some(name), path),
            None => (None, argument.as_str()),
        };
        files.push(Path::new(path));
        given.push((name, array(Path::new(path))?));
    }
    let opened = formats::open(&options.model, &options.parts)?;
    let output = Destination::create(&options.output, true, &files)?;
    // An archive does not store the shapes of its inputs: those of the arrays tell.
    let sizes = |array: &Array| array.shape().iter().map(|&size| Some(size)).collect();
    let shapes = given.iter().map(|(_, array)| sizes(array)).collect();
    let read = ReadOptions {
        input_shapes: shapes,
        ..options.parts.options(arguments.limits())
    };
    let import = opened.reader.read(&opened.source, &read).map_err(Failure::read)?;
    let graph = model::validated(&options.model, import.graph, &read.limits)?;
    let mut inputs: Vec<Option<Array>> = vec![None; graph.inputs().len()];
    for (name, array) in given {
        let slot = match name {
            Some(name) => graph
                .inputs()
                .iter()
                .position(|port| port.name == name || port.source_name == name),
            None => inputs.iter().position(Option::is_none),
        };
        let slot = slot.ok_or_else(|| {
            let names: Vec<&str> = graph.inputs().iter().map(|port| port.name.as_str()).collect();
            let name = name.unwrap_or("one more");
            Failure::Usage(format!(
                "the model has no input {name}; its inputs are {}",
                names.join(", ")
            ))
        })?;
        inputs[slot] = Some(array);
    }
    let missing = graph
        .inputs()
        .iter()
        .zip(&inputs)
        .find(|(_, input)| input.is_none());
    if let Some((port, _)) = missing {
        return Err(Failure::Usage(format!(
            "input {} is missing; give --input {}=FILE.npy",
            port.name, port.name
        )));
    }
    let inputs: Vec<Array> = inputs.into_iter().flatten().collect();
    let outputs = Session::new(&graph).run(&inputs).map_err(|error| match error {
        RunError::InputCount { .. } | RunError::InputShape { .. } => Failure::Usage(error.to_string()),
        other => Failure::model(other.to_string()),
    })?;
    let names: Vec<String> = graph.outputs().iter().map(|port| port.name.clone()).collect();
    write(output, &options.output, &names, &outputs)?;
    if !arguments.quiet {
        for (name, output) in names.iter().zip(&outputs) {
            complain(format_args!("{name} {:?}", output.shape()));
        }
    }
    Ok(())
}

/// An array of real numbers or integers.
pub(crate) fn array(path: &Path) -> Result<Array, Failure> {
    let open = || {
        File::open(path)
            .map(BufReader::new)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
    };
    if let Ok(array) = ArrayD::<f32>::read_npy(open()?) {
        return Ok(array);
    }
    macro_rules! other {
        ($($type:ty),*) => {
            $(if let Ok(array) = ArrayD::<$type>::read_npy(open()?) {
                return Ok(array.mapv(|value| value as f32));
            })*
        };
    }
    other!(f64, i64, i32, u8, i8, i16, u16, u32, u64);
    Err(Failure::Usage(format!(
        "{}: it is no .npy array of numbers",
        path.display()
    )))
}

fn write(mut file: Destination, path: &Path, names: &[String], outputs: &[Array]) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::model(format!("{}: {error}", path.display()));
    let npz = path.extension().is_some_and(|extension| extension == "npz");
    match (npz, outputs) {
        (true, _) => {
            let mut writer = NpzWriter::new(BufWriter::new(file.file()));
            for (name, output) in names.iter().zip(outputs) {
                writer
                    .add_array(name.as_str(), output)
                    .map_err(|error| failed(&error))?;
            }
            writer.finish().map_err(|error| failed(&error))?;
        }
        (false, [output]) => {
            let mut writer = BufWriter::new(file.file());
            output.write_npy(&mut writer).map_err(|error| failed(&error))?;
            writer.flush().map_err(|error| failed(&error))?;
        }
        _ => {
            return Err(Failure::Usage(format!(
                "{} outputs need an .npz file",
                outputs.len()
            )));
        }
    }
    file.complete()
}
