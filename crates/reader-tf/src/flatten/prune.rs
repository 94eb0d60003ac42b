//! Only what the fetched outputs need, in order.

use super::order;
use super::walk::CYCLE;
use crate::graph::{Feed, Fetch, Flat, Node, Output};
use caribou_ir::{Finding, Findings, Severity};
use std::collections::HashSet;

impl Flat {
    /// The graph with only what the fetched outputs need, each node behind those that it reads but for loops.
    pub(super) fn pruned(self, findings: &mut Findings) -> Self {
        let back = |to: &Node, from: usize| {
            &*to.op == "Merge"
                && self
                    .nodes
                    .get(from)
                    .is_some_and(|from| matches!(&*from.op, "NextIteration" | "RefNextIteration"))
        };
        let roots = self.fetches.iter().map(|fetch| fetch.output.node);
        let order = order::needed(self.nodes.len(), roots, |node| {
            let (mut before, mut later) = (Vec::new(), Vec::new());
            for input in &self.nodes[node].inputs {
                match back(&self.nodes[node], input.node) {
                    true => later.push(input.node),
                    false => before.push(input.node),
                }
            }
            order::Reads { before, later }
        });
        let order = match order {
            Ok(order) => order,
            Err(cycle) => {
                let first = cycle.first().and_then(|&node| self.nodes.get(node));
                findings.push(Finding::new(
                    Severity::Error,
                    CYCLE,
                    first.map(Node::origin),
                    "the graph runs in a circle",
                ));
                return self;
            }
        };
        let mut moved = vec![usize::MAX; self.nodes.len()];
        let feeds: Vec<usize> = self.feeds.iter().map(|feed| feed.output.node).collect();
        let kept: HashSet<usize> = order.iter().copied().collect();
        let order: Vec<usize> = feeds
            .iter()
            .copied()
            .filter(|node| kept.contains(node))
            .chain(order.into_iter().filter(|node| !feeds.contains(node)))
            .collect();
        for (to, &from) in order.iter().enumerate() {
            moved[from] = to;
        }
        let at = |output: Output| Output {
            node: moved.get(output.node).copied().unwrap_or(usize::MAX),
            slot: output.slot,
        };
        let mut nodes: Vec<Option<Node>> = self.nodes.into_iter().map(Some).collect();
        let nodes = order
            .iter()
            .filter_map(|&from| nodes.get_mut(from).and_then(Option::take))
            .map(|mut node| {
                node.inputs.iter_mut().for_each(|input| *input = at(*input));
                node
            })
            .collect();
        let feeds = self.feeds.into_iter().map(|feed| Feed {
            output: at(feed.output),
            ..feed
        });
        let fetches = self.fetches.into_iter().map(|fetch| Fetch {
            output: at(fetch.output),
            ..fetch
        });
        Self {
            nodes,
            feeds: feeds.filter(|feed| feed.output.node != usize::MAX).collect(),
            fetches: fetches.collect(),
            keras: self.keras,
            format: self.format,
        }
    }
}
