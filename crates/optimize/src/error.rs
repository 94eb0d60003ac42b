//! Why a pass could not be done.

use caribou_ir::{Origin, ShapeError, TensorError};

/// Why a pass could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OptimizeError {
    /// An option has a value that means nothing, or nothing for this network.
    #[error("{option}: {message}")]
    Option {
        /// The option, as the command spells it.
        option: &'static str,
        /// What was expected and what was there.
        message: String,
    },
    /// A layer can't be treated.
    #[error("{origin}: {message}")]
    Layer {
        /// The layer.
        origin: Origin,
        /// What stands in the way.
        message: String,
    },
    /// A weight is no number.
    #[error("{origin}: its {role} is {value} at index {index}")]
    NotFinite {
        /// The layer.
        origin: Origin,
        /// The parameter.
        role: String,
        /// The position in C order.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// A tensor of the source could not be read.
    #[error("{origin}: {source}")]
    Tensor {
        /// The layer it belongs to.
        origin: Origin,
        /// What went wrong.
        source: TensorError,
    },
    /// The changed graph does not fit together: a fault of the pass.
    #[error("{origin}: {source}")]
    Shape {
        /// The layer at which it does not.
        origin: Origin,
        /// What does not fit.
        source: ShapeError,
    },
}

impl OptimizeError {
    /// A faulty option.
    pub(crate) fn option(option: &'static str, message: impl Into<String>) -> Self {
        Self::Option {
            option,
            message: message.into(),
        }
    }

    /// A layer that stands in the way.
    pub(crate) fn layer(origin: &Origin, message: impl Into<String>) -> Self {
        Self::Layer {
            origin: origin.clone(),
            message: message.into(),
        }
    }

    /// A tensor of `origin` that can't be read.
    pub(crate) fn tensor(origin: &Origin) -> impl Fn(TensorError) -> Self + use<> {
        let origin = origin.clone();
        move |source| Self::Tensor {
            origin: origin.clone(),
            source,
        }
    }
}
