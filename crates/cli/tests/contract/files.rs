//! Which files are written, and which are never touched.

use super::{caribou, case, text};
use std::path::{Path, PathBuf};

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("out.zip");
    std::fs::write(&archive, "precious").unwrap();
    let model = case("dense").join("model.h5");
    assert_eq!(
        caribou(&["convert", text(&model), "-o", text(&archive)])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(std::fs::read(&archive).unwrap(), b"precious");
    let refused = case("gru_refused").join("model.h5");
    assert_eq!(
        caribou(&["convert", text(&refused), "-o", text(&archive), "--force"])
            .status
            .code(),
        Some(3)
    );
    assert_eq!(std::fs::read(&archive).unwrap(), b"precious");
    assert_eq!(
        caribou(&["convert", text(&model), "-o", text(&archive), "--force"])
            .status
            .code(),
        Some(0)
    );
    assert!(std::fs::read(&archive).unwrap().starts_with(b"PK"));
}

#[test]
fn misuse_is_found_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let here = |name: &str| directory.path().join(name);
    let model = here("model.h5");
    std::fs::copy(case("dense").join("model.h5"), &model).unwrap();
    std::fs::create_dir(here("folder")).unwrap();
    let nowhere = here("missing").join("out");
    let cases: [(&str, PathBuf, Option<PathBuf>); 7] = [
        ("the directory is missing", nowhere.clone(), None),
        ("the output is a directory", here("folder"), None),
        ("the output is the model", model.clone(), None),
        ("the report has no directory", here("a.zip"), Some(nowhere)),
        ("the report is a directory", here("b.zip"), Some(here("folder"))),
        ("the report is the archive", here("c.zip"), Some(here("c.zip"))),
        ("the report is the model", here("d.zip"), Some(model.clone())),
    ];
    let before = std::fs::read(&model).unwrap();
    for (what, output, report) in cases {
        let mut arguments = vec!["convert", text(&model), "--force", "-o", text(&output)];
        if let Some(report) = &report {
            arguments.extend(["--report", text(report)]);
        }
        let done = caribou(&arguments);
        let message = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{what}: {message}");
        assert!(message.starts_with("error: "), "{what}: {message}");
        let mut left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["folder", "model.h5"], "{what}");
        assert_eq!(std::fs::read(&model).unwrap(), before, "{what}");
    }
    let run = caribou(&[
        "run",
        text(&model),
        "--input",
        text(&case("dense").join("in0.npy")),
        "-o",
        text(&model),
    ]);
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(std::fs::read(&model).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn an_archive_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (archive, other) = (directory.path().join("out.zip"), directory.path().join("other"));
    std::fs::write(&other, "").unwrap();
    let model = case("dense").join("model.h5");
    assert_eq!(
        caribou(&["convert", text(&model), "-o", text(&archive)])
            .status
            .code(),
        Some(0)
    );
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&archive), mode(&other));
}
