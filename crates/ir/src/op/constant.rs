//! Values without a computation, and computations without a meaning.

use super::{Operator, one};
use crate::{Infer, Shape, ShapeError, Tensor};

/// A stored value; its shape has no batch axis.
#[derive(Debug, Clone)]
pub struct Constant {
    /// The value.
    pub value: Tensor,
}

impl Operator for Constant {
    fn name(&self) -> &'static str {
        "Constant"
    }

    fn infer(&self, _inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        Ok(vec![Shape::fixed(&self.value.shape())])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("value", &self.value)]
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        vec![("value", &mut self.value)]
    }
}

/// `y = x`: keeps a layer's name where the layer does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity;

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        Ok(vec![one(inputs)?.clone()])
    }
}

/// A computation that a reader could not understand, or must not execute. The validator refuses it by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// Why its meaning is unknown.
    pub reason: String,
    /// The shapes of its outputs, as far as the source tells.
    pub outputs: Vec<Shape>,
}

impl Operator for Opaque {
    fn name(&self) -> &'static str {
        "Opaque"
    }

    fn infer(&self, _inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        Ok(self.outputs.clone())
    }
}
