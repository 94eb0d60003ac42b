//! Sums of products by the names of axes (`einsum`).

use super::super::{Call, OPTION, Outputs};
use super::arguments::Number;
use crate::config::Operand;
use caribou_ir::einsum::{Compose, Term, are_axes, einsum as einsum_of};
use caribou_ir::op::{Identity, Op, Transpose};
use caribou_ir::{Finding, Graph, ValueId};
use serde_json::Value;

/// `ops.einsum("bij,bjk->bik", x, y)`.
pub(super) fn einsum(call: &mut Call<'_>) -> Outputs {
    let text = call
        .config
        .text_or("subscripts", "")
        .unwrap_or("")
        .replace(' ', "");
    let Some((inputs, output)) = text.split_once("->") else {
        return Err(call.refuse(OPTION, format!("the sum {text} does not name its result")));
    };
    let names: Vec<Vec<char>> = inputs.split(',').map(|part| part.chars().collect()).collect();
    let output: Vec<char> = output.chars().collect();
    if !names.iter().all(|names| are_axes(names)) || !are_axes(&output) {
        return Err(call.refuse(
            OPTION,
            format!("the sum {text} repeats or leaves out names of axes"),
        ));
    }
    let operands: Vec<Number> = call
        .operands
        .positional
        .iter()
        .map(|operand| match operand {
            Operand::Plain(Value::String(_)) => Err(call.refuse(OPTION, "its argument is a text")),
            other => super::arguments::number(call, "operands", other),
        })
        .collect::<Result<_, _>>()?;
    if operands.len() != names.len() {
        return Err(call.refuse(OPTION, format!("the sum {text} is of {} values", operands.len())));
    }
    let terms = operands.into_iter().map(|operand| match operand {
        Number::Value(value) => Term::Value(value),
        Number::Known(tensor) => Term::Known(tensor),
    });
    let terms = terms.zip(names).collect();
    Ok(vec![einsum_of(call, &text, terms, &output)?])
}

impl Compose for Call<'_> {
    type Error = Box<Finding>;

    fn graph(&self) -> &Graph {
        self.graph
    }

    fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, Box<Finding>> {
        Call::apply(self, op, inputs)
    }

    fn permuted(&mut self, value: ValueId, permutation: Vec<usize>) -> Result<ValueId, Box<Finding>> {
        // The layer is seen where nothing is moved, too.
        match permutation.is_sorted() {
            true => Call::apply(self, Identity, &[value]),
            false => Call::apply(self, Transpose { permutation }, &[value]),
        }
    }

    fn size(&self, value: ValueId, axis: usize) -> Result<usize, Box<Finding>> {
        Call::size(self, value, axis)
    }

    fn refuse(&self, message: String) -> Box<Finding> {
        Call::refuse(self, OPTION, message)
    }
}
