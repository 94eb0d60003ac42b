//! Graph passes that make trained networks smaller and faster: simplification, clipping, magnitude pruning, quantization.
//!
//! A pass takes a [`Graph`](caribou_ir::Graph), typed options, and gives a graph with a report of what it did to which layer.
//! It computes nothing but weights: what needs the values inside a network (calibration, the folding of constants, a search)
//! takes them from its caller, so that this crate depends on `caribou-ir` alone.
//!
//! | pass | what it changes |
//! |---|---|
//! | [`simplify`] | operators; the function stays the same but for the rounding of sums |
//! | [`transfer`](mod@transfer) | the end of a network and what of it learns, for another task |
//! | [`clip`](mod@clip) | weights far from the others are brought nearer |
//! | [`prune`](mod@prune) | the smallest weights become 0 |
//! | [`quantize`](mod@quantize) | weights become values of a grid, and the integers behind them are recorded |
//! | [`recipe`] | all of that, each layer as a file says |
//! | [`search`](mod@search) | the same by the recipe that was found to take least within a bound |
//!
//! [`memory`] says what of an optimiser's state outlives a pass.
//!
//! [`cost`] counts what a network costs before and after, in three figures that are never mixed: bytes on disk (of the archive,
//! which the caller measures), bytes in memory, and multiplications with addition.

pub mod clip;
pub mod cost;
mod draft;
mod error;
mod kernel;
pub mod kernels;
pub mod layer;
pub mod memory;
pub mod prune;
pub mod quantize;
pub mod recipe;
pub mod search;
pub mod selection;
pub mod simplify;
pub mod structured;
pub mod transfer;
pub mod weights;

pub use error::OptimizeError;
