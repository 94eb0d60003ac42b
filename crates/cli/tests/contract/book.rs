//! The examples of the documentation: each is run, and must print what stands there.

use assert_cmd::Command;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A command as it stands in a text, and the lines below it.
struct Example<'t> {
    line: usize,
    command: &'t str,
    output: Vec<&'t str>,
}

/// The commands in the code blocks of a text.
fn examples(text: &str) -> Vec<Example<'_>> {
    let mut examples: Vec<Example<'_>> = Vec::new();
    let (mut inside, mut below) = (false, false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            (inside, below) = (!inside, false);
        } else if let Some(command) = line.strip_prefix("$ caribou ").filter(|_| inside) {
            below = true;
            examples.push(Example {
                line: number + 1,
                command,
                output: Vec::new(),
            });
        } else if below && !line.is_empty() {
            examples.last_mut().unwrap().output.push(line);
        }
    }
    examples
}

/// The same without errors, which differ from processor to processor, and the sizes of archives, to which each new field of
/// a configuration adds.
fn without_measurements(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for i in 0..words.len() {
        let number = words[i].trim_end_matches(',').to_owned();
        let is_error = number
            .split_once('e')
            .is_some_and(|(digits, power)| digits.parse::<f64>().is_ok() && power.parse::<i32>().is_ok());
        let is_size = number.parse::<u64>().is_ok()
            && words
                .get(i + 1)
                .is_some_and(|unit| unit.trim_end_matches(',') == "bytes");
        if is_error || is_size {
            words[i] = words[i].replace(&number, "#");
        }
    }
    words.join(" ")
}

#[test]
fn examples_print_what_stands_in_the_texts() {
    let mut texts = vec![root().join("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        texts.push(entry.unwrap().path());
    }
    texts.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut run = 0;
    for path in texts {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(
            root().join("testdata").canonicalize().unwrap(),
            home.path().join("testdata"),
        )
        .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for example in examples(&text) {
            let found = Command::cargo_bin("caribou")
                .unwrap()
                .args(example.command.split(' '))
                .current_dir(home.path())
                .output()
                .unwrap();
            let place = format!("{}:{}: caribou {}", path.display(), example.line, example.command);
            let printed = String::from_utf8([found.stdout, found.stderr].concat()).unwrap();
            let refused = example.output.iter().any(|line| line.starts_with("error"));
            assert_eq!(
                found.status.code(),
                Some(if refused { 3 } else { 0 }),
                "{place}\n{printed}"
            );
            let printed: Vec<String> = printed.lines().map(without_measurements).collect();
            for line in example.output {
                assert!(
                    printed.contains(&without_measurements(line)),
                    "{place}\n{line}\nis not in\n{printed:#?}"
                );
            }
            run += 1;
        }
    }
    assert!(run > 15, "{run} examples were found");
}
