//! The judge of normalizers: what stock DL4J restores from an archive, applied to an array, against the arithmetic that the
//! option states.

use crate::Failure;
use crate::judge::Judge;
use crate::verify::{Converted, difference};
use caribou_ir::Normalizer;
use ndarray::ArrayD;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A network on images of two channels, in DL4J's axis order.
const MODEL: &str = "testdata/keras/conv2d_same/model.h5";
/// Means and deviations, or bounds, of the channels.
const LOW: [f32; 4] = [0.5, -1.0, 3.0, 7.5];
const HIGH: [f32; 4] = [1.5, 4.0, 3.25, 9.0];

#[derive(Debug, Default, Deserialize)]
struct Restored {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    class: String,
}

/// A form of the option, the class that DL4J makes of it, and what becomes of a number of a channel.
type Form = (String, &'static str, fn(f32, usize) -> f32);

/// The inputs as a network behind this normalizer gets them, by the arithmetic that the normalizer states. Those of cases
/// standardise channels, on axis 1.
pub(crate) fn applied(normalizer: Option<&Normalizer>, mut inputs: Vec<ArrayD<f32>>) -> Vec<ArrayD<f32>> {
    if let (Some(Normalizer::Standardize { mean, deviation }), Some(first)) = (normalizer, inputs.first_mut())
    {
        for (index, value) in first.indexed_iter_mut() {
            *value = (*value - mean[index[1]]) / deviation[index[1]];
        }
    }
    inputs
}

impl Judge {
    /// The inputs as the normalizer of an archive, restored by stock DL4J, leaves them; as they are where it has none.
    pub(crate) fn normalized(
        &mut self,
        converted: &Converted,
        mut inputs: Vec<ArrayD<f32>>,
        work: &Path,
    ) -> Result<Vec<ArrayD<f32>>, Failure> {
        let (Some(_), Some(first)) = (&converted.normalizer, inputs.first_mut()) else {
            return Ok(inputs);
        };
        let (raw, out) = (work.join("raw.npy"), work.join("normalized.npy"));
        ndarray_npy::write_npy(&raw, first)?;
        let restored: Restored =
            self.surgery(&json!({ "normalizer": &converted.archive, "x": &raw, "out": &out }))?;
        if !restored.ok {
            return Err(format!("the normalizer can't be restored: {}", restored.error).into());
        }
        *first = ndarray_npy::read_npy(&out)?;
        Ok(inputs)
    }
}

/// Writes, restores and applies every form; what is wrong, by form.
pub(crate) fn judge(root: &Path, caribou: &Path, judge: &mut Judge) -> Result<Vec<String>, Failure> {
    let work = tempfile::tempdir()?;
    let path = |name: &str| work.path().join(name).display().to_string();
    let x: ArrayD<f32> = ndarray_npy::read_npy(root.join("testdata/keras/conv2d_same/in0.npy"))?;
    let x = x
        .permuted_axes(vec![0, 3, 1, 2])
        .as_standard_layout()
        .into_owned();
    let channels = x.shape()[1];
    let (low, high) = (&LOW[..channels], &HIGH[..channels]);
    ndarray_npy::write_npy(path("x.npy"), &x)?;
    ndarray_npy::write_npy(path("low.npy"), &ndarray::arr1(low))?;
    ndarray_npy::write_npy(path("high.npy"), &ndarray::arr1(high))?;
    let means = low.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let forms: [Form; 4] = [
        (
            format!("standardize:{},{}", path("low.npy"), path("high.npy")),
            "NormalizerStandardize",
            |x, c| (x - LOW[c]) / HIGH[c],
        ),
        (
            format!("minmax:{},{}", path("low.npy"), path("high.npy")),
            "NormalizerMinMaxScaler",
            |x, c| (x - LOW[c]) / (HIGH[c] - LOW[c]),
        ),
        ("image:-1,1".to_owned(), "ImagePreProcessingScaler", |x, _| {
            x / 255.0 * 2.0 - 1.0
        }),
        (format!("caffe:{means}"), "NormalizerStandardize", |x, c| {
            x - LOW[c]
        }),
    ];
    let mut wrong = Vec::new();
    for (form, class, arithmetic) in forms {
        let (archive, out) = (path("a.zip"), path("out.npy"));
        let model = root.join(MODEL).display().to_string();
        let arguments = [
            "convert",
            &model,
            "-o",
            &archive,
            "--force",
            "--layout",
            "nchw",
            "--normalizer",
            &form,
        ];
        let done = Command::new(caribou).args(arguments).output()?;
        if !done.status.success() {
            wrong.push(format!("{form}: {}", String::from_utf8_lossy(&done.stderr)));
            continue;
        }
        let restored: Restored =
            judge.surgery(&json!({ "normalizer": archive, "x": path("x.npy"), "out": out }))?;
        if !restored.ok || restored.class != class {
            wrong.push(format!("{form}: {} {}", restored.class, restored.error));
            continue;
        }
        let mut expected = x.clone();
        for (index, value) in expected.indexed_iter_mut() {
            *value = arithmetic(*value, index[1]);
        }
        match difference(&[expected], &[ndarray_npy::read_npy(&out)?]) {
            Ok(error) if error <= 1e-6 => println!("normalizer {class}: error {error:.1e}"),
            Ok(error) => wrong.push(format!("{form}: relative error {error:.1e}")),
            Err(message) => wrong.push(format!("{form}: {message}")),
        }
    }
    Ok(wrong)
}
