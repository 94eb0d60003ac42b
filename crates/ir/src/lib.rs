//! # caribou-ir: the graph every other crate speaks
//!
//! A model travels one way: *bytes -> reader -> [`Graph`] -> passes -> [`Validator`] -> writer -> bytes*.
//! This crate is the middle of that road and depends on no other crate of the workspace.
//!
//! ## The rules of the representation
//!
//! 1. **A graph owns its nodes and values**, addressed by the typed handles [`NodeId`] and [`ValueId`]. Nodes stand
//!    in topological order, because [`Graph::push`] takes only values that exist already. Every node carries its
//!    [`Origin`], so that any message can say which layer of which file it speaks of.
//! 2. **One operator, one struct** ([`op`]). Its doc comment gives the equation and the shapes. Attributes are
//!    explicit: there is no "0 means default".
//! 3. **One canonical layout.** Spatial tensors are channels-first `[N, C, D…]`, sequences are `[N, T, F]`.
//!    Convolution kernels are `[O, I/groups, K…]`, dense kernels `[in, out]`, recurrent gates in the order
//!    input, forget, cell, output. A reader whose source has another layout inserts [`op::Transpose`] nodes; the
//!    pass in [`layout`] sinks and cancels them. Inputs and outputs keep the axis order of their source, and their
//!    [`Port`] says which one that is.
//! 4. **Padding is explicit**, per side, where it can be computed; `Same` stays symbolic until the size is known
//!    ([`op::Padding`]).
//! 5. **Tensors are read lazily** ([`Tensor`]): bytes that are owned, mapped, or deferred, under a view that
//!    can be permuted, split and joined without touching them. A conversion never holds the whole model in memory.
//! 6. **Every value has a shape** ([`Shape`]) from the moment it exists; the batch size and the length of a
//!    sequence may be unknown.
//! 7. **The [`Validator`] is the only maker of [`ValidGraph`]**, and writers and the runtime take nothing else.
//! 8. **All findings, not the first** ([`Findings`]). Unsupported is an error with the layer's name; it is never a
//!    silent drop and never an approximation.
//! 9. **Limits** ([`Limits`]) bound what a file can make us allocate; every reader takes them.
//! 10. **Rewrites are named** ([`Rewrite`]): each says where it was applied and why, and the report lists them all.

mod backwards;
mod dtype;
pub mod einsum;
mod finding;
pub mod function;
mod graph;
pub mod layout;
mod limits;
mod normalizer;
pub mod op;
mod origin;
mod quantization;
mod read;
mod rewrite;
mod shape;
mod source;
mod tensor;
mod training;
mod validate;
mod write;

pub use dtype::{DType, Endian};
pub use finding::{Code, Finding, Findings, Severity};
pub use graph::{Graph, Layout, Node, NodeId, Port, Producer, Value, ValueId};
pub use limits::{LIMIT_NAMES, Limits};
pub use normalizer::Normalizer;
pub use op::{Op, Operator};
pub use origin::{Origin, Place};
pub use quantization::{ActivationRange, Encoding, Quantization, QuantizedParameter};
pub use read::{Confidence, Import, ReadError, ReadOptions, Reader, Rest};
pub use rewrite::Rewrite;
pub use shape::{Dim, Infer, Shape, ShapeError};
pub use source::Source;
pub use tensor::{Entries, ReadAt, Tensor, TensorData, TensorError, Values};
pub use training::{
    Clipping, Constraint, Count, LayerTraining, LearningRate, Loss, LossKind, ParameterState, Regularization,
    Scheduled, Scheme, Training, TrainingState, Updater, UpdaterKind,
};
pub use validate::{ValidGraph, Validator};
pub use write::{LayerReport, PortReport, Precision, Report, Sink, WriteError, WriteOptions, Writer};
