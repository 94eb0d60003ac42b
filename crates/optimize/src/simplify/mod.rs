//! Simplification: fewer operators that compute the same function.
//!
//! | rewrite | why the function stays the same |
//! |---|---|
//! | `fold-affine-into-weights` | `s * (W x + b) + t = (s W) x + (s b + t)`; a batch normalisation is `s = scale / sqrt(variance + epsilon)`, `t = offset - s * mean` |
//! | `fold-affine-into-next-weights` | `W (s x + t) + b = (W s) x + (W t + b)`, where no padding stands between (or `t = 0`) |
//! | `fuse-affine` | `s2 * (s1 x + t1) + t2 = (s2 s1) x + (s2 t1 + t2)` |
//! | `merge-padding` | cells of zeros around the input of a convolution are its padding |
//! | `fold-constant` | what depends on no input is computed once |
//! | `drop-identity` | `y = x` at inference; dropout and other noise of training is that too |
//! | `drop-dead` | nothing that is seen depends on it |
//!
//! New weights are computed in `f64` and rounded once. The outputs differ by the rounding of sums only, which the caller can
//! check by running both graphs. Dropping noise and folding normalisations changes how the network would go on learning.

mod affine;
mod constant;
mod fold;
mod fuse;
mod identity;
mod pad;

use crate::OptimizeError;
use crate::draft::Draft;
use caribou_ir::op::{Op, Operator};
use caribou_ir::{Graph, Rewrite, Tensor};

/// Computes an operator on stored values, for `fold-constant`.
pub type Evaluate<'a> = dyn Fn(&Op, &[&Tensor]) -> Result<Vec<Tensor>, String> + 'a;

/// What is simplified.
#[derive(Default)]
pub struct Simplify<'a> {
    /// How operators on constants are computed; without it they stay.
    pub evaluate: Option<&'a Evaluate<'a>>,
}

/// A graph with what was done to it.
#[derive(Debug)]
pub struct Simplified {
    /// The new graph.
    pub graph: Graph,
    /// Each change with its layer and its reason.
    pub rewrites: Vec<Rewrite>,
}

/// Rounds of all rules; each makes the graph smaller, so there are never more than nodes.
const ROUNDS: usize = 1000;

/// The graph with all rewrites done until none applies.
///
/// # Errors
/// When a tensor can't be read.
pub fn simplify(graph: &Graph, options: &Simplify) -> Result<Simplified, OptimizeError> {
    let mut draft = Draft::new(graph);
    for _ in 0..ROUNDS {
        let before = draft.rewrites.len();
        identity::drop_identities(&mut draft);
        if let Some(evaluate) = options.evaluate {
            constant::fold_constants(&mut draft, evaluate);
        }
        fold::fold_into_weights(&mut draft)?;
        fold::fold_into_next_weights(&mut draft)?;
        fuse::fuse_affines(&mut draft)?;
        pad::merge_padding(&mut draft);
        if draft.rewrites.len() == before {
            break;
        }
    }
    draft.sweep(|node| {
        let reason = format!("no output depends on this {}", node.op.name());
        // What a folded constant was made of is no layer that the user would miss.
        (!matches!(node.op, Op::Constant(_))).then(|| Rewrite::new("drop-dead", &node.origin, reason))
    });
    let (graph, rewrites) = draft.build()?;
    Ok(Simplified { graph, rewrites })
}
