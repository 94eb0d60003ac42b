//! A whole model at each step: TimeDistributed around it, with time folded into the batch.

use super::arguments::Called;
use super::{Builder, MASKED, NESTING, Scope, Values, origin};
use crate::config::{Layer, Model, parse_layer, parse_nested};
use caribou_ir::op::{Reshape, Size};
use caribou_ir::{Finding, ShapeError, ValueId};

/// The model that a TimeDistributed layer holds; `None` when it holds a layer.
pub(super) fn model_within(layer: &Layer) -> Option<Model> {
    if layer.class != "TimeDistributed" {
        return None;
    }
    let inner = parse_layer(layer.config.get("layer")?).ok()?;
    parse_nested(&inner)?.ok()
}

impl Builder<'_> {
    /// The model applied to every step of the only input.
    pub(super) fn stepwise(
        &mut self,
        layer: &Layer,
        model: Model,
        called: &Called,
        scope: &Scope<'_>,
    ) -> Values {
        let Some(inputs) = called.inputs.as_deref() else {
            return self.nested(layer, Ok(model), None, scope);
        };
        let refuse = |this: &mut Self, code, message: String| {
            this.findings.push(Finding::error(code, &origin(layer), message));
            this.nested(layer, Ok(model.clone()), None, scope)
        };
        let x = match inputs {
            [x] => *x,
            several => {
                let message = format!(
                    "a model at each step of {} inputs is not supported",
                    several.len()
                );
                return refuse(self, NESTING, message);
            }
        };
        if called.mask.is_some() {
            let message = "a mask that a model would read at each step is not supported".to_owned();
            return refuse(self, MASKED, message);
        }
        let shape = self.graph.shape(x).clone();
        let Some(steps) = shape.size(1) else {
            let message = "the number of steps must be known for a model at each step".to_owned();
            return refuse(self, NESTING, message);
        };
        let fold = std::iter::once(Size::Rest)
            .chain((2..shape.rank()).map(Size::Keep))
            .collect();
        let folded = self.graph.apply(Reshape { target: fold }, &[x], &origin(layer));
        let folded = match folded {
            Ok(folded) => folded,
            Err(error) => return refuse(self, NESTING, error.to_string()),
        };
        let made = self.nested(layer, Ok(model.clone()), Some(&[folded]), scope)?;
        let unfolded: Result<Vec<ValueId>, ShapeError> = made
            .into_iter()
            .map(|y| {
                let target = [Size::Rest, Size::Fixed(steps)]
                    .into_iter()
                    .chain((1..self.graph.shape(y).rank()).map(Size::Keep))
                    .collect();
                self.graph.apply(Reshape { target }, &[y], &origin(layer))
            })
            .collect();
        match unfolded {
            Ok(outputs) => Some(outputs),
            Err(error) => refuse(self, NESTING, error.to_string()),
        }
    }
}
