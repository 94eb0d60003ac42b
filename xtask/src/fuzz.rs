//! Coverage-guided fuzzing of the readers, from the committed cases.

use crate::Failure;
use std::path::Path;
use xshell::{Shell, cmd};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// One of the targets in xtask/fuzz/targets; all of them where none is named.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// A target, and the endings of the files that it starts from.
const TARGETS: [(&str, &[&str]); 6] = [
    ("keras", &["h5", "keras"]),
    ("tensorflow", &["pb", "pbtxt"]),
    ("caffe_text", &["prototxt"]),
    ("caffe_weights", &["caffemodel"]),
    ("dl4j", &["zip"]),
    ("words", &["txt", "bin", "vec", "gz", "zip"]),
];

pub(crate) fn run(root: &Path, options: &Options) -> Result<(), Failure> {
    let chosen = |name: &str| options.target.as_deref().is_none_or(|target| target == name);
    if !TARGETS.iter().any(|(name, _)| chosen(name)) {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        return Err(format!("there is no such target; there are {names}").into());
    }
    let shell = Shell::new()?;
    shell.change_dir(root.join("xtask"));
    if cmd!(shell, "cargo +nightly fuzz --version")
        .quiet()
        .ignore_stdout()
        .run()
        .is_err()
    {
        return Err("fuzzing needs a nightly compiler and cargo-fuzz: rustup toolchain install nightly && cargo install cargo-fuzz".into());
    }
    for (name, endings) in TARGETS.iter().filter(|(name, _)| chosen(name)) {
        let corpus = root.join("xtask/fuzz/corpus").join(name);
        shell.create_dir(&corpus)?;
        let mut seeds = 0;
        copy_seeds(&root.join("testdata"), endings, &corpus, &mut seeds)?;
        println!("{name}: {seeds} files of the cases to start from");
        let seconds = options.seconds.to_string();
        cmd!(
            shell,
            "cargo +nightly fuzz run --fuzz-dir fuzz {name} {corpus} -- -max_total_time={seconds} -timeout=20 -rss_limit_mb=2048"
        )
        .run()?;
    }
    Ok(())
}

/// Copies all files with one of these endings, numbered.
fn copy_seeds(folder: &Path, endings: &[&str], corpus: &Path, count: &mut usize) -> Result<(), Failure> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    paths.sort_by_key(std::fs::DirEntry::path);
    for entry in paths {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            copy_seeds(&path, endings, corpus, count)?;
        } else if path
            .extension()
            .is_some_and(|ending| endings.iter().any(|&wanted| ending == wanted))
        {
            std::fs::copy(&path, corpus.join(format!("case-{count}")))?;
            *count += 1;
        }
    }
    Ok(())
}
