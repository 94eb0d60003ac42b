//! Layers over sequences. Caffe puts time first and examples second; the graph has examples first, so that what a
//! recurrent layer reads and gives stands between two transposes, which cancel where layers follow each other.

use super::{Call, MISFIT, OPTION, Tops};
use caribou_ir::op::{
    Activation, Cell, Concat, Constant, Dense, Direction, Elementwise, ElementwiseKind, Embedding, Lstm, Op,
    Recurrent, Reshape, SimpleRnn, Size, Tile,
};
use caribou_ir::{Finding, Tensor, ValueId};

/// Caffe's order of an LSTM's gates is i, f, o, g; the graph's is i, f, g, o.
const LSTM: &[usize] = &[0, 1, 3, 2];

/// A plain recurrent layer has no gates, and so one block of rows.
const PLAIN: &[usize] = &[0];

/// The rows of a `[G H, …]` blob, a block for each gate in the order `gates`, turned to columns.
fn columns(call: &Call<'_>, blob: &Tensor, gates: &[usize]) -> Result<Tensor, Box<Finding>> {
    let unreadable = |error: caribou_ir::TensorError| call.refuse(super::WEIGHT, error.to_string());
    let shape = blob.shape();
    let values = blob.to_vec().map_err(unreadable)?;
    let block = values.len() / gates.len();
    let mut ordered = Vec::with_capacity(values.len());
    for gate in gates {
        ordered.extend_from_slice(&values[gate * block..(gate + 1) * block]);
    }
    let tensor = Tensor::from_f32(&shape, &ordered).map_err(unreadable)?;
    match shape.len() {
        2 => tensor.permute(&[1, 0]).map_err(unreadable),
        _ => Ok(tensor),
    }
}

/// The bottom that says where sequences go on: it must be known to be one after the first step, and where states come
/// in by bottoms, at the first step too.
fn check_continues(call: &Call<'_>, cont: ValueId, exposed: bool) -> Result<(), Box<Finding>> {
    let made = call.graph.producer(cont);
    let Some(Op::Constant(constant)) = made.map(|node| &node.op) else {
        return Err(call.refuse(
            OPTION,
            "its second bottom, which says where sequences go on, is computed; it must be an input or constantly one",
        ));
    };
    // An input is zero at the first step of a sequence, which would clear the states.
    if exposed && made.is_some_and(|node| &*node.origin.kind != "DummyData") {
        return Err(call.refuse(
            OPTION,
            "its states are bottoms (expose_hidden), and its second bottom, which may clear them, is an input; it must be constantly one",
        ));
    }
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

/// What recurrent layers have in common: bottoms `x [T, N, …]`, `cont [T, N]`, then `[N, …]` for what every step sees,
/// then with `expose_hidden` the first states `[1, N, H]`; blobs `[G H, F]`, `[G H]`, `[G H, S]` if every step sees
/// something, and `[G H, H]`.
struct Layer {
    /// `[N, T, F + S]`, and the first states, each `[N, H]`.
    inputs: Vec<ValueId>,
    units: usize,
    weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    /// The first blob behind these.
    next: usize,
    exposed: bool,
}

impl Layer {
    fn read(call: &mut Call<'_>, gates: &[usize], states: usize) -> Result<Self, Box<Finding>> {
        let parameters = call.parameters.recurrent_param.clone().unwrap_or_default();
        let exposed = parameters.expose_hidden();
        let states = if exposed { states } else { 0 };
        let found = call.inputs.len();
        let (&[x, cont, ref rest @ ..], true) = (call.inputs, (2 + states..=3 + states).contains(&found))
        else {
            let message = format!("expected {} or {} bottoms, found {found}", 2 + states, 3 + states);
            return Err(call.refuse(MISFIT, message));
        };
        let (fixed, first) = rest.split_at(rest.len() - states);
        check_continues(call, cont, exposed)?;
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
        let rows = gates.len() * units;
        let mut next = 0;
        let mut blob = |call: &mut Call<'_>, shape: &[usize]| {
            let blob = call.blob(next, shape)?;
            next += 1;
            columns(call, &blob, gates)
        };
        let mut weight = blob(call, &[rows, features])?;
        let bias = blob(call, &[rows])?;
        if let [fixed] = *fixed {
            let (wider, columns) = at_every_step(call, sequence, fixed, steps)?;
            sequence = wider;
            let more = blob(call, &[rows, columns])?;
            weight = stacked(call, &weight, &more)?;
        }
        let recurrent = blob(call, &[rows, units])?;
        let mut inputs = vec![sequence];
        for &state in first {
            let target = vec![Size::Keep(0), Size::Fixed(units)];
            let state = call.swapped(state)?;
            inputs.push(call.apply(Reshape { target }, &[state])?);
        }
        Ok(Self {
            inputs,
            units,
            weight,
            bias,
            recurrent,
            next,
            exposed,
        })
    }

    /// What the cell gives at each step, `[N, T, H]`, and the last states as tops, `[1, N, H]`, where they are exposed.
    fn run(&self, call: &mut Call<'_>, cell: Cell) -> Result<(ValueId, Vec<ValueId>), Box<Finding>> {
        let op = Recurrent {
            initial: self.exposed,
            states: self.exposed,
            ..Recurrent::new(cell, Direction::Forward)
        };
        let outputs = call.graph.push(op, &self.inputs, &call.origin);
        let outputs = outputs.map_err(|error| call.refuse(MISFIT, error.to_string()))?;
        let mut states = Vec::new();
        for &state in outputs.iter().skip(1) {
            let target = vec![Size::Keep(0), Size::Fixed(1), Size::Fixed(self.units)];
            let state = call.apply(Reshape { target }, &[state])?;
            states.push(call.swapped(state)?);
        }
        Ok((outputs[0], states))
    }
}

/// `LSTM`, with the states `h` and `c`.
pub(super) fn lstm(call: &mut Call<'_>) -> Tops {
    let layer = Layer::read(call, LSTM, 2)?;
    let cell = Cell::Lstm(Lstm {
        weight: layer.weight.clone(),
        recurrent: layer.recurrent.clone(),
        bias: Some(layer.bias.clone()),
        peephole: None,
        activation: Activation::Tanh,
        gate: Activation::Sigmoid,
    });
    let (y, states) = layer.run(call, cell)?;
    let mut tops = vec![call.swapped(y)?];
    tops.extend(states);
    Ok(tops)
}

/// `RNN`: `h' = tanh(W x + R h + b)` and `o = tanh(V h' + c)`, of which `o` is the top; the blobs `V`, `[H, H]`, and `c`
/// stand behind the others.
pub(super) fn rnn(call: &mut Call<'_>) -> Tops {
    let layer = Layer::read(call, PLAIN, 1)?;
    let units = layer.units;
    let weight = call.blob(layer.next, &[units, units])?;
    let weight = columns(call, &weight, PLAIN)?;
    let bias = Some(call.blob(layer.next + 1, &[units])?);
    let cell = Cell::Simple(SimpleRnn {
        weight: layer.weight.clone(),
        recurrent: layer.recurrent.clone(),
        bias: Some(layer.bias.clone()),
        activation: Activation::Tanh,
    });
    let (hidden, states) = layer.run(call, cell)?;
    let y = call.apply(Dense { weight, bias }, &[hidden])?;
    let y = call.apply(Activation::Tanh, &[y])?;
    let mut tops = vec![call.swapped(y)?];
    tops.extend(states);
    Ok(tops)
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
    let mut y = match column(call, x) {
        // Rows of a column, which keep its axis until they are there: stock DL4J takes no gradient to what stands before.
        Some(column) => {
            let rows = call.apply(Embedding { table }, &[column])?;
            let target = vec![Size::Keep(0), Size::Fixed(out)];
            call.apply(Reshape { target }, &[rows])?
        }
        None => call.apply(Embedding { table }, &[x])?,
    };
    if parameters.bias_term() {
        let value = call.blob(1, &[out])?;
        let bias = call.apply(Constant { value }, &[])?;
        let kind = ElementwiseKind::Add;
        y = call.apply(Elementwise { kind }, &[y, bias])?;
    }
    Ok(vec![call.put_back(y, time_first)?])
}

/// The input of one column that a value of one axis was made of.
fn column(call: &Call<'_>, x: ValueId) -> Option<ValueId> {
    let made = call.graph.producer(x).filter(|_| call.rank(x) == 1)?;
    matches!(made.op, Op::Reshape(_)).then(|| made.inputs[0])
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
