//! The architecture as Keras writes it: `model_config` parsed into plain structures.

mod attributes;
mod connection;
pub(crate) mod keras1;
mod model;
mod operand;
mod recorded;

pub(crate) use attributes::{Attributes, ConfigError};
pub(crate) use connection::{NodeCall, TensorRef};
pub(crate) use model::{Layer, Model, document, json, parse_document, parse_layer, parse_nested};
pub(crate) use operand::{Operand, Operands};
pub(crate) use recorded::Sizes;
