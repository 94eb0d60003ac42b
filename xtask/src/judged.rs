//! What the judges of the command have in common: each of a list is done by the command as a user runs it, and stock DL4J says
//! what is wrong with what came of it.

use crate::Failure;
use crate::judge::Judge;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use xshell::{Shell, cmd};

/// What is right about one of a list, or all that is wrong.
pub(crate) type Told = Result<String, Vec<String>>;

/// A list to be judged.
pub(crate) struct Task<'t> {
    /// What it is called at the end.
    pub(crate) name: &'static str,
    /// Only those whose name matches.
    pub(crate) pattern: &'t str,
}

impl Task<'_> {
    /// Has each of `all` judged by `one`, in a folder of its own, then what there is `besides`, and prints what was found.
    pub(crate) fn run<T>(
        &self,
        root: &Path,
        all: impl Iterator<Item = (&'static str, T)>,
        one: impl Fn(T, &Path, &mut Judge, &Path) -> Result<Told, Failure>,
        besides: impl Fn(&Path, &mut Judge) -> Result<Vec<String>, Failure>,
    ) -> Result<ExitCode, Failure> {
        let name = self.name;
        let Some(mut judge) = Judge::build(root)? else {
            eprintln!("SKIPPED: there is no Java or no Maven here, so stock DL4J judged nothing of {name}");
            return Ok(ExitCode::SUCCESS);
        };
        let caribou = built(root)?;
        let (mut right, mut wrong) = (0, 0);
        for (label, each) in all {
            if !crate::case::matches(self.pattern, label) {
                continue;
            }
            let work = tempfile::tempdir()?;
            match one(each, &caribou, &mut judge, work.path())? {
                Ok(told) => {
                    right += 1;
                    println!("{label}: {told}");
                }
                Err(problems) => {
                    wrong += 1;
                    println!("{label}: WRONG");
                    problems.iter().for_each(|problem| println!("    {problem}"));
                }
            }
        }
        for problem in besides(&caribou, &mut judge)? {
            wrong += 1;
            println!("WRONG: {problem}");
        }
        println!("{name}: {right} right, {wrong} wrong");
        if right + wrong == 0 {
            return Err(format!("nothing matches {}", self.pattern).into());
        }
        Ok(match wrong {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

/// The command, built with the features that the whole workspace asks of its dependencies, so that none is compiled again.
pub(crate) fn built(root: &Path) -> Result<PathBuf, Failure> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    cmd!(shell, "cargo build --quiet --workspace --bin caribou").run()?;
    Ok(root.join("target/debug/caribou"))
}

/// The command, as a user runs it. Its complaint where it fails.
pub(crate) fn command(caribou: &Path, arguments: &[&str]) -> Result<Result<(), String>, Failure> {
    let done = Command::new(caribou).args(arguments).arg("--quiet").output()?;
    Ok(match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    })
}
