//! Damaged files: whatever is cut off or changed, the command ends by itself, without panic, and leaves an archive only
//! when it says that it is done.

use super::{case, text};
use assert_cmd::Command;
use std::time::Duration;

/// Models of all file kinds.
const MODELS: &[(&str, &str)] = &[
    ("conv_stack", "model.h5"),
    ("file_gzip_shuffle", "model.h5"),
    ("file_lzf_shuffle_fletcher32", "model.h5"),
    ("file_latest_resizable", "model.h5"),
    ("file_many_attributes", "model.h5"),
    ("file_bfloat16", "model.h5"),
    ("keras1_embedding_lstm", "model.h5"),
    ("u_net", "model.h5"),
    ("../keras3/bidirectional_lstm_concat", "model.keras"),
    ("file_parts", "architecture.json"),
];

/// Damages of each model.
const ROUNDS: usize = 24;

#[test]
fn a_damaged_model_ends_in_an_error_and_nothing_worse() {
    let directory = tempfile::tempdir().unwrap();
    let mut state = 7u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut refused = 0;
    for (name, file) in MODELS {
        let whole = std::fs::read(case(name).join(file)).unwrap();
        for round in 0..ROUNDS {
            let mut bytes = whole.clone();
            // The structures that hold a file together are in its first part, mostly.
            let within = if round % 3 == 0 {
                whole.len()
            } else {
                whole.len().min(4096)
            };
            match round % 4 {
                0 => bytes.truncate(next(whole.len())),
                1 => bytes[next(within)] ^= 1 << next(8),
                2 => (0..8).for_each(|_| {
                    let at = next(within);
                    bytes[at] = next(256) as u8;
                }),
                _ => {
                    let at = next(within);
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].fill(0xff);
                }
            }
            let model = directory.path().join("damaged");
            let archive = directory.path().join("out.zip");
            std::fs::write(&model, &bytes).unwrap();
            let mut arguments = vec!["convert", text(&model), "-o", text(&archive)];
            if file.ends_with("json") {
                arguments.push("--untrained");
            }
            let done = Command::cargo_bin("caribou")
                .unwrap()
                .args(&arguments)
                .timeout(Duration::from_secs(10))
                .output()
                .unwrap();
            let message = String::from_utf8_lossy(&done.stderr).into_owned();
            let code = done.status.code();
            assert!(
                matches!(code, Some(0 | 1 | 3)),
                "{name}, round {round}: {code:?} {message}"
            );
            assert_eq!(
                archive.exists(),
                code == Some(0),
                "{name}, round {round}: {message}"
            );
            refused += usize::from(code != Some(0));
            let _ = std::fs::remove_file(&archive);
            let left = std::fs::read_dir(directory.path()).unwrap().count();
            assert_eq!(left, 1, "{name}, round {round}: a temporary file is left");
        }
    }
    let all = MODELS.len() * ROUNDS;
    assert!(refused * 2 > all, "only {refused} of {all} damages were noticed");
}
