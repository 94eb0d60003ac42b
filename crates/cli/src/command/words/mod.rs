//! `caribou words`: word vectors.

mod convert;
mod embed;
mod extract;
mod info;
mod layer;
mod nearest;
mod target;
mod vocabulary;

use crate::args::Arguments;
use crate::failure::Failure;
use caribou_ir::{Findings, Source};
use caribou_word_vectors::{Import, Settings};
use clap::{Args, Subcommand};
use std::path::Path;

/// `caribou words`.
#[derive(Args)]
pub(crate) struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write word vectors as a file that both loaders of DeepLearning4j read, or gensim.
    #[command(
        after_help = "Examples:\n  caribou words convert glove.6B.300d.txt -o vectors.txt\n  caribou words convert wiki.vec.gz -o vectors.zip --vocabulary words.txt --normalize\n  caribou words convert GoogleNews.bin.gz -o small.zip --top 100000 --dimensions 100 --quantize int8"
    )]
    Convert(convert::Options),
    /// Put word vectors into an embedding layer of a model, and write it as a DL4J archive.
    #[command(
        after_help = "Example:\n  caribou words embed model.h5 --vectors glove.6B.100d.txt --vocabulary words.txt --first-row 1 -o model.zip"
    )]
    Embed(Box<embed::Options>),
    /// Take the rows of an embedding layer out as word vectors.
    #[command(
        after_help = "Example:\n  caribou words extract model.zip --vocabulary words.txt --first-row 1 -o vectors.txt"
    )]
    Extract(Box<extract::Options>),
    /// Show what a file of word vectors holds, and everything that is wrong with it.
    Info(info::Options),
    /// The words that are nearest to others.
    #[command(after_help = "Example:\n  caribou words nearest vectors.txt king woman --without man")]
    Nearest(nearest::Options),
}

impl Words {
    /// Brings options that have two names under one.
    pub(crate) fn settle(&mut self) {
        if let Command::Embed(options) = &mut self.command {
            options.settle();
        }
    }
}

/// How word vectors are read.
#[derive(Args)]
pub(crate) struct Reading {
    /// Leave out lines that can't be read, and count them, instead of refusing the file.
    #[arg(long)]
    skip_malformed: bool,
}

impl Reading {
    /// Reads a file.
    pub(crate) fn read(&self, path: &Path, arguments: &Arguments) -> Result<Import, Failure> {
        let source = Source::open(path).map_err(|error| Failure::io(path, &error))?;
        let settings = Settings {
            limits: arguments.limits(),
            skip_malformed: self.skip_malformed,
        };
        caribou_word_vectors::read(&source, &settings).map_err(|error| match Failure::read(error) {
            Failure::Model { help, findings, .. } if !findings.is_empty() => unreadable(path, help, findings),
            failure => failure,
        })
    }
}

/// A file with lines that can't be read.
fn unreadable(path: &Path, help: String, findings: Findings) -> Failure {
    Failure::Model {
        message: format!("{}: the word vectors can't be read as they are", path.display()),
        help,
        findings,
    }
}

pub(crate) fn run(options: &Words, arguments: &Arguments) -> Result<(), Failure> {
    match &options.command {
        Command::Convert(options) => convert::run(options, arguments),
        Command::Embed(options) => embed::run(options, arguments),
        Command::Extract(options) => extract::run(options, arguments),
        Command::Info(options) => info::run(options, arguments),
        Command::Nearest(options) => nearest::run(options, arguments),
    }
}
