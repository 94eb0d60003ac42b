//! A bar on standard error while a large archive is written, where somebody may be looking at it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Seek, SeekFrom, Write};

/// Smaller archives are written before a bar could be read.
const LARGE: u64 = 64 << 20;

/// A sink that shows how far it has been written.
pub(crate) struct Progress<W> {
    sink: W,
    bar: ProgressBar,
}

impl<W> Progress<W> {
    /// Shows `expected` bytes being written, unless they are few, or nobody is looking.
    pub(crate) fn new(sink: W, expected: u64, quiet: bool) -> Self {
        let bar = if quiet || expected < LARGE || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(Some(expected), ProgressDrawTarget::stderr())
        };
        // The template is fixed: one that can't be parsed leaves the default look.
        if let Ok(style) = ProgressStyle::with_template("writing {bar:40} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Self { sink, bar }
    }
}

impl<W> Drop for Progress<W> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl<W: Write> Write for Progress<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.bar.inc(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

impl<W: Seek> Seek for Progress<W> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.sink.seek(position)
    }
}

/// A bar over examples, where somebody may be looking at it.
pub(crate) fn examples(count: u64, quiet: bool) -> ProgressBar {
    steps(count, "examples", quiet)
}

/// A bar over steps that are called `what`.
pub(crate) fn steps(count: u64, what: &'static str, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
