//! The inputs and outputs of the model.

use super::{Builder, Held, INPUT_SHAPE, OUTPUT};
use crate::graph::Output;
use crate::literal;
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, DataType};
use caribou_ir::op::{Reshape, Size};
use caribou_ir::{DType, Dim, Finding, Layout, Origin, Shape, ValueId};
use std::collections::HashSet;

/// The sizes that an attribute gives; `None` where not even their number is known.
fn sizes(attribute: Option<&AttrValue>) -> Option<Vec<Option<usize>>> {
    match attribute.and_then(|attribute| attribute.value.as_ref()) {
        Some(Value::Shape(shape)) if !shape.unknown_rank => Some(
            shape
                .dim
                .iter()
                .map(|dim| usize::try_from(dim.size).ok())
                .collect(),
        ),
        _ => None,
    }
}

/// The type of an attribute, where it is one of numbers.
pub(crate) fn dtype(attribute: Option<&AttrValue>) -> Option<DType> {
    match attribute.and_then(|attribute| attribute.value.as_ref()) {
        Some(Value::Type(code)) => DataType::try_from(*code).ok().and_then(literal::dtype),
        _ => None,
    }
}

impl Builder<'_> {
    /// The inputs of the graph, in the order of the feeds.
    pub(super) fn inputs(&mut self, nodes: &[usize]) {
        let flat = self.flat;
        let needed: HashSet<usize> = nodes.iter().copied().collect();
        let channels_first = nodes.iter().any(|&node| {
            let format = flat.nodes[node].attributes.get("data_format");
            matches!(format.and_then(|format| format.value.as_ref()), Some(Value::S(text)) if text.starts_with(b"NC"))
        });
        let mut batches: Vec<Option<usize>> = Vec::new();
        for feed in flat
            .feeds
            .iter()
            .filter(|feed| needed.contains(&feed.output.node))
        {
            let node = &flat.nodes[feed.output.node];
            let kind = dtype(node.attributes.get("dtype")).unwrap_or(DType::F32);
            let shape = feed.shape.clone().or_else(|| sizes(node.attributes.get("shape")));
            let Some(shape) = shape.as_ref().filter(|shape| !shape.is_empty()) else {
                let (message, help) = match shape {
                    Some(_) => (
                        "a single number is no input of a network, which takes one for each example",
                        format!("give it a value: --bind {}=VALUE", feed.name),
                    ),
                    None => (
                        "the shape of this input is not in the file",
                        format!("give it: --input {}=?,224,224,3", feed.name),
                    ),
                };
                let finding = Finding::error(INPUT_SHAPE, &node.origin(), message).with_help(help);
                self.problems.insert(feed.output.node, finding);
                self.stand_ins(feed.output.node);
                continue;
            };
            batches.push(shape[0]);
            let mut dims = vec![Dim::BATCH];
            for size in &shape[1..] {
                dims.push(size.map_or_else(|| self.graph.unknown(), Dim::Fixed));
            }
            // One number an example is fed as a column.
            let column = dims.len() == 1;
            if column {
                dims.push(Dim::Fixed(1));
            }
            let layout = match dims.len() {
                3 => Layout::Sequence,
                4 | 5 if channels_first => Layout::ChannelsFirst,
                4 | 5 => Layout::ChannelsLast,
                _ => Layout::Plain,
            };
            let mut value = self.graph.input(feed.name.as_str(), Shape::new(dims), layout);
            if column {
                let row = Reshape {
                    target: vec![Size::Keep(0)],
                };
                match self.graph.apply(row, &[value], &node.origin()) {
                    Ok(row) => value = row,
                    Err(error) => {
                        self.findings
                            .push(Finding::error(INPUT_SHAPE, &node.origin(), error.to_string()));
                    }
                }
            }
            self.held.insert(feed.output, Held::Value(value, kind));
        }
        self.ports = self.graph.inputs().len();
        // A number of examples that the file fixes is read as any.
        if let Some(&Some(batch)) = batches.first()
            && batches.iter().all(|other| *other == Some(batch))
        {
            self.batch = Some(batch);
        }
        if self.batch.is_none()
            && batches.iter().any(Option::is_some)
            && let Some(feed) = flat.feeds.first()
        {
            let origin = flat.nodes[feed.output.node].origin();
            let message =
                "the inputs have first axes of different sizes, which can't all be the number of examples";
            self.findings.push(Finding::error(INPUT_SHAPE, &origin, message));
        }
    }

    pub(super) fn outputs(&mut self) {
        let flat = self.flat;
        let mut given: HashSet<String> = HashSet::new();
        for fetch in &flat.fetches {
            let origin = flat.nodes[fetch.output.node].origin();
            let value = match self.held.get(&fetch.output) {
                Some(Held::Value(value, _)) => *value,
                None if !self.repeated.contains_key(&fetch.output) => {
                    let message = format!("the operation has no output {}", fetch.output.slot);
                    self.findings.push(Finding::error(OUTPUT, &origin, message));
                    continue;
                }
                _ => {
                    let message = "this output does not depend on any input";
                    self.findings.push(
                        Finding::error(OUTPUT, &origin, message)
                            .with_help("leave it out, with --output for the others"),
                    );
                    continue;
                }
            };
            let value = self.column(value, &origin).unwrap_or(value);
            let shape = self.graph.shape(value).clone();
            if !self.unknown.contains(&value) && shape.dims().first() != Some(&Dim::BATCH) {
                let message = format!("this output of shape {shape} does not keep the examples apart");
                self.findings.push(Finding::error(OUTPUT, &origin, message));
            }
            let name = self.output_name(fetch.output, &fetch.name);
            let mut port = name.clone();
            let mut count = 0;
            while !given.insert(port.clone()) {
                count += 1;
                port = format!("{name}_{count}");
            }
            let layout = self.output_layout(shape.rank());
            self.graph.output(port, value, layout);
            if let Some(port) = self.graph.outputs_mut().last_mut() {
                port.source_name.clone_from(&fetch.name);
            }
        }
        self.graph.mark_indices();
    }

    /// One number an example as a column: DL4J has no arrays of one axis.
    pub(crate) fn column(&mut self, value: ValueId, origin: &Origin) -> Option<ValueId> {
        if self.graph.shape(value).dims() != [Dim::BATCH] {
            return None;
        }
        if let Some(node) = self.graph.producer(value)
            && let (caribou_ir::op::Op::Reshape(_), &[column]) = (&node.op, &node.inputs[..])
            && self.graph.shape(column).dims() == [Dim::BATCH, Dim::Fixed(1)]
        {
            return Some(column);
        }
        let target = vec![Size::Keep(0), Size::Fixed(1)];
        self.graph.apply(Reshape { target }, &[value], origin).ok()
    }

    fn output_layout(&self, rank: usize) -> Layout {
        let first = self
            .graph
            .inputs()
            .iter()
            .any(|port| port.layout == Layout::ChannelsFirst);
        match rank {
            3 => Layout::Sequence,
            4 | 5 if first => Layout::ChannelsFirst,
            4 | 5 => Layout::ChannelsLast,
            _ => Layout::Plain,
        }
    }

    /// The name of an output; where it is an `Identity` that TensorFlow has put there, that of the layer behind it.
    fn output_name(&self, output: Output, name: &str) -> String {
        let plain = name.strip_prefix("Identity").is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix('_')
                    .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        });
        if !plain {
            return name.to_owned();
        }
        self.layer(self.through(output).node).to_string()
    }
}
