//! Dropout that drops nothing, as TensorFlow 1 writes it out: `floor(keep + random)` with all kept, `random >= rate` with
//! a rate of zero. Random numbers are at least zero and less than one, and multiples of 2^-23: adding one does not round.

use super::Lifted;
use crate::build::Held;
use crate::fold::{Array, Whole};
use crate::graph::Output;
use crate::ops::Call;
use caribou_ir::DType;

/// The operations that such a mask may end with.
pub(super) const ENDS: &[&str] = &["Floor", "GreaterEqual", "Greater", "Less", "LessEqual"];

/// Operations that give such random numbers.
const UNIFORM: &[&str] = &[
    "RandomUniform",
    "StatelessRandomUniform",
    "StatelessRandomUniformV2",
];

/// Operations between the random numbers and the mask.
const STEPS: usize = 8;

/// The mask, where it is one everywhere whatever the random numbers are.
pub(super) fn nothing_dropped(call: &mut Call<'_, '_>) -> Lifted {
    let inputs = &call.node.inputs;
    let held = match (&*call.node.op, &inputs[..]) {
        ("Floor", &[sum]) => match from(call, sum) {
            // Less than two, and at least one.
            Some(1.0) => call.folded(Array::reals(DType::F32, &[], &[1.0]))?,
            _ => return Ok(None),
        },
        (op, &[a, b]) => {
            let always = match (op, from(call, a), from(call, b)) {
                ("GreaterEqual", Some(low), None) => number(call, b).is_some_and(|rate| rate <= low),
                ("Greater", Some(low), None) => number(call, b).is_some_and(|rate| rate < low),
                ("Less" | "LessEqual", Some(low), None) => {
                    number(call, b).is_some_and(|keep| keep >= low + 1.0)
                }
                ("LessEqual", None, Some(low)) => number(call, a).is_some_and(|rate| rate <= low),
                ("Less", None, Some(low)) => number(call, a).is_some_and(|rate| rate < low),
                ("Greater" | "GreaterEqual", None, Some(low)) => {
                    number(call, a).is_some_and(|keep| keep >= low + 1.0)
                }
                _ => false,
            };
            if !always {
                return Ok(None);
            }
            call.folded(Array::wholes(DType::Bool, vec![], vec![Whole::known(1)]))?
        }
        _ => return Ok(None),
    };
    call.lift_of("dropout that drops nothing", Vec::new());
    Ok(Some(vec![Held::Known(held)]))
}

/// The single number that an output is.
fn number(call: &Call<'_, '_>, output: Output) -> Option<f64> {
    match call.builder.held(output) {
        Some(Held::Known(array)) => array.scalar(),
        _ => None,
    }
}

/// What random numbers start from, zero or one: they end before the next whole number.
fn from(call: &Call<'_, '_>, output: Output) -> Option<f64> {
    let (mut output, mut low) = (call.through(output), 0.0);
    for _ in 0..STEPS {
        let node = &call.builder.flat.nodes[output.node];
        if UNIFORM.contains(&&*node.op) {
            return Some(low).filter(|low| (0.0..=1.0).contains(low));
        }
        let &[a, b] = &node.inputs[..] else { return None };
        let (next, added) = match (&*node.op, number(call, a), number(call, b)) {
            ("Add" | "AddV2", Some(number @ (0.0 | 1.0)), None) => (b, number),
            ("Add" | "AddV2" | "Sub", None, Some(0.0)) => (a, 0.0),
            ("Add" | "AddV2", None, Some(1.0)) => (a, 1.0),
            ("Mul", Some(1.0), None) => (b, 0.0),
            ("Mul", None, Some(1.0)) => (a, 0.0),
            _ => return None,
        };
        low += added;
        output = call.through(next);
    }
    None
}
