//! The architecture as Keras writes it: `model_config` parsed into plain structures.

mod attributes;
pub(crate) mod keras1;
mod model;
mod operand;

pub(crate) use attributes::{Attributes, ConfigError};
pub(crate) use model::{Layer, Model, NodeCall, TensorRef, document, parse_document, parse_nested};
pub(crate) use operand::{Operand, Operands};
