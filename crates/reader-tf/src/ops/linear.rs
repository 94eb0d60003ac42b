//! Matrix products, and vectors added along an axis.

use super::arithmetic::{Operand, beside};
use super::{Call, Found, MISFIT, Outputs, Row, real};
use crate::build::Held;
use crate::fold::{self, Array, Folded};
use caribou_ir::op::{Dense, ElementwiseKind, Embedding, MatMul, Op, PadMode, Transpose};
use caribou_ir::{Tensor, ValueId};

pub(super) const TABLE: &[Row] = &[
    real("MatMul", &["transpose_a", "transpose_b"], |call| {
        let [a, b] = [call.flag("transpose_a", false)?, call.flag("transpose_b", false)?];
        product(call, a, b)
    }),
    real("BatchMatMul", &["adj_x", "adj_y"], adjoint),
    real("BatchMatMulV2", &["adj_x", "adj_y"], adjoint),
    real("BatchMatMulV3", &["adj_x", "adj_y", "Ta", "Tb", "Tout"], adjoint),
    real("BiasAdd", &["data_format"], bias_add),
    real("BiasAddV1", &[], bias_add),
];

fn adjoint(call: &mut Call<'_, '_>) -> Outputs {
    let [a, b] = [call.flag("adj_x", false)?, call.flag("adj_y", false)?];
    product(call, a, b)
}

/// A product with a constant matrix is a dense layer; with another value it is a product of both.
fn product(call: &mut Call<'_, '_>, transpose_a: bool, transpose_b: bool) -> Outputs {
    let y = match (call.input(0)?.clone(), call.input(1)?.clone()) {
        (Held::Value(a, _), Held::Value(b, _)) => {
            if call.rank(a) < 3 || call.rank(b) < 3 || call.batch_behind(a) || call.batch_behind(b) {
                return Err(call.option("a product of values that mixes the examples of a batch"));
            }
            let op = MatMul {
                transpose_a,
                transpose_b,
            };
            call.apply(op, &[a, b])?
        }
        (Held::Value(a, _), Held::Known(_)) => {
            let weight = matrix(call, 1, transpose_b)?;
            let a = turned(call, a, transpose_a)?;
            dense(call, a, weight)?
        }
        // A constant matrix times columns: a dense layer on them.
        (Held::Known(_), Held::Value(b, _)) => {
            let weight = matrix(call, 0, !transpose_a)?;
            let b = turned(call, b, !transpose_b)?;
            let y = dense(call, b, weight)?;
            turned(call, y, true)?
        }
        (Held::Known(a), Held::Known(b)) => {
            let product = of_arrays(&a, transpose_a, &b, transpose_b);
            return Ok(vec![Held::Known(call.folded(product)?)]);
        }
    };
    call.gives(y)
}

/// The product of two known matrices.
fn of_arrays(a: &Array, transpose_a: bool, b: &Array, transpose_b: bool) -> Folded<Array> {
    let upright = |array: &Array, turn: bool| match (array.rank(), turn) {
        (2, true) => array.permuted(&[1, 0]),
        (2, false) => Ok(array.clone()),
        _ => Err(format!("a product with a constant of shape {:?}", array.shape())),
    };
    fold::product(&upright(a, transpose_a)?, &upright(b, transpose_b)?)
}

/// `x W`. Of rows that zeros were put beside, the zeros are left out again, and the rows of the matrix that meet them; a row
/// of a matrix that is chosen by its number is looked up.
pub(crate) fn dense(call: &mut Call<'_, '_>, x: ValueId, weight: Tensor) -> Found<ValueId> {
    let last = call.rank(x).saturating_sub(1);
    if call.batch_behind(x) {
        return Err(call.option("a product that mixes the examples of a batch"));
    }
    if let Some(indices) = crate::idioms::one_hot(call, x, weight.shape()[0]) {
        call.lift("an embedding");
        return call.apply(Embedding { table: weight }, &[indices]);
    }
    let padded = match call.graph().producer(x).map(|node| (&node.op, &node.inputs[..])) {
        Some((Op::Pad(pad), &[inner])) if pad.mode == PadMode::Constant(0.0) => {
            let others = pad.pads[..last].iter().all(|pads| *pads == [0, 0]);
            others.then_some((pad.pads[last][0], inner))
        }
        _ => None,
    };
    if let Some((before, inner)) = padded
        && let Some(size) = call.graph().shape(inner).size(last)
    {
        let weight = call.viewed(weight.narrow(0, before, before + size))?;
        return call.apply(Dense { weight, bias: None }, &[inner]);
    }
    call.apply(Dense { weight, bias: None }, &[x])
}

/// A constant matrix, `[in, out]`.
fn matrix(call: &Call<'_, '_>, place: usize, transposed: bool) -> Found<Tensor> {
    let weight = call.tensor(place)?;
    let mut shape = weight.shape();
    while shape.len() > 2 && shape[0] == 1 {
        shape.remove(0);
    }
    if shape.len() != 2 {
        return Err(call.option(format!("a product with a constant of shape {shape:?}")));
    }
    let weight = call.viewed(weight.reshape(&shape))?;
    match transposed {
        true => call.viewed(weight.permute(&[1, 0])),
        false => Ok(weight),
    }
}

/// The last two axes exchanged, where that is asked for.
fn turned(call: &mut Call<'_, '_>, x: ValueId, turn: bool) -> Found<ValueId> {
    if !turn {
        return Ok(x);
    }
    let rank = call.rank(x);
    let undone = rank == 2 && (call.batch_behind(x) || call.moves_examples_back(0));
    if rank < 3 && !undone {
        return Err(call.option("it exchanges the examples of a batch with features"));
    }
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 1, rank - 2);
    call.permuted(x, permutation)
}

/// A vector along the axis of channels, which is the last one or that behind the batch.
fn bias_add(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let rank = call.rank(x);
    let axis = match call.text("data_format", "NHWC")? {
        format if format.starts_with("NC") => 1,
        _ => rank.saturating_sub(1),
    };
    let bias = call.tensor(1)?;
    let shape = call.shape(x);
    if bias.rank() != 1 || rank < 2 || shape.size(axis) != Some(bias.len()) {
        return Err(call.refuse(MISFIT, format!("a bias of shape {:?} for {shape}", bias.shape())));
    }
    let y = biased(call, x, axis, bias, 0)?;
    call.gives(y)
}

/// `x` plus a vector along one axis: within the convolution or the product that makes `x`, where nothing else reads that.
/// `x` is the operation's input `place`.
pub(super) fn biased(
    call: &mut Call<'_, '_>,
    x: ValueId,
    axis: usize,
    bias: Tensor,
    place: usize,
) -> Found<ValueId> {
    if call.only_reader(place)
        && let Some(y) = within(call, x, axis, &bias)?
    {
        return Ok(y);
    }
    let mut shape = vec![1; call.rank(x) - axis];
    shape[0] = bias.len();
    let bias = call.viewed(bias.reshape(&shape))?;
    beside(call, ElementwiseKind::Add, x, bias, Operand::Second)
}

/// The maker of `x` with a bias, where it is an operator that has one and has none yet.
fn within(call: &mut Call<'_, '_>, x: ValueId, axis: usize, bias: &Tensor) -> Found<Option<ValueId>> {
    let (made, back) = match call.graph().producer(x).map(|node| &node.op) {
        Some(Op::Transpose(Transpose { permutation })) => {
            let permutation = permutation.clone();
            match call
                .graph()
                .producer(x)
                .and_then(|node| node.inputs.first().copied())
            {
                Some(made) => (made, Some(permutation)),
                None => return Ok(None),
            }
        }
        _ => (x, None),
    };
    let axis = back.as_ref().map_or(axis, |permutation| permutation[axis]);
    let last = call.rank(made) - 1;
    let Some(node) = call.graph().producer(made) else {
        return Ok(None);
    };
    let bias = Some(bias.clone());
    let op: Op = match &node.op {
        Op::Conv(op) if axis == 1 && op.bias.is_none() => caribou_ir::op::Conv { bias, ..op.clone() }.into(),
        Op::ConvTranspose(op) if axis == 1 && op.bias.is_none() => {
            caribou_ir::op::ConvTranspose { bias, ..op.clone() }.into()
        }
        Op::Dense(op) if axis == last && op.bias.is_none() => Dense { bias, ..op.clone() }.into(),
        _ => return Ok(None),
    };
    let (inputs, origin) = (node.inputs.clone(), node.origin.clone());
    let own = std::mem::replace(&mut call.origin, origin);
    let y = call.apply(op, &inputs);
    let y = y.and_then(|y| match back {
        Some(permutation) => call.permuted(y, permutation),
        None => Ok(y),
    });
    call.origin = own;
    y.map(Some)
}
