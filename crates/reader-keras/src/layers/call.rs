//! What a layer's function works with.

use super::{CONFIG, MISFIT, OPTION, TRAINING, WEIGHT, wrapper};
use crate::config::{Attributes, ConfigError, Layer, Operands};
use crate::mask::{Mask, Unmade};
use crate::version::Generation;
use crate::weights::Weights;
use caribou_ir::op::{Op, Transpose};
use caribou_ir::{Code, Finding, Findings, Graph, Origin, Shape, ShapeError, Tensor, ValueId};

/// One call of a layer, with all that its function needs.
pub(crate) struct Call<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) findings: &'a mut Findings,
    pub(crate) layer: &'a Layer,
    pub(crate) config: &'a Attributes,
    /// The generation of Keras that wrote the file.
    pub(crate) generation: Generation,
    /// All arguments of the call; the inputs among them are those of [`Call::inputs`].
    pub(crate) operands: &'a Operands,
    pub(crate) inputs: &'a [ValueId],
    pub(crate) weights: &'a Weights,
    /// The names by which the layer's weights are told from others, outermost first.
    pub(crate) scopes: Vec<&'a str>,
    pub(crate) origin: Origin,
    /// The mask of its first input, as the layer sees it.
    pub(crate) mask: Option<Mask>,
    /// How many of its first outputs have the mask of its first input; set by the functions of layers that use it.
    pub(crate) masked_outputs: usize,
}

impl Call<'_> {
    /// The class of the layer without its number of axes, and that number: `("Conv", 2)` of `Conv2D`.
    pub(super) fn spatial_axes(&self) -> usize {
        let digit = self.layer.class.chars().rev().find(char::is_ascii_digit);
        digit
            .and_then(|digit| digit.to_digit(10))
            .map_or(2, |digit| digit as usize)
    }

    /// The only value the layer is called with.
    pub(super) fn input(&self) -> Result<ValueId, Box<Finding>> {
        match self.inputs {
            [input] => Ok(*input),
            _ => Err(self.refuse(MISFIT, format!("expected one input, found {}", self.inputs.len()))),
        }
    }

    pub(super) fn shape(&self, value: ValueId) -> Shape {
        self.graph.shape(value).clone()
    }

    pub(super) fn rank(&self, value: ValueId) -> usize {
        self.graph.shape(value).rank()
    }

    /// The known size of an axis.
    pub(super) fn size(&self, value: ValueId, axis: usize) -> Result<usize, Box<Finding>> {
        let shape = self.graph.shape(value);
        shape
            .size(axis)
            .ok_or_else(|| self.refuse(MISFIT, format!("axis {axis} of its input {shape} must be known")))
    }

    /// The mask `[N, T]` of the first input, as zeros and ones.
    pub(super) fn mask(&mut self) -> Result<Option<ValueId>, Box<Finding>> {
        let Some(mask) = &self.mask else {
            return Ok(None);
        };
        match mask.value(self.graph, &self.origin) {
            Ok(value) => Ok(Some(value)),
            Err(Unmade::Unknown(why)) => {
                Err(self.refuse(OPTION, format!("it reads a mask that is not supported: {why}")))
            }
            Err(Unmade::Misfit(error)) => Err(self.refuse(MISFIT, error.to_string())),
        }
    }

    /// Adds an operator.
    pub(super) fn push(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, Box<Finding>> {
        self.graph
            .push(op, inputs, &self.origin)
            .map_err(|error: ShapeError| self.refuse(MISFIT, error.to_string()))
    }

    /// Adds an operator that makes one value.
    pub(super) fn apply(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Box<Finding>> {
        self.graph
            .apply(op, inputs, &self.origin)
            .map_err(|error: ShapeError| self.refuse(MISFIT, error.to_string()))
    }

    /// The axes of `value` in another order; nothing is added for the order they are in.
    pub(super) fn permuted(
        &mut self,
        value: ValueId,
        permutation: Vec<usize>,
    ) -> Result<ValueId, Box<Finding>> {
        if permutation.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(value);
        }
        self.apply(Transpose { permutation }, &[value])
    }

    /// Whether the layer reads channels-first arrays.
    pub(super) fn channels_first(&self) -> Result<bool, Box<Finding>> {
        match self
            .config
            .text_or("data_format", "channels_last")
            .map_err(|error| self.misconfigured(error))?
        {
            "channels_first" => Ok(true),
            "channels_last" | "default" => Ok(false),
            other => Err(self.refuse(
                CONFIG,
                format!("data_format: expected channels_first or channels_last, found {other}"),
            )),
        }
    }

    /// `value` brought to `[N, C, D…]`.
    pub(super) fn channels_ahead(&mut self, value: ValueId) -> Result<ValueId, Box<Finding>> {
        if self.channels_first()? || self.rank(value) < 3 {
            return Ok(value);
        }
        let rank = self.rank(value);
        self.permuted(value, Transpose::channels_first(rank).permutation)
    }

    /// `[N, C, D…]` brought back to the order that the layer gives.
    pub(super) fn channels_behind(&mut self, value: ValueId) -> Result<ValueId, Box<Finding>> {
        if self.channels_first()? || self.rank(value) < 3 {
            return Ok(value);
        }
        let rank = self.rank(value);
        self.permuted(value, Transpose::channels_last(rank).permutation)
    }

    /// The function that the configuration names under `activation`, or the activation layer that it holds there,
    /// applied to `value`.
    pub(super) fn activated(&mut self, value: ValueId) -> Result<ValueId, Box<Finding>> {
        if let Some(outputs) = wrapper::activation_layer(self, value) {
            return match outputs?[..] {
                [output] => Ok(output),
                _ => Err(self.refuse(OPTION, "its activation gives several outputs")),
            };
        }
        if let Some(function) = crate::activation::composed(self.config.get("activation"), self.generation) {
            return super::composed::composed(self, function, value);
        }
        let rank = self.rank(value);
        let op = crate::activation::operator(self.config.get("activation"), rank, self.generation)
            .map_err(|what| self.refuse(OPTION, format!("{what} is not supported")))?;
        match op {
            Some(op) => self.apply(op, &[value]),
            None => Ok(value),
        }
    }

    /// A weight of the layer, which must have the shape `expected`.
    pub(super) fn weight(&self, variable: &str, expected: &[usize]) -> Result<Tensor, Box<Finding>> {
        self.weights
            .find(&self.scopes, variable, expected)
            .map_err(|error| self.refuse(WEIGHT, error.to_string()))
    }

    /// The bias, unless `use_bias` is off.
    pub(super) fn bias(&self, units: usize) -> Result<Option<Tensor>, Box<Finding>> {
        if self
            .config
            .flag_or("use_bias", true)
            .map_err(|error| self.misconfigured(error))?
        {
            return self.weight("bias", &[units]).map(Some);
        }
        Ok(None)
    }

    pub(super) fn refuse(&self, code: Code, message: impl Into<String>) -> Box<Finding> {
        Box::new(Finding::error(code, &self.origin, message))
    }

    pub(super) fn misconfigured(&self, error: ConfigError) -> Box<Finding> {
        self.refuse(CONFIG, error.to_string())
    }

    /// Something that matters in training only and gets lost.
    pub(super) fn lost_in_training(&mut self, message: impl Into<String>) {
        self.findings
            .push(Finding::warning(TRAINING, &self.origin, message));
    }

    /// An axis as Keras counts it, negative from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Box<Finding>> {
        let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(wrapped) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => Err(self.refuse(
                CONFIG,
                format!("axis {axis} is none of the {rank} axes of its input"),
            )),
        }
    }
}
