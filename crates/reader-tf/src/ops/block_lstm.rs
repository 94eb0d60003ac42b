//! The operation that computes all steps of an LSTM at once, time first: `LSTMBlockFusedCell` of TensorFlow 1.

use super::{Call, Found, MISFIT, Outputs, Row, real};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::op::{Activation, Cell, Direction, Lstm, Peephole, Recurrent};
use caribou_ir::{Tensor, ValueId};

const ATTRIBUTES: &[&str] = &["forget_bias", "cell_clip", "use_peephole"];

pub(super) const TABLE: &[Row] = &[
    // The columns of its matrix are i, c, f, o.
    real("BlockLSTM", ATTRIBUTES, |call| lstm(call, [0, 2, 1, 3], 1.0, 3.0)),
    // Here they are i, f, c, o.
    real("BlockLSTMV2", ATTRIBUTES, |call| {
        lstm(call, [0, 1, 2, 3], 0.0, 0.0)
    }),
];

/// Which of its outputs are all outputs of the cell.
const H: usize = 6;

/// `order` says where among the columns the gates i, f, c, o are; the numbers are the defaults of its attributes.
fn lstm(call: &mut Call<'_, '_>, order: [usize; 4], forget_bias: f32, cell_clip: f32) -> Outputs {
    let x = call.value(1)?;
    let turned = call.examples_behind(x).is_some_and(|(_, axes)| axes == [1, 0, 2]);
    if !turned || call.rank(x) != 3 {
        return Err(call.option("steps that are not in front of the examples of a sequence"));
    }
    let x = call.permuted(x, vec![1, 0, 2])?;
    let steps = call.wholes(0)?;
    if !matches!(&steps[..], [steps] if steps.is(call.shape(x).dims()[1])) {
        return Err(call.option("it takes another number of steps than its input has"));
    }
    if call.real("cell_clip", cell_clip)? > 0.0 {
        return Err(call.option("it cuts its state off (cell_clip)"));
    }
    if (0..H).any(|slot| call.is_read(slot)) {
        return Err(call.option("its states and gates at each step are read"));
    }
    let features = call.size(x, 2)?;
    let weight = call.tensor(4)?;
    let units = weight.shape().get(1).map_or(0, |columns| columns / 4);
    if weight.shape() != [features + units, 4 * units] {
        let message = format!("a matrix of shape {:?} for {features} features", weight.shape());
        return Err(call.refuse(MISFIT, message));
    }
    let rows = |from: usize, to: usize| -> Found<Tensor> {
        let rows = call.viewed(weight.narrow(0, from, to))?;
        in_order(call, &rows, 1, order, units)
    };
    let (own, recurrent) = (rows(0, features)?, rows(features, features + units)?);
    let bias = in_order(call, &call.tensor(8)?, 0, order, units)?;
    let mut bias = call.viewed(bias.to_vec())?;
    let forget_bias = call.real("forget_bias", forget_bias)? as f32;
    bias[units..2 * units]
        .iter_mut()
        .for_each(|bias| *bias += forget_bias);
    let peephole = match call.flag("use_peephole", false)? {
        true => Some(Peephole {
            input: call.tensor(5)?,
            forget: call.tensor(6)?,
            output: call.tensor(7)?,
        }),
        false => None,
    };
    let cell = Cell::Lstm(Lstm {
        weight: own,
        recurrent,
        bias: Some(Tensor::vector(&bias)),
        peephole,
        activation: Activation::Tanh,
        gate: Activation::Sigmoid,
    });
    let mut op = Recurrent::new(cell, Direction::Forward);
    let mut inputs = vec![x];
    // The first h, then the first c.
    let states = [state(call, 3)?, state(call, 2)?];
    match states {
        [None, None] => {}
        [Some(h), Some(c)] => {
            op.initial = true;
            inputs.extend([h, c]);
        }
        _ => return Err(call.option("one of its first states is zero, the other is not")),
    }
    let y = call.apply(op, &inputs)?;
    if !call.moves_examples_back(H) {
        return Err(call.option("its outputs are read with the steps in front of the examples"));
    }
    let y = call.permuted(y, vec![1, 0, 2])?;
    call.lift("a recurrent layer");
    let dtype = call.input(1)?.dtype();
    Ok(vec![Held::Value(y, dtype); H + 1])
}

/// A first state; `None` for zeros.
fn state(call: &Call<'_, '_>, place: usize) -> Found<Option<ValueId>> {
    match call.input(place)? {
        Held::Value(value, _) => Ok(Some(*value)),
        Held::Known(array) if call.folded(array.as_reals())?.iter().all(|&number| number == 0.0) => Ok(None),
        Held::Known(_) => Err(call.option("its first state is a constant")),
    }
}

/// The blocks of an axis in another order.
fn in_order(
    call: &Call<'_, '_>,
    tensor: &Tensor,
    axis: usize,
    order: [usize; 4],
    units: usize,
) -> Found<Tensor> {
    let array = Array::stored(tensor.clone());
    let blocks: Vec<Array> = order
        .iter()
        .map(|&block| call.folded(array.cut(axis, block * units, units, 1)))
        .collect::<Result<_, _>>()?;
    let joined = Array::joined(&blocks, axis).and_then(|array| array.tensor());
    call.folded(joined)
}
