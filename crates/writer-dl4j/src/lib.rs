//! Writes the caribou graph as a DeepLearning4j archive that stock `ModelSerializer` restores.
//!
//! [`format`](mod@format) describes the archive; `lower` turns a graph into layers and vertices.

pub mod format;
