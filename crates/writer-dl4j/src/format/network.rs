//! The two kinds of network: a chain of layers, and a graph of vertices.

use super::{Layer, Preprocessor, Vertex};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::HashMap;

/// A layer with what its training needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeuralNetConfiguration {
    /// The layer.
    pub layer: Layer,
    /// Always `STOCHASTIC_GRADIENT_DESCENT`; required.
    #[serde(default = "descent")]
    pub optimization_algo: String,
    /// The names of its parameters. A batch normalisation stores a variance only if `var` is among them.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Of an optimiser that is not used.
    #[serde(default = "five")]
    pub max_num_line_search_iterations: i64,
    /// Always `NONE`.
    #[serde(default)]
    pub cache_mode: Option<String>,
    /// Whether gradients are divided by the batch size.
    #[serde(default = "yes")]
    pub mini_batch: bool,
    /// Whether the loss is minimised.
    #[serde(default = "yes")]
    pub minimize: bool,
    /// Seed of the layer's random numbers: fixed, so that training repeats.
    #[serde(default)]
    pub seed: i64,
    /// Element type; that of the coefficients decides.
    #[serde(default = "float")]
    pub data_type: String,
}

fn descent() -> String {
    "STOCHASTIC_GRADIENT_DESCENT".into()
}

fn yes() -> bool {
    true
}

fn five() -> i64 {
    5
}

fn float() -> String {
    "FLOAT".into()
}

impl NeuralNetConfiguration {
    /// The configuration of `layer`.
    pub fn new(layer: Layer) -> Self {
        let variables = layer.variables().iter().map(|&name| name.to_owned()).collect();
        Self {
            layer,
            optimization_algo: descent(),
            variables,
            max_num_line_search_iterations: five(),
            cache_mode: Some("NONE".into()),
            mini_batch: true,
            minimize: true,
            seed: 12345,
            data_type: float(),
        }
    }

    /// The layer as DL4J takes it: whether a batch normalisation stores logarithms of deviations is not what its own
    /// field says, but whether `var` is missing among the variables.
    pub fn layer_as_restored(&self) -> Layer {
        let mut layer = self.layer.clone();
        if let Layer::BatchNormalization(layer) = &mut layer {
            layer.use_log_std = !self.variables.iter().any(|name| name == "var");
        }
        layer
    }
}

/// A chain of layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MultiLayerConfiguration {
    /// The layers.
    pub confs: Vec<NeuralNetConfiguration>,
    /// What happens in front of a layer, by its number.
    #[serde(default)]
    pub input_pre_processors: BTreeMap<String, Preprocessor>,
    /// `Standard` or `TruncatedBPTT`.
    #[serde(default = "standard")]
    pub backprop_type: String,
    /// Element type.
    #[serde(default = "float")]
    pub data_type: String,
    /// Training steps so far.
    #[serde(default)]
    pub iteration_count: i64,
    /// Epochs so far.
    #[serde(default)]
    pub epoch_count: i64,
    /// Whether combinations of loss and activation are checked by builders; unusual ones of a source must pass.
    #[serde(default)]
    pub validate_output_layer_config: bool,
}

fn standard() -> String {
    "Standard".into()
}

impl MultiLayerConfiguration {
    /// A chain of these layers.
    pub fn new(
        confs: Vec<NeuralNetConfiguration>,
        input_pre_processors: BTreeMap<String, Preprocessor>,
    ) -> Self {
        Self {
            confs,
            input_pre_processors,
            backprop_type: standard(),
            data_type: float(),
            iteration_count: 0,
            epoch_count: 0,
            validate_output_layer_config: false,
        }
    }
}

/// A graph of vertices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputationGraphConfiguration {
    /// The names of the inputs.
    pub network_inputs: Vec<String>,
    /// The names of the vertices that are outputs.
    pub network_outputs: Vec<String>,
    /// The vertices by name, as JSON; [`Self::vertex`] gives one typed. The order of the keys counts: DL4J numbers
    /// vertices by it where an archive has no order of its own.
    pub vertices: serde_json::Map<String, Value>,
    /// What each vertex reads.
    pub vertex_inputs: serde_json::Map<String, Value>,
    /// Numbers of the inputs and vertices in the order of execution, which is that of the parameter blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topological_order: Option<Vec<usize>>,
    /// The names that belong to these numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topological_order_str: Option<Vec<String>>,
    /// Defaults of the builder; required.
    pub default_configuration: Value,
    /// `Standard` or `TruncatedBPTT`.
    #[serde(default = "standard")]
    pub backprop_type: String,
    /// Element type.
    #[serde(default = "float")]
    pub data_type: String,
    /// Training steps so far.
    #[serde(default)]
    pub iteration_count: i64,
    /// Epochs so far.
    #[serde(default)]
    pub epoch_count: i64,
    /// See [`MultiLayerConfiguration::validate_output_layer_config`].
    #[serde(default)]
    pub validate_output_layer_config: bool,
}

impl ComputationGraphConfiguration {
    /// A graph of these vertices, in the order of execution, with the names that each reads.
    ///
    /// # Errors
    /// When a vertex can't be represented as JSON.
    pub fn new(
        inputs: Vec<String>,
        outputs: Vec<String>,
        vertices: &[(String, Vertex, Vec<String>)],
    ) -> Result<Self, serde_json::Error> {
        let mut map = serde_json::Map::new();
        let mut reads = serde_json::Map::new();
        for (name, vertex, from) in vertices {
            map.insert(name.clone(), serde_json::to_value(vertex)?);
            reads.insert(name.clone(), Value::from(from.clone()));
        }
        let names: Vec<String> = inputs
            .iter()
            .cloned()
            .chain(vertices.iter().map(|(name, ..)| name.clone()))
            .collect();
        Ok(Self {
            network_inputs: inputs,
            network_outputs: outputs,
            vertices: map,
            vertex_inputs: reads,
            topological_order: Some((0..names.len()).collect()),
            topological_order_str: Some(names),
            default_configuration: serde_json::json!({
                "optimizationAlgo": descent(), "cacheMode": "NONE", "maxNumLineSearchIterations": five(),
            }),
            backprop_type: standard(),
            data_type: float(),
            iteration_count: 0,
            epoch_count: 0,
            validate_output_layer_config: false,
        })
    }

    /// The vertex called `name`.
    pub fn vertex(&self, name: &str) -> Option<Vertex> {
        self.vertices
            .get(name)
            .and_then(|value| serde_json::from_value(value.clone()).ok())
    }

    /// The names that the vertex called `name` reads.
    pub fn reads(&self, name: &str) -> Vec<String> {
        let list = self.vertex_inputs.get(name).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// The names of the vertices in the order of execution and of the parameter blocks; `None` when the graph is
    /// not sound. Without the two fields that say it, the order is the one DL4J computes: Kahn's algorithm over the
    /// vertices in the order of their keys, in which successors come out in the order of a Java hash set.
    pub fn order(&self) -> Option<Vec<String>> {
        let inputs: Vec<&String> = self.network_inputs.iter().collect();
        if let (Some(numbers), Some(names)) = (&self.topological_order, &self.topological_order_str)
            && numbers.len() == names.len()
        {
            let order: Vec<String> = names
                .iter()
                .filter(|name| !inputs.contains(name))
                .cloned()
                .collect();
            return order
                .iter()
                .all(|name| self.vertices.contains_key(name))
                .then_some(order);
        }
        let names: Vec<&String> = inputs.iter().copied().chain(self.vertices.keys()).collect();
        let number: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(i, name)| (name.as_str(), i))
            .collect();
        let mut successors = vec![Vec::new(); names.len()];
        let mut waiting = vec![0usize; names.len()];
        for (i, name) in names.iter().enumerate().skip(inputs.len()) {
            let mut sources: Vec<usize> = self
                .reads(name)
                .iter()
                .map(|read| number.get(read.as_str()).copied())
                .collect::<Option<_>>()?;
            sources.sort_unstable();
            sources.dedup();
            waiting[i] = sources.len();
            sources.into_iter().for_each(|source| successors[source].push(i));
        }
        let mut queue: std::collections::VecDeque<usize> =
            (0..names.len()).filter(|&i| waiting[i] == 0).collect();
        let mut order = Vec::with_capacity(names.len());
        while let Some(next) = queue.pop_front() {
            order.push(next);
            for successor in java_hash_order(&successors[next]) {
                waiting[successor] -= 1;
                if waiting[successor] == 0 {
                    queue.push_back(successor);
                }
            }
        }
        let sound = order.len() == names.len();
        sound.then(|| {
            order
                .into_iter()
                .filter(|&i| i >= inputs.len())
                .map(|i| names[i].clone())
                .collect()
        })
    }
}

/// The order in which a Java `HashSet<Integer>` gives numbers that were added in this order: by bucket, of which there
/// are 16, twice as many whenever three quarters of them are exceeded.
fn java_hash_order(numbers: &[usize]) -> Vec<usize> {
    let mut buckets = 16;
    while numbers.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by_key(|number| number % buckets);
    sorted
}

/// Either kind of network.
#[derive(Debug, Clone, PartialEq)]
pub enum Configuration {
    /// A chain.
    MultiLayer(Box<MultiLayerConfiguration>),
    /// A graph.
    Graph(Box<ComputationGraphConfiguration>),
}

impl Configuration {
    /// Parses `configuration.json`.
    ///
    /// # Errors
    /// When it is no JSON of either kind.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let value: Value = serde_json::from_slice(text)?;
        if value.get("vertices").is_some() {
            return Ok(Self::Graph(Box::new(serde_json::from_value(value)?)));
        }
        Ok(Self::MultiLayer(Box::new(serde_json::from_value(value)?)))
    }

    /// The class of the network in DL4J.
    pub fn class(&self) -> &'static str {
        match self {
            Self::MultiLayer(_) => "MultiLayerNetwork",
            Self::Graph(_) => "ComputationGraph",
        }
    }

    /// Says how many training steps, and passes over the data, there have been.
    pub fn set_counts(&mut self, steps: u64, epochs: u64) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (iteration_count, epoch_count) = match self {
            Self::MultiLayer(network) => (&mut network.iteration_count, &mut network.epoch_count),
            Self::Graph(network) => (&mut network.iteration_count, &mut network.epoch_count),
        };
        (*iteration_count, *epoch_count) = (number(steps), number(epochs));
    }

    /// How many training steps, and passes over the data, there have been.
    pub fn counts(&self) -> (u64, u64) {
        let (steps, epochs) = match self {
            Self::MultiLayer(network) => (network.iteration_count, network.epoch_count),
            Self::Graph(network) => (network.iteration_count, network.epoch_count),
        };
        (
            u64::try_from(steps).unwrap_or(0),
            u64::try_from(epochs).unwrap_or(0),
        )
    }

    /// Says of which numbers (ND4J's name) the network and all of its layers are.
    ///
    /// # Errors
    /// When it can't be represented as JSON.
    pub fn set_data_type(&mut self, name: &str) -> Result<(), serde_json::Error> {
        fn set(value: &mut Value, name: &str) {
            match value {
                Value::Object(map) => {
                    // Stored arrays have a type of their own.
                    if !map.contains_key("data")
                        && let Some(dtype) = map.get_mut("dataType")
                    {
                        *dtype = Value::from(name);
                    }
                    map.values_mut().for_each(|value| set(value, name));
                }
                Value::Array(list) => list.iter_mut().for_each(|value| set(value, name)),
                _ => {}
            }
        }
        match self {
            Self::MultiLayer(configuration) => {
                let mut value = serde_json::to_value(&*configuration)?;
                set(&mut value, name);
                **configuration = serde_json::from_value(value)?;
            }
            Self::Graph(configuration) => {
                name.clone_into(&mut configuration.data_type);
                configuration
                    .vertices
                    .values_mut()
                    .for_each(|value| set(value, name));
            }
        }
        Ok(())
    }

    /// The text of `configuration.json`.
    ///
    /// # Errors
    /// When it can't be represented as JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::MultiLayer(configuration) => super::to_ascii_json(configuration),
            Self::Graph(configuration) => super::to_ascii_json(configuration),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_come_out_by_bucket() {
        assert_eq!(java_hash_order(&[4, 16, 17, 18, 19]), [16, 17, 18, 19, 4]);
        let many: Vec<usize> = (0..13).rev().collect();
        assert_eq!(java_hash_order(&many), (0..13).collect::<Vec<_>>());
    }
}
