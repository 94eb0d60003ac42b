//! Where a node comes from.

use std::fmt;
use std::sync::Arc;

/// The place in a source file that a message speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A byte offset.
    Offset(u64),
    /// A line and a column, both counted from one.
    Line {
        /// The line.
        line: u32,
        /// The column.
        column: u32,
    },
}

/// The layer or node of the source model that something was made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The name of the layer or node in the source.
    pub layer: Arc<str>,
    /// Its type in the words of the source, such as `Conv2D`.
    pub kind: Arc<str>,
    /// Where it stands, when known.
    pub place: Option<Place>,
}

impl Origin {
    /// The origin of the layer called `layer`, of type `kind`.
    pub fn new(layer: impl Into<Arc<str>>, kind: impl Into<Arc<str>>) -> Self {
        Self {
            layer: layer.into(),
            kind: kind.into(),
            place: None,
        }
    }

    /// The same origin with a place in its file.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.layer, self.kind)?;
        match self.place {
            Some(Place::Offset(offset)) => write!(f, " at byte {offset}"),
            Some(Place::Line { line, column }) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}
