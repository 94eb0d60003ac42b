//! The house rules that can be checked: which crate may depend on which, and how files are named and sized.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn crates_depend_on_the_graph_and_on_nothing_else_of_the_workspace() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        let own = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal);
        let own = own
            .map(|dependency| dependency.name.to_string())
            .filter(|name| name.starts_with("caribou-"));
        found.insert(package.name.to_string(), own.collect());
    }
    let only = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("caribou-{name}"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(found["caribou-ir"], only(&[]));
    for name in [
        "reader-keras",
        "reader-tf",
        "reader-caffe",
        "writer-dl4j",
        "optimize",
        "runtime",
        "word-vectors",
    ] {
        assert_eq!(found[&format!("caribou-{name}")], only(&["ir"]), "{name}");
    }
    // One description of the archive, read and written.
    assert_eq!(found["caribou-reader-dl4j"], only(&["ir", "writer-dl4j"]));
    assert_eq!(
        found.len(),
        11,
        "a new crate needs a line here: {:?}",
        found.keys()
    );
}

fn sources(folder: &Path, list: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, list);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            list.push(path);
        }
    }
}

#[test]
fn files_have_one_reason_to_change() {
    let mut list = Vec::new();
    for folder in ["crates", "xtask"] {
        sources(&root().join(folder), &mut list);
    }
    let mut lines: Vec<usize> = list
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
        .collect();
    for (path, lines) in list.iter().zip(&lines) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["utils", "util", "helpers", "helper", "common", "misc"].contains(&stem),
            "{}",
            path.display()
        );
        assert!(*lines <= 700, "{} has {lines} lines", path.display());
    }
    lines.sort_unstable();
    assert!(
        lines[lines.len() / 2] < 350,
        "half of the files have more than {} lines",
        lines[lines.len() / 2]
    );
}

/// Bytes of all files below `folder`.
fn bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                bytes(&entry.path())
            } else {
                entry.metadata().unwrap().len()
            }
        })
        .sum()
}

#[test]
fn the_recorded_cases_stay_small() {
    let found = bytes(&root().join("testdata"));
    assert!(
        found < 15_000_000,
        "testdata holds {found} bytes: commit fewer or smaller cases, and keep the rest out of the repository"
    );
}
