//! Preprocessors: what happens to an array between two layers.

use serde::{Deserialize, Serialize};

/// A change of shape in front of a layer, or as a vertex of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // Sizes by the names that the classes of DL4J give them.
pub enum Preprocessor {
    /// `[N, C, H, W]` to `[N, C H W]` as the data are laid out.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.CnnToFeedForwardPreProcessor")]
    CnnToFeedForward {
        input_height: usize,
        input_width: usize,
        num_channels: usize,
        #[serde(default = "nchw")]
        format: String,
    },
    /// `[N, C, D, H, W]`, or with the channels last, to rows as the data are laid out.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.Cnn3DToFeedForwardPreProcessor")]
    Cnn3dToFeedForward {
        input_depth: usize,
        input_height: usize,
        input_width: usize,
        num_channels: usize,
        #[serde(default = "yes", rename = "ncdhw")]
        channels_first: bool,
    },
    /// `[N, T, F]` to `[N, T F]` as the data are laid out.
    #[serde(rename = "org.deeplearning4j.preprocessors.KerasFlattenRnnPreprocessor")]
    FlattenRnn { depth: usize, ts_length: usize },
    /// `[N, C H W]` to `[N, C, H, W]`.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.FeedForwardToCnnPreProcessor")]
    FeedForwardToCnn {
        input_height: usize,
        input_width: usize,
        num_channels: usize,
    },
    /// `[T N, C, H, W]`, time outermost, to `[N, C H W, T]`; there is one step where there was no sequence before.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.CnnToRnnPreProcessor")]
    CnnToRnn {
        input_height: usize,
        input_width: usize,
        num_channels: usize,
        #[serde(default = "ncw")]
        rnn_data_format: String,
    },
    /// `[N, C, T]` to `[T N, C]`, time outermost.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.RnnToFeedForwardPreProcessor")]
    RnnToFeedForward {
        #[serde(default = "ncw")]
        rnn_data_format: String,
    },
    /// The inverse of it.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.FeedForwardToRnnPreProcessor")]
    FeedForwardToRnn {
        #[serde(default = "ncw")]
        rnn_data_format: String,
    },
    /// The same elements in C order under another shape; both shapes without the batch.
    #[serde(rename = "org.deeplearning4j.preprocessors.ReshapePreprocessor")]
    Reshape {
        input_shape: Vec<usize>,
        target_shape: Vec<usize>,
        #[serde(default)]
        has_mini_batch_dimension: bool,
    },
    /// Axes in another order, counted from one without the batch.
    #[serde(rename = "org.deeplearning4j.preprocessors.PermutePreprocessor")]
    Permute { permutation_indices: Vec<usize> },
    /// Several, one after the other.
    #[serde(rename = "org.deeplearning4j.nn.conf.preprocessor.ComposableInputPreProcessor")]
    Composable { input_pre_processors: Vec<Preprocessor> },
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

impl Preprocessor {
    /// The same elements under another shape, both without the batch.
    pub fn reshape(from: &[usize], to: &[usize]) -> Self {
        Self::Reshape {
            input_shape: from.to_vec(),
            target_shape: to.to_vec(),
            has_mini_batch_dimension: false,
        }
    }
}

fn yes() -> bool {
    true
}

fn nchw() -> String {
    "NCHW".into()
}

fn ncw() -> String {
    "NCW".into()
}
