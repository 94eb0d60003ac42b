//! `--normalizer`: what is done to the numbers of the first input, beside the network or as its first layer.

use crate::command::run::array;
use caribou_ir::op::{Constant, Elementwise, ElementwiseKind, Op, Unary, UnaryKind};
use caribou_ir::{
    Confidence, Graph, Import, LayerTraining, Normalizer, Origin, ReadError, ReadOptions, Reader, ShapeError,
    Source, Tensor, ValueId,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The option.
const OPTION: &str = "--normalizer";
/// What the option stands for without a value: what the data layer of the network does.
const DATA_LAYER: &str = "data-layer";
/// The layer that a normaliser becomes.
const LAYER: &str = "preprocessing";

/// A normaliser as it is given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    /// What the data layer of the network does.
    DataLayer,
    Standardize(PathBuf, PathBuf),
    MinMax(Bound, Bound),
    Image(f64, f64),
    /// Means of channels that are taken away.
    Means(Vec<f32>),
}

/// One number for all channels, or a file with one for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    All(f32),
    File(PathBuf),
}

/// `standardize:mean.npy,std.npy`, and so on.
pub(crate) fn choice(text: &str) -> Result<Choice, String> {
    if text == DATA_LAYER {
        return Ok(Choice::DataLayer);
    }
    let expected = || {
        format!(
            "{text}: expected standardize:MEAN.npy,STD.npy, minmax:LOW,HIGH (numbers or .npy files), image:LOW,HIGH or caffe:MEAN,…"
        )
    };
    let (kind, rest) = text.split_once(':').ok_or_else(expected)?;
    let parts: Vec<&str> = rest.split(',').map(str::trim).collect();
    let number = |text: &str| match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{text} is no number")),
    };
    let bound = |text: &str| match number(text) {
        Ok(number) => Bound::All(number as f32),
        Err(_) => Bound::File(text.into()),
    };
    match (kind, parts.as_slice()) {
        ("standardize", [mean, deviation]) => Ok(Choice::Standardize(mean.into(), deviation.into())),
        ("minmax", [low, high]) => Ok(Choice::MinMax(bound(low), bound(high))),
        ("image", [low, high]) => Ok(Choice::Image(number(low)?, number(high)?)),
        ("caffe", means) => Ok(Choice::Means(
            means
                .iter()
                .map(|mean| Ok(number(mean)? as f32))
                .collect::<Result<_, String>>()?,
        )),
        _ => Err(expected()),
    }
}

/// The arguments with every value of the option joined to it. The option has a meaning without a value too, and what
/// follows it then is no value: `--normalizer deploy.prototxt`.
pub(crate) fn joined(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let kind = argument.to_str().and_then(|text| text.split_once(':'));
        let value = kind.is_some_and(|(kind, _)| kind.len() > 1 && kind.chars().all(char::is_alphabetic));
        match joined.last_mut().filter(|last| value && *last == OPTION) {
            Some(last) => {
                last.push("=");
                last.push(argument);
            }
            None => joined.push(argument),
        }
    }
    joined
}

/// A reader of models whose first input goes through a normaliser.
pub(crate) struct Normalizing {
    pub(crate) reader: Box<dyn Reader>,
    pub(crate) choice: Choice,
    /// Whether it becomes the first layer.
    pub(crate) bake: bool,
}

impl Reader for Normalizing {
    fn name(&self) -> &'static str {
        self.reader.name()
    }

    fn takes_weights(&self) -> bool {
        self.reader.takes_weights()
    }

    fn probe(&self, source: &Source) -> Confidence {
        self.reader.probe(source)
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let mut import = self.reader.read(source, options)?;
        let failed = |message: String| ReadError::Format {
            path: source.path().to_path_buf(),
            message: format!("{OPTION}: {message}"),
            help: "give one number for each channel of the first input".into(),
        };
        let Some((axis, channels)) = channels(&import.graph) else {
            return Err(failed("the channels of the first input are not known".into()));
        };
        let normalizer = resolved(&self.choice, channels).map_err(failed)?;
        if self.bake {
            import.graph =
                baked(&import.graph, &normalizer, axis).map_err(|error| failed(error.to_string()))?;
            // What is done to an input stays as it is in training.
            let frozen = LayerTraining {
                frozen: true,
                ..LayerTraining::default()
            };
            let training = import.training.get_or_insert_default();
            training.layers.insert(LAYER.to_owned(), frozen);
        } else {
            import.normalizer = Some(normalizer);
        }
        Ok(import)
    }
}

/// The axis of the channels of the first input, and their number.
fn channels(graph: &Graph) -> Option<(usize, usize)> {
    let port = graph.inputs().first()?;
    let shape = graph.shape(port.value);
    let axis = port.layout.channel_axis(shape.rank())?;
    Some((axis, shape.size(axis)?))
}

/// The normaliser with its numbers, for this many channels.
fn resolved(choice: &Choice, channels: usize) -> Result<Normalizer, String> {
    let fits = |numbers: Vec<f32>, what: &str| match numbers.len() {
        1 => Ok(vec![numbers[0]; channels]),
        count if count == channels => Ok(numbers),
        count => Err(format!("{what}: {count} numbers for {channels} channels")),
    };
    let file = |path: &Path| {
        let array = array(path).map_err(|failure| failure.message().to_owned())?;
        fits(array.iter().copied().collect(), &path.display().to_string())
    };
    let bound = |bound: &Bound| match bound {
        Bound::All(number) => Ok(vec![*number; channels]),
        Bound::File(path) => file(path),
    };
    let normalizer = match choice {
        Choice::DataLayer => return Err("this format has no data layer; say what it is to do".into()),
        Choice::Standardize(mean, deviation) => Normalizer::Standardize {
            mean: file(mean)?,
            deviation: file(deviation)?,
        },
        Choice::MinMax(low, high) => Normalizer::MinMax {
            minimum: bound(low)?,
            maximum: bound(high)?,
            target: [0.0, 1.0],
        },
        Choice::Image(low, high) => Normalizer::Image {
            low: *low,
            high: *high,
            pixel: 255.0,
        },
        Choice::Means(means) => Normalizer::Standardize {
            mean: fits(means.clone(), "the means")?,
            deviation: vec![1.0; channels],
        },
    };
    let degenerate = match &normalizer {
        Normalizer::Standardize { mean, deviation } => {
            let bad = |(mean, deviation): (&f32, &f32)| {
                !mean.is_finite() || !deviation.is_finite() || *deviation <= 0.0
            };
            mean.iter().zip(deviation).position(bad)
        }
        Normalizer::MinMax { minimum, maximum, .. } => {
            let bad = |(low, high): (&f32, &f32)| !(low < high && (high - low).is_finite());
            minimum.iter().zip(maximum).position(bad)
        }
        Normalizer::Image { low, high, .. } => (low >= high).then_some(0),
    };
    match degenerate {
        Some(channel) => Err(format!(
            "channel {channel} has no range: deviations must be above zero, and the larger bound above the smaller"
        )),
        None => Ok(normalizer),
    }
}

/// The graph with the normaliser as its first layer.
fn baked(graph: &Graph, normalizer: &Normalizer, axis: usize) -> Result<Graph, ShapeError> {
    let (mut new, mut values) = graph.same_inputs();
    let Some(port) = graph.inputs().first() else {
        return Err(ShapeError::new("there is no input"));
    };
    let rank = graph.shape(port.value).rank();
    let x = values[&port.value];
    let normalized = layer(&mut new, x, normalizer, axis, rank)?;
    values.insert(port.value, normalized);
    for (_, node) in graph.nodes() {
        new.push_mapped(node, node.op.clone(), &mut values)?;
    }
    for port in graph.outputs() {
        new.output_like(port, values[&port.value]);
    }
    Ok(new)
}

/// A shift, then a factor, for each channel: in this order nothing of the range is lost to rounding.
fn layer(
    graph: &mut Graph,
    x: ValueId,
    normalizer: &Normalizer,
    axis: usize,
    rank: usize,
) -> Result<ValueId, ShapeError> {
    let origin = Origin::new(LAYER, "normalizer");
    let steps: [(ElementwiseKind, Vec<f64>); 3] = match normalizer {
        Normalizer::Standardize { mean, deviation } => [
            (
                ElementwiseKind::Add,
                mean.iter().map(|&mean| -f64::from(mean)).collect(),
            ),
            (
                ElementwiseKind::Multiply,
                deviation
                    .iter()
                    .map(|&deviation| 1.0 / f64::from(deviation))
                    .collect(),
            ),
            (ElementwiseKind::Add, vec![0.0]),
        ],
        Normalizer::MinMax {
            minimum,
            maximum,
            target,
        } => [
            (
                ElementwiseKind::Add,
                minimum.iter().map(|&low| -f64::from(low)).collect(),
            ),
            (
                ElementwiseKind::Multiply,
                minimum
                    .iter()
                    .zip(maximum)
                    .map(|(&low, &high)| (target[1] - target[0]) / (f64::from(high) - f64::from(low)))
                    .collect(),
            ),
            (ElementwiseKind::Add, vec![target[0]]),
        ],
        Normalizer::Image { low, high, pixel } => [
            (ElementwiseKind::Multiply, vec![(high - low) / pixel]),
            (ElementwiseKind::Add, vec![*low]),
            (ElementwiseKind::Add, vec![0.0]),
        ],
    };
    let mut y = x;
    for (kind, numbers) in steps {
        y = step(graph, y, kind, &numbers, (axis, rank), &origin)?;
    }
    Ok(y)
}

fn step(
    graph: &mut Graph,
    x: ValueId,
    kind: ElementwiseKind,
    numbers: &[f64],
    (axis, rank): (usize, usize),
    origin: &Origin,
) -> Result<ValueId, ShapeError> {
    let neutral = if kind == ElementwiseKind::Add { 0.0 } else { 1.0 };
    if numbers.iter().all(|&number| number == neutral) {
        return Ok(x);
    }
    if let [first, rest @ ..] = numbers
        && rest.iter().all(|number| number == first)
    {
        let kind = match kind {
            ElementwiseKind::Add => UnaryKind::Affine {
                scale: 1.0,
                shift: *first,
            },
            _ => UnaryKind::Affine {
                scale: *first,
                shift: 0.0,
            },
        };
        return graph.apply(Unary { kind }, &[x], origin);
    }
    let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
    let mut shape = vec![1; rank];
    shape[axis] = numbers.len();
    let value = Tensor::from_f32(&shape, &numbers).map_err(|error| ShapeError::new(error.to_string()))?;
    let constant = graph.apply(Op::from(Constant { value }), &[], origin)?;
    graph.apply(Elementwise { kind }, &[x, constant], origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_from_the_model_behind_the_option() {
        let joined = |list: &[&str]| -> Vec<OsString> { joined(list.iter().map(OsString::from)) };
        assert_eq!(joined(&["--normalizer", "image:0,1"]), ["--normalizer=image:0,1"]);
        let apart = ["--normalizer", "deploy.prototxt", "-o", "a.zip"];
        assert_eq!(joined(&apart), apart);
        let drive = ["--normalizer", "C:net.prototxt"];
        assert_eq!(joined(&drive), drive);
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(choice("data-layer"), Ok(Choice::DataLayer));
        assert_eq!(
            choice("caffe:104,117,-1"),
            Ok(Choice::Means(vec![104.0, 117.0, -1.0]))
        );
        assert_eq!(choice("image:-1,1"), Ok(Choice::Image(-1.0, 1.0)));
        assert_eq!(
            choice("minmax:0,high.npy"),
            Ok(Choice::MinMax(Bound::All(0.0), Bound::File("high.npy".into())))
        );
        for wrong in [
            "standardize:mean.npy",
            "minmax:1",
            "image:a,1",
            "caffe:NaN",
            "other:1,2",
        ] {
            assert!(choice(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn channels_without_a_range_are_refused() {
        for (choice, works) in [
            (Choice::MinMax(Bound::All(1.0), Bound::All(1.0)), false),
            (Choice::Image(1.0, 0.0), false),
            (Choice::Means(vec![1.0, 2.0]), false),
            (Choice::Means(vec![1.0, 2.0, 3.0]), true),
            (Choice::Means(vec![1.0]), true),
        ] {
            assert_eq!(resolved(&choice, 3).is_ok(), works, "{choice:?}");
        }
    }
}
