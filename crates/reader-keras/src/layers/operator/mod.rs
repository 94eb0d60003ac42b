//! Operators of TensorFlow in functional models: one row a function, found by the name that the file gives.
//!
//! A value of the model may stand at any argument, and so may a number or an array. What is known when the file is read
//! (the shape of a value, a constant, sums and products of them) is computed at once.

mod arguments;
mod arithmetic;
mod array;
mod einsum;
mod keras3;
mod logic;
mod network;
mod rearrange;
mod reduce;
mod slice;
mod special;

use super::{Call, OPTION, Outputs, config};
use arguments::Arguments;
pub(super) use arguments::{Number, array};
pub(super) use arithmetic::elementwise;
pub(super) use keras3::keras_3;

/// A function that is read.
struct Function {
    /// Its names without `tf.`.
    names: &'static [&'static str],
    /// Its parameters in order. A call with others is refused.
    parameters: &'static [&'static str],
    read: fn(&mut Call<'_>, &Arguments<'_>) -> Outputs,
}

const fn function(
    names: &'static [&'static str],
    parameters: &'static [&'static str],
    read: fn(&mut Call<'_>, &Arguments<'_>) -> Outputs,
) -> Function {
    Function {
        names,
        parameters,
        read,
    }
}

const TABLES: &[&[Function]] = &[
    arithmetic::TABLE,
    array::TABLE,
    special::TABLE,
    logic::TABLE,
    network::TABLE,
    rearrange::TABLE,
    reduce::TABLE,
    slice::TABLE,
];

/// A call of an operator.
pub(super) fn operator(call: &mut Call<'_>) -> Outputs {
    let name = config!(call, text_or("function", ""));
    // Newer names of the same function, and the older ones, which behave alike here.
    let plain = name
        .trim_start_matches("compat.v1.")
        .trim_start_matches("raw_ops.");
    named(call, plain)
}

/// A call of the function called `name`.
fn named(call: &mut Call<'_>, name: &str) -> Outputs {
    let function = TABLES
        .iter()
        .flat_map(|table| table.iter())
        .find(|function| function.names.contains(&name))
        .ok_or_else(|| call.refuse(OPTION, format!("the operator tf.{name} is not supported")))?;
    let arguments = Arguments::new(call, function.parameters)?;
    (function.read)(call, &arguments)
}
