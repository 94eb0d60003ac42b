//! The conversion of a network of 138 million parameters, as a ratio to copying its file, and the time that the
//! runtime takes for one image.

use super::{kibibytes, megabytes};
use crate::Failure;
use crate::fixtures::Environment;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Runs of each; the fastest counts.
const RUNS: usize = 3;

/// The section of the report.
pub(super) fn run(root: &Path, shell: &Shell, binary: &Path) -> Result<String, Failure> {
    let model = root.join("target/bench/vgg16.h5");
    if !model.exists() {
        let python = Environment::Keras.python(root)?;
        let script = root.join("xtask/fixtures/bench/vgg16.py");
        shell.create_dir(root.join("target/bench"))?;
        cmd!(shell, "{python} {script} {model}").run()?;
    }
    let (copy, archive) = (
        root.join("target/bench/copy.h5"),
        root.join("target/bench/vgg16.zip"),
    );
    let mut copied = Duration::MAX;
    let mut converted = Duration::MAX;
    let mut anonymous = 0;
    for _ in 0..RUNS {
        for path in [&copy, &archive] {
            shell.remove_path(path)?;
        }
        let start = Instant::now();
        cmd!(shell, "cp {model} {copy}").quiet().run()?;
        copied = copied.min(start.elapsed());
        let start = Instant::now();
        let mut child = Command::new(binary)
            .args(["convert", "--no-verify", "-o"])
            .args([&archive, &model])
            .stdout(Stdio::null())
            .spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let code = loop {
            if let Some(code) = child.try_wait()? {
                break code;
            }
            anonymous = anonymous.max(kibibytes(&status, "RssAnon:"));
            std::thread::sleep(Duration::from_millis(2));
        };
        converted = converted.min(start.elapsed());
        if !code.success() {
            return Err("the conversion failed".into());
        }
    }
    let image = image(root, shell, binary)?;
    let ratio = converted.as_secs_f64() / copied.as_secs_f64();
    Ok(format!(
        "| conversion of VGG16 ({}, `--no-verify`, warm cache, best of {RUNS}) | |\n|---|---|\n\
         | `cp` of the file | {:.2} s |\n| `caribou convert` | {:.2} s |\n| ratio | {ratio:.1} |\n\
         | peak anonymous memory | {:.0} MiB |\n\n\
         | ResNet-50 on one image of 224 x 224 (`caribou run` as a whole, best of {RUNS}) | |\n|---|---|\n\
         | time | {:.2} s |\n\
         | peak memory | {:.0} MiB |\n",
        megabytes(&model)?,
        copied.as_secs_f64(),
        converted.as_secs_f64(),
        anonymous as f64 / 1024.0,
        image.time.as_secs_f64(),
        image.peak as f64 / 1024.0,
    ))
}

/// What a run cost.
struct Cost {
    time: Duration,
    /// KiB.
    peak: u64,
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
    let mut cost = Cost {
        time: Duration::MAX,
        peak: 0,
    };
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut child = Command::new(binary)
            .arg("run")
            .arg(&model)
            .arg("-o")
            .arg(home.join("output.npy"))
            .arg("--input")
            .arg(&image)
            .stdout(Stdio::null())
            .spawn()?;
        let status = format!("/proc/{}/status", child.id());
        let code = loop {
            if let Some(code) = child.try_wait()? {
                break code;
            }
            cost.peak = cost.peak.max(kibibytes(&status, "VmHWM:"));
            std::thread::sleep(Duration::from_millis(2));
        };
        cost.time = cost.time.min(start.elapsed());
        if !code.success() {
            return Err("the run failed".into());
        }
    }
    Ok(cost)
}
