//! The graph without the units that are taken out.

use super::cuts::Cuts;
use crate::OptimizeError;
use caribou_ir::op::{Attention, Cell, Direction, Op, Projection, Size, SliceAxis};
use caribou_ir::{Graph, Node, Origin, Tensor, TensorError};

/// Builds the graph in which every parameter has only the entries that stay.
///
/// # Errors
/// When a tensor can't be read, or the graph does not fit together: a fault of the analysis, which is not passed on.
pub(super) fn shrink(graph: &Graph, cuts: &Cuts) -> Result<Graph, OptimizeError> {
    let (mut new, mut values) = graph.same_inputs();
    for (_, node) in graph.nodes() {
        let op = smaller(node, cuts).map_err(OptimizeError::tensor(&node.origin))?;
        new.push_mapped(node, op, &mut values)
            .map_err(|source| OptimizeError::Shape {
                origin: node.origin.clone(),
                source,
            })?;
        for &output in &node.outputs {
            let (before, after) = (graph.shape(output), new.shape(values[&output]));
            let fits = before.rank() == after.rank()
                && (0..before.rank()).all(|axis| match cuts.kept(output, axis) {
                    Some(kept) => after.size(axis) == Some(kept.len()),
                    None => before.size(axis) == after.size(axis),
                });
            if !fits {
                return Err(misfit(&node.origin, &before.to_string(), &after.to_string()));
            }
        }
    }
    for port in graph.outputs() {
        new.output_like(port, values[&port.value]);
    }
    Ok(new)
}

fn misfit(origin: &Origin, before: &str, after: &str) -> OptimizeError {
    let message =
        format!("its output {before} became {after}, which is not what was taken out: keep it with --keep");
    OptimizeError::layer(origin, message)
}

/// The operator with smaller parameters.
fn smaller(node: &Node, cuts: &Cuts) -> Result<Op, TensorError> {
    let mut op = node.op.clone();
    let input = |axis: usize| node.inputs.first().and_then(|&value| cuts.kept(value, axis));
    let output = |axis: usize| node.outputs.first().and_then(|&value| cuts.kept(value, axis));
    let fewer =
        |groups: usize, axis: usize| match node.inputs.first().and_then(|&value| cuts.share(value, axis)) {
            Some((kept, of)) => groups * kept / of,
            None => groups,
        };
    match &mut op {
        Op::Conv(conv) => {
            cut(&mut conv.weight, 0, output(1))?;
            cut_some(&mut conv.bias, output(1))?;
            match conv.groups {
                1 => cut(&mut conv.weight, 1, input(1))?,
                groups => conv.groups = fewer(groups, 1),
            }
        }
        Op::ConvTranspose(conv) => {
            cut(&mut conv.weight, 0, input(1))?;
            cut_some(&mut conv.bias, output(1))?;
            match conv.groups {
                1 => cut(&mut conv.weight, 1, output(1))?,
                groups => conv.groups = fewer(groups, 1),
            }
        }
        Op::Dense(dense) => {
            let last = cuts.rank(node.inputs[0]) - 1;
            cut(&mut dense.weight, 0, input(last))?;
            cut(&mut dense.weight, 1, output(last))?;
            cut_some(&mut dense.bias, output(last))?;
        }
        Op::Embedding(embedding) => {
            let last = cuts.rank(node.outputs[0]) - 1;
            cut(&mut embedding.table, 1, output(last))?;
        }
        Op::Attention(attention) => {
            let Attention {
                query,
                key,
                value,
                output: out,
                ..
            } = attention;
            for (projection, &read) in [query, key, value].into_iter().zip(&node.inputs) {
                if let Some(Projection { weight, .. }) = projection {
                    cut(weight, 0, cuts.kept(read, 2))?;
                }
            }
            if let Some(Projection { weight, bias }) = out {
                cut(weight, 1, output(2))?;
                cut_some(bias, output(2))?;
            }
        }
        Op::Recurrent(recurrent) => {
            cut(kernel(&mut recurrent.cell), 0, input(2))?;
            if let Direction::Bidirectional { backward, .. } = &mut recurrent.direction {
                cut(kernel(backward), 0, input(2))?;
            }
        }
        Op::BatchNorm(norm) => {
            let kept = input(norm.axis);
            cut(&mut norm.mean, 0, kept)?;
            cut(&mut norm.variance, 0, kept)?;
            cut_some(&mut norm.scale, kept)?;
            cut_some(&mut norm.offset, kept)?;
        }
        Op::GroupNorm(norm) => {
            cut_some(&mut norm.scale, input(1))?;
            cut_some(&mut norm.offset, input(1))?;
            norm.groups = fewer(norm.groups, 1);
        }
        Op::PRelu(prelu) => {
            for axis in 0..prelu.slope.rank() {
                if prelu.slope.shape()[axis] != 1 {
                    cut(&mut prelu.slope, axis, input(axis + 1))?;
                }
            }
        }
        Op::Constant(constant) => {
            for axis in 0..constant.value.rank() {
                cut(&mut constant.value, axis, output(axis))?;
            }
        }
        Op::Reshape(reshape) => {
            for (axis, size) in reshape.target.iter_mut().enumerate() {
                if let (Size::Fixed(size), Some(kept)) = (size, output(axis)) {
                    *size = kept.len();
                }
            }
        }
        Op::Split(split) => {
            for (size, &piece) in split.sizes.iter_mut().zip(&node.outputs) {
                if let Some(kept) = cuts.kept(piece, split.axis) {
                    *size = kept.len();
                }
            }
        }
        Op::Slice(slice) => {
            for range in &mut slice.axes {
                if let Some((kept, (_, of))) = input(range.axis).zip(cuts.share(node.inputs[0], range.axis)) {
                    let (start, count) = range.resolve(of);
                    let place = |end: usize| kept.partition_point(|&place| place < end) as i64;
                    *range = SliceAxis::range(range.axis, place(start), Some(place(start + count)));
                }
            }
        }
        Op::Gather(gather) => {
            if let Some(kept) = input(gather.axis) {
                let place = |index: &usize| kept.binary_search(index).ok();
                gather.indices = gather.indices.iter().filter_map(place).collect();
            }
        }
        _ => {}
    }
    Ok(op)
}

fn kernel(cell: &mut Cell) -> &mut Tensor {
    match cell {
        Cell::Lstm(cell) => &mut cell.weight,
        Cell::Gru(cell) => &mut cell.weight,
        Cell::Simple(cell) => &mut cell.weight,
    }
}

fn cut_some(tensor: &mut Option<Tensor>, kept: Option<&[usize]>) -> Result<(), TensorError> {
    tensor.as_mut().map_or(Ok(()), |tensor| cut(tensor, 0, kept))
}

/// Keeps these entries of an axis.
fn cut(tensor: &mut Tensor, axis: usize, kept: Option<&[usize]>) -> Result<(), TensorError> {
    let Some(kept) = kept else { return Ok(()) };
    let mut shape = tensor.shape();
    let values = tensor.to_vec()?;
    let inside: usize = shape[axis + 1..].iter().product();
    let outside: usize = shape[..axis].iter().product();
    let mut left = Vec::with_capacity(outside * kept.len() * inside);
    for row in values.chunks((shape[axis] * inside).max(1)) {
        for &place in kept {
            left.extend_from_slice(&row[place * inside..][..inside]);
        }
    }
    shape[axis] = kept.len();
    *tensor = Tensor::from_values(&shape, left)?;
    Ok(())
}
