//! The parameters of a layer: their names, their order in the archive, and what moves each of them.

use super::{Layer, Updater};

/// The optimiser of parameters that nothing moves.
static NONE: Updater = Updater::NoOp {};

impl Layer {
    /// The names of the layer's parameters, as DL4J lists them.
    pub fn variables(&self) -> &'static [&'static str] {
        let biased = |bias: bool| if bias { &["W", "b"][..] } else { &["W"][..] };
        match self {
            Self::BatchNormalization(_) => &["gamma", "beta", "mean", "var"],
            Self::LSTM(_) | Self::GravesLSTM(_) | Self::SimpleRnn(_) => &["W", "RW", "b"],
            Self::GravesBidirectionalLSTM(_) => &["WF", "RWF", "bF", "WB", "RWB", "bB"],
            Self::AutoEncoder(_) => &["W", "b", "vb"],
            Self::CenterLossOutputLayer(layer) if layer.has_bias => &["W", "b", "cL"],
            Self::CenterLossOutputLayer(_) => &["W", "cL"],
            Self::DenseLayer(layer) if layer.has_layer_norm && layer.has_bias => &["W", "b", "g"],
            Self::DenseLayer(layer) if layer.has_layer_norm => &["W", "g"],
            Self::Bidirectional(_) => &["fW", "fRW", "fb", "bW", "bRW", "bb"],
            Self::PReLULayer(_) => &["W"],
            Self::SelfAttentionLayer(layer) if layer.project_input => &["Wq", "Wk", "Wv", "Wo"],
            Self::ElementWiseMultiplicationLayer(_) => &["W", "b"],
            Self::SeparableConvolution2D(layer) if layer.has_bias => &["W", "pW", "b"],
            Self::SeparableConvolution2D(_) => &["W", "pW"],
            Self::DenseLayer(layer) => biased(layer.has_bias),
            Self::OutputLayer(layer) => biased(layer.has_bias),
            Self::RnnOutputLayer(layer) => biased(layer.has_bias),
            Self::ConvolutionLayer(layer) => biased(layer.has_bias),
            Self::Convolution1DLayer(layer) => biased(layer.has_bias),
            Self::Convolution3D(layer) => biased(layer.has_bias),
            Self::DepthwiseConvolution2D(layer) => biased(layer.has_bias),
            Self::Deconvolution2D(layer) => biased(layer.has_bias),
            Self::Deconvolution3D(layer) => biased(layer.has_bias),
            Self::EmbeddingLayer(layer) => biased(layer.has_bias),
            Self::EmbeddingSequenceLayer(layer) => biased(layer.has_bias),
            Self::LastTimeStep(layer) => layer.underlying.variables(),
            Self::FrozenLayer(layer) => layer.layer.variables(),
            Self::FrozenLayerWithBackprop(layer) => layer.underlying.variables(),
            Self::TimeDistributed(layer) => layer.underlying.variables(),
            _ => &[],
        }
    }

    /// The names of the layer's parameters in the order in which [`COEFFICIENTS`](super::COEFFICIENTS) has them.
    pub fn stored_variables(&self) -> Vec<&'static str> {
        match self {
            Self::BatchNormalization(layer) if layer.lock_gamma_beta => vec!["mean", "var"],
            // Convolutions have their bias first.
            Self::ConvolutionLayer(_)
            | Self::Convolution1DLayer(_)
            | Self::Convolution3D(_)
            | Self::DepthwiseConvolution2D(_)
            | Self::SeparableConvolution2D(_)
            | Self::Deconvolution2D(_)
            | Self::Deconvolution3D(_) => {
                let (biases, weights): (Vec<_>, Vec<_>) =
                    self.variables().iter().copied().partition(|&name| name == "b");
                [biases, weights].concat()
            }
            Self::LastTimeStep(layer) => layer.underlying.stored_variables(),
            Self::FrozenLayer(layer) => layer.layer.stored_variables(),
            Self::FrozenLayerWithBackprop(layer) => layer.underlying.stored_variables(),
            Self::TimeDistributed(layer) => layer.underlying.stored_variables(),
            layer => layer.variables().to_vec(),
        }
    }

    /// The names of its kernels, all that a constraint of the layer's weights is on.
    pub fn kernels(&self) -> impl Iterator<Item = &'static str> {
        let names = self.variables().iter().copied();
        names.filter(|name| matches!(*name, "W" | "RW" | "pW"))
    }

    /// The axes of its kernels that lead into one unit or filter, over which norms are taken; `None` where these are not
    /// the same for all of them, or are not known.
    pub fn unit_dimensions(&self) -> Option<&'static [usize]> {
        match self {
            Self::DenseLayer(_) | Self::OutputLayer(_) | Self::RnnOutputLayer(_) => Some(&[0]),
            Self::LSTM(_) | Self::SimpleRnn(_) => Some(&[0]),
            Self::ConvolutionLayer(_) => Some(&[1, 2, 3]),
            _ => None,
        }
    }

    /// The optimiser of the parameter `name`; `None` where the layer has none. Statistics of a batch normalisation are
    /// gathered and not learned, and a frozen layer stays.
    pub fn updater_of(&self, name: &str) -> Option<&Updater> {
        match self {
            Self::FrozenLayer(_) => Some(&NONE),
            // Their gradients are zero, but they have an optimiser.
            Self::FrozenLayerWithBackprop(layer) => layer.underlying.updater_of(name),
            Self::TimeDistributed(layer) => layer.underlying.updater_of(name),
            Self::LastTimeStep(layer) => layer.underlying.updater_of(name),
            Self::SelfAttentionLayer(layer) => layer.updater.as_ref(),
            Self::Bidirectional(layer) => layer.fwd.updater_of(name.get(1..)?),
            Self::BatchNormalization(_) if matches!(name, "mean" | "var") => Some(&NONE),
            // The loss moves it by a rule of its own.
            Self::CenterLossOutputLayer(_) if name == "cL" => Some(&NONE),
            // What only layerwise training moves forms blocks in another way, which is not known here.
            Self::AutoEncoder(_) | Self::GravesBidirectionalLSTM(_) => None,
            layer => {
                let base = layer.base()?;
                base.bias_updater
                    .as_ref()
                    .filter(|_| name == "b")
                    .or(base.iupdater.as_ref())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layer(class: &str, fields: serde_json::Value) -> Layer {
        let mut value = fields;
        value["@class"] = format!("org.deeplearning4j.nn.conf.layers.{class}").into();
        value["iupdater"] = json!({ "@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1 });
        value["biasUpdater"] = json!({ "@class": "org.nd4j.linalg.learning.config.NoOp" });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn biases_come_first_and_have_their_own_optimiser() {
        let window = json!({ "nin": 1, "nout": 2, "kernelSize": [2, 2], "stride": [1, 1] });
        let convolution = layer("ConvolutionLayer", window.clone());
        assert_eq!(convolution.stored_variables(), ["b", "W"]);
        assert_eq!(convolution.updater_of("b"), Some(&Updater::NoOp {}));
        assert!(matches!(convolution.updater_of("W"), Some(Updater::Sgd { .. })));
        let frozen = Layer::from(super::super::FrozenLayer {
            base: convolution.base().unwrap().clone(),
            layer: Box::new(convolution),
        });
        assert_eq!(frozen.updater_of("W"), Some(&Updater::NoOp {}));
        let mut both = window;
        both["depthMultiplier"] = 1.into();
        assert_eq!(
            layer("SeparableConvolution2D", both).stored_variables(),
            ["b", "W", "pW"]
        );
    }

    #[test]
    fn statistics_have_no_optimiser() {
        let mut fields = json!({ "nin": 2, "nout": 2 });
        let norm = layer("BatchNormalization", fields.clone());
        assert_eq!(norm.stored_variables(), ["gamma", "beta", "mean", "var"]);
        assert!(matches!(norm.updater_of("beta"), Some(Updater::Sgd { .. })));
        assert_eq!(norm.updater_of("var"), Some(&Updater::NoOp {}));
        fields["lockGammaBeta"] = true.into();
        assert_eq!(
            layer("BatchNormalization", fields).stored_variables(),
            ["mean", "var"]
        );
    }
}
