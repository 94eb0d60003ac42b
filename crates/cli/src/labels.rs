//! What the examples are, or each step or place of them, to tell how many a classifier gets right.

use crate::failure::Failure;
use crate::npy::Rows;
use caribou_ir::{Source, ValidGraph};
use caribou_runtime::Array;
use ndarray::Axis;

/// The classes of all examples, at one or several outputs.
pub(crate) struct Labels {
    outputs: Vec<Classes>,
}

struct Classes {
    /// The number and the name of the output.
    output: usize,
    name: String,
    /// The axis of the classes.
    axis: usize,
    /// The class of each example, or of each step or place of each.
    classes: Vec<usize>,
    /// The share that the source gets right.
    before: f64,
}

/// The share of examples, or of their steps or places, that are right at an output.
pub(crate) struct Accuracy {
    pub(crate) output: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
}

impl Labels {
    /// The labels in these files, `[OUTPUT=]FILE.npy`, for the outputs that the source gives.
    ///
    /// # Errors
    /// All of them a matter of `--labels`: a file that is no array, an output that is not there, or labels of another shape or
    /// that are no classes.
    pub(crate) fn read(graph: &ValidGraph, expected: &[Array], given: &[String]) -> Result<Self, Failure> {
        let ports = graph.outputs();
        let mut outputs: Vec<Classes> = Vec::new();
        for text in given {
            let fail = |message: String| Failure::Usage(format!("--labels: {text}: {message}"));
            let named = text.split_once('=');
            let position = match named {
                Some((name, _)) => ports
                    .iter()
                    .position(|port| port.name == name || port.source_name == name),
                None if ports.len() == 1 => Some(0),
                None => None,
            };
            let Some(output) = position else {
                let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
                return Err(fail(format!(
                    "which output it belongs to is not known: expected OUTPUT=FILE.npy with one of {}",
                    names.join(", ")
                )));
            };
            let name = ports[output].name.clone();
            if outputs.iter().any(|classes| classes.output == output) {
                return Err(fail(format!("output {name} has labels already")));
            }
            let path = named.map_or(text.as_str(), |(_, path)| path);
            let source = Source::open(path).map_err(|error| fail(error.to_string()))?;
            let rows = Rows::of(&source)?;
            let examples = rows.shape().first().copied().unwrap_or(0);
            let labels = rows.rows(0..examples);
            let shape = expected[output].shape();
            let axis = ports[output].layout.channel_axis(shape.len());
            let axis = axis.ok_or_else(|| {
                fail(format!(
                    "output {name} gives an array of shape {shape:?}: expected [examples, classes]"
                ))
            })?;
            let classes = classes(&labels, &expected[output], axis)
                .map_err(|message| fail(format!("output {name}: {message}")))?;
            let before = share(&classes, &expected[output], axis);
            outputs.push(Classes {
                output,
                name,
                axis,
                classes,
                before,
            });
        }
        Ok(Self { outputs })
    }

    /// How many of the examples are right, by the outputs of the source and by these.
    pub(crate) fn accuracies(&self, found: &[Array]) -> Vec<Accuracy> {
        let accuracy = |labels: &Classes| Accuracy {
            output: labels.name.clone(),
            before: labels.before,
            after: share(&labels.classes, &found[labels.output], labels.axis),
        };
        self.outputs.iter().map(accuracy).collect()
    }
}

/// The largest loss of accuracy; gains are none.
pub(crate) fn loss(accuracies: &[Accuracy]) -> f64 {
    let losses = accuracies.iter().map(|accuracy| accuracy.before - accuracy.after);
    losses.fold(0.0, f64::max)
}

/// The classes along this axis of the output: of indices, one for each example, step or place, or of an array like the output
/// with one 1 among zeros.
fn classes(labels: &Array, output: &Array, axis: usize) -> Result<Vec<usize>, String> {
    let mut without = output.shape().to_vec();
    let width = without.remove(axis);
    // One number tells two classes apart.
    let count = width.max(2);
    let mut kept = output.shape().to_vec();
    kept[axis] = 1;
    if labels.shape() == without || labels.shape() == kept {
        let class =
            |(row, &label): (usize, &f32)| match label >= 0.0 && label.fract() == 0.0 && label < count as f32
            {
                true => Ok(label as usize),
                false => Err(format!(
                    "label {row} is {label}: expected a class from 0 to {}",
                    count - 1
                )),
            };
        return labels.iter().enumerate().map(class).collect();
    }
    if labels.shape() != output.shape() {
        return Err(format!(
            "expected classes of shape {without:?}, or ones among zeros of shape {:?}, found {:?}",
            output.shape(),
            labels.shape()
        ));
    }
    let class = |(row, label): (usize, ndarray::ArrayView1<f32>)| {
        let ones = label.iter().filter(|&&value| value == 1.0).count();
        let zeros = label.iter().filter(|&&value| value == 0.0).count();
        let place = label.iter().position(|&value| value == 1.0);
        place
            .filter(|_| ones == 1 && ones + zeros == width)
            .ok_or_else(|| format!("label {row} is not one 1 among zeros"))
    };
    labels
        .lanes(Axis(axis))
        .into_iter()
        .enumerate()
        .map(class)
        .collect()
}

/// The share of examples, steps or places whose largest output is that of their class; of one output, whether it is above 1/2.
/// Outputs that are no numbers are wrong.
fn share(classes: &[usize], outputs: &Array, axis: usize) -> f64 {
    let right = outputs
        .lanes(Axis(axis))
        .into_iter()
        .zip(classes)
        .filter(|(row, class)| predicted(row.iter().copied()) == Some(**class))
        .count();
    right as f64 / classes.len().max(1) as f64
}

fn predicted(row: impl ExactSizeIterator<Item = f32>) -> Option<usize> {
    let alone = row.len() == 1;
    let mut best: Option<(usize, f32)> = None;
    for (class, value) in row.enumerate() {
        if value.is_nan() {
            return None;
        }
        if alone {
            return Some(usize::from(value > 0.5));
        }
        if best.is_none_or(|(_, most)| value > most) {
            best = Some((class, value));
        }
    }
    best.map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::{classes, predicted, share};
    use caribou_runtime::Array;

    fn array(shape: &[usize], values: &[f32]) -> Array {
        Array::from_shape_vec(shape, values.to_vec()).unwrap_or_default()
    }

    #[test]
    fn classes_are_read_from_indices_and_from_rows() {
        let output = array(&[2, 3], &[0.0; 6]);
        let expected = Ok(vec![2, 0]);
        assert_eq!(classes(&array(&[2], &[2.0, 0.0]), &output, 1), expected);
        assert_eq!(classes(&array(&[2, 1], &[2.0, 0.0]), &output, 1), expected);
        let rows = array(&[2, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(classes(&rows, &output, 1), expected);
        for wrong in [
            array(&[3], &[0.0; 3]),
            array(&[3, 1], &[0.0; 3]),
            array(&[2], &[0.0, 3.0]),
            array(&[2], &[0.0, 0.5]),
            array(&[2, 3], &[0.0; 6]),
            array(&[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ] {
            assert!(classes(&wrong, &output, 1).is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_and_places_have_classes_of_their_own() {
        // Two steps of one example, of three classes; the same with the classes first.
        let steps = array(&[1, 2, 3], &[0.1, 0.8, 0.1, 0.6, 0.2, 0.2]);
        let first = array(&[1, 3, 2], &[0.1, 0.6, 0.8, 0.2, 0.1, 0.2]);
        for (output, axis) in [(&steps, 2), (&first, 1)] {
            let labels = classes(&array(&[1, 2], &[1.0, 2.0]), output, axis);
            assert_eq!(labels, Ok(vec![1, 2]));
            assert_eq!(share(&[1, 2], output, axis), 0.5);
        }
        let ones = array(&[1, 3, 2], &[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(classes(&ones, &first, 1), Ok(vec![1, 2]));
        assert!(classes(&array(&[1, 3], &[0.0; 3]), &steps, 2).is_err());
    }

    #[test]
    fn the_first_of_equal_outputs_counts_and_no_number_is_wrong() {
        let of = |values: &[f32]| predicted(values.iter().copied());
        assert_eq!(of(&[0.1, 0.7, 0.7]), Some(1));
        assert_eq!(of(&[0.1, f32::NAN]), None);
        assert_eq!((of(&[0.5]), of(&[0.6])), (Some(0), Some(1)));
    }
}
