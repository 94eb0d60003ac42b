//! A `GraphDef` by itself: weights as constants, read from the map.

use super::variables::Variables;
use crate::program::Program;
use crate::schema::{FunctionDef, GraphDef};
use caribou_ir::Source;
use std::collections::HashMap;
use std::sync::Arc;

/// A graph without a signature.
pub(crate) fn program(graph: GraphDef, source: &Source, format: String) -> Program {
    Program {
        nodes: graph.node,
        functions: functions(graph.library.map(|library| library.function).unwrap_or_default()),
        map: Arc::clone(source.map()),
        signature: None,
        variables: Variables::default(),
        keras: None,
        format,
    }
}

/// Functions by name.
pub(crate) fn functions(list: Vec<FunctionDef>) -> HashMap<String, FunctionDef> {
    let name = |function: &FunctionDef| {
        function
            .signature
            .as_ref()
            .map(|signature| signature.name.clone())
    };
    list.into_iter()
        .filter_map(|function| Some((name(&function)?, function)))
        .collect()
}
