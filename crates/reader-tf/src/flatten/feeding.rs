//! What is fed stands in front of the graph; other placeholders are inputs too, or hold a value, or are wrong.

use super::body::{Body, Reference};
use super::walk::reads;
use super::{Fixed, Flattener, TOO_MANY, bind, ends, order, stated};
use crate::graph::{EACH, Feed, Node, Output};
use crate::literal::Literal;
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, DataType, NodeDef};
use caribou_ir::{Finding, Findings, Severity};
use std::collections::{HashMap, HashSet};

impl Flattener<'_> {
    /// Puts what is fed in front of the graph, in its order, and fixes what stands for it. False when something is wrong.
    pub(super) fn placeholders(&mut self, body: &Body<'_>, ends: &ends::Ends, fixed: &mut Fixed) -> bool {
        let roots = ends.fetches.iter().chain(&ends.roots);
        let roots = roots.map(|fetch| fetch.node);
        let fed: HashSet<(usize, usize)> = ends.feeds.iter().map(|feed| (feed.node, feed.slot)).collect();
        let reads = |node: usize| reads(body, node, |reference| fed.contains(reference));
        let needed = match order::needed(body.nodes.len(), roots, reads) {
            Ok(needed) => needed,
            Err(cycle) => {
                self.cycle(body, &cycle);
                return false;
            }
        };
        if needed.len() > self.limits.nodes {
            let message = format!(
                "the graph has {} nodes, the limit is {}",
                needed.len(),
                self.limits.nodes
            );
            self.findings.push(
                Finding::new(Severity::Error, TOO_MANY, None, message)
                    .with_help("raise it: --limit nodes=NUMBER"),
            );
            return false;
        }
        let used: HashSet<(usize, usize)> = needed
            .iter()
            .flat_map(|&node| &body.inputs[node])
            .filter_map(|reference| match reference {
                Reference::Node(node, slot) => Some((*node, *slot)),
                _ => None,
            })
            .chain(ends.fetches.iter().map(|fetch| (fetch.node, fetch.slot)))
            .collect();
        let mut sound = true;
        for feed in &ends.feeds {
            if !used.contains(&(feed.node, feed.slot)) {
                self.findings.push(ends::unused(body, feed));
                continue;
            }
            let output = match bind::of_feed(body, feed, self.reader, self.findings) {
                Some(literal) => self.bound(&body.nodes[feed.node], literal),
                None => self.feed(&body.nodes[feed.node], feed),
            };
            fixed.insert((feed.node, feed.slot), output);
        }
        let mut waiting: Vec<usize> = needed
            .into_iter()
            .filter(|&node| bind::is_placeholder(&body.nodes[node].op) && !fixed.contains_key(&(node, 0)))
            .collect();
        waiting.sort_unstable();
        for node in waiting {
            let mut said = Findings::new();
            let decision = bind::decide(body, node, ends, self.reader, &mut said);
            if matches!(decision, bind::Decision::Unbound) && !ends.feeds_within.is_empty() {
                let feed = ends::Feeding::unnamed(body, node);
                let output = self.feed(&body.nodes[node], &feed);
                fixed.insert((node, 0), output);
                self.doubtful.push((feed.name, said));
                continue;
            }
            self.findings.extend(said);
            match decision {
                bind::Decision::Feed(feed) => {
                    let output = self.feed(&body.nodes[node], &feed);
                    fixed.insert((node, 0), output);
                }
                bind::Decision::Value(literal) => {
                    let output = self.bound(&body.nodes[node], literal);
                    fixed.insert((node, 0), output);
                }
                bind::Decision::Default => {}
                bind::Decision::Unbound => sound = false,
            }
        }
        sound
    }

    /// The value that a placeholder has.
    fn bound(&mut self, node: &NodeDef, literal: Literal) -> Output {
        let each = stated::shape(node, 0).is_some_and(|shape| bind::is_open_row(&shape));
        let constant = Output {
            node: self.constant(&node.name, literal),
            slot: 0,
        };
        if !each {
            return constant;
        }
        let each = self.push(Node::new(node.name.as_str(), EACH, vec![constant]));
        Output { node: each, slot: 0 }
    }

    /// A placeholder for what is fed.
    fn feed(&mut self, node: &NodeDef, feed: &ends::Feeding) -> Output {
        let kind = stated::dtype(&node.attr, feed.slot);
        let made = self.push(placeholder(&node.name, kind));
        let output = Output { node: made, slot: 0 };
        self.flat.feeds.push(Feed {
            name: feed.name.clone(),
            output,
            shape: feed.shape.clone(),
            within: !bind::is_placeholder(&node.op),
        });
        output
    }
}

/// A node for what is fed.
pub(super) fn placeholder(name: &str, kind: DataType) -> Node {
    let dtype = AttrValue {
        value: Some(Value::Type(kind as i32)),
    };
    Node {
        attributes: HashMap::from([("dtype".to_owned(), dtype)]),
        ..Node::new(name, "Placeholder", Vec::new())
    }
}
