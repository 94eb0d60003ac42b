//! The losses of a network that is to go on training: what each compares with the labels becomes an output.

use super::{Blob, Builder, LOSS};
use crate::net::Layer;
use crate::schema::hinge_loss_parameter::Norm;
use crate::schema::loss_parameter::NormalizationMode;
use crate::schema::{LayerParameter, LossParameter};
use caribou_ir::op::{Activation, Op, Operator as _, Softmax};
use caribou_ir::{Dim, Finding, Graph, Loss, LossKind, Origin, ValueId};
use std::collections::HashSet;

/// What a loss does to its bottom before it compares it with the labels.
#[derive(Clone, Copy, PartialEq)]
enum Function {
    None,
    Softmax,
    Sigmoid,
}

/// What the sum over examples, cells and, for all but softmax, features is divided by.
#[derive(Clone, Copy)]
enum Divisor {
    /// As `loss_param` says, or this.
    Given(NormalizationMode),
    /// The number of examples.
    Examples,
    /// Twice the number of examples.
    TwiceExamples,
}

/// A type of loss that DL4J has.
struct Row {
    kind: &'static str,
    function: Function,
    loss: fn(&LayerParameter) -> LossKind,
    divisor: Divisor,
    /// What labels DL4J is to be given.
    labels: &'static str,
}

const ONE_HOT: &str = "as one-hot vectors, where Caffe reads the indices of classes";
const SAME: &str = "as Caffe reads them";
const SIGNS: &str = "as vectors of -1 with 1 at the class, where Caffe reads the indices of classes";

const ROWS: &[Row] = &[
    Row {
        kind: "EuclideanLoss",
        function: Function::None,
        loss: |_| LossKind::MeanSquaredError,
        divisor: Divisor::TwiceExamples,
        labels: SAME,
    },
    Row {
        kind: "HingeLoss",
        function: Function::None,
        loss: |parameters| match parameters.hinge_loss_param.unwrap_or_default().norm() {
            Norm::L1 => LossKind::Hinge,
            Norm::L2 => LossKind::SquaredHinge,
        },
        divisor: Divisor::Examples,
        labels: SIGNS,
    },
    Row {
        kind: "MultinomialLogisticLoss",
        function: Function::None,
        loss: |_| LossKind::CategoricalCrossEntropy,
        divisor: Divisor::Examples,
        labels: ONE_HOT,
    },
    Row {
        kind: "SigmoidCrossEntropyLoss",
        function: Function::Sigmoid,
        loss: |_| LossKind::BinaryCrossEntropy,
        divisor: Divisor::Given(NormalizationMode::BatchSize),
        labels: SAME,
    },
    Row {
        kind: "SoftmaxWithLoss",
        function: Function::Softmax,
        loss: |_| LossKind::CategoricalCrossEntropy,
        divisor: Divisor::Given(NormalizationMode::Valid),
        labels: ONE_HOT,
    },
];

/// How far probabilities are kept from zero and one: Caffe bounds those of a softmax by the smallest normal number, and
/// computes with the values before a sigmoid, so that the nearest number to one is as near as DL4J can come.
const fn clip(function: Function) -> f64 {
    match function {
        Function::Sigmoid => 1e-7,
        Function::None | Function::Softmax => f32::MIN_POSITIVE as f64,
    }
}

/// A loss whose output is not made yet.
pub(super) struct Pending {
    /// The output's name, and another one where that stands for another value in the end.
    name: String,
    layer: String,
    value: ValueId,
    loss: Loss,
}

/// The divisor that `loss_param` asks for: its older field counts where the newer one is not there.
fn normalization(parameters: &LossParameter, usual: NormalizationMode) -> NormalizationMode {
    match (parameters.normalization, parameters.normalize) {
        (Some(_), _) => parameters.normalization(),
        (None, Some(true)) => NormalizationMode::Valid,
        (None, Some(false)) => NormalizationMode::BatchSize,
        (None, None) => usual,
    }
}

/// Whether parameters take part in a value.
fn is_learned(graph: &Graph, value: ValueId) -> bool {
    let mut open = vec![value];
    let mut seen = HashSet::new();
    while let Some(value) = open.pop() {
        let Some(node) = graph.producer(value).filter(|_| seen.insert(value)) else {
            continue;
        };
        if !node.op.parameters().is_empty() {
            return true;
        }
        open.extend(&node.inputs);
    }
    false
}

impl Builder<'_> {
    /// Carries the loss of a layer over, or says why not.
    pub(super) fn loss(&mut self, layer: &Layer, origin: &Origin) {
        let finding = match self.pending(layer, origin) {
            Ok(said) => Finding::note(LOSS, origin, said),
            Err(why) => {
                let message = format!("it is not carried over: {why}");
                Finding::warning(LOSS, origin, message)
                    .with_help("without it, an output has the loss that goes with its last function")
            }
        };
        self.findings.push(finding);
    }

    fn pending(&mut self, layer: &Layer, origin: &Origin) -> Result<String, String> {
        let parameters = &layer.parameters;
        let row = ROWS.iter().find(|row| row.kind == layer.kind);
        let row = row.ok_or_else(|| format!("DL4J has no loss like {}", layer.kind))?;
        let options = parameters.loss_param.unwrap_or_default();
        if let Some(ignored) = options.ignore_label {
            return Err(format!(
                "examples or cells with the label {ignored} do not count (ignore_label), which takes a mask in DL4J"
            ));
        }
        let weight = parameters.loss_weight.first().copied().unwrap_or(1.0);
        if weight == 0.0 {
            return Err("its weight is zero".into());
        }
        let (value, bottom) = self.compared(layer, row)?;
        let shape = self.graph.shape(value).clone();
        if !matches!(shape.dims().first(), Some(Dim::Batch(1))) || shape.rank() < 2 {
            return Err(format!(
                "its bottom {shape} does not have one row for each example"
            ));
        }
        if row.function == Function::Softmax && parameters.softmax_param.unwrap_or_default().axis() != 1 {
            return Err("its softmax is not over the channels".into());
        }
        let mut weight = f64::from(weight);
        let mut labels = row.labels.to_owned();
        let summed = match row.divisor {
            Divisor::Examples => true,
            Divisor::TwiceExamples => {
                let features = shape.size(1).ok_or("the number of its features is not known")?;
                // DL4J takes the mean over the features.
                weight *= features as f64 / 2.0;
                true
            }
            Divisor::Given(usual) => match normalization(&options, usual) {
                NormalizationMode::BatchSize => true,
                NormalizationMode::Full | NormalizationMode::Valid => false,
                NormalizationMode::None => {
                    let batch = self.batch.unwrap_or(1);
                    weight *= batch as f64;
                    labels = format!(
                        "{labels}; it is a sum over examples, where DL4J takes the mean: both step alike with batches of {batch}"
                    );
                    true
                }
            },
        };
        let mut cells = shape.dims()[2..].iter().map(|dim| dim.fixed());
        if matches!(row.divisor, Divisor::Examples) && cells.any(|size| size != Some(1)) {
            return Err(format!("its bottom {shape} has more cells than one"));
        }
        let (name, value) = match row.function {
            Function::None => (bottom, value),
            function => {
                let op = match function {
                    Function::Sigmoid => Op::from(Activation::Sigmoid),
                    _ => Op::from(Softmax { axis: 1 }),
                };
                let name = self.prediction(layer);
                let origin = Origin::new(name.as_str(), op.name()).at(layer.place);
                let made = self.graph.apply(op, &[value], &origin);
                (name, made.map_err(|error| error.to_string())?)
            }
        };
        let said = format!("the output {name} is trained by it; give DL4J the labels {labels}");
        self.losses.get_or_insert_default().push(Pending {
            name,
            layer: origin.layer.to_string(),
            value,
            loss: Loss {
                output: 0,
                kind: (row.loss)(parameters),
                weight,
                features: Vec::new(),
                clip: clip(row.function),
                summed,
            },
        });
        Ok(said)
    }

    /// The value that a loss compares with labels, and the blob that it is.
    fn compared(&mut self, layer: &Layer, row: &Row) -> Result<(ValueId, String), String> {
        let mut bottoms: Vec<&String> = layer.bottoms.iter().take(2).collect();
        if layer.bottoms.len() > 2 {
            return Err("it weighs examples by a third bottom".into());
        }
        let value = |name: &String| match self.blobs.get(name) {
            Some(Blob::Value { value, .. }) => Some(*value),
            _ => None,
        };
        // Squares do not ask which of the two are the labels.
        let squares =
            row.function == Function::None && (row.loss)(&layer.parameters) == LossKind::MeanSquaredError;
        let learned = |name: &String| value(name).is_some_and(|value| is_learned(&self.graph, value));
        if squares && bottoms.len() == 2 && !learned(bottoms[0]) && learned(bottoms[1]) {
            bottoms.reverse();
        }
        let [bottom, labels] = bottoms[..] else {
            return Err("it has no labels".into());
        };
        if learned(labels) {
            return Err(format!(
                "it compares two blobs that the network computes, {bottom} and {labels}; DL4J's compare one with labels"
            ));
        }
        let found = value(bottom).ok_or_else(|| format!("its bottom {bottom} is not computed"))?;
        let (bottom, labels) = (bottom.clone(), labels.clone());
        for (name, swallowed) in [(&bottom, row.function != Function::None), (&labels, true)] {
            if let Some(Blob::Value { read, .. }) = self.blobs.get_mut(name) {
                *read |= swallowed;
            }
        }
        Ok((found, bottom))
    }

    /// A name for what a loss computes first: that of its second top, or `prob`, as networks for deployment have it.
    fn prediction(&self, layer: &Layer) -> String {
        const USUAL: &str = "prob";
        let pending = self.losses.iter().flatten();
        let mut taken = pending.map(|pending| pending.name.as_str());
        let makes = |other: &Layer| other.tops.iter().any(|top| top == USUAL);
        match layer.tops.get(1) {
            Some(top) => top.clone(),
            None if taken.all(|name| name != USUAL) && !self.net.layers.iter().any(makes) => USUAL.to_owned(),
            None => format!("{}_{USUAL}", layer.name),
        }
    }

    /// Adds what losses read to the values that become outputs, by name.
    pub(super) fn trained(&self, blobs: &mut Vec<(String, ValueId)>) -> Vec<(String, Loss)> {
        let mut losses = Vec::new();
        for pending in self.losses.iter().flatten() {
            let free = blobs.iter().all(|(name, _)| *name != pending.name);
            let same = blobs
                .iter()
                .any(|(name, value)| *name == pending.name && *value == pending.value);
            let used = losses.iter().any(|(name, _)| *name == pending.name);
            let name = match (free || same) && !used {
                true => &pending.name,
                false => &pending.layer,
            };
            if !same || used {
                blobs.push((name.clone(), pending.value));
            }
            losses.push((name.clone(), pending.loss.clone()));
        }
        blobs.sort_by(|a, b| a.0.cmp(&b.0));
        losses
    }
}
