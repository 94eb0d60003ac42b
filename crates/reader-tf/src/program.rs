//! What a file says, whatever its form: nodes, functions, the values of variables, what is fed and fetched.

use crate::file::Variables;
use crate::schema::{FunctionDef, NodeDef};
use memmap2::Mmap;
use std::collections::HashMap;
use std::sync::Arc;

/// A tensor at the edge of a graph, as a signature names it.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// The name for the user.
    pub(crate) name: String,
    /// The tensor: `node` or `node:slot`.
    pub(crate) tensor: String,
    /// Its shape, where it is stated.
    pub(crate) shape: Option<Vec<Option<usize>>>,
}

/// What a SavedModel's signature feeds and fetches.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) inputs: Vec<Edge>,
    pub(crate) outputs: Vec<Edge>,
}

/// A layer of Keras, or a model, with the layers within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KerasLayer {
    pub(crate) name: String,
    pub(crate) layers: Vec<KerasLayer>,
}

/// A graph with its functions.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<NodeDef>,
    pub(crate) functions: HashMap<String, FunctionDef>,
    /// The mapped file that the bytes of constants lie in.
    pub(crate) map: Arc<Mmap>,
    /// The signature, where the file has one.
    pub(crate) signature: Option<Signature>,
    /// The values of variables.
    pub(crate) variables: Variables,
    /// The model that Keras saved, where it says so.
    pub(crate) keras: Option<KerasLayer>,
    /// The file's format and version in a few words.
    pub(crate) format: String,
}
