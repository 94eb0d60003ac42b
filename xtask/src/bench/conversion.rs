//! The conversion of a network of 138 million parameters, as a ratio to copying its file, and the time that the
//! runtime takes for one image.

use super::{Cost, megabytes, watched};
use crate::Failure;
use crate::fixtures::Environment;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Runs of each; the fastest counts.
const RUNS: usize = 3;

/// VGG16 as a Keras file; made when there is none.
pub(super) fn vgg16(root: &Path, shell: &Shell) -> Result<PathBuf, Failure> {
    let model = root.join("target/bench/vgg16.h5");
    if !model.exists() {
        let python = Environment::Keras.python(root)?;
        let script = root.join("xtask/fixtures/bench/vgg16.py");
        cmd!(shell, "{python} {script} {model}").run()?;
    }
    Ok(model)
}

/// The section of the report.
pub(super) fn run(root: &Path, shell: &Shell, binary: &Path) -> Result<String, Failure> {
    let model = vgg16(root, shell)?;
    let (copy, archive) = (
        root.join("target/bench/copy.h5"),
        root.join("target/bench/vgg16.zip"),
    );
    let mut copied = Duration::MAX;
    let mut conversion = Cost::MAX;
    for _ in 0..RUNS {
        for path in [&copy, &archive] {
            shell.remove_path(path)?;
        }
        let start = Instant::now();
        cmd!(shell, "cp {model} {copy}").quiet().run()?;
        copied = copied.min(start.elapsed());
        let convert = ["convert", "--no-verify", "-o"];
        conversion = conversion.least(watched(
            Command::new(binary).args(convert).args([&archive, &model]),
        )?);
    }
    let image = image(root, shell, binary)?;
    let ratio = conversion.time.as_secs_f64() / copied.as_secs_f64();
    Ok(format!(
        "| conversion of VGG16 ({}, `--no-verify`, warm cache, best of {RUNS}) | |\n|---|---|\n\
         | `cp` of the file | {:.2} s |\n| `caribou convert` | {:.2} s |\n| ratio | {ratio:.1} |\n\
         | peak anonymous memory | {:.0} MiB |\n\n\
         | ResNet-50 on one image of 224 x 224 (`caribou run` as a whole, best of {RUNS}) | |\n|---|---|\n\
         | time | {:.2} s |\n\
         | peak memory | {:.0} MiB |\n",
        megabytes(&model)?,
        copied.as_secs_f64(),
        conversion.time.as_secs_f64(),
        conversion.anonymous as f64 / 1024.0,
        image.time.as_secs_f64(),
        image.peak as f64 / 1024.0,
    ))
}

/// ResNet-50 read from its file and run on one image: what verifying a conversion of it costs for each example.
fn image(root: &Path, shell: &Shell, binary: &Path) -> Result<Cost, Failure> {
    let home = root.join("target/bench");
    let (model, image) = (home.join("resnet50.h5"), home.join("image.npy"));
    if !model.exists() || !image.exists() {
        let python = Environment::Keras.python(root)?;
        let script = root.join("xtask/fixtures/bench/resnet50.py");
        cmd!(shell, "{python} {script} {model} {image}").run()?;
    }
    let mut cost = Cost::MAX;
    for _ in 0..RUNS {
        let output = home.join("output.npy");
        let mut command = Command::new(binary);
        command
            .arg("run")
            .arg(&model)
            .arg("-o")
            .arg(output)
            .arg("--input")
            .arg(&image);
        cost = cost.least(watched(&mut command)?);
    }
    Ok(cost)
}
