//! The files of TensorFlow, brought into one [`Flat`](crate::graph::Flat) graph.

mod frozen;

pub(crate) use frozen::read as frozen;
