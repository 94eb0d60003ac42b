//! The archive of DeepLearning4j 1.0.0-M2.1, described once for writing and for reading.
//!
//! An archive is a zip of flat entries: [`CONFIGURATION`] holds the network as JSON ([`Configuration`]), in which
//! every polymorphic object carries its Java class under `@class`; [`COEFFICIENTS`] holds all parameters as one
//! ND4J array ([`array`]), block after block in the order of the layers ([`ComputationGraphConfiguration::order`]).
//! Field names, defaults and the order of the blocks are those that the stock library reads and writes.

mod activation;
pub mod array;
mod layer;
mod loss;
mod model;
mod network;
mod normalizer;
mod parameters;
mod preprocessor;
mod quantization;
mod regularization;
mod updater;
mod vertex;

pub use activation::Activation;
pub use layer::*;
pub use loss::{LossFunction, RowVector};
pub use model::{ModelEntry, PortEntry};
pub use network::{
    ComputationGraphConfiguration, Configuration, MultiLayerConfiguration, NeuralNetConfiguration,
};
pub use normalizer::{NormalizerError, normalizer_entry, read_normalizer};
pub use preprocessor::Preprocessor;
pub use quantization::{BlockGrid, QuantizationEntry, QuantizedBlock, Range as QuantizedRange};
pub use regularization::{Constraint, Regularization};
pub use updater::{Rate, Schedule, ScheduleType, Updater};
pub use vertex::Vertex;

/// The entry with the network's configuration.
pub const CONFIGURATION: &str = "configuration.json";
/// The entry with all parameters.
pub const COEFFICIENTS: &str = "coefficients.bin";
/// The entry with what the updaters remember of each parameter.
pub const UPDATER_STATE: &str = "updaterState.bin";
/// The entry with what a program does to an input before the network sees it; read only on request.
pub const NORMALIZER: &str = "normalizer.bin";
/// The entry with what quantized parameters stand for ([`QuantizationEntry`]); DL4J does not know it.
pub const QUANTIZATION: &str = "caribou/quantization.json";
/// The entry with the shapes of inputs and outputs ([`ModelEntry`]); DL4J does not know it.
pub const MODEL: &str = "caribou/model.json";
/// The entry whose presence says that a network has no parameters.
pub const NO_PARAMETERS: &str = "noParams.marker";
/// The entry with a Java-serialised object, which a reader must not touch.
pub const PREPROCESSOR: &str = "preprocessor.bin";

/// Text that is the same in every charset: DL4J decodes the configuration with the platform's.
///
/// # Errors
/// When the value can't be represented as JSON.
pub fn to_ascii_json(value: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(value)?;
    let mut ascii = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            let mut units = [0u16; 2];
            for unit in character.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_configuration_is_ascii() {
        assert_eq!(super::to_ascii_json(&"ä😀").unwrap(), "\"\\u00e4\\ud83d\\ude00\"");
    }
}
