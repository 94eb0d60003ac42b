//! The layers of Caffe: one row a type, one function a row.
//!
//! A function gets a [`Call`]: the layer's parameters, its blobs and the values it reads, in Caffe's axis order, which
//! is that of the graph. It adds operators and gives the layer's tops.

mod activation;
mod arithmetic;
mod axpy;
mod bn;
mod call;
mod conv;
mod deconv;
mod function;
mod linear;
mod norm;
mod normalize;
mod pool;
mod rearrange;
mod recurrent;
mod reduce;
mod resize;
mod shape;

pub(crate) use call::Call;

use caribou_ir::{Code, Finding, ValueId};

/// A parameter that is missing or has no meaning.
const PARAMETER: Code = Code("C0301");
/// A layer that does not fit its bottoms.
const MISFIT: Code = Code("C0302");
/// A blob that is missing or of the wrong shape.
const WEIGHT: Code = Code("C0303");
/// A parameter that is known and can't be expressed.
const OPTION: Code = Code("C0304");
/// A number of a blob that is NaN or infinite.
const NOT_FINITE: Code = Code("C0306");
/// Something of the layer that trains otherwise.
const TRAINING: Code = Code("C0305");

/// What is found of a layer that is not wrong in itself, but does not go with a shape that was guessed.
pub(crate) const GUESSED: [Code; 3] = [PARAMETER, MISFIT, WEIGHT];

/// What a layer's function gives: its tops, or why there are none.
pub(crate) type Tops = Result<Vec<ValueId>, Box<Finding>>;

/// What becomes of a type.
#[derive(Clone, Copy)]
pub(crate) enum Support {
    /// It is read by this function.
    Read(fn(&mut Call<'_>) -> Tops),
    /// It matters in training only, and is left out: a loss, say.
    Training(&'static str),
    /// It brings in data: its first top becomes an input.
    Data,
    /// It is known, and refused for this reason.
    Refused(&'static str),
}

/// One type.
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    pub(crate) support: Support,
}

const fn row(kind: &'static str, read: fn(&mut Call<'_>) -> Tops) -> Row {
    Row {
        kind,
        support: Support::Read(read),
    }
}

const fn training(kind: &'static str, why: &'static str) -> Row {
    Row {
        kind,
        support: Support::Training(why),
    }
}

const fn data(kind: &'static str) -> Row {
    Row {
        kind,
        support: Support::Data,
    }
}

const fn refused(kind: &'static str, why: &'static str) -> Row {
    Row {
        kind,
        support: Support::Refused(why),
    }
}

const LOSS: &str = "a loss is computed in training only";
const LOGITS: &str = "a loss is computed in training only; what remains are the values before the softmax";
const SIGMOID_LOGITS: &str =
    "a loss is computed in training only; what remains are the values before the sigmoid";
const REGIONS: &str = "it works on lists of regions of any length, which DL4J's layers can't";
const BOXES: &str = "boxes are made and chosen after the network; that is left to the program around it";
const CODE: &str = "it is code in another language, which is never executed";

/// All types that are known.
const ROWS: &[Row] = &[
    row("AbsVal", function::absolute),
    row("ArgMax", reduce::arg_max),
    row("Axpy", axpy::axpy),
    row("BN", bn::bn),
    row("BNLL", function::bnll),
    row("BatchNorm", norm::batch_norm),
    row("Bias", arithmetic::bias),
    row("Clip", function::clip),
    row("Concat", shape::concat),
    row("Convolution", conv::convolution),
    row("ConvolutionDepthwise", conv::depthwise_convolution),
    row("Crop", rearrange::crop),
    row("Deconvolution", deconv::deconvolution),
    row("DepthwiseConvolution", conv::depthwise_convolution),
    row("Dropout", shape::dropout),
    row("ELU", activation::elu),
    row("Eltwise", arithmetic::eltwise),
    row("Embed", recurrent::embed),
    row("Exp", function::exponential),
    row("Flatten", shape::flatten),
    row("HardSwish", function::hard_swish),
    row("InnerProduct", linear::inner_product),
    row("Interp", resize::interp),
    row("LRN", norm::lrn),
    row("LSTM", recurrent::lstm),
    row("Log", function::logarithm),
    row("MVN", normalize::mean_variance),
    row("Normalize", normalize::unit_length),
    row("PReLU", activation::prelu),
    row("Permute", rearrange::permute),
    row("Pooling", pool::pooling),
    row("Power", function::power),
    row("RNN", recurrent::rnn),
    row("ReLU", activation::relu),
    row("ReLU6", function::relu6),
    row("Reduction", reduce::reduction),
    row("Reshape", shape::reshape),
    row("Scale", arithmetic::scale),
    row("ShuffleChannel", rearrange::shuffle_channel),
    row("Sigmoid", activation::sigmoid),
    row("Slice", shape::slice),
    row("Softmax", activation::softmax),
    row("Split", shape::split),
    row("Swish", function::swish),
    row("TanH", activation::tanh),
    row("Threshold", function::threshold),
    row("Tile", rearrange::tile),
    row("Upsample", resize::upsample),
    training("Accuracy", "it measures"),
    training("ContrastiveLoss", LOSS),
    training("EuclideanLoss", LOSS),
    training("HDF5Output", "it writes files"),
    training("HingeLoss", LOSS),
    training("InfogainLoss", LOGITS),
    training("MultiBoxLoss", LOSS),
    training("MultinomialLogisticLoss", LOSS),
    training("SigmoidCrossEntropyLoss", SIGMOID_LOGITS),
    training("Silence", "it swallows values"),
    training("SmoothL1Loss", LOSS),
    training("SoftmaxWithLoss", LOGITS),
    data("AnnotatedData"),
    data("Data"),
    data("DummyData"),
    data("HDF5Data"),
    data("ImageData"),
    data("Input"),
    data("MemoryData"),
    data("VideoData"),
    data("WindowData"),
    refused("DetectionOutput", BOXES),
    refused("PriorBox", BOXES),
    refused("Proposal", REGIONS),
    refused("PSROIPooling", REGIONS),
    refused("Python", CODE),
    refused("ROIPooling", REGIONS),
];

/// What becomes of a type; `None` for an unknown one.
pub(crate) fn of(kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.kind == kind)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_type_stands_once() {
        for row in super::ROWS {
            let same = super::ROWS.iter().filter(|other| other.kind == row.kind);
            assert_eq!(same.count(), 1, "{}", row.kind);
        }
    }
}
