//! `BN`: three layers of forks under one name. What is stored tells them apart only together with the parameters.

use super::normalize::{beside, elementwise};
use super::{Call, MISFIT, OPTION, Tops};
use crate::schema::BnParameter;
use crate::schema::bn_parameter::BnMode;
use caribou_ir::Finding;
use caribou_ir::op::{BatchNorm, ElementwiseKind};

/// What is added to the variance, and kept of the running statistics, where the text does not say.
const EPSILON: f32 = 1e-5;
const MOMENTUM: f32 = 0.9;

/// Which of the forks a layer is of.
enum Form {
    /// SegNet's: two blobs `[1, C, 1, 1]`, `scale` and `shift`, into which the statistics were folded.
    Folded,
    /// Four blobs `[1, C]` or `[1, C, 1, 1]`: `slope`, `bias`, and the mean and variance that it learned.
    Learned { epsilon: f32, momentum: f32 },
}

/// `scale * x + shift`, or `slope * (x - mean) / sqrt(variance + eps) + bias`.
pub(super) fn bn(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.bn_param.clone().unwrap_or_default();
    let x = call.input()?;
    if call.rank(x) < 2 {
        return Err(call.refuse(MISFIT, format!("its bottom {} has no channels", call.shape(x))));
    }
    let channels = call.size(x, 1)?;
    let shape = [1, channels, 1, 1];
    match form(call, &parameters)? {
        Form::Folded => {
            let (scale, shift) = (call.blob(0, &shape)?, call.blob(1, &shape)?);
            let scale = beside(call, x, &scale)?;
            let shift = beside(call, x, &shift)?;
            let y = elementwise(call, ElementwiseKind::Multiply, x, scale)?;
            Ok(vec![elementwise(call, ElementwiseKind::Add, y, shift)?])
        }
        Form::Learned { epsilon, momentum } => {
            let mut vector = |index: usize| {
                let blob = call.blob(index, &shape)?;
                let vector = blob.reshape(&[channels]);
                vector.map_err(|error| call.refuse(MISFIT, error.to_string()))
            };
            let op = BatchNorm {
                axis: 1,
                scale: Some(vector(0)?),
                offset: Some(vector(1)?),
                mean: vector(2)?,
                variance: vector(3)?,
                epsilon: f64::from(epsilon),
                momentum: f64::from(momentum),
            };
            Ok(vec![call.apply(op, &[x])?])
        }
    }
}

fn form(call: &Call<'_>, p: &BnParameter) -> Result<Form, Box<Finding>> {
    let by_batch = |why: &str| {
        call.refuse(
            OPTION,
            format!("it normalises by the batch at hand ({why}), not by what it learned"),
        )
    };
    let sloped = p.slope_filler.is_some()
        || p.bias_filler.is_some()
        || p.momentum.is_some()
        || p.eps.is_some()
        || p.frozen.is_some();
    let decayed = p.var_eps.is_some() || p.decay.is_some() || p.moving_average.is_some() || p.axis.is_some();
    let count = call.weights.count(call.layer);
    let ambiguous = |why: String| {
        let help = "forks have several layers of this name: replace it by BatchNorm and Scale";
        Err(Box::new(call.refuse(OPTION, why).with_help(help)))
    };
    match (p.bn_mode, sloped, decayed) {
        (Some(_), false, false) => {
            if p.bn_mode() != BnMode::Inference {
                return Err(by_batch("bn_mode: LEARN"));
            }
            match count {
                None | Some(2) => Ok(Form::Folded),
                Some(count) => ambiguous(format!("with bn_mode it has two blobs, scale and shift, and not {count}")),
            }
        }
        (None, true, false) => match count {
            // Without running statistics, there are slope and bias alone.
            Some(2) => Err(by_batch("it has two blobs, slope and bias")),
            _ => Ok(Form::Learned {
                epsilon: p.eps.unwrap_or(EPSILON),
                momentum: p.momentum.unwrap_or(MOMENTUM),
            }),
        },
        (None, false, true) => {
            if !p.moving_average() {
                return Err(by_batch("moving_average: false"));
            }
            if p.axis() != 1 {
                return Err(call.refuse(OPTION, format!("it normalises axis {}, not channels", p.axis())));
            }
            match p.var_eps {
                Some(epsilon) => Ok(Form::Learned {
                    epsilon,
                    momentum: p.decay.map_or(MOMENTUM, |decay| 1.0 - decay),
                }),
                None => ambiguous("var_eps is missing, which differs from fork to fork".to_owned()),
            }
        }
        (None, false, false) => ambiguous(match count {
            Some(2) => "its two blobs may be a scale and a shift, or those of a layer that normalises by the batch: bn_mode is missing".to_owned(),
            _ => "nothing in bn_param tells what its blobs are: eps is missing".to_owned(),
        }),
        _ => ambiguous("its bn_param has fields of several forks".to_owned()),
    }
}
