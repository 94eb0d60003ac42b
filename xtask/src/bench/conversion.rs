//! The conversion of a network of 138 million parameters, as a ratio to copying its file, that of a frozen graph, and the
//! time that the runtime takes for one image.

use super::{Cost, megabytes, watched};
use crate::Failure;
use crate::fixtures::Environment;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Runs of each; the fastest counts.
const RUNS: usize = 3;

/// The most that the conversion of ResNet-50 as a frozen graph may take, in seconds, and of anonymous memory, in MiB.
const FROZEN_AT_MOST: (f64, f64) = (1.0, 150.0);

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
    let resnet = resnet50(root, shell)?;
    let image = image(root, &resnet, binary)?;
    let frozen = frozen(root, shell, &resnet, binary)?;
    let ratio = conversion.time.as_secs_f64() / copied.as_secs_f64();
    Ok(format!(
        "| conversion of VGG16 ({}, `--no-verify`, warm cache, best of {RUNS}) | |\n|---|---|\n\
         | `cp` of the file | {:.2} s |\n| `caribou convert` | {:.2} s |\n| ratio | {ratio:.1} |\n\
         | peak anonymous memory | {:.0} MiB |\n\n\
         {frozen}\n\
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

/// ResNet-50 in `target/bench`: made when there is none.
struct ResNet50 {
    model: PathBuf,
    /// The same as a frozen graph.
    graph: PathBuf,
    image: PathBuf,
}

fn resnet50(root: &Path, shell: &Shell) -> Result<ResNet50, Failure> {
    let home = root.join("target/bench");
    let made = ResNet50 {
        model: home.join("resnet50.h5"),
        graph: home.join("resnet50.pb"),
        image: home.join("image.npy"),
    };
    let ResNet50 { model, graph, image } = &made;
    if ![model, graph, image].iter().all(|path| path.exists()) {
        let python = Environment::Keras.python(root)?;
        let script = root.join("xtask/fixtures/bench/resnet50.py");
        cmd!(shell, "{python} {script} {model} {image} {graph}").run()?;
    }
    Ok(made)
}

/// ResNet-50 as a frozen graph, from file to archive, by itself and with the proof that it computes the same.
fn frozen(root: &Path, shell: &Shell, resnet: &ResNet50, binary: &Path) -> Result<String, Failure> {
    let archive = root.join("target/bench/resnet50.zip");
    let mut rows = String::new();
    for (name, options) in [("`--no-verify`", &["--no-verify"][..]), ("verified", &[])] {
        let mut cost = Cost::MAX;
        for _ in 0..RUNS {
            shell.remove_path(&archive)?;
            let mut command = Command::new(binary);
            command
                .arg("convert")
                .args(options)
                .arg("-o")
                .args([&archive, &resnet.graph]);
            cost = cost.least(watched(&mut command)?);
        }
        rows += &format!(
            "| {name} | {:.2} s | {:.0} MiB |\n",
            cost.time.as_secs_f64(),
            cost.anonymous as f64 / 1024.0
        );
    }
    let (time, memory) = FROZEN_AT_MOST;
    Ok(format!(
        "| `caribou convert` of ResNet-50 as a frozen graph ({}, warm cache, best of {RUNS}) | time, at most {time} s | peak anonymous memory, at most {memory} MiB |\n|---|---|---|\n{rows}",
        megabytes(&resnet.graph)?
    ))
}

/// ResNet-50 read from its file and run on one image: what verifying a conversion of it costs for each example.
fn image(root: &Path, resnet: &ResNet50, binary: &Path) -> Result<Cost, Failure> {
    let mut cost = Cost::MAX;
    for _ in 0..RUNS {
        let output = root.join("target/bench/output.npy");
        let mut command = Command::new(binary);
        command.arg("run").arg(&resnet.model).arg("-o").arg(output);
        command.arg("--input").arg(&resnet.image);
        cost = cost.least(watched(&mut command)?);
    }
    Ok(cost)
}
