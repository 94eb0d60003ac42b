//! Functions by their ND4J classes.

use caribou_ir::op::Activation;
use caribou_writer_dl4j::format::Activation as Class;

/// What a class computes; `None` for softmax, which is no function of single numbers, and for unknown classes.
pub(super) fn function(class: &Class) -> Option<Activation> {
    Some(match *class {
        Class::Identity => Activation::Linear,
        Class::ReLU {
            max: None,
            threshold: None,
            negative_slope: None,
        } => Activation::Relu,
        Class::ReLU {
            max,
            threshold,
            negative_slope,
        } => Activation::BoundedRelu {
            max,
            slope: negative_slope.unwrap_or(0.0),
            threshold: threshold.unwrap_or(0.0),
        },
        Class::ReLU6 => Activation::BoundedRelu {
            max: Some(6.0),
            slope: 0.0,
            threshold: 0.0,
        },
        Class::LeakyReLU { alpha } => Activation::LeakyRelu { alpha },
        Class::Elu { alpha } => Activation::Elu { alpha },
        Class::Selu => Activation::Selu,
        Class::Sigmoid => Activation::Sigmoid,
        Class::HardSigmoid => Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        },
        Class::Tanh => Activation::Tanh,
        Class::HardTanh => Activation::HardTanh,
        Class::RectifiedTanh => Activation::RectifiedTanh,
        Class::RationalTanh => Activation::RationalTanh,
        Class::Softplus => Activation::Softplus,
        Class::Softsign => Activation::Softsign,
        Class::Swish => Activation::Swish,
        Class::Mish => Activation::Mish,
        Class::Cube => Activation::Cube,
        Class::ThresholdedReLU { theta } => Activation::ThresholdedRelu { theta },
        Class::Gelu { precise: false } => Activation::GeluSigmoid,
        Class::Gelu { precise: true } | Class::Softmax | Class::Unknown(_) => return None,
    })
}
