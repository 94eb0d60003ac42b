//! `caribou/model.json`: the shapes of a network's inputs and outputs, which DL4J's own entries do not say. DL4J passes over an
//! entry that it does not know.
//!
//! ```json
//! { "version": 1,
//!   "inputs": [ { "name": "image", "shape": [null, 3, 32, 24] } ],
//!   "outputs": [ { "name": "classes", "shape": [null, 10] } ] }
//! ```
//!
//! Sizes are those of the arrays that the archive takes and gives, examples included; `null` where a size is unknown. The names of a
//! `ComputationGraph` are those of its configuration; a `MultiLayerNetwork` has none for its input.

use caribou_ir::PortReport;
use serde::{Deserialize, Serialize};

/// The entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The version of this description.
    pub version: u32,
    /// The inputs, in the network's order.
    pub inputs: Vec<PortEntry>,
    /// The outputs, in the network's order.
    pub outputs: Vec<PortEntry>,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortEntry {
    /// Its name.
    pub name: String,
    /// Its sizes, examples included; `None` where one is unknown.
    pub shape: Vec<Option<usize>>,
}

impl PortEntry {
    fn of(port: &PortReport) -> Self {
        let sizes = port.shape.iter().map(|&size| usize::try_from(size).ok());
        Self {
            name: port.name.clone(),
            shape: sizes.collect(),
        }
    }
}

impl ModelEntry {
    /// The only version so far.
    pub const VERSION: u32 = 1;

    /// The entry of a network with these inputs and outputs.
    pub fn new(inputs: &[PortReport], outputs: &[PortReport]) -> Self {
        Self {
            version: Self::VERSION,
            inputs: inputs.iter().map(PortEntry::of).collect(),
            outputs: outputs.iter().map(PortEntry::of).collect(),
        }
    }

    /// Reads the entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if entry.version != Self::VERSION {
            return Err(format!(
                "expected version {}, found {}",
                Self::VERSION,
                entry.version
            ));
        }
        let mut ports = entry.inputs.iter().chain(&entry.outputs);
        match ports.find(|port| port.shape.is_empty() || port.shape.contains(&Some(0))) {
            Some(port) => Err(format!(
                "{}: {:?} is no shape of arrays of examples",
                port.name, port.shape
            )),
            None => Ok(entry),
        }
    }
}
