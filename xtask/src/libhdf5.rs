//! Both HDF5 libraries over the files of all cases: a test of the reader that needs the C library, and CMake to build it.

use crate::Failure;
use std::path::Path;
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// Compares every attribute and every dataset of all cases, byte for byte.
pub(crate) fn run(root: &Path) -> Result<ExitCode, Failure> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    let test = [
        "--package",
        "caribou-reader-keras",
        "--features",
        "libhdf5",
        "--test",
        "libraries",
    ];
    cmd!(shell, "cargo test --quiet {test...} -- --nocapture").run()?;
    Ok(ExitCode::SUCCESS)
}
