//! One step of a cell in one operation: in its place stand the operations that it computes.
//!
//! `LSTMBlockCell` (gates in the order i, c, f, o): `c' = σ(f + forget_bias + w_f c) c + σ(i + w_i c) tanh(g)`, cut off at
//! `cell_clip` where that is positive, `h' = σ(o + w_o c') tanh(c')`. `GRUBlockCell`: `h' = (1 - u) tanh([x, r h] W + b) + u h`.
//! Both as TensorFlow's `rnn_ops.cc` and `gru_ops.cc` describe them.

use crate::graph::{Flat, Node, Output};
use crate::literal;
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, DataType};
use std::collections::HashMap;
use std::sync::Arc;

/// The cells, with how many inputs each has.
const CELLS: &[(&str, usize)] = &[("LSTMBlockCell", 8), ("GRUBlockCell", 6)];

/// Expands the cells of `flat`, and says whether there are any. One with other inputs than it should have is left, and refused
/// by its name.
pub(super) fn expand(flat: &mut Flat) -> bool {
    let mut moved: HashMap<Output, Output> = HashMap::new();
    for position in 0..flat.nodes.len() {
        let node = &flat.nodes[position];
        let Some((op, _)) = CELLS
            .iter()
            .find(|(op, inputs)| *op == &*node.op && *inputs == node.inputs.len())
        else {
            continue;
        };
        let mut step = Step {
            scope: Arc::clone(&node.name),
            inputs: node.inputs.clone(),
            attributes: node.attributes.clone(),
            flat,
        };
        let made = match *op {
            "LSTMBlockCell" => step.lstm(),
            _ => step.gru(),
        };
        let Some(made) = made else { continue };
        let own = |slot: usize| Output { node: position, slot };
        moved.extend(
            made.into_iter()
                .enumerate()
                .map(|(slot, output)| (own(slot), output)),
        );
    }
    flat.redirect(&moved);
    !moved.is_empty()
}

/// A cell that is being expanded.
struct Step<'f> {
    scope: Arc<str>,
    inputs: Vec<Output>,
    attributes: HashMap<String, AttrValue>,
    flat: &'f mut Flat,
}

impl Step<'_> {
    fn real(&self, name: &str, default: f64) -> Option<f64> {
        match self.attributes.get(name).map(|value| &value.value) {
            None => Some(default),
            Some(Some(Value::F(number))) => Some(literal::meant(*number)),
            Some(_) => None,
        }
    }

    fn push(&mut self, op: &str, inputs: &[Output]) -> Output {
        self.node(op, inputs, |_| {})
    }

    fn node(&mut self, op: &str, inputs: &[Output], set: impl FnOnce(&mut Node)) -> Output {
        let place = self.flat.nodes.len();
        let mut node = Node::new(format!("{}/{op}_{place}", self.scope), op, inputs.to_vec());
        set(&mut node);
        self.flat.nodes.push(node);
        Output { node: place, slot: 0 }
    }

    fn constant(&mut self, kind: DataType, value: f64) -> Option<Output> {
        let literal = literal::filled(kind, &[], value)?;
        Some(self.node("Const", &[], |node| node.literal = Some(literal)))
    }

    /// The axis of the features.
    fn axis(&mut self) -> Option<Output> {
        self.constant(DataType::DtInt32, 1.0)
    }

    /// A single number of the cell's type.
    fn number(&mut self, value: f64) -> Option<Output> {
        let kind = match self.attributes.get("T").map(|value| &value.value) {
            Some(Some(Value::Type(kind))) => DataType::try_from(*kind).ok()?,
            _ => DataType::DtFloat,
        };
        self.constant(kind, value)
    }

    /// `[a, b] weight + bias`.
    fn dense(&mut self, a: Output, b: Output, weight: Output, bias: Output) -> Option<Output> {
        let axis = self.axis()?;
        let joined = self.push("ConcatV2", &[a, b, axis]);
        let product = self.push("MatMul", &[joined, weight]);
        Some(self.push("BiasAdd", &[product, bias]))
    }

    /// Equal parts of the features.
    fn parts(&mut self, x: Output, count: usize) -> Option<Vec<Output>> {
        let axis = self.axis()?;
        let number = AttrValue {
            value: Some(Value::I(count as i64)),
        };
        let split = self.node("Split", &[axis, x], |node| {
            node.attributes.insert("num_split".to_owned(), number);
        });
        Some((0..count).map(|slot| Output { slot, ..split }).collect())
    }

    /// The outputs i, c', f, o, tanh(g), tanh(c'), h'.
    fn lstm(&mut self) -> Option<Vec<Output>> {
        let [x, c, h, weight, own_input, own_forget, own_output, bias] = self.inputs[..] else {
            return None;
        };
        let (forget_bias, clip) = (self.real("forget_bias", 1.0)?, self.real("cell_clip", 3.0)?);
        let peephole = match self.attributes.get("use_peephole").map(|value| &value.value) {
            None => false,
            Some(Some(Value::B(flag))) => *flag,
            Some(_) => return None,
        };
        let gates = self.dense(x, h, weight, bias)?;
        let [mut input, new, mut forget, mut output] = self.parts(gates, 4)?[..] else {
            return None;
        };
        let forget_bias = self.number(forget_bias)?;
        forget = self.push("AddV2", &[forget, forget_bias]);
        if peephole {
            let of_input = self.push("Mul", &[c, own_input]);
            input = self.push("AddV2", &[input, of_input]);
            let of_forget = self.push("Mul", &[c, own_forget]);
            forget = self.push("AddV2", &[forget, of_forget]);
        }
        let input = self.push("Sigmoid", &[input]);
        let forget = self.push("Sigmoid", &[forget]);
        let new = self.push("Tanh", &[new]);
        let kept = self.push("Mul", &[forget, c]);
        let added = self.push("Mul", &[input, new]);
        let mut memory = self.push("AddV2", &[kept, added]);
        if clip > 0.0 {
            let (low, high) = (self.number(-clip)?, self.number(clip)?);
            let cut = self.push("Minimum", &[memory, high]);
            memory = self.push("Maximum", &[cut, low]);
        }
        if peephole {
            let of_output = self.push("Mul", &[memory, own_output]);
            output = self.push("AddV2", &[output, of_output]);
        }
        let output = self.push("Sigmoid", &[output]);
        let shown = self.push("Tanh", &[memory]);
        let h = self.push("Mul", &[output, shown]);
        Some(vec![input, memory, forget, output, new, shown, h])
    }

    /// The outputs r, u, c, h'.
    fn gru(&mut self) -> Option<Vec<Output>> {
        let [x, h, gates, candidate, gates_bias, candidate_bias] = self.inputs[..] else {
            return None;
        };
        let gates = self.dense(x, h, gates, gates_bias)?;
        let gates = self.push("Sigmoid", &[gates]);
        let [reset, update] = self.parts(gates, 2)?[..] else {
            return None;
        };
        let remembered = self.push("Mul", &[reset, h]);
        let new = self.dense(x, remembered, candidate, candidate_bias)?;
        let new = self.push("Tanh", &[new]);
        let one = self.number(1.0)?;
        let rest = self.push("Sub", &[one, update]);
        let kept = self.push("Mul", &[update, h]);
        let added = self.push("Mul", &[rest, new]);
        let next = self.push("AddV2", &[kept, added]);
        Some(vec![reset, update, new, next])
    }
}
