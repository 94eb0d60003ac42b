//! The operations of TensorFlow: one row an operation, one function a row.
//!
//! A function gets a [`Call`]: the operation's attributes and what it reads, values of the graph in TensorFlow's axis order
//! or arrays that are known. It adds operators to the graph and gives the operation's outputs, or computes them at once.

mod activation;
mod arithmetic;
mod block_lstm;
mod call;
mod conv;
mod einsum;
mod join;
mod linear;
mod logic;
mod norm;
mod one_hot;
mod passing;
mod patches;
mod pieces;
mod pool;
mod quantize;
mod rearrange;
mod recurrent;
mod reduce;
mod repeated;
mod reshape;
mod resize;
mod select;
mod shift;
mod slice;
mod source;

pub(crate) use call::{Call, Found};
pub(crate) use norm::MOMENTUM;
pub(crate) use repeated::read as read_repeated;

use crate::build::Held;
use caribou_ir::{Code, DType, Finding};

/// An attribute that is missing, wrong, or not known.
const ATTRIBUTE: Code = Code("T0401");
/// An operation that does not fit its inputs.
const MISFIT: Code = Code("T0402");
/// An option that is known but has no meaning here.
pub(crate) const OPTION: Code = Code("T0403");
/// A constant that can't be computed with.
const CONSTANT: Code = Code("T0404");
/// An operation that is not supported.
const UNKNOWN: Code = Code("T0405");
/// What is wrong with an operation when its inputs are not what it was made for.
pub(crate) const GUESSED: [Code; 3] = [MISFIT, CONSTANT, OPTION];

/// What an operation's function gives: its outputs, or why there are none.
pub(crate) type Outputs = Result<Vec<Held>, Box<Finding>>;

/// What types of values an operation is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Types {
    /// Fractions.
    Real,
    /// Any: it moves numbers, or looks at their type itself.
    Any,
}

/// One operation.
pub(crate) struct Row {
    op: &'static str,
    types: Types,
    /// The attributes that its function interprets. Others must be among those that never matter.
    attributes: &'static [&'static str],
    read: fn(&mut Call<'_, '_>) -> Outputs,
}

/// An operation on fractions.
const fn real(
    op: &'static str,
    attributes: &'static [&'static str],
    read: fn(&mut Call<'_, '_>) -> Outputs,
) -> Row {
    Row {
        op,
        types: Types::Real,
        attributes,
        read,
    }
}

/// An operation on anything.
const fn any(
    op: &'static str,
    attributes: &'static [&'static str],
    read: fn(&mut Call<'_, '_>) -> Outputs,
) -> Row {
    Row {
        op,
        types: Types::Any,
        attributes,
        read,
    }
}

const TABLES: &[&[Row]] = &[
    activation::TABLE,
    arithmetic::TABLE,
    block_lstm::TABLE,
    conv::TABLE,
    einsum::TABLE,
    join::TABLE,
    linear::TABLE,
    logic::TABLE,
    norm::TABLE,
    one_hot::TABLE,
    patches::TABLE,
    passing::TABLE,
    pieces::TABLE,
    pool::TABLE,
    quantize::TABLE,
    rearrange::TABLE,
    recurrent::TABLE,
    reduce::TABLE,
    reshape::TABLE,
    resize::TABLE,
    select::TABLE,
    shift::TABLE,
    slice::TABLE,
    source::TABLE,
];

/// Attributes that do not change what an operation computes: types, which the inputs have; numbers of inputs; hints.
const WITHOUT_MEANING: &[&str] = &[
    "T",
    "U",
    "N",
    "Tidx",
    "Tshape",
    "Tparams",
    "Tindices",
    "Taxis",
    "Tdim",
    "Tlen",
    "Tpaddings",
    "Tmultiples",
    "Tperm",
    "Tblock_shape",
    "Tcrops",
    "Index",
    "dtype",
    "shape",
    "use_cudnn_on_gpu",
    "grad_a",
    "grad_b",
    "message",
    "index_type",
];

/// Reads an operation by its row.
pub(crate) fn read(call: &mut Call<'_, '_>) -> Outputs {
    let op = &*call.node.op;
    let row = TABLES
        .iter()
        .flat_map(|table| table.iter())
        .find(|row| row.op == op);
    let Some(row) = row else {
        let finding = call.refuse(UNKNOWN, format!("operations of type {op} are not supported"));
        return Err(Box::new(finding.with_help(
            "let the graph end before it (--output), or build it of supported operations",
        )));
    };
    for name in call.node.attributes.keys() {
        let known = name.starts_with('_')
            || row.attributes.contains(&name.as_str())
            || WITHOUT_MEANING.contains(&name.as_str());
        if !known {
            return Err(call.refuse(ATTRIBUTE, format!("its attribute {name} is not known")));
        }
    }
    let whole = call.inputs.iter().find_map(|input| match input {
        Held::Value(_, dtype) if !dtype.is_float() => Some(*dtype),
        _ => None,
    });
    if let (Types::Real, Some(dtype)) = (row.types, whole) {
        let what = if dtype == DType::Bool {
            "truth values"
        } else {
            "whole numbers"
        };
        return Err(call.option(format!(
            "it computes with {what} ({dtype}) that depend on the inputs of the model"
        )));
    }
    (row.read)(call)
}
