//! # caribou-word-vectors: words and their vectors, between word2vec, GloVe, fastText and DeepLearning4j
//!
//! [`read`] takes word2vec text and binary, GloVe text, fastText `.vec`, each of them gzipped too, and the zip of
//! DeepLearning4j's `WordVectorSerializer`. Text is mapped and read by all cores, a block of lines each; its numbers are
//! rounded as IEEE 754 asks. What a line has to say against being read is told with its number, all lines at once.
//! [`write`] makes what both loaders of DeepLearning4j read. Between the two: [`nearest`], [`normalize`], [`reduce`],
//! [`quantize_int8`] with [`loss`], and [`fill`] and [`take`] for the tables of embedding layers.

mod base64;
mod eigen;
mod log;
mod loss;
mod nearest;
mod number;
mod quantize;
mod read;
mod reduce;
mod scale;
mod table;
mod vectors;
mod words;
mod write;

pub use loss::{Loss, loss};
pub use nearest::{Neighbour, Query, mean, nearest};
pub use quantize::quantize_int8;
pub use read::{Form, Import, Settings, read};
pub use reduce::{ReduceError, Reduced, reduce};
pub use scale::{Lengths, lengths, normalize};
pub use table::{Filled, TableError, Unknown, fill, take};
pub use vectors::{Count, ShapeError, WordVectors};
pub use words::Words;
pub use write::{Format, WordText, WriteError, WriteOptions, write};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
