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

/// How deep JSON may be nested whatever the limit is: it is parsed by functions that call themselves.
const DEEPEST: usize = 1000;

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
    /// How deep the brackets of a JSON text are nested, where that is deeper than the limit.
    pub fn too_deep(&self, json: &[u8]) -> Option<usize> {
        let (mut depth, mut deepest) = (0usize, 0);
        let (mut quoted, mut escaped) = (false, false);
        for &byte in json {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'[' | b'{' if !quoted => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        (deepest > self.nesting.min(DEEPEST)).then_some(deepest)
    }

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
