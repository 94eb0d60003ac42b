//! What a file may ask of us before we believe that it is damaged or hostile.

/// Bounds that every reader keeps to. Build one with [`Limits::default`] and the `with_*` methods.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Nodes in one graph.
    pub nodes: usize,
    /// Depth of nested models, wrappers and JSON objects.
    pub nesting: usize,
    /// Axes of one tensor.
    pub rank: usize,
    /// Elements of one value, for each example.
    pub elements: u64,
    /// Bytes of JSON or text in one document.
    pub text_bytes: usize,
    /// Bytes that one compressed tensor may inflate to.
    pub inflated_bytes: u64,
    /// Bytes of all tensors of one model together.
    pub tensor_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nodes: 100_000,
            nesting: 100,
            rank: 8,
            elements: 1 << 27,
            text_bytes: 100 << 20,
            inflated_bytes: 4 << 30,
            tensor_bytes: 64 << 30,
        }
    }
}

/// The names of the limits, as [`Limits::set`] takes them.
pub const LIMIT_NAMES: [&str; 7] = [
    "nodes",
    "nesting",
    "rank",
    "elements",
    "text-bytes",
    "inflated-bytes",
    "tensor-bytes",
];

impl Limits {
    /// Changes the limit called `name`, one of [`LIMIT_NAMES`]; false when there is none of this name.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match name {
            "nodes" => self.nodes = size,
            "nesting" => self.nesting = size,
            "rank" => self.rank = size,
            "elements" => self.elements = value,
            "text-bytes" => self.text_bytes = size,
            "inflated-bytes" => self.inflated_bytes = value,
            "tensor-bytes" => self.tensor_bytes = value,
            _ => return false,
        }
        true
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $method:ident: $field:ident, $type:ty;)*) => {
        impl Limits {
            $($(#[$doc])* #[must_use] pub fn $method(mut self, $field: $type) -> Self { self.$field = $field; self })*
        }
    };
}

with! {
    /// Bounds the number of nodes.
    with_nodes: nodes, usize;
    /// Bounds the depth of nesting.
    with_nesting: nesting, usize;
    /// Bounds the number of axes.
    with_rank: rank, usize;
    /// Bounds the number of elements of one value, for each example.
    with_elements: elements, u64;
    /// Bounds the size of a text document, in bytes.
    with_text_bytes: text_bytes, usize;
    /// Bounds the inflated size of one tensor, in bytes.
    with_inflated_bytes: inflated_bytes, u64;
    /// Bounds the size of all tensors together, in bytes.
    with_tensor_bytes: tensor_bytes, u64;
}
