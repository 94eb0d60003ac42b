//! Word vectors: what gensim and stock DL4J write is read, what is written is read back by both, and every word and every
//! number must be equal.

mod judge;

use crate::Failure;
use crate::fixtures::Environment;
use caribou_ir::Source;
use caribou_word_vectors::{Format, Settings, WordText, WordVectors, WriteError, WriteOptions, read, write};
use judge::{Judge, Truth};
use ndarray::Array2;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// Sentences that stock DL4J is trained on.
const SENTENCES: [&str; 4] = [
    "der hund läuft schnell über die wiese",
    "the cat sat on the mat",
    "der hund und the cat",
    "東京 は 日本 の 首都 です",
];

pub(crate) fn run(root: &Path) -> Result<ExitCode, Failure> {
    let home = "target/words";
    fixtures(root, home, "all")?;
    let home = root.join(home);
    let mut gensim = Judge::gensim(root)?;
    let mut dl4j = Judge::dl4j(root)?;
    if dl4j.is_none() {
        eprintln!("SKIPPED: there is no Java or no Maven here, so stock DL4J read nothing");
    }
    let mut tally = Tally::default();
    for folder in folders(&home)? {
        let mut models: Vec<(String, WordVectors)> = Vec::new();
        for path in files(&folder)? {
            let name = name(&path);
            let truth = Truth::recorded(&folder, &name)?;
            let vectors = reading(&path)?;
            tally.note(&format!("{name} read"), truth.compare(&vectors));
            // Files of one model hold the same: one of them is written again.
            if !models.iter().any(|(_, other)| truth.compare(other).is_ok()) {
                models.push((name, vectors));
            }
        }
        for (name, vectors) in models {
            written(&name, &vectors, &home, &mut gensim, dl4j.as_mut(), &mut tally)?;
        }
    }
    written(
        "unusual words",
        &unusual()?,
        &home,
        &mut gensim,
        dl4j.as_mut(),
        &mut tally,
    )?;
    println!("{} right, {} wrong", tally.right, tally.wrong);
    Ok(if tally.wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Has gensim make its files below `out`, and stock DL4J its own where there is Java.
pub(crate) fn fixtures(root: &Path, out: &str, set: &str) -> Result<(), Failure> {
    let shell = Shell::new()?;
    let python = Environment::Words.python(root)?;
    let script = root.join("xtask/fixtures/words/generate.py");
    let out = root.join(out);
    shell.create_dir(&out)?;
    cmd!(shell, "{python} -W ignore {script} {out} {set}").run()?;
    let Some(mut dl4j) = Judge::dl4j(root)? else {
        eprintln!("SKIPPED: there is no Java or no Maven here, so stock DL4J wrote nothing");
        return Ok(());
    };
    let folder = shell.create_dir(out.join("dl4j"))?;
    dl4j.train(&SENTENCES, &folder)?;
    for path in files(&folder)? {
        dl4j.load(&path, "read")?.record(&folder, &name(&path))?;
    }
    Ok(())
}

/// Rights and wrongs.
#[derive(Default)]
struct Tally {
    right: usize,
    wrong: usize,
}

impl Tally {
    fn note(&mut self, what: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.right += 1,
            Err(difference) => {
                self.wrong += 1;
                println!("WRONG {what}: {difference}");
            }
        }
    }
}

/// The folders of models.
fn folders(home: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut folders = Shell::new()?.read_dir(home)?;
    folders.retain(|path| path.is_dir() && !path.ends_with("written"));
    Ok(folders)
}

/// The files of vectors in a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Shell::new()?.read_dir(folder)?;
    files.retain(|path| {
        !path
            .extension()
            .is_some_and(|ending| ending == "json" || ending == "npy")
    });
    Ok(files)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn reading(path: &Path) -> Result<WordVectors, Failure> {
    Ok(read(&Source::open(path)?, &Settings::default())?.vectors)
}

/// Words that are easily read as something else.
fn unusual() -> Result<WordVectors, Failure> {
    let words = [
        "1",
        "two words",
        "ä b",
        "B64:YQ==",
        "B64:!!!",
        "\u{feff}mark",
        "a\tb",
        "a\nb",
        "a\r",
        "\u{a0}",
        "\u{2028}",
        "nan",
        "-0.5",
        "日本 語",
        "#",
        "\\",
        "\"",
        "0 0 0 0",
    ];
    let values = (0..words.len() * 4).map(|i| (i as f32 - 30.0) / 7.0).collect();
    Ok(WordVectors::new(words, 4, values)?)
}

/// Writes vectors in every form that can hold them, and has everybody read it.
fn written(
    name: &str,
    vectors: &WordVectors,
    home: &Path,
    gensim: &mut Judge,
    mut dl4j: Option<&mut Judge>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let folder = Shell::new()?.create_dir(home.join("written"))?;
    let truth = Truth::of(vectors);
    let forms = [
        ("b64.txt", Format::Text, WordText::Base64),
        ("plain.txt", Format::Text, WordText::Plain),
        ("vectors.zip", Format::Zip, WordText::Base64),
        ("vectors.bin", Format::Binary, WordText::Plain),
        ("glove.txt", Format::Glove, WordText::Plain),
        ("b64.txt.gz", Format::Text, WordText::Base64),
        ("vectors.bin.gz", Format::Binary, WordText::Plain),
    ];
    for (file, format, words) in forms {
        let gzip = file.ends_with(".gz");
        let path = folder.join(file);
        let options = WriteOptions { format, words, gzip };
        let mut sink = BufWriter::new(std::fs::File::create(&path)?);
        match write(vectors, &mut sink, &options) {
            // A word that this form can't hold is refused, and that is right.
            Err(WriteError::Word { .. }) => continue,
            other => other?,
        }
        sink.into_inner()?;
        let what = format!("{name} written as {file}");
        tally.note(&format!("{what}, read back"), truth.compare(&reading(&path)?));
        if format != Format::Zip {
            let binary = format == Format::Binary;
            let read = gensim.load_file(&path, binary, format == Format::Glove)?;
            tally.note(&format!("{what}, by gensim"), truth.same(&read.decoded(words)));
        }
        // DL4J reads plain text in the charset of its machine. Gzipped text is garbage to loadStaticModel, and so are small
        // gzipped binaries.
        let loaders: &[&str] = match (format, words, gzip) {
            (Format::Glove, ..) | (Format::Text, WordText::Plain, _) => &[],
            (.., true) => &["read"],
            _ => &["static", "read"],
        };
        if let Some(dl4j) = &mut dl4j {
            for loader in loaders {
                let outcome = dl4j.load(&path, loader).map_err(|error| error.to_string());
                tally.note(
                    &format!("{what}, by DL4J ({loader})"),
                    outcome.and_then(|read| truth.same(&read)),
                );
            }
        }
    }
    Ok(())
}

/// An array as it is recorded.
fn array(dimensions: usize, values: &[f32]) -> Result<Array2<f32>, Failure> {
    let rows = values.len().checked_div(dimensions).unwrap_or(0);
    Ok(Array2::from_shape_vec((rows, dimensions), values.to_vec())?)
}
