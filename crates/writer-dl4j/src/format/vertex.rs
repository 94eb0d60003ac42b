//! Vertices of a computation graph.

use super::{NeuralNetConfiguration, Preprocessor};
use serde::{Deserialize, Serialize};

/// What stands at a vertex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // Fields by the names that the classes of DL4J give them.
pub enum Vertex {
    /// A layer, with what happens to its input first.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.LayerVertex")]
    Layer {
        layer_conf: Box<NeuralNetConfiguration>,
        #[serde(default)]
        output_vertex: bool,
        #[serde(default)]
        pre_processor: Option<Preprocessor>,
    },
    /// Values one behind the other on an axis.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.MergeVertex")]
    Merge {
        #[serde(default = "first")]
        merge_axis: usize,
    },
    /// `Add`, `Subtract`, `Product`, `Average` or `Max` of the elements.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.ElementWiseVertex")]
    ElementWise { op: String },
    /// The channels `from..=to` (axis 1).
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.SubsetVertex")]
    Subset { from: usize, to: usize },
    /// The same elements under another shape, the batch included.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.ReshapeVertex")]
    Reshape {
        new_shape: Vec<i64>,
        #[serde(default = "c_order")]
        reshape_order: String,
    },
    /// `scale_factor * x`.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.ScaleVertex")]
    Scale { scale_factor: f64 },
    /// `x + shift_factor`.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.ShiftVertex")]
    Shift { shift_factor: f64 },
    /// `x / max(norm, eps)`; the norm over all axes but the batch where `dimension` is null.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.L2NormalizeVertex")]
    L2Normalize {
        #[serde(default)]
        dimension: Option<Vec<usize>>,
        #[serde(default = "tiny")]
        eps: f64,
    },
    /// The Euclidean distance of two arrays: `[N, 1]`.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.L2Vertex")]
    L2 {},
    /// `[N, C, H, W]` without its first row and column.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.PoolHelperVertex")]
    PoolHelper {},
    /// A preprocessor alone.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.PreprocessorVertex")]
    Preprocessor { pre_processor: Preprocessor },
    /// `softmax(q k^T / sqrt(size)) v` of queries, keys and values `[N, F, T]`; with projections where `project_input`.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.AttentionVertex")]
    Attention {
        nin_queries: usize,
        nin_keys: usize,
        nin_values: usize,
        nout: usize,
        #[serde(default)]
        head_size: usize,
        #[serde(default = "first")]
        nheads: usize,
        #[serde(default)]
        project_input: bool,
        #[serde(default = "float")]
        data_type: String,
        #[serde(default = "xavier")]
        weight_init: String,
    },
    /// The last step of `[N, C, T]`.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.rnn.LastTimeStepVertex")]
    LastTimeStep {
        #[serde(default)]
        mask_array_input_name: Option<String>,
    },
    /// The steps of `[N, C, T]` in reverse order.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.rnn.ReverseTimeSeriesVertex")]
    ReverseTimeSeries {
        #[serde(default)]
        mask_array_input_name: Option<String>,
    },
    /// A vertex in front of which nothing learns.
    #[serde(rename = "org.deeplearning4j.nn.conf.graph.FrozenVertex")]
    Frozen { underlying: Box<Vertex> },
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

fn first() -> usize {
    1
}

fn float() -> String {
    "FLOAT".into()
}

fn xavier() -> String {
    "XAVIER".into()
}

fn c_order() -> String {
    "c".into()
}

fn tiny() -> f64 {
    1e-8
}
