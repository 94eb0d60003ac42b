//! Weights found by their place: `layers/<class>_<n>/vars/<i>`, numbered per class in the order of the model's layers.
//!
//! The places are those of `_save_state` and `_save_container_state` in keras/src/saving/saving_lib.py. They are walked
//! once, beside the architecture, and every variable is filed under the names of the layers around it.

use super::variables::{self, is_statistic, of_class};
use super::{WeightError, listed};
use crate::config::{Layer, Model, parse_layer, parse_nested};
use crate::hdf5::{Group, Hdf5Error};
use crate::version::Generation;
use caribou_ir::Tensor;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The variables of all layers of a model, by their scopes.
#[derive(Clone)]
pub(crate) struct Positioned {
    layers: Arc<HashMap<Vec<String>, Object>>,
    trained: Arc<[(String, Tensor)]>,
}

/// What was found at the place of a layer.
struct Object {
    place: String,
    variables: Vec<(&'static str, Tensor)>,
    /// Why the datasets can't be told apart, or can't be those of the layer.
    problem: Option<Problem>,
}

enum Problem {
    Count { expected: String, found: usize },
    OtherLayer { found: String },
}

impl Positioned {
    pub(super) fn of_model(
        root: &Group<'_>,
        model: &Model,
        generation: Generation,
    ) -> Result<Self, Hdf5Error> {
        let mut walk = Walk {
            generation,
            layers: HashMap::new(),
            frozen: false,
            trained: Vec::new(),
        };
        walk.model(root, "", model, &mut Vec::new())?;
        Ok(Self {
            layers: Arc::new(walk.layers),
            trained: walk.trained.into(),
        })
    }

    /// The variables that training changes, each with its place, in the order of Keras' `trainable_variables`.
    pub(crate) fn trained(&self) -> &[(String, Tensor)] {
        &self.trained
    }

    pub(super) fn find(&self, scopes: &[&str], variable: &str) -> Result<&Tensor, WeightError> {
        let key: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let missing = |listed: String| WeightError::Missing {
            variable: variable.to_owned(),
            listed,
        };
        let Some(object) = self.layers.get(&key) else {
            return Err(missing(listed(std::iter::empty())));
        };
        let place = || object.place.clone();
        match &object.problem {
            Some(Problem::Count { expected, found }) => {
                return Err(WeightError::Count {
                    expected: expected.clone(),
                    found: *found,
                    place: place(),
                });
            }
            Some(Problem::OtherLayer { found }) => {
                return Err(WeightError::OtherLayer {
                    place: place(),
                    found: found.clone(),
                });
            }
            None => {}
        }
        let names = || object.variables.iter().map(|(name, _)| *name);
        object
            .variables
            .iter()
            .find(|(name, _)| *name == variable)
            .map(|(_, tensor)| tensor)
            .ok_or_else(|| missing(listed(names())))
    }
}

struct Walk {
    generation: Generation,
    layers: HashMap<Vec<String>, Object>,
    /// Whether the layer that is walked, or one around it, is not trained.
    frozen: bool,
    trained: Vec<(String, Tensor)>,
}

impl Walk {
    /// The layers of a model whose object is at `place`.
    fn model(
        &mut self,
        root: &Group<'_>,
        place: &str,
        model: &Model,
        scopes: &mut Vec<String>,
    ) -> Result<(), Hdf5Error> {
        let layers = model.layers.iter().filter(|layer| !layer.operator);
        self.list(root, &join(place, "layers"), layers, scopes)
    }

    /// Layers or cells that a list at `place` holds.
    fn list<'l>(
        &mut self,
        root: &Group<'_>,
        place: &str,
        layers: impl Iterator<Item = &'l Layer>,
        scopes: &mut Vec<String>,
    ) -> Result<(), Hdf5Error> {
        let mut used: HashMap<String, usize> = HashMap::new();
        for layer in layers {
            let name = snake_case(&layer.class);
            let count = used.entry(name.clone()).or_default();
            let unique = match *count {
                0 => name,
                n => format!("{name}_{n}"),
            };
            *count += 1;
            scopes.push(layer.name.clone());
            self.layer(root, &join(place, &unique), layer, scopes)?;
            scopes.pop();
        }
        Ok(())
    }

    /// The cell of an `RNN`, or those that are stacked in it, each under its own name.
    fn cells(
        &mut self,
        root: &Group<'_>,
        place: &str,
        layer: &Layer,
        scopes: &mut Vec<String>,
    ) -> Result<(), Hdf5Error> {
        let Some(cell) = inner(layer, "cell") else {
            return Ok(());
        };
        if cell.class == "StackedRNNCells" {
            let stacked = cell.config.get("cells").and_then(Value::as_array);
            let stacked: Vec<Layer> = stacked
                .into_iter()
                .flatten()
                .filter_map(|cell| parse_layer(cell).ok())
                .collect();
            return self.list(root, &join(place, "cells"), stacked.iter(), scopes);
        }
        scopes.push(cell.name.clone());
        self.layer(root, place, &cell, scopes)?;
        scopes.pop();
        Ok(())
    }

    /// A layer whose object is at `place`, and all that is within it.
    fn layer(
        &mut self,
        root: &Group<'_>,
        place: &str,
        layer: &Layer,
        scopes: &mut Vec<String>,
    ) -> Result<(), Hdf5Error> {
        let around = self.frozen;
        self.frozen = around || layer.config.flag_or("trainable", true) == Ok(false);
        let walked = self.within(root, place, layer, scopes);
        self.frozen = around;
        walked
    }

    fn within(
        &mut self,
        root: &Group<'_>,
        place: &str,
        layer: &Layer,
        scopes: &mut Vec<String>,
    ) -> Result<(), Hdf5Error> {
        if let Some(Ok(nested)) = parse_nested(layer) {
            return self.model(root, place, &nested, scopes);
        }
        self.object(root, place, &layer.class, layer, scopes)?;
        for part in variables::parts(&layer.class, self.generation) {
            scopes.extend(part.scope.map(str::to_owned));
            self.object(root, &join(place, part.attribute), part.class, layer, scopes)?;
            if part.scope.is_some() {
                scopes.pop();
            }
        }
        match layer.class.as_str() {
            "Bidirectional" => self.directions(root, place, layer, scopes),
            "RNN" => self.cells(root, &join(place, "cell"), layer, scopes),
            "TimeDistributed" | "SpectralNormalization" => match inner(layer, "layer") {
                // The wrapper's function asks for the variables of the inner layer by the wrapper's own scopes.
                Some(inside) => self.layer(root, &join(place, "layer"), &inside, scopes),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn directions(
        &mut self,
        root: &Group<'_>,
        place: &str,
        layer: &Layer,
        scopes: &mut Vec<String>,
    ) -> Result<(), Hdf5Error> {
        let Some(forward) = inner(layer, "layer") else {
            return Ok(());
        };
        let backward = inner(layer, "backward_layer").unwrap_or_else(|| forward.clone());
        for (direction, inside) in [("forward", forward), ("backward", backward)] {
            scopes.push(match self.generation {
                Generation::Two => format!("{direction}_{}", inside.name),
                Generation::Three => inside.name.clone(),
            });
            self.layer(root, &join(place, &format!("{direction}_layer")), &inside, scopes)?;
            scopes.pop();
        }
        Ok(())
    }

    /// The variables of one object, which has the options of `layer`.
    fn object(
        &mut self,
        root: &Group<'_>,
        place: &str,
        class: &str,
        layer: &Layer,
        scopes: &[String],
    ) -> Result<(), Hdf5Error> {
        let expected: Vec<&'static str> = of_class(class)
            .iter()
            .filter(|variable| variable.exists(&layer.config))
            .map(|variable| variable.name)
            .collect();
        if expected.is_empty() {
            return Ok(());
        }
        let place = join(place, "vars");
        let Some(group) = root.group(&place)? else {
            return Ok(());
        };
        let mut tensors = Vec::with_capacity(expected.len());
        while let Some(tensor) = group.tensor(&tensors.len().to_string())? {
            tensors.push(tensor);
        }
        // Newer versions of Keras write whose variables these are.
        let own = class == layer.class;
        let named = if own { group.text("name")? } else { None };
        let problem = if let Some(found) = named.filter(|name| *name != layer.name) {
            Some(Problem::OtherLayer { found })
        } else if tensors.len() != expected.len() {
            Some(Problem::Count {
                expected: expected.join(", "),
                found: tensors.len(),
            })
        } else {
            None
        };
        if !self.frozen && problem.is_none() {
            let variables = expected
                .iter()
                .zip(&tensors)
                .filter(|(name, _)| !is_statistic(name));
            self.trained.extend(
                variables.map(|(name, tensor)| (format!("{} {name}", scopes.join("/")), tensor.clone())),
            );
        }
        self.layers.insert(
            scopes.to_vec(),
            Object {
                place,
                variables: expected.into_iter().zip(tensors).collect(),
                problem,
            },
        );
        Ok(())
    }
}

/// The layer that a wrapper's configuration holds under `key`.
fn inner(layer: &Layer, key: &str) -> Option<Layer> {
    parse_layer(layer.config.get(key)?).ok()
}

fn join(path: &str, part: &str) -> String {
    if path.is_empty() {
        part.to_owned()
    } else {
        format!("{path}/{part}")
    }
}

/// The name of the group of a class, as `to_snake_case` of keras/src/utils/naming.py makes it: `Conv2DTranspose` becomes
/// `conv2d_transpose`, `PReLU` becomes `p_re_lu`.
fn snake_case(class: &str) -> String {
    let class = match class.rsplit('>').next().unwrap_or(class) {
        // The only class that is not called what it is exported as.
        "GroupQueryAttention" => "GroupedQueryAttention",
        class => class,
    };
    let letters: Vec<char> = class
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    // (.)([A-Z][a-z]+) gets an underscore before its second group, from the left and without overlaps.
    let mut words = Vec::new();
    let mut i = 0;
    while i < letters.len() {
        let word_begins = |at: usize| {
            letters.get(at).is_some_and(char::is_ascii_uppercase)
                && letters.get(at + 1).is_some_and(char::is_ascii_lowercase)
        };
        words.push(letters[i]);
        i += 1;
        if word_begins(i) {
            words.push('_');
            words.push(letters[i]);
            i += 1;
            while i < letters.len() && letters[i].is_ascii_lowercase() {
                words.push(letters[i]);
                i += 1;
            }
        }
    }
    // ([a-z])([A-Z]) gets one between.
    let mut snake = String::new();
    for (i, letter) in words.iter().enumerate() {
        if i > 0 && letter.is_ascii_uppercase() && words[i - 1].is_ascii_lowercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_names_that_keras_gives_them() {
        let names = [
            ("Dense", "dense"),
            ("LSTM", "lstm"),
            ("PReLU", "p_re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("GlobalMaxPooling2D", "global_max_pooling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("TFOpLambda", "tf_op_lambda"),
            ("SimpleRNN", "simple_rnn"),
            ("GRU", "gru"),
            ("InputLayer", "input_layer"),
            ("RMSNormalization", "rms_normalization"),
        ];
        for (class, name) in names {
            assert_eq!(snake_case(class), name);
        }
    }
}
