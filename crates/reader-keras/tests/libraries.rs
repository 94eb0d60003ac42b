//! Both HDF5 libraries over the files of all cases: every attribute and every dataset, byte for byte.
#![cfg(feature = "libhdf5")]
// Helpers of tests fail as tests do; the counts are for whoever asked for them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use caribou_ir::{Limits, Source};
use caribou_reader_keras::{Comparison, compare_libraries};
use std::path::Path;

#[test]
fn both_libraries_read_the_same() {
    let mut folders: Vec<_> = ["keras", "keras3"]
        .map(|generation| {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../testdata")
                .join(generation)
        })
        .iter()
        .flat_map(|root| std::fs::read_dir(root).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut all = Comparison::default();
    let mut files = 0;
    for folder in folders {
        let mut forms = ["model.h5", "model.keras"]
            .map(|name| folder.join(name))
            .into_iter();
        let Some(model) = forms.find(|path| path.exists()) else {
            continue;
        };
        // What is in another file is opened by neither: by one since it must not, by the other since it is not there.
        let elsewhere = folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("file_external"));
        if elsewhere {
            continue;
        }
        files += 1;
        match compare_libraries(&Source::open(&model).unwrap(), &Limits::default()) {
            Ok(comparison) => {
                all.groups += comparison.groups;
                all.attributes += comparison.attributes;
                all.datasets += comparison.datasets;
                all.bytes += comparison.bytes;
                let place = |difference: String| format!("{}: {difference}", folder.display());
                all.differences
                    .extend(comparison.differences.into_iter().map(place));
            }
            Err(error) => all.differences.push(format!("{}: {error}", folder.display())),
        }
    }
    println!(
        "both HDF5 libraries: {files} files, {} groups, {} attributes, {} datasets, {} bytes, {} differences",
        all.groups,
        all.attributes,
        all.datasets,
        all.bytes,
        all.differences.len()
    );
    assert!(all.differences.is_empty(), "{}", all.differences.join("\n"));
}
