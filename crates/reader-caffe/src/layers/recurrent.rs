//! Layers over sequences. Caffe puts time first and examples second; the graph has examples first, so that what a
//! recurrent layer reads and gives stands between two transposes, which cancel where layers follow each other.

use super::{Call, MISFIT, OPTION, Tops};
use caribou_ir::op::{
    Activation, Cell, Concat, Constant, Direction, Elementwise, ElementwiseKind, Embedding, Lstm, Op,
    Recurrent, Reshape, Size, Tile,
};
use caribou_ir::{Finding, Tensor, ValueId};

/// Caffe's order of the gates is i, f, o, g; the graph's is i, f, g, o.
const GATES: [usize; 4] = [0, 1, 3, 2];

/// The rows of a `[4 H, …]` blob with the gates in the graph's order, turned to columns.
fn gates(call: &Call<'_>, blob: &Tensor) -> Result<Tensor, Box<Finding>> {
    let unreadable = |error: caribou_ir::TensorError| call.refuse(super::WEIGHT, error.to_string());
    let shape = blob.shape();
    let values = blob.to_vec().map_err(unreadable)?;
    let block = values.len() / GATES.len();
    let mut ordered = Vec::with_capacity(values.len());
    for gate in GATES {
        ordered.extend_from_slice(&values[gate * block..(gate + 1) * block]);
    }
    let tensor = Tensor::from_f32(&shape, &ordered).map_err(unreadable)?;
    match shape.len() {
        2 => tensor.permute(&[1, 0]).map_err(unreadable),
        _ => Ok(tensor),
    }
}

/// The bottom that says where sequences go on: it must be known to be one after the first step.
fn check_continues(call: &Call<'_>, cont: ValueId) -> Result<(), Box<Finding>> {
    let Some(Op::Constant(constant)) = call.graph.producer(cont).map(|node| &node.op) else {
        return Err(call.refuse(
            OPTION,
            "its second bottom, which says where sequences go on, is computed; it must be an input or constantly one",
        ));
    };
    let values = constant
        .value
        .to_vec()
        .map_err(|error| call.refuse(OPTION, error.to_string()))?;
    match values.iter().all(|&value| value == 1.0) {
        true => Ok(()),
        false => Err(call.refuse(
            OPTION,
            "its sequences start anew on the way (its second bottom is not constantly one)",
        )),
    }
}

/// `LSTM`: blobs `[4 H, F]`, `[4 H]`, with a third bottom `[4 H, S]` for what every step sees, and `[4 H, H]`.
pub(super) fn lstm(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.recurrent_param.clone().unwrap_or_default();
    if parameters.expose_hidden() {
        return Err(call.refuse(
            OPTION,
            "its states as bottoms and tops (expose_hidden) are not supported",
        ));
    }
    let (x, cont, fixed) = match *call.inputs {
        [x, cont] => (x, cont, None),
        [x, cont, fixed] => (x, cont, Some(fixed)),
        _ => {
            return Err(call.refuse(
                MISFIT,
                format!("expected two or three bottoms, found {}", call.inputs.len()),
            ));
        }
    };
    check_continues(call, cont)?;
    let shape = call.shape(x).clone();
    let Some(steps) = shape.size(0).filter(|_| shape.rank() > 2 && call.time_first(x)) else {
        return Err(call.refuse(
            MISFIT,
            format!("expected steps on axis 0 and examples on axis 1, found {shape}"),
        ));
    };
    let units = parameters.num_output() as usize;
    if units == 0 {
        return Err(call.misconfigured("num_output is missing"));
    }
    let mut features = 1usize;
    for axis in 2..shape.rank() {
        features = features.saturating_mul(call.size(x, axis)?);
    }
    let mut sequence = call.swapped(x)?;
    if shape.rank() > 3 {
        let target = vec![Size::Keep(0), Size::Keep(1), Size::Fixed(features)];
        sequence = call.apply(Reshape { target }, &[sequence])?;
    }
    let rows = 4 * units;
    let weight = call.blob(0, &[rows, features])?;
    let mut weight = gates(call, &weight)?;
    let bias = call.blob(1, &[rows])?;
    let bias = gates(call, &bias)?;
    let mut next = 2;
    if let Some(fixed) = fixed {
        let (wider, columns) = at_every_step(call, sequence, fixed, steps)?;
        sequence = wider;
        let more = call.blob(2, &[rows, columns])?;
        let more = gates(call, &more)?;
        weight = stacked(call, &weight, &more)?;
        next = 3;
    }
    let recurrent = call.blob(next, &[rows, units])?;
    let recurrent = gates(call, &recurrent)?;
    let cell = Cell::Lstm(Lstm {
        weight,
        recurrent,
        bias: Some(bias),
        peephole: None,
        activation: Activation::Tanh,
        gate: Activation::Sigmoid,
    });
    let y = call.apply(Recurrent::new(cell, Direction::Forward), &[sequence])?;
    Ok(vec![call.swapped(y)?])
}

/// The sequence with the features of `fixed` behind those of each step, and how many these are.
fn at_every_step(
    call: &mut Call<'_>,
    sequence: ValueId,
    fixed: ValueId,
    steps: usize,
) -> Result<(ValueId, usize), Box<Finding>> {
    let mut columns = 1usize;
    for axis in 1..call.rank(fixed) {
        columns = columns.saturating_mul(call.size(fixed, axis)?);
    }
    let target = vec![Size::Keep(0), Size::Fixed(1), Size::Fixed(columns)];
    let step = call.apply(Reshape { target }, &[fixed])?;
    let repeats = vec![1, steps, 1];
    let every = call.apply(Tile { repeats }, &[step])?;
    Ok((call.apply(Concat { axis: 2 }, &[sequence, every])?, columns))
}

/// One matrix above another.
fn stacked(call: &Call<'_>, above: &Tensor, below: &Tensor) -> Result<Tensor, Box<Finding>> {
    let unreadable = |error: caribou_ir::TensorError| call.refuse(super::WEIGHT, error.to_string());
    let mut values = above.to_vec().map_err(unreadable)?;
    values.extend(below.to_vec().map_err(unreadable)?);
    let shape = [above.shape()[0] + below.shape()[0], above.shape()[1]];
    Tensor::from_f32(&shape, &values).map_err(unreadable)
}

/// `Embed`: a vector for each number of the bottom.
pub(super) fn embed(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.embed_param.clone().unwrap_or_default();
    let x = call.input()?;
    let (rows, out) = (parameters.input_dim() as usize, parameters.num_output() as usize);
    if rows == 0 || out == 0 {
        return Err(call.misconfigured("input_dim or num_output is missing"));
    }
    let table = call.blob(0, &[rows, out])?;
    let (x, time_first) = call.examples_first(x)?;
    let mut y = call.apply(Embedding { table }, &[x])?;
    if parameters.bias_term() {
        let value = call.blob(1, &[out])?;
        let bias = call.apply(Constant { value }, &[])?;
        let kind = ElementwiseKind::Add;
        y = call.apply(Elementwise { kind }, &[y, bias])?;
    }
    Ok(vec![call.put_back(y, time_first)?])
}

/// A sequence under another shape: its steps and examples stay what they are, or a single step goes.
pub(super) fn reshaped(
    call: &mut Call<'_>,
    x: ValueId,
    sizes: &[usize],
    target: &[usize],
) -> Result<ValueId, Box<Finding>> {
    let fixed = |sizes: &[usize]| sizes.iter().map(|&size| Size::Fixed(size)).collect::<Vec<Size>>();
    let (kept, tail) = match (sizes, target) {
        ([steps, examples, ..], [first, second, tail @ ..]) if steps == first && examples == second => {
            (2, tail)
        }
        ([1, examples, ..], [first, tail @ ..]) if examples == first => (1, tail),
        _ => {
            return Err(call.refuse(
                OPTION,
                format!(
                    "from {sizes:?} to {target:?} the examples of a batch are mixed with steps or features"
                ),
            ));
        }
    };
    let x = call.swapped(x)?;
    let target = (0..kept).map(Size::Keep).chain(fixed(tail)).collect();
    let y = call.apply(Reshape { target }, &[x])?;
    call.put_back(y, kept == 2)
}
