//! How fast word vectors are read, as a ratio to gensim.

use crate::Failure;
use crate::fixtures::Environment;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Runs of the command; the fastest counts.
const RUNS: usize = 5;
/// Words and numbers of each in the measured files.
const WORDS: usize = 100_000;
const DIMENSIONS: usize = 300;

/// The measured files: what they are, and how a number is written.
const FILES: [(&str, &str, Number); 2] = [
    ("GloVe-like, five decimals", "glove-like.txt", |value| {
        format!("{value:.5}")
    }),
    ("gensim-like, shortest exact", "gensim-like.txt", |value| {
        format!("{value:?}")
    }),
];

type Number = fn(f32) -> String;

/// Measures, and says it as a table.
pub(super) fn run(root: &Path, shell: &Shell, binary: &Path) -> Result<String, Failure> {
    let home = root.join("target/bench");
    let python = Environment::Words.python(root)?;
    let mut text = format!(
        "`cargo xtask bench --part words`: {WORDS} words of {DIMENSIONS} numbers with a header, `caribou words info` as a whole \
         process (best of {RUNS}, warm cache) against the call of gensim's `load_word2vec_format` alone.\n\n\
         | text | MB | gensim | caribou | caribou, MB/s | ratio |\n|---|---|---|---|---|---|\n",
    );
    for (what, name, number) in FILES {
        let path = home.join(name);
        if !path.exists() {
            make(&path, number)?;
        }
        let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let start = Instant::now();
            cmd!(shell, "{binary} words info {path}")
                .quiet()
                .ignore_stdout()
                .run()?;
            best = best.min(start.elapsed());
        }
        let code = "import sys, time\nfrom gensim.models import KeyedVectors\nstart = time.perf_counter()\n\
                    KeyedVectors.load_word2vec_format(sys.argv[1])\nprint(time.perf_counter() - start)";
        let gensim: f64 = cmd!(shell, "{python} -W ignore -c {code} {path}")
            .quiet()
            .read()?
            .trim()
            .parse()?;
        let own = best.as_secs_f64();
        writeln!(
            text,
            "| {what} | {megabytes:.0} | {gensim:.1} s | {own:.2} s | {:.0} | {:.0} |",
            megabytes / own,
            gensim / own
        )?;
    }
    Ok(text)
}

/// Writes a file of seeded numbers.
fn make(path: &Path, number: Number) -> Result<(), Failure> {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    writeln!(file, "{WORDS} {DIMENSIONS}")?;
    let mut state = 1u64;
    for word in 0..WORDS {
        write!(file, "word{word}")?;
        for _ in 0..DIMENSIONS {
            // A few uniform numbers added up are nearly normal.
            let mut value = -2.0;
            for _ in 0..4 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value += (state >> 40) as f32 / (1u32 << 24) as f32;
            }
            write!(file, " {}", number(value * 0.3))?;
        }
        writeln!(file)?;
    }
    file.flush()?;
    Ok(())
}
