//! `caribou`: carries trained Keras models to DeepLearning4j and proves that they still compute the same function.

mod archive;
mod args;
mod calibration;
mod command;
mod destination;
mod failure;
mod formats;
mod labels;
mod model;
mod normalizer;
mod npy;
mod optimization;
mod output;
mod plot;
mod progress;
mod report;
mod words;

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(normalizer::joined(std::env::args_os())).settled();
    let result = match &arguments.command {
        Command::Convert(options) => command::convert::run(options, &arguments),
        Command::Simplify(options) => command::simplify::run(options, &arguments),
        Command::Clip(options) => command::clip::run(options, &arguments),
        Command::Sensitivity(options) => command::sensitivity::run(options, &arguments),
        Command::Prune(options) => command::prune::run(options, &arguments),
        Command::Optimize(options) => command::optimize::run(options, &arguments),
        Command::Quantize(options) => command::quantize::run(options, &arguments),
        Command::Inspect(options) => command::inspect::run(options, &arguments),
        Command::Run(options) => command::run::run(options, &arguments),
        Command::Soften(options) => command::soften::run(options, &arguments),
        Command::Transfer(options) => command::transfer::run(options, &arguments),
        Command::Verify(options) => command::verify::run(options, &arguments),
        Command::Words(options) => command::words::run(options, &arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}
