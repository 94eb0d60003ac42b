//! The older words of Caffe, `layers { }`, said in today's: types as enumerated (V1, 2014), and before that all
//! parameters of a layer in one message (V0, 2013).

use super::Layer;
use crate::schema::v1_layer_parameter::LayerType;
use crate::schema::{
    ConcatParameter, ConvolutionParameter, DataParameter, DropoutParameter, ImageDataParameter,
    InnerProductParameter, LayerParameter, LrnParameter, ParamSpec, PoolingParameter,
    TransformationParameter, V0LayerParameter, V1LayerParameter, WindowDataParameter,
};
use caribou_ir::{Code, Finding, Findings, Place};

/// A layer in the oldest words that has no counterpart today.
const NO_COUNTERPART: Code = Code("C0104");

/// The types of V1 and V0 with the names of today.
const TYPES: [(LayerType, &str, &str); 42] = [
    (LayerType::None, "", "None"),
    (LayerType::Accuracy, "accuracy", "Accuracy"),
    (LayerType::Bnll, "bnll", "BNLL"),
    (LayerType::Concat, "concat", "Concat"),
    (LayerType::Convolution, "conv", "Convolution"),
    (LayerType::Data, "data", "Data"),
    (LayerType::Dropout, "dropout", "Dropout"),
    (LayerType::EuclideanLoss, "euclidean_loss", "EuclideanLoss"),
    (LayerType::Flatten, "flatten", "Flatten"),
    (LayerType::Hdf5Data, "hdf5_data", "HDF5Data"),
    (LayerType::Hdf5Output, "hdf5_output", "HDF5Output"),
    (LayerType::Im2col, "im2col", "Im2col"),
    (LayerType::ImageData, "images", "ImageData"),
    (LayerType::InfogainLoss, "infogain_loss", "InfogainLoss"),
    (LayerType::InnerProduct, "innerproduct", "InnerProduct"),
    (LayerType::Lrn, "lrn", "LRN"),
    (
        LayerType::MultinomialLogisticLoss,
        "multinomial_logistic_loss",
        "MultinomialLogisticLoss",
    ),
    (LayerType::Pooling, "pool", "Pooling"),
    (LayerType::Relu, "relu", "ReLU"),
    (LayerType::Sigmoid, "sigmoid", "Sigmoid"),
    (LayerType::Softmax, "softmax", "Softmax"),
    (LayerType::SoftmaxLoss, "softmax_loss", "SoftmaxWithLoss"),
    (LayerType::Split, "split", "Split"),
    (LayerType::Tanh, "tanh", "TanH"),
    (LayerType::WindowData, "window_data", "WindowData"),
    (LayerType::Eltwise, "", "Eltwise"),
    (LayerType::Power, "", "Power"),
    (LayerType::SigmoidCrossEntropyLoss, "", "SigmoidCrossEntropyLoss"),
    (LayerType::HingeLoss, "", "HingeLoss"),
    (LayerType::MemoryData, "", "MemoryData"),
    (LayerType::Argmax, "", "ArgMax"),
    (LayerType::Threshold, "", "Threshold"),
    (LayerType::DummyData, "", "DummyData"),
    (LayerType::Slice, "", "Slice"),
    (LayerType::Mvn, "", "MVN"),
    (LayerType::Absval, "", "AbsVal"),
    (LayerType::Silence, "", "Silence"),
    (LayerType::ContrastiveLoss, "", "ContrastiveLoss"),
    (LayerType::Exp, "", "Exp"),
    (LayerType::Deconvolution, "", "Deconvolution"),
    (LayerType::Upsample, "", "Upsample"),
    (LayerType::Bn, "", "BN"),
];

/// All layers in today's words.
pub(super) fn layers(old: Vec<V1LayerParameter>, places: &[Place], findings: &mut Findings) -> Vec<Layer> {
    let places = places.iter().copied().chain(std::iter::repeat(Place::Offset(0)));
    let mut layers: Vec<Layer> = Vec::new();
    for (mut layer, place) in old.into_iter().zip(places) {
        let (bottoms, tops) = (layer.bottom.clone(), layer.top.clone());
        let (mut parameters, kind) = match layer.layer.take() {
            Some(oldest) => {
                let kind = oldest.r#type().to_owned();
                (from_v0(oldest), kind)
            }
            None => {
                let wanted = layer.r#type();
                let row = TYPES.iter().find(|(kind, ..)| *kind == wanted);
                (from_v1(layer), row.map_or("None", |row| row.2).to_owned())
            }
        };
        // `padding` was a layer of its own; it belongs to the convolution or pooling behind it.
        let kind = TYPES
            .iter()
            .find(|(_, oldest, _)| !oldest.is_empty() && *oldest == kind)
            .map_or(kind, |row| row.2.to_owned());
        parameters.r#type = Some(kind.clone());
        layers.push(Layer {
            name: parameters.name().to_owned(),
            kind,
            bottoms,
            tops,
            parameters,
            place,
        });
    }
    merge_padding(layers, findings)
}

/// Gives the padding of `padding` layers to the layers that read them.
fn merge_padding(layers: Vec<Layer>, findings: &mut Findings) -> Vec<Layer> {
    let (padding, mut kept): (Vec<Layer>, Vec<Layer>) =
        layers.into_iter().partition(|layer| layer.kind == "padding");
    for layer in &mut kept {
        let Some(before) = padding
            .iter()
            .find(|before| before.tops.first().is_some_and(|top| layer.bottoms.contains(top)))
        else {
            continue;
        };
        let pad = before
            .parameters
            .convolution_param
            .as_ref()
            .map_or_else(Vec::new, |convolution| convolution.pad.clone());
        match layer.kind.as_str() {
            "Convolution" => layer.parameters.convolution_param.get_or_insert_default().pad = pad,
            "Pooling" => layer.parameters.pooling_param.get_or_insert_default().pad = pad,
            _ => findings.push(Finding::error(
                NO_COUNTERPART,
                &layer.origin(),
                "a padding layer can stand before convolution and pooling alone",
            )),
        }
        layer.bottoms.clone_from(&before.bottoms);
    }
    kept
}

fn specs(names: &[String], rates: &[f32], decays: &[f32]) -> Vec<ParamSpec> {
    let count = names.len().max(rates.len()).max(decays.len());
    (0..count)
        .map(|index| ParamSpec {
            name: names.get(index).cloned(),
            lr_mult: rates.get(index).copied(),
            decay_mult: decays.get(index).copied(),
            share_mode: None,
        })
        .collect()
}

fn from_v1(old: V1LayerParameter) -> LayerParameter {
    let mut param = specs(&old.param, &old.blobs_lr, &old.weight_decay);
    for (spec, mode) in param.iter_mut().zip(&old.blob_share_mode) {
        spec.share_mode = Some(*mode);
    }
    LayerParameter {
        name: old.name,
        bottom: old.bottom,
        top: old.top,
        param,
        include: old.include,
        exclude: old.exclude,
        loss_weight: old.loss_weight,
        accuracy_param: old.accuracy_param,
        argmax_param: old.argmax_param,
        concat_param: old.concat_param,
        contrastive_loss_param: old.contrastive_loss_param,
        convolution_param: old.convolution_param,
        data_param: old.data_param,
        dropout_param: old.dropout_param,
        dummy_data_param: old.dummy_data_param,
        eltwise_param: old.eltwise_param,
        exp_param: old.exp_param,
        hdf5_data_param: old.hdf5_data_param,
        hdf5_output_param: old.hdf5_output_param,
        hinge_loss_param: old.hinge_loss_param,
        image_data_param: old.image_data_param,
        infogain_loss_param: old.infogain_loss_param,
        inner_product_param: old.inner_product_param,
        lrn_param: old.lrn_param,
        memory_data_param: old.memory_data_param,
        mvn_param: old.mvn_param,
        pooling_param: old.pooling_param,
        power_param: old.power_param,
        relu_param: old.relu_param,
        sigmoid_param: old.sigmoid_param,
        softmax_param: old.softmax_param,
        slice_param: old.slice_param,
        tanh_param: old.tanh_param,
        threshold_param: old.threshold_param,
        window_data_param: old.window_data_param,
        transform_param: old.transform_param,
        loss_param: old.loss_param,
        upsample_param: old.upsample_param,
        bn_param: old.bn_param,
        ..LayerParameter::default()
    }
}

fn from_v0(old: V0LayerParameter) -> LayerParameter {
    let mut new = LayerParameter {
        name: old.name.clone(),
        param: specs(&[], &old.blobs_lr, &old.weight_decay),
        ..LayerParameter::default()
    };
    let one = |value: Option<u32>| value.into_iter().collect::<Vec<u32>>();
    match old.r#type() {
        "conv" | "padding" => {
            new.convolution_param = Some(ConvolutionParameter {
                num_output: old.num_output,
                bias_term: old.biasterm,
                pad: one(old.pad),
                kernel_size: one(old.kernelsize),
                group: old.group,
                stride: one(old.stride),
                ..ConvolutionParameter::default()
            });
        }
        "innerproduct" => {
            new.inner_product_param = Some(InnerProductParameter {
                num_output: old.num_output,
                bias_term: old.biasterm,
                ..InnerProductParameter::default()
            });
        }
        "pool" => {
            new.pooling_param = Some(PoolingParameter {
                pool: old.pool,
                pad: one(old.pad),
                kernel_size: one(old.kernelsize),
                stride: one(old.stride),
                ..PoolingParameter::default()
            });
        }
        "lrn" => {
            new.lrn_param = Some(LrnParameter {
                local_size: old.local_size,
                alpha: old.alpha,
                beta: old.beta,
                k: old.k,
                ..LrnParameter::default()
            });
        }
        "dropout" => {
            new.dropout_param = Some(DropoutParameter {
                dropout_ratio: old.dropout_ratio,
                ..DropoutParameter::default()
            });
        }
        "concat" => {
            new.concat_param = Some(ConcatParameter {
                concat_dim: old.concat_dim,
                ..ConcatParameter::default()
            });
        }
        "data" => {
            new.data_param = Some(DataParameter {
                source: old.source,
                batch_size: old.batchsize,
                ..DataParameter::default()
            });
        }
        "images" => {
            new.image_data_param = Some(ImageDataParameter {
                source: old.source,
                batch_size: old.batchsize,
                new_height: old.new_height.and_then(|size| u32::try_from(size).ok()),
                new_width: old.new_width.and_then(|size| u32::try_from(size).ok()),
                ..ImageDataParameter::default()
            });
        }
        "window_data" => {
            new.window_data_param = Some(WindowDataParameter {
                source: old.source,
                batch_size: old.batchsize,
                ..WindowDataParameter::default()
            });
        }
        _ => {}
    }
    if matches!(old.r#type.as_deref(), Some("data" | "images" | "window_data")) {
        new.transform_param = Some(TransformationParameter {
            scale: old.scale,
            mirror: old.mirror,
            crop_size: old.cropsize,
            mean_file: old.meanfile,
            ..TransformationParameter::default()
        });
    }
    new
}
