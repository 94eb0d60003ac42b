//! Why a network can't be made ready for another task.

use caribou_ir::{Origin, ShapeError, TensorError};

/// Why a network can't be made ready for another task.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A name matches nothing.
    #[error("{option}: there is no {what} {name}; there are {}", known.join(", "))]
    Unknown {
        /// The option, as the command spells it.
        option: &'static str,
        /// A layer or an output.
        what: &'static str,
        /// The name or glob.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A value of an option means nothing.
    #[error("{option}: {message}")]
    Option {
        /// The option, as the command spells it.
        option: &'static str,
        /// What was expected and what was there.
        message: String,
    },
    /// A layer can't be treated as asked.
    #[error("{option}: {origin}: {message}")]
    Layer {
        /// The option that asks for it.
        option: &'static str,
        /// The layer.
        origin: Origin,
        /// What stands in the way.
        message: String,
    },
    /// A layer no longer fits what it reads.
    #[error("{origin}: {source}")]
    Misfit {
        /// The layer.
        origin: Origin,
        /// What does not fit.
        source: ShapeError,
    },
    /// A parameter could not be made.
    #[error("{origin}: {source}")]
    Tensor {
        /// The layer.
        origin: Origin,
        /// What went wrong.
        source: TensorError,
    },
}

impl TransferError {
    pub(super) fn option(option: &'static str, message: impl Into<String>) -> Self {
        Self::Option {
            option,
            message: message.into(),
        }
    }

    pub(super) fn layer(option: &'static str, origin: &Origin, message: impl Into<String>) -> Self {
        Self::Layer {
            option,
            origin: origin.clone(),
            message: message.into(),
        }
    }

    pub(super) fn misfit(origin: &Origin) -> impl Fn(ShapeError) -> Self + use<> {
        let origin = origin.clone();
        move |source| Self::Misfit {
            origin: origin.clone(),
            source,
        }
    }

    pub(super) fn tensor(origin: &Origin) -> impl Fn(TensorError) -> Self + use<> {
        let origin = origin.clone();
        move |source| Self::Tensor {
            origin: origin.clone(),
            source,
        }
    }
}
