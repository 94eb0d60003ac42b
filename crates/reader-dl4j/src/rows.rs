//! Sequences whose steps DL4J has folded into the batch.
//!
//! Between RnnToFeedForward and FeedForwardToRnn DL4J holds `[T N, F]`, the rows of all steps below each other. Here
//! such a value stays `[N, T, F]`: what works on each row alone computes the same, on the last axis, and the way back
//! restores the same order. What would see the rows in another way is refused.

use crate::build::{Builder, Built, refuse};
use caribou_ir::{Code, Finding, Layout, Origin, ValueId};
use caribou_writer_dl4j::format::{Layer, Preprocessor, Vertex};

/// Folded rows where they can't be read.
const FOLDED: Code = Code("D0306");

impl Builder {
    /// `[N, F, T]` or `[N, T, F]`, as `format` says, to rows.
    pub(crate) fn fold(&mut self, x: ValueId, format: &str, origin: &Origin) -> Built<ValueId> {
        let rows = self.steps_first(x, format, origin)?;
        // A sequence that is kept as it is may have readers that do not fold it.
        let rows = if rows == x {
            self.apply(caribou_ir::op::Identity, &[x], origin)?
        } else {
            rows
        };
        self.folded.insert(rows);
        Ok(rows)
    }

    /// Rows to `[N, F, T]` or `[N, T, F]`, as `format` says.
    pub(crate) fn unfold(&mut self, rows: ValueId, format: &str, origin: &Origin) -> Built<ValueId> {
        if !self.folded.contains(&rows) {
            let message = "rows are unfolded into steps, and nothing tells how many steps there are";
            return Err(refuse(FOLDED, origin, message));
        }
        let steps = self.steps_as(rows, format, origin)?;
        if steps == rows {
            return self.apply(caribou_ir::op::Identity, &[rows], origin);
        }
        Ok(steps)
    }

    /// The axis here that is `axis` of DL4J's value.
    pub(crate) fn axis(&self, x: ValueId, axis: usize) -> usize {
        axis + usize::from(axis == 1 && self.folded.contains(&x))
    }

    /// Folded rows as images of one cell, or such images as rows: nothing changes here. `None` for other values.
    pub(crate) fn image_of_rows(&mut self, x: ValueId, origin: &Origin) -> Built<Option<ValueId>> {
        if !self.folded.contains(&x) {
            return Ok(None);
        }
        let y = self.apply(caribou_ir::op::Identity, &[x], origin)?;
        self.folded.insert(y);
        Ok(Some(y))
    }

    /// A preprocessor other than the two that reads folded rows.
    pub(crate) fn check_preprocessor(
        &self,
        x: ValueId,
        preprocessor: &Preprocessor,
        origin: &Origin,
    ) -> Built<()> {
        let known = matches!(
            preprocessor,
            Preprocessor::FeedForwardToRnn { .. }
                | Preprocessor::Composable { .. }
                | Preprocessor::FeedForwardToCnn {
                    input_height: 1,
                    input_width: 1,
                    ..
                }
                | Preprocessor::CnnToFeedForward {
                    input_height: 1,
                    input_width: 1,
                    ..
                }
        );
        if self.folded.contains(&x) && !known {
            return Err(unreadable(origin));
        }
        Ok(())
    }

    /// A layer, which reads folded rows only if it works on each of them alone.
    pub(crate) fn layer_of_rows(&mut self, layer: &Layer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        if !self.folded.contains(&x) {
            return self.layer(layer, x, origin);
        }
        let kind = match layer {
            Layer::FrozenLayer(frozen) => &*frozen.layer,
            Layer::FrozenLayerWithBackprop(frozen) => &*frozen.underlying,
            layer => layer,
        };
        let each_alone = matches!(
            kind,
            Layer::DenseLayer(_)
                | Layer::OutputLayer(_)
                | Layer::LossLayer(_)
                | Layer::ActivationLayer(_)
                | Layer::DropoutLayer(_)
                | Layer::BatchNormalization(_)
                | Layer::ElementWiseMultiplicationLayer(_)
        ) || matches!(kind, Layer::LocalResponseNormalization(l) if l.n < 2.0);
        if !each_alone {
            return Err(unreadable(origin));
        }
        let y = self.layer(layer, x, origin)?;
        self.folded.insert(y);
        Ok(y)
    }

    /// A vertex, which reads folded rows only if it works on each of them alone.
    pub(crate) fn vertex_of_rows(
        &mut self,
        vertex: &Vertex,
        inputs: &[ValueId],
        origin: &Origin,
    ) -> Built<ValueId> {
        let folded = inputs.iter().filter(|input| self.folded.contains(input)).count();
        if folded == 0 || matches!(vertex, Vertex::Layer { .. } | Vertex::Preprocessor { .. }) {
            return self.vertex(vertex, inputs, origin);
        }
        let each_alone = match vertex {
            Vertex::Merge { merge_axis } => *merge_axis == 1,
            Vertex::ElementWise { .. }
            | Vertex::Subset { .. }
            | Vertex::Scale { .. }
            | Vertex::Shift { .. } => true,
            _ => false,
        };
        if !each_alone || folded < inputs.len() {
            return Err(unreadable(origin));
        }
        let y = self.vertex(vertex, inputs, origin)?;
        self.folded.insert(y);
        Ok(y)
    }

    /// An output of the network.
    pub(crate) fn network_output(&mut self, name: String, value: ValueId) {
        if self.folded.contains(&value) {
            let origin = Origin::new(name, "output");
            let message = "the output is the rows of all steps below each other, which can't be read";
            return self.findings.push(Finding::error(FOLDED, &origin, message));
        }
        self.graph.output(name, value, Layout::Plain);
    }
}

fn unreadable(origin: &Origin) -> Box<Finding> {
    refuse(
        FOLDED,
        origin,
        "it reads the rows of all steps below each other, and not each row alone",
    )
}
