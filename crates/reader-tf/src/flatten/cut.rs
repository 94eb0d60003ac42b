//! Inputs and outputs within functions: they have names only when the functions are inlined.

use super::ends::{self, Ends, Within};
use super::feeding::placeholder;
use super::{Flattener, stated};
use crate::graph::{Feed, Fetch, Output};
use std::collections::HashMap;
use std::mem;

impl Flattener<'_> {
    /// Has the graph begin and end at tensors within functions; a name that no node has is a finding.
    pub(super) fn cut(&mut self, ends: &Ends) {
        for fetch in &ends.fetches_within {
            let Some(output) = self.located(fetch) else {
                continue;
            };
            let place = fetch.place.min(self.flat.fetches.len());
            let name = fetch.name.clone();
            self.flat.fetches.insert(place, Fetch { name, output });
        }
        let mut moved = HashMap::new();
        for feed in &ends.feeds_within {
            let Some(output) = self.located(feed) else {
                continue;
            };
            let kind = stated::dtype(&self.flat.nodes[output.node].attributes, output.slot);
            let made = self.push(placeholder("", kind));
            // The placeholder has the name of what it stands for.
            let name = mem::take(&mut self.flat.nodes[made].name);
            self.flat.nodes[made].name = mem::replace(&mut self.flat.nodes[output.node].name, name);
            let fed = Output { node: made, slot: 0 };
            moved.insert(output, fed);
            let place = feed.place.min(self.flat.feeds.len());
            self.flat.feeds.insert(
                place,
                Feed {
                    name: feed.name.clone(),
                    output: fed,
                    shape: feed.shape.clone(),
                    within: true,
                },
            );
        }
        self.flat.redirect(&moved);
    }

    fn located(&mut self, within: &Within) -> Option<Output> {
        let (name, slot) = within.tensor();
        let nodes = &self.flat.nodes;
        let found = nodes.iter().position(|node| &*node.name == name);
        if found.is_none() && !self.findings.has_errors() {
            let names = nodes.iter().map(|node| &*node.name);
            self.findings.push(ends::no_such(&within.name, names));
        }
        found.map(|node| Output { node, slot })
    }
}
