//! What Caffe's data layers do to images before the network sees them: the mean is taken away, then all is scaled.
//! Networks for deployment leave that to the program around them; here it can be made their first layer, or be written
//! beside them.

use crate::layers::{self, Support};
use crate::net::Net;
use crate::weights;
use caribou_ir::op::{Constant, Conv, Elementwise, ElementwiseKind, Op, Padding, Unary, UnaryKind};
use caribou_ir::{
    Code, Finding, Findings, Graph, Limits, Normalizer, Origin, Severity, ShapeError, Source, Tensor, ValueId,
};

/// The preprocessing is not known, or does not fit the input.
const UNKNOWN: Code = Code("C0601");

/// The name of the layer that it becomes.
pub(crate) const LAYER: &str = "preprocessing";

/// What becomes of the preprocessing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Apply {
    /// It is left to the program around the network.
    #[default]
    Outside,
    /// It is the first layer of the network.
    Bake,
    /// It is written beside the network, as DL4J's normalizer.
    Normalizer,
}

/// The preprocessing as the user gives it; what is missing is taken from the data layer of the network.
#[derive(Debug, Clone, Default)]
pub struct Preprocessing {
    /// What becomes of it.
    pub apply: Apply,
    /// A file with the mean image (`.binaryproto`).
    pub mean_file: Option<Source>,
    /// The mean of each channel, or of all.
    pub mean_values: Vec<f32>,
    /// The factor behind the mean.
    pub scale: Option<f32>,
}

/// The mean that is taken away.
enum Mean {
    None,
    /// For each channel.
    Channels(Vec<f32>),
    /// `[C, H, W]`.
    Image(Tensor),
}

/// Makes the preprocessing of `value`, the first input, what was asked for. Gives the value that the network reads, and
/// the normalizer beside it.
pub(crate) fn apply(
    given: &Preprocessing,
    net: &Net,
    graph: &mut Graph,
    value: ValueId,
    limits: &Limits,
    findings: &mut Findings,
) -> (ValueId, Option<Normalizer>) {
    if given.apply == Apply::Outside {
        return (value, None);
    }
    let origin = Origin::new(LAYER, "transform_param");
    let made = Resolved::of(given, net, graph, value, limits).and_then(|resolved| match given.apply {
        Apply::Normalizer => Ok((value, Some(resolved.normalizer()?))),
        _ => resolved
            .bake(graph, value, &origin)
            .map(|value| (value, None))
            .map_err(|error| error.to_string()),
    });
    made.unwrap_or_else(|message| {
        findings.push(
            Finding::new(Severity::Error, UNKNOWN, Some(origin), message)
                .with_help("give it with --mean-value, --mean-file and --input-scale"),
        );
        (value, None)
    })
}

struct Resolved {
    mean: Mean,
    scale: f32,
    channels: usize,
}

impl Resolved {
    fn of(
        given: &Preprocessing,
        net: &Net,
        graph: &Graph,
        value: ValueId,
        limits: &Limits,
    ) -> Result<Self, String> {
        let shape = graph.shape(value).clone();
        let sizes = shape.feature_sizes().unwrap_or_default();
        let [channels, height, width] = sizes[..] else {
            return Err(format!("the first input {shape} is no image"));
        };
        let transform = net
            .layers
            .iter()
            .filter(|layer| {
                matches!(
                    layers::of(&layer.kind).map(|row| row.support),
                    Some(Support::Data)
                )
            })
            .find_map(|layer| layer.parameters.transform_param.clone())
            .unwrap_or_default();
        let named = transform
            .mean_file
            .as_deref()
            .filter(|_| given.mean_values.is_empty());
        let values = match given.mean_values.as_slice() {
            [] => &transform.mean_value,
            values => values,
        };
        let mean = match (&given.mean_file, values, named) {
            (Some(file), ..) => Mean::Image(image(file, [channels, height, width], limits)?),
            (None, [], Some(named)) => {
                return Err(format!(
                    "its mean is in the file {named}, and only files that are named on the command line are opened"
                ));
            }
            (None, [], None) => Mean::None,
            (None, [one], _) => Mean::Channels(vec![*one; channels]),
            (None, values, _) if values.len() == channels => Mean::Channels(values.to_vec()),
            (None, values, _) => {
                return Err(format!(
                    "there are {} means for {channels} channels",
                    values.len()
                ));
            }
        };
        let scale = given.scale.or(transform.scale).unwrap_or(1.0);
        if scale == 1.0 && matches!(mean, Mean::None) {
            return Err("neither a mean nor a scale is given, in the file or otherwise".into());
        }
        Ok(Self {
            mean,
            scale,
            channels,
        })
    }

    fn normalizer(&self) -> Result<Normalizer, String> {
        let mean = match &self.mean {
            Mean::None => vec![0.0; self.channels],
            Mean::Channels(values) => values.clone(),
            Mean::Image(_) => {
                return Err(
                    "DL4J's normalizer has one mean for each channel, and the mean is an image: use --bake-preprocessing"
                        .into(),
                );
            }
        };
        Ok(Normalizer::Standardize {
            mean,
            deviation: vec![1.0 / self.scale; self.channels],
        })
    }

    /// `(x - mean) * scale`, as operators.
    fn bake(&self, graph: &mut Graph, x: ValueId, origin: &Origin) -> Result<ValueId, ShapeError> {
        let factor = Unary {
            kind: UnaryKind::Affine {
                scale: f64::from(self.scale),
                shift: 0.0,
            },
        };
        match &self.mean {
            Mean::None => graph.apply(factor, &[x], origin),
            Mean::Channels(values) => {
                let shift: Vec<f32> = values.iter().map(|mean| -mean * self.scale).collect();
                let op = Conv {
                    weight: Tensor::filled(&[self.channels, 1, 1, 1], self.scale),
                    bias: Some(Tensor::vector(&shift)),
                    strides: vec![1, 1],
                    dilations: vec![1, 1],
                    padding: Padding::none(2),
                    groups: self.channels,
                };
                graph.apply(Op::from(op), &[x], origin)
            }
            Mean::Image(image) => {
                let mean = graph.apply(Constant { value: image.clone() }, &[], origin)?;
                let kind = ElementwiseKind::Subtract;
                let y = graph.apply(Elementwise { kind }, &[x, mean], origin)?;
                if self.scale == 1.0 {
                    Ok(y)
                } else {
                    graph.apply(factor, &[y], origin)
                }
            }
        }
    }
}

/// The mean image of a file, its middle where it is larger than the input, as Caffe crops both.
fn image(file: &Source, sizes: [usize; 3], limits: &Limits) -> Result<Tensor, String> {
    let path = file.path().display();
    let tensor = weights::mean(file, limits).map_err(|error| format!("{path}: {error}"))?;
    let shape = tensor.shape();
    let [channels, height, width] = sizes;
    let stored = match shape[..] {
        [1, c, h, w] | [c, h, w] => [c, h, w],
        _ => return Err(format!("{path}: expected an image, found {shape:?}")),
    };
    let [c, h, w] = stored;
    if c != channels || h < height || w < width {
        return Err(format!(
            "{path}: the mean image {stored:?} does not fit the input {sizes:?}"
        ));
    }
    let (top, left) = ((h - height) / 2, (w - width) / 2);
    tensor
        .reshape(&stored)
        .and_then(|image| image.narrow(1, top, top + height))
        .and_then(|image| image.narrow(2, left, left + width))
        .and_then(|image| image.to_owned_f32())
        .map_err(|error| format!("{path}: {error}"))
}
