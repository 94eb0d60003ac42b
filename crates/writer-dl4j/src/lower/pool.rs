//! Pooling, also over all spatial axes.

use super::conv::{mode, settled, window};
use super::{Lowered, Lowering, identity, inexpressible};
use crate::format::{GlobalPoolingLayer, Subsampling1DLayer, Subsampling3DLayer, SubsamplingLayer};
use caribou_ir::Node;
use caribou_ir::op::{AverageDivisor, Pool, PoolKind, Reduce, ReduceKind, Rounding};

impl Lowering<'_> {
    pub(super) fn pool(&mut self, node: &Node, op: &Pool) -> Lowered<()> {
        let origin = &node.origin;
        let shape = self.graph.shape(node.inputs[0]).clone();
        let sizes: Vec<Option<usize>> = (2..shape.rank()).map(|axis| shape.size(axis)).collect();
        let extents: Vec<usize> = op
            .kernel
            .iter()
            .zip(&op.dilations)
            .map(|(k, d)| d * (k - 1) + 1)
            .collect();
        let padding = settled(&op.padding, &sizes, &extents, &op.strides, origin)?;
        let mode = mode(&padding, &sizes, &extents, &op.strides)
            .ok_or_else(|| inexpressible(origin, "DL4J pads both sides of a pooling window alike"))?;
        if op.rounding == Rounding::Ceil {
            let floor = Pool {
                rounding: Rounding::Floor,
                ..op.clone()
            };
            let same = sizes.iter().enumerate().all(|(axis, size)| {
                size.is_some_and(|size| op.windows(axis, size).ok() == floor.windows(axis, size).ok())
            });
            if !same {
                return Err(inexpressible(
                    origin,
                    "DL4J rounds the number of pooling windows down, and here that is fewer",
                ));
            }
        }
        let padded = mode.padding.iter().any(|&cells| cells > 0) || mode.name == "Same";
        let (pooling_type, include, pnorm) = match op.kind {
            PoolKind::Max => ("MAX", false, 0),
            PoolKind::Average(AverageDivisor::InputCells) => ("AVG", false, 0),
            PoolKind::Average(_) => ("AVG", true, 0),
            PoolKind::Lp(p)
                if (1.0..=f64::from(u8::MAX)).contains(&p) && p.fract() == 0.0 && shape.rank() < 5 =>
            {
                ("PNORM", false, p as usize)
            }
            PoolKind::Lp(p) => {
                return Err(inexpressible(origin, format!("pooling by a norm of degree {p}")));
            }
        };
        let include = include && padded;
        let pooling_type = pooling_type.to_owned();
        let input = self.array(node.inputs[0], &identity(shape.rank()), origin)?;
        let window = window(&op.kernel, &op.strides, &op.dilations, &mode);
        if shape.rank() == 5 && (include || op.dilations.iter().any(|&dilation| dilation != 1)) {
            return Err(inexpressible(
                origin,
                "pooling of volumes with dilation or counted padding",
            ));
        }
        let name = self.layer(origin, "", input, None, Vec::new(), |base| match shape.rank() {
            3 => Subsampling1DLayer {
                base,
                pooling_type,
                window,
                pnorm,
                avg_pool_include_pad_in_divisor: include,
                cnn_2d_data_format: "NCHW".into(),
            }
            .into(),
            4 => SubsamplingLayer {
                base,
                pooling_type,
                window,
                pnorm,
                avg_pool_include_pad_in_divisor: include,
                cnn_2d_data_format: "NCHW".into(),
            }
            .into(),
            _ => Subsampling3DLayer {
                base,
                pooling_type,
                window,
                data_format: "NCDHW".into(),
            }
            .into(),
        });
        self.put(node.outputs[0], name, identity(shape.rank()));
        Ok(())
    }

    /// A reduction over all axes but the batch and one: global pooling with that one as the channels.
    pub(super) fn reduce(&mut self, node: &Node, op: &Reduce) -> Lowered<()> {
        let origin = &node.origin;
        let value = node.inputs[0];
        let rank = self.rank(value);
        let kept: Vec<usize> = (0..rank).filter(|axis| !op.axes.contains(axis)).collect();
        let ([0, channels], true) = (&kept[..], (3..=5).contains(&rank)) else {
            return Err(inexpressible(
                origin,
                format!("a reduction over axes {:?} of {rank}", op.axes),
            ));
        };
        let pooling_type = match op.kind {
            ReduceKind::Mean => "AVG",
            ReduceKind::Max => "MAX",
            ReduceKind::Sum => "SUM",
            other => return Err(inexpressible(origin, format!("a reduction by {other:?}"))),
        };
        let mut order = vec![0; rank];
        let mut next = 2;
        for (axis, place) in order.iter_mut().enumerate().skip(1) {
            *place = if axis == *channels { 1 } else { next };
            next += usize::from(axis != *channels);
        }
        let input = self.array(value, &order, origin)?;
        let name = self.layer(origin, "", input, None, Vec::new(), |base| {
            GlobalPoolingLayer {
                base,
                pooling_type: pooling_type.to_owned(),
                pooling_dimensions: Some((2..rank).collect()),
                collapse_dimensions: !op.keep_dims,
                pnorm: 2,
            }
            .into()
        });
        self.put(
            node.outputs[0],
            name,
            if op.keep_dims { order } else { identity(2) },
        );
        Ok(())
    }
}
