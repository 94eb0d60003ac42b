//! Pooling.

use super::conv::Frame;
use super::{Call, Outputs, Row, real};
use caribou_ir::op::{AverageDivisor, Pool, PoolKind, Rounding};

const AVERAGE: PoolKind = PoolKind::Average(AverageDivisor::InputCells);
const ATTRIBUTES: &[&str] = &["ksize", "strides", "padding", "data_format", "explicit_paddings"];

pub(super) const TABLE: &[Row] = &[
    real("MaxPool", ATTRIBUTES, |call| pool(call, 2, PoolKind::Max)),
    real("MaxPoolV2", ATTRIBUTES, |call| pool(call, 2, PoolKind::Max)),
    real("AvgPool", ATTRIBUTES, |call| pool(call, 2, AVERAGE)),
    real("MaxPool3D", ATTRIBUTES, |call| pool(call, 3, PoolKind::Max)),
    real("AvgPool3D", ATTRIBUTES, |call| pool(call, 3, AVERAGE)),
];

fn pool(call: &mut Call<'_, '_>, axes: usize, kind: PoolKind) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame::of(call, axes)?;
    let (kernel, strides) = match call.inputs.len() {
        1 => (frame.spatial(call, "ksize")?, frame.spatial(call, "strides")?),
        _ => (
            frame.of_input(call, "ksize", 1)?,
            frame.of_input(call, "strides", 2)?,
        ),
    };
    let op = Pool {
        kind,
        padding: frame.padding(call)?,
        kernel,
        strides,
        dilations: vec![1; axes],
        rounding: Rounding::Floor,
    };
    let x = frame.ahead(call, x)?;
    frame.told_by_the_file(call, x, &op.padding, &op.kernel, &op.strides)?;
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}
