//! Runs a caribou graph on the CPU in f32: the judge of every conversion.
//!
//! It is made to be right first. Each family of operators has a file under `exec` that mirrors the one of its
//! definition in `caribou_ir::op`; a [`Session`] calls them in the order of the graph and drops every value after its
//! last use. Parameters are read when their node runs, so that a model need not fit into memory as a whole.

mod compare;
mod evaluate;
mod exec;
mod largest;
mod seeded;
mod session;

pub use compare::{Difference, ShapeMismatch, compare};
pub use evaluate::evaluate;
pub use largest::Largest;
pub use seeded::seeded_inputs;
pub use session::{RunError, Session};

/// A value: an array of any number of axes.
pub type Array = ndarray::ArrayD<f32>;
