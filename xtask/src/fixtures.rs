//! Cases made by the real frameworks, in an environment of pinned packages.

use crate::{Failure, maven};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// A pinned environment of packages.
#[derive(Clone, Copy)]
pub(crate) enum Environment {
    /// Keras 2 and TensorFlow, which makes the graphs of both of its generations.
    Keras,
    /// Keras 3.
    Keras3,
    /// NumPy and OpenCV, which runs layers of forks of Caffe; Caffe itself comes with Maven.
    Caffe,
    /// NumPy and PyTorch, the peers of benchmarks.
    Torch,
    /// gensim, which reads and writes word vectors.
    Words,
}

impl Environment {
    /// The folder of the environment, and the list of its packages.
    fn paths(self) -> (&'static str, &'static str) {
        match self {
            Self::Keras => ("target/venv-keras", "xtask/fixtures/keras/requirements.txt"),
            Self::Keras3 => (
                "target/venv-keras3",
                "xtask/fixtures/keras/requirements-keras3.txt",
            ),
            Self::Caffe => ("target/venv-caffe", "xtask/fixtures/caffe/requirements.txt"),
            Self::Torch => ("target/venv-torch", "xtask/fixtures/bench/requirements-torch.txt"),
            Self::Words => ("target/venv-words", "xtask/fixtures/words/requirements.txt"),
        }
    }

    /// The Python of the environment; made when there is none, or another set of packages.
    pub(crate) fn python(self, root: &Path) -> Result<PathBuf, Failure> {
        let shell = Shell::new()?;
        let (environment, requirements) = self.paths();
        let requirements = root.join(requirements);
        let environment = root.join(environment);
        let stamp = environment.join("installed.txt");
        let python = environment.join("bin/python");
        let wanted = shell.read_file(&requirements)?;
        if shell.read_file(&stamp).ok().as_ref() != Some(&wanted) {
            cmd!(shell, "python3 -m venv {environment}").run()?;
            cmd!(
                shell,
                "{python} -m pip install --quiet --disable-pip-version-check -r {requirements}"
            )
            .run()?;
            shell.write_file(&stamp, wanted)?;
        }
        Ok(python)
    }
}

/// Writes the data set of `cargo xtask transfer`.
pub(crate) fn digits(root: &Path) -> Result<(), Failure> {
    let python = Environment::Keras.python(root)?;
    let shell = Shell::new()?;
    let script = root.join("xtask/fixtures/keras/digits.py");
    let out = root.join("testdata/digits");
    let cases = root.join("testdata/keras");
    cmd!(shell, "{python} {script} {cases} {out}").run()?;
    Ok(())
}

/// Writes the cases of a corpus whose names match.
pub(crate) fn keras(
    root: &Path,
    environment: Environment,
    out: &str,
    corpus: &str,
    pattern: &str,
) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = environment.python(root)?;
    let script = root.join("xtask/fixtures/keras/generate.py");
    let out = root.join(out);
    shell.create_dir(&out)?;
    cmd!(shell, "{python} {script} {out} {corpus} {pattern}").run()?;
    Ok(())
}

/// Writes the cases of TensorFlow whose names match, of the committed corpus or of another.
pub(crate) fn tensorflow(root: &Path, out: &str, corpus: &str, pattern: &str) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = Environment::Keras.python(root)?;
    let script = root.join("xtask/fixtures/tf/generate.py");
    let out = root.join(out);
    shell.create_dir(&out)?;
    cmd!(shell, "{python} {script} {out} {corpus} {pattern}").run()?;
    Ok(())
}

/// Writes the small members of families of `keras.applications` whose names match.
pub(crate) fn families(root: &Path, pattern: &str) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = Environment::Keras.python(root)?;
    let script = root.join("xtask/fixtures/tf/families.py");
    let out = root.join("testdata/parity");
    shell.create_dir(&out)?;
    cmd!(shell, "{python} {script} {out} {pattern}").run()?;
    Ok(())
}

/// Writes the cases of a corpus of Caffe whose names match, computed by real Caffe on a JVM.
pub(crate) fn caffe(root: &Path, out: &str, corpus: &str, pattern: &str) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let Some(classpath) = maven::classpath(root, "caffe-judge")? else {
        return Err("real Caffe comes with Maven and runs on Java; one of them is missing here".into());
    };
    let python = Environment::Caffe.python(root)?;
    let script = root.join("xtask/fixtures/caffe/generate.py");
    let out = root.join(out);
    shell.create_dir(&out)?;
    cmd!(shell, "{python} {script} {out} {classpath} {pattern} {corpus}").run()?;
    Ok(())
}
