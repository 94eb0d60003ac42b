//! `caribou verify`.

use crate::args::{Arguments, Parts, Verify};
use crate::failure::Failure;
use crate::output::print;
use crate::{formats, model};
use caribou_ir::{Layout, Port, ReadOptions, ValidGraph};
use caribou_runtime::{Array, Session, compare};
use ndarray_npy::NpzReader;
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;

pub(crate) fn run(options: &Verify, arguments: &Arguments) -> Result<(), Failure> {
    let limits = arguments.limits();
    let read = options.parts.options(limits.clone());
    let a = formats::read(&options.a, &options.parts, &read)?;
    let a = model::validated(&options.a, a.graph, &limits)?;
    let (inputs, expected) = match &options.inputs {
        Some(path) => {
            let inputs = arrays(path, &a)?;
            let outputs = Session::new(&a)
                .run(&inputs)
                .map_err(|error| Failure::Usage(error.to_string()))?;
            (inputs, outputs)
        }
        None => model::seeded_run(&a, options.samples as usize, options.seed)?,
    };
    // The second model may take the source's axis order, or channels first.
    let mut last = None;
    for order in [Order::Same, Order::ChannelsFirst] {
        let given: Vec<Array> = inputs
            .iter()
            .zip(a.inputs())
            .map(|(x, port)| order.apply(x, port))
            .collect();
        let read = ReadOptions {
            limits: limits.clone(),
            input_shapes: given.iter().map(shape).collect(),
            ..ReadOptions::default()
        };
        let b = match formats::read(&options.b, &Parts::default(), &read) {
            Ok(b) => model::validated(&options.b, b.graph, &limits)?,
            Err(failure) => {
                last = Some(failure);
                continue;
            }
        };
        let found = match Session::new(&b).run(&given) {
            Ok(found) => found,
            Err(error) => {
                last = Some(Failure::Differ(format!("{}: {error}", options.b.display())));
                continue;
            }
        };
        let wanted: Vec<Array> = expected
            .iter()
            .zip(a.outputs())
            .map(|(y, port)| order.apply(y, port))
            .collect();
        let differences = match model::differences(&wanted, &found) {
            Ok(differences) => differences,
            Err(message) => {
                last = Some(Failure::Differ(message));
                continue;
            }
        };
        let worst = differences.iter().map(|d| d.1).fold(0.0, f64::max);
        let absolute = differences.iter().map(|d| d.0).fold(0.0, f64::max);
        if arguments.json {
            print(&format!(
                "{:#}",
                json!({ "same": worst <= options.tolerance, "max_abs": absolute, "max_rel": worst })
            ))?;
        }
        if worst <= options.tolerance {
            if !arguments.json && !arguments.quiet {
                print(&format!("same outputs: largest relative difference {worst:.1e}"))?;
            }
            return Ok(());
        }
        let layer = first_diverging(&a, &inputs, &b, &given, options.tolerance);
        let place = layer.map_or_else(String::new, |layer| {
            format!("; the first layer that differs is {layer}")
        });
        return Err(Failure::Differ(format!(
            "the outputs differ by {worst:.1e}, tolerance {:.0e}{place}",
            options.tolerance
        )));
    }
    Err(last.unwrap_or_else(|| Failure::Differ("the models have different inputs".into())))
}

/// The axis order of the second model.
#[derive(Clone, Copy)]
enum Order {
    Same,
    ChannelsFirst,
}

impl Order {
    fn apply(self, array: &Array, port: &Port) -> Array {
        match self {
            Self::Same => array.clone(),
            Self::ChannelsFirst => permuted(array, port.layout),
        }
    }
}

fn permuted(array: &Array, layout: Layout) -> Array {
    array
        .view()
        .permuted_axes(layout.to_channels_first(array.ndim()))
        .as_standard_layout()
        .into_owned()
}

fn shape(array: &Array) -> Vec<Option<usize>> {
    array.shape().iter().map(|&size| Some(size)).collect()
}

fn arrays(path: &std::path::Path, graph: &ValidGraph) -> Result<Vec<Array>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut npz = NpzReader::new(file).map_err(|error| failed(&error))?;
    graph
        .inputs()
        .iter()
        .map(|port| {
            npz.by_name(&format!("{}.npy", port.name))
                .or_else(|_| npz.by_name(&port.name))
                .map_err(|error| failed(&error))
        })
        .collect()
}

/// The first layer of the reference whose last value differs from that of the layer of the same name.
fn first_diverging(
    a: &ValidGraph,
    x: &[Array],
    b: &ValidGraph,
    y: &[Array],
    tolerance: f64,
) -> Option<String> {
    let observe = |graph: &ValidGraph, inputs: &[Array]| {
        let mut order = Vec::new();
        let mut values: HashMap<String, Array> = HashMap::new();
        let run = Session::new(graph).run_observed(inputs, &mut |node, outputs| {
            if let Some(output) = outputs.first() {
                let name = node.origin.layer.to_string();
                if values.insert(name.clone(), output.clone()).is_none() {
                    order.push(name);
                }
            }
        });
        run.ok().map(|_| (order, values))
    };
    let ((order, mine), (_, others)) = observe(a, x).zip(observe(b, y))?;
    order.into_iter().find(|name| {
        let (Some(mine), Some(other)) = (mine.get(name), others.get(name)) else {
            return false;
        };
        let candidates = [mine.clone(), permuted(mine, Layout::ChannelsLast)];
        !candidates
            .iter()
            .any(|mine| compare(mine, other).is_ok_and(|difference| difference.max_rel <= tolerance))
    })
}
