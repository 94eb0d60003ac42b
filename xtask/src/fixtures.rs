//! Cases made by the real frameworks, in an environment of pinned packages.

use crate::Failure;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// The Python of an environment that holds the pinned packages; made when there is none, or another set.
pub(crate) fn python(root: &Path) -> Result<PathBuf, Failure> {
    let shell = Shell::new()?;
    let requirements = root.join("xtask/fixtures/keras/requirements.txt");
    let environment = root.join("target/venv-keras");
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

/// Writes the Keras cases of a corpus whose names match.
pub(crate) fn keras(root: &Path, out: &str, corpus: &str, pattern: &str) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = python(root)?;
    let script = root.join("xtask/fixtures/keras/generate.py");
    let out = root.join(out);
    shell.create_dir(&out)?;
    cmd!(shell, "{python} {script} {out} {corpus} {pattern}").run()?;
    Ok(())
}
