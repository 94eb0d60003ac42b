//! The operations that the outputs need, each behind those that it reads.

use crate::graph::{Flat, Output};
use std::collections::HashMap;

/// What [`order`] gives.
pub(super) struct Order {
    pub(super) nodes: Vec<usize>,
}

/// How often each output is read, fetches included.
pub(super) fn readers(flat: &Flat) -> HashMap<Output, usize> {
    let mut readers: HashMap<Output, usize> = HashMap::new();
    let inputs = flat.nodes.iter().flat_map(|node| &node.inputs);
    for output in inputs.chain(flat.fetches.iter().map(|fetch| &fetch.output)) {
        *readers.entry(*output).or_default() += 1;
    }
    readers
}

/// Walks from what is fetched to what is fed, depth first. A connection that closes a cycle is left out: the operation
/// that reads it stands before the one that makes it.
pub(super) fn order(flat: &Flat) -> Order {
    let mut nodes = Vec::new();
    let mut seen = vec![false; flat.nodes.len()];
    let fed: std::collections::HashSet<usize> = flat.feeds.iter().map(|feed| feed.output.node).collect();
    let mut open: Vec<(usize, usize)> = Vec::new();
    for fetch in &flat.fetches {
        let start = fetch.output.node;
        if start < seen.len() && !std::mem::replace(&mut seen[start], true) {
            open.push((start, 0));
        }
        while let Some((node, next)) = open.pop() {
            let inputs = &flat.nodes[node].inputs;
            match inputs.get(next).filter(|_| !fed.contains(&node)) {
                None => nodes.push(node),
                Some(input) => {
                    open.push((node, next + 1));
                    if input.node < seen.len() && !std::mem::replace(&mut seen[input.node], true) {
                        open.push((input.node, 0));
                    }
                }
            }
        }
    }
    Order { nodes }
}
