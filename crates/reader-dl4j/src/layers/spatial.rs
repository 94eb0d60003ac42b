//! Pooling, padding, cropping, upsampling.

use super::conv::{leading, padding};
use crate::build::{Builder, Built, UNKNOWN, refuse};
use caribou_ir::op::{
    AverageDivisor, Coordinates, Interpolation, Op, Pad, PadMode, Pool, PoolKind, Resize, ResizeTarget,
    Rounding, Slice, SliceAxis, SpaceToDepth,
};
use caribou_ir::{Origin, ValueId};
use caribou_writer_dl4j::format::{Layer, Window};

impl Builder {
    pub(super) fn spatial(&mut self, layer: &Layer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        let (format, op): (&str, Op) = match layer {
            Layer::SubsamplingLayer(l) => {
                let include = l.avg_pool_include_pad_in_divisor;
                (
                    &l.cnn_2d_data_format,
                    pool((&l.pooling_type, l.pnorm), &l.window, include, 2, origin)?,
                )
            }
            Layer::Subsampling1DLayer(l) => {
                let include = l.avg_pool_include_pad_in_divisor;
                (
                    &l.cnn_2d_data_format,
                    pool((&l.pooling_type, l.pnorm), &l.window, include, 1, origin)?,
                )
            }
            Layer::Subsampling3DLayer(l) => (
                &l.data_format,
                pool((&l.pooling_type, 0), &l.window, false, 3, origin)?,
            ),
            Layer::SpaceToDepthLayer(l) => {
                let block = l.block_size;
                (&l.data_format, SpaceToDepth { block }.into())
            }
            Layer::Upsampling1D(l) => ("NCW", resize(&l.size, 1)),
            Layer::Upsampling2D(l) => (&l.format, resize(&l.size, 2)),
            Layer::Upsampling3D(l) => (&l.data_format, resize(&l.size, 3)),
            Layer::ZeroPadding1DLayer(l) => ("NCW", pad(&l.padding)),
            Layer::ZeroPaddingLayer(l) => (&l.data_format, pad(&l.padding)),
            Layer::ZeroPadding3DLayer(l) => ("NCDHW", pad(&l.padding)),
            Layer::Cropping1D(l) => ("NCW", crop(&l.cropping)),
            Layer::Cropping2D(l) => (&l.data_format, crop(&l.cropping)),
            Layer::Cropping3D(l) => ("NCDHW", crop(&l.cropping)),
            other => {
                return Err(refuse(
                    UNKNOWN,
                    origin,
                    format!("{} is no spatial layer", other.class()),
                ));
            }
        };
        let rank = self.rank(x);
        let last = matches!(format, "NHWC" | "NDHWC") && rank >= 3;
        let first: Vec<usize> = [0, rank.max(3) - 1]
            .into_iter()
            .chain(1..rank.max(3) - 1)
            .collect();
        let x = if last {
            self.permuted(x, &first, origin)?
        } else {
            x
        };
        let y = self.apply(op, &[x], origin)?;
        let back: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        if last {
            self.permuted(y, &back, origin)
        } else {
            Ok(y)
        }
    }
}

fn pool(
    (kind, pnorm): (&str, usize),
    window: &Window,
    include: bool,
    axes: usize,
    origin: &Origin,
) -> Built<Op> {
    let kind = match (kind, include) {
        ("PNORM", _) if pnorm > 0 => PoolKind::Lp(pnorm as f64),
        ("MAX", _) => PoolKind::Max,
        ("AVG", false) => PoolKind::Average(AverageDivisor::InputCells),
        ("AVG", true) => PoolKind::Average(AverageDivisor::AllCells),
        (other, _) => {
            return Err(refuse(
                UNKNOWN,
                origin,
                format!("pooling of type {other} is not supported"),
            ));
        }
    };
    let padding = padding(window, axes).ok_or_else(|| {
        refuse(
            UNKNOWN,
            origin,
            format!("the mode {} is not known", window.convolution_mode),
        )
    })?;
    Ok(Pool {
        kind,
        kernel: leading(&window.kernel_size, axes),
        strides: leading(&window.stride, axes),
        dilations: leading(&window.dilation, axes),
        padding,
        rounding: Rounding::Floor,
    }
    .into())
}

fn resize(size: &[usize], axes: usize) -> Op {
    let target = ResizeTarget::Factors(leading(size, axes));
    Resize {
        interpolation: Interpolation::Nearest,
        coordinates: Coordinates::Asymmetric,
        target,
    }
    .into()
}

fn pairs(list: &[usize]) -> impl Iterator<Item = [usize; 2]> + '_ {
    list.chunks_exact(2).map(|pair| [pair[0], pair[1]])
}

fn pad(list: &[usize]) -> Op {
    Pad {
        pads: [[0, 0]; 2].into_iter().chain(pairs(list)).collect(),
        mode: PadMode::Constant(0.0),
    }
    .into()
}

fn crop(list: &[usize]) -> Op {
    let cut = |(axis, [before, after]): (usize, [usize; 2])| {
        SliceAxis::range(
            axis + 2,
            before as i64,
            if after == 0 { None } else { Some(-(after as i64)) },
        )
    };
    Slice {
        axes: pairs(list).enumerate().map(cut).collect(),
    }
    .into()
}
