//! What a layer's function works with.

use super::{MISFIT, NOT_FINITE, PARAMETER, WEIGHT};
use crate::net::{Layer, Net};
use crate::schema::LayerParameter;
use crate::weights::Weights;
use caribou_ir::op::{Op, Transpose};
use caribou_ir::{
    Code, Dim, Finding, Findings, Graph, Limits, Origin, Shape, ShapeError, Tensor, TensorError, ValueId,
};

/// One layer, with all that its function needs.
pub(crate) struct Call<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) findings: &'a mut Findings,
    pub(crate) net: &'a Net,
    pub(crate) layer: &'a Layer,
    pub(crate) parameters: &'a LayerParameter,
    /// The values of its bottoms.
    pub(crate) inputs: &'a [ValueId],
    pub(crate) weights: &'a Weights,
    pub(crate) limits: &'a Limits,
    pub(crate) origin: Origin,
    /// What the file gives as the number of examples; the graph leaves it open.
    pub(crate) batch: usize,
    /// Which of its tops matter: they are read by a layer that is not left out, or they are outputs.
    pub(crate) read_tops: Vec<bool>,
    /// For each bottom, whether no other layer reads the value it stands for.
    pub(crate) only_reader: Vec<bool>,
    /// How many blobs its function has asked for.
    pub(crate) blobs: usize,
}

impl Call<'_> {
    pub(super) fn refuse(&self, code: Code, message: impl Into<String>) -> Box<Finding> {
        Box::new(Finding::error(code, &self.origin, message))
    }

    /// A parameter without meaning.
    pub(super) fn misconfigured(&self, message: impl Into<String>) -> Box<Finding> {
        self.refuse(PARAMETER, message)
    }

    /// The only bottom.
    pub(super) fn input(&self) -> Result<ValueId, Box<Finding>> {
        match self.inputs {
            [input] => Ok(*input),
            _ => Err(self.refuse(
                MISFIT,
                format!("expected one bottom, found {}", self.inputs.len()),
            )),
        }
    }

    pub(super) fn shape(&self, value: ValueId) -> &Shape {
        self.graph.shape(value)
    }

    pub(super) fn rank(&self, value: ValueId) -> usize {
        self.graph.shape(value).rank()
    }

    /// The size of an axis, which must be known.
    pub(super) fn size(&self, value: ValueId, axis: usize) -> Result<usize, Box<Finding>> {
        let shape = self.graph.shape(value);
        shape
            .size(axis)
            .ok_or_else(|| self.refuse(MISFIT, format!("axis {axis} of its bottom {shape} must be known")))
    }

    /// The size of each axis as Caffe sees it, the number of examples included.
    pub(super) fn sizes(&self, value: ValueId) -> Result<Vec<usize>, Box<Finding>> {
        let shape = self.graph.shape(value);
        let sizes = shape.dims().iter().map(|dim| match *dim {
            Dim::Fixed(size) => Some(size),
            Dim::Batch(times) => times.checked_mul(self.batch),
            Dim::Unknown(_) => None,
        });
        sizes
            .collect::<Option<Vec<usize>>>()
            .ok_or_else(|| self.refuse(MISFIT, format!("the sizes of its bottom {shape} must be known")))
    }

    /// An axis as Caffe counts it, negative from the end.
    pub(super) fn axis(&self, axis: i32, rank: usize) -> Result<usize, Box<Finding>> {
        let wrapped = if axis < 0 {
            i64::from(axis) + rank as i64
        } else {
            i64::from(axis)
        };
        match usize::try_from(wrapped) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => Err(self.misconfigured(format!("axis {axis} is none of the {rank} axes of its bottom"))),
        }
    }

    /// An axis of a value, which must not be that of the examples: the graph keeps these apart.
    pub(super) fn inner_axis(&self, axis: i32, value: ValueId) -> Result<usize, Box<Finding>> {
        let shape = self.graph.shape(value);
        let axis = self.axis(axis, shape.rank())?;
        match shape.dims()[axis] {
            Dim::Batch(_) => Err(self.refuse(
                super::OPTION,
                format!(
                    "it works across the examples of a batch (axis {axis}), which DL4J computes one by one"
                ),
            )),
            _ => Ok(axis),
        }
    }

    /// Whether steps stand before examples, as the sequences of Caffe have them.
    pub(super) fn time_first(&self, value: ValueId) -> bool {
        let dims = self.graph.shape(value).dims();
        matches!(dims, [Dim::Fixed(_) | Dim::Unknown(_), Dim::Batch(_), ..])
    }

    /// The value with its examples first, and whether they were behind the steps.
    pub(super) fn examples_first(&mut self, x: ValueId) -> Result<(ValueId, bool), Box<Finding>> {
        match self.time_first(x) {
            true => Ok((self.swapped(x)?, true)),
            false => Ok((x, false)),
        }
    }

    /// What was made of such a value, with its steps first again if they were.
    pub(super) fn put_back(&mut self, y: ValueId, time_first: bool) -> Result<ValueId, Box<Finding>> {
        match time_first {
            true => self.swapped(y),
            false => Ok(y),
        }
    }

    /// The first two axes change places.
    pub(super) fn swapped(&mut self, x: ValueId) -> Result<ValueId, Box<Finding>> {
        let mut permutation: Vec<usize> = (0..self.rank(x)).collect();
        permutation.swap(0, 1);
        self.apply(Transpose { permutation }, &[x])
    }

    pub(super) fn apply(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Box<Finding>> {
        let applied = self.graph.apply(op, inputs, &self.origin);
        applied.map_err(|error: ShapeError| self.refuse(MISFIT, error.to_string()))
    }

    /// Blob `index`, which must have the shape `expected`. One that is missing is reported, and zeros stand in its place
    /// while the rest of the network is looked at.
    ///
    /// # Errors
    /// When such a blob would be larger than the limit.
    pub(super) fn blob(&mut self, index: usize, expected: &[usize]) -> Result<Tensor, Box<Finding>> {
        self.blobs = self.blobs.max(index + 1);
        let bytes = expected
            .iter()
            .try_fold(4u64, |bytes, &size| bytes.checked_mul(size as u64));
        if bytes.is_none_or(|bytes| bytes > self.limits.tensor_bytes) {
            return Err(self.refuse(
                WEIGHT,
                format!("a blob of shape {expected:?} is larger than the limit"),
            ));
        }
        let found = self.weights.blob(self.net, self.layer, index, expected);
        let found = found.map_err(|message| (WEIGHT, message)).and_then(|tensor| {
            let wrong = not_finite(&tensor).map_err(|error| (WEIGHT, format!("blob {index}: {error}")))?;
            match wrong {
                None => Ok(tensor),
                Some((at, value, count)) => Err((
                    NOT_FINITE,
                    format!("blob {index} of shape {expected:?} holds {value} at {at}, and {count} such numbers in all"),
                )),
            }
        });
        Ok(found.unwrap_or_else(|(code, message)| {
            self.findings.push(Finding::error(code, &self.origin, message));
            Tensor::filled(expected, 0.0)
        }))
    }

    /// Whether zeros stand in place of all weights.
    pub(super) fn is_untrained(&self) -> bool {
        matches!(self.weights, Weights::Untrained)
    }

    /// Refuses blobs that the layer's function did not ask for.
    pub(crate) fn check_count(&mut self) {
        let Some(count) = self.weights.count(self.layer) else {
            return;
        };
        if count > self.blobs {
            let message = format!(
                "the file of weights has {count} blobs for it, and its parameters ask for {}",
                self.blobs
            );
            self.findings.push(
                Finding::error(WEIGHT, &self.origin, message)
                    .with_help("check that both files belong together (bias_term, say)"),
            );
        }
    }
}

/// The place of the first number that is NaN or infinite, as if the array were flat, that number, and how many there are.
fn not_finite(tensor: &Tensor) -> Result<Option<(usize, f32, usize)>, TensorError> {
    let (mut seen, mut count, mut first) = (0, 0, None);
    tensor.stream(|block| {
        let wrong = block.iter().filter(|value| !value.is_finite()).count();
        if wrong > 0 && first.is_none() {
            let at = block.iter().position(|value| !value.is_finite());
            first = at.map(|at| (seen + at, block[at]));
        }
        seen += block.len();
        count += wrong;
        Ok::<(), TensorError>(())
    })?;
    Ok(first.map(|(at, value)| (at, value, count)))
}
