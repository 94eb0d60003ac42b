//! Outputs by name: within a function, `node:output:index` names an output of the operation's definition.

/// Operations with several outputs, with the names of these in order. Any other operation has one, single or a list.
const SEVERAL: &[(&str, &[&str])] = &[
    ("BlockLSTM", &["i", "cs", "f", "o", "ci", "co", "h"]),
    ("BlockLSTMV2", &["i", "cs", "f", "o", "ci", "co", "h"]),
    ("BroadcastGradientArgs", &["r0", "r1"]),
    (
        "CombinedNonMaxSuppression",
        &["nmsed_boxes", "nmsed_scores", "nmsed_classes", "valid_detections"],
    ),
    ("CudnnRNN", &["output", "output_h", "output_c", "reserve_space"]),
    (
        "CudnnRNNV2",
        &["output", "output_h", "output_c", "reserve_space", "host_reserved"],
    ),
    (
        "CudnnRNNV3",
        &["output", "output_h", "output_c", "reserve_space", "host_reserved"],
    ),
    ("Eig", &["e", "v"]),
    (
        "FractionalAvgPool",
        &["output", "row_pooling_sequence", "col_pooling_sequence"],
    ),
    (
        "FractionalMaxPool",
        &["output", "row_pooling_sequence", "col_pooling_sequence"],
    ),
    (
        "FusedBatchNorm",
        &[
            "y",
            "batch_mean",
            "batch_variance",
            "reserve_space_1",
            "reserve_space_2",
        ],
    ),
    (
        "FusedBatchNormV2",
        &[
            "y",
            "batch_mean",
            "batch_variance",
            "reserve_space_1",
            "reserve_space_2",
        ],
    ),
    (
        "FusedBatchNormV3",
        &[
            "y",
            "batch_mean",
            "batch_variance",
            "reserve_space_1",
            "reserve_space_2",
            "reserve_space_3",
        ],
    ),
    ("GRUBlockCell", &["r", "u", "c", "h"]),
    ("ListDiff", &["out", "idx"]),
    ("LSTMBlockCell", &["i", "cs", "f", "o", "ci", "co", "h"]),
    ("LogMatrixDeterminant", &["sign", "log_abs_determinant"]),
    ("Lu", &["lu", "p"]),
    ("MaxPoolWithArgmax", &["output", "argmax"]),
    ("Merge", &["output", "value_index"]),
    ("NonMaxSuppressionV4", &["selected_indices", "valid_outputs"]),
    (
        "NonMaxSuppressionV5",
        &["selected_indices", "selected_scores", "valid_outputs"],
    ),
    ("Qr", &["q", "r"]),
    ("QuantizeV2", &["output", "output_min", "output_max"]),
    ("SelfAdjointEigV2", &["e", "v"]),
    ("SoftmaxCrossEntropyWithLogits", &["loss", "backprop"]),
    ("SparseSoftmaxCrossEntropyWithLogits", &["loss", "backprop"]),
    ("Svd", &["s", "u", "v"]),
    ("Switch", &["output_false", "output_true"]),
    ("TensorArrayConcatV3", &["value", "lengths"]),
    ("TensorArrayGradV3", &["grad_handle", "flow_out"]),
    ("TensorArrayV3", &["handle", "flow"]),
    ("TensorListConcat", &["tensor", "lengths"]),
    ("TensorListConcatV2", &["tensor", "lengths"]),
    ("TensorListPopBack", &["output_handle", "tensor"]),
    ("TopK", &["values", "indices"]),
    ("TopKV2", &["values", "indices"]),
    ("Unique", &["y", "idx"]),
    ("UniqueV2", &["y", "idx"]),
    ("UniqueWithCounts", &["y", "idx", "count"]),
];

/// The position among all outputs of `op` of element `index` of the output called `name`; `None` if it has none of this name.
pub(super) fn slot(op: &str, name: &str, index: usize) -> Option<usize> {
    match SEVERAL.iter().find(|(known, _)| *known == op) {
        Some((_, names)) => {
            let at = names.iter().position(|known| *known == name)?;
            (index == 0).then_some(at)
        }
        None => Some(index),
    }
}
