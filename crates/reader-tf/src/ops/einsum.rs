//! Sums of products by the names of axes (`Einsum`).

use super::{Call, Found, Outputs, Row, real};
use crate::build::Held;
use caribou_ir::einsum::{Compose, Term, are_axes};
use caribou_ir::op::Op;
use caribou_ir::{Finding, Graph, ValueId};

pub(super) const TABLE: &[Row] = &[real("Einsum", &["equation"], einsum)];

/// `bij,bjk->bik`.
fn einsum(call: &mut Call<'_, '_>) -> Outputs {
    let text = call.text("equation", "")?.replace(' ', "");
    let Some((inputs, output)) = text.split_once("->") else {
        return Err(call.option(format!("the sum {text} does not name its result")));
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    let (names, output) = spelled(call, &inputs, output)?;
    if !names.iter().all(|names| are_axes(names)) || !are_axes(&output) {
        return Err(call.option(format!("the sum {text} repeats names of axes")));
    }
    if call.inputs.len() != names.len() {
        return Err(call.option(format!("the sum {text} is of {} values", call.inputs.len())));
    }
    let mut terms = Vec::with_capacity(names.len());
    for (place, names) in names.into_iter().enumerate() {
        let term = match &call.inputs[place] {
            Held::Value(value, _) => Term::Value(*value),
            Held::Known(_) => Term::Known(call.tensor(place)?),
        };
        terms.push((term, names));
    }
    let y = caribou_ir::einsum::einsum(call, &text, terms, &output)?;
    call.gives(y)
}

/// The names with those of the axes that an ellipsis stands for: capital letters from the end of the alphabet.
fn spelled(call: &Call<'_, '_>, inputs: &[&str], output: &str) -> Found<(Vec<Vec<char>>, Vec<char>)> {
    let spell = |text: &str, count: usize| -> Vec<char> {
        match text.split_once("...") {
            None => text.chars().collect(),
            Some((before, behind)) => {
                let stands = ('A'..='Z').rev().take(count).collect::<Vec<char>>();
                before
                    .chars()
                    .chain(stands.into_iter().rev())
                    .chain(behind.chars())
                    .collect()
            }
        }
    };
    let mut hidden = 0;
    let mut names = Vec::new();
    for (text, held) in inputs.iter().zip(&call.inputs) {
        let rank = match held {
            Held::Value(value, _) => call.rank(*value),
            Held::Known(array) => array.rank(),
        };
        let count = rank.saturating_sub(text.replace("...", "").len());
        if text.contains("...") {
            if hidden != 0 && hidden != count {
                return Err(call.option("axes that are not named are stretched"));
            }
            hidden = count;
        }
        names.push(spell(text, count));
    }
    Ok((names, spell(output, hidden)))
}

impl Compose for Call<'_, '_> {
    type Error = Box<Finding>;

    fn graph(&self) -> &Graph {
        Call::graph(self)
    }

    fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Found<ValueId> {
        Call::apply(self, op, inputs)
    }

    fn permuted(&mut self, value: ValueId, permutation: Vec<usize>) -> Found<ValueId> {
        Call::permuted(self, value, permutation)
    }

    fn size(&self, value: ValueId, axis: usize) -> Found<usize> {
        Call::size(self, value, axis)
    }

    fn refuse(&self, message: String) -> Box<Finding> {
        self.option(message)
    }
}
