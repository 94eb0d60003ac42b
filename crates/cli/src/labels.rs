//! What the examples are, to tell how many of them a classifier gets right.

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
    /// The class of each example.
    classes: Vec<usize>,
    /// The share that the source gets right.
    before: f64,
}

/// The share of examples that are right at an output.
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
            let classes = classes(&labels, &expected[output])
                .map_err(|message| fail(format!("output {name}: {message}")))?;
            let before = share(&classes, &expected[output]);
            outputs.push(Classes {
                output,
                name,
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
            after: share(&labels.classes, &found[labels.output]),
        };
        self.outputs.iter().map(accuracy).collect()
    }
}

/// The largest loss of accuracy; gains are none.
pub(crate) fn loss(accuracies: &[Accuracy]) -> f64 {
    let losses = accuracies.iter().map(|accuracy| accuracy.before - accuracy.after);
    losses.fold(0.0, f64::max)
}

/// The class of each example, of indices `[N]` or `[N, 1]` or of rows `[N, C]` with one 1.
fn classes(labels: &Array, output: &Array) -> Result<Vec<usize>, String> {
    let &[examples, width] = output.shape() else {
        return Err(format!(
            "it gives an array of shape {:?}: expected [examples, classes]",
            output.shape()
        ));
    };
    // One number tells two classes apart.
    let count = width.max(2);
    let indices = match *labels.shape() {
        [n] | [n, 1] if n == examples => true,
        [n, c] if n == examples && c == width => false,
        _ => {
            return Err(format!(
                "expected classes of shape [{examples}] or rows with one 1 of shape [{examples}, {width}], found {:?}",
                labels.shape()
            ));
        }
    };
    if indices {
        let class =
            |(row, &label): (usize, &f32)| match label >= 0.0 && label.fract() == 0.0 && label < count as f32
            {
                true => Ok(label as usize),
                false => Err(format!(
                    "example {row} is {label}: expected a class from 0 to {}",
                    count - 1
                )),
            };
        return labels.iter().enumerate().map(class).collect();
    }
    let class = |(row, label): (usize, ndarray::ArrayViewD<f32>)| {
        let ones = label.iter().filter(|&&value| value == 1.0).count();
        let zeros = label.iter().filter(|&&value| value == 0.0).count();
        let place = label.iter().position(|&value| value == 1.0);
        place
            .filter(|_| ones == 1 && ones + zeros == width)
            .ok_or_else(|| format!("example {row} is no row of zeros with one 1"))
    };
    labels.axis_iter(Axis(0)).enumerate().map(class).collect()
}

/// The share of examples whose largest output is that of their class; of one output, whether it is above 1/2. Outputs that are no
/// numbers are wrong.
fn share(classes: &[usize], outputs: &Array) -> f64 {
    let right = outputs
        .axis_iter(Axis(0))
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
    use super::{classes, predicted};
    use caribou_runtime::Array;

    fn array(shape: &[usize], values: &[f32]) -> Array {
        Array::from_shape_vec(shape, values.to_vec()).unwrap_or_default()
    }

    #[test]
    fn classes_are_read_from_indices_and_from_rows() {
        let output = array(&[2, 3], &[0.0; 6]);
        let expected = Ok(vec![2, 0]);
        assert_eq!(classes(&array(&[2], &[2.0, 0.0]), &output), expected);
        assert_eq!(classes(&array(&[2, 1], &[2.0, 0.0]), &output), expected);
        let rows = array(&[2, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(classes(&rows, &output), expected);
        for wrong in [
            array(&[3], &[0.0; 3]),
            array(&[3, 1], &[0.0; 3]),
            array(&[2], &[0.0, 3.0]),
            array(&[2], &[0.0, 0.5]),
            array(&[2, 3], &[0.0; 6]),
            array(&[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ] {
            assert!(classes(&wrong, &output).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_of_equal_outputs_counts_and_no_number_is_wrong() {
        let of = |values: &[f32]| predicted(values.iter().copied());
        assert_eq!(of(&[0.1, 0.7, 0.7]), Some(1));
        assert_eq!(of(&[0.1, f32::NAN]), None);
        assert_eq!((of(&[0.5]), of(&[0.6])), (Some(0), Some(1)));
    }
}
