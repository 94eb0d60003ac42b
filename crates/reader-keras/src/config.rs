//! The architecture as Keras writes it: `model_config` parsed into plain structures.

mod attributes;
mod model;
mod operand;

pub(crate) use attributes::{Attributes, ConfigError};
pub(crate) use model::{Layer, Model, NodeCall, TensorRef, parse_model, parse_nested};
pub(crate) use operand::{Operand, Operands};
