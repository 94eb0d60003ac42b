//! Operations that together are one operator of the graph: one file a family.
//!
//! An idiom is looked for at its last operation, when all that it reads has been read; what the operations before it were
//! read as falls away where nothing else needs it.

mod activation;
mod dense;
mod function;

use crate::build::Held;
use crate::ops::{Call, Found};

/// What an idiom gives: the outputs of its last operation; `None` where it is another one.
pub(crate) type Lifted = Found<Option<Vec<Held>>>;

/// One idiom.
struct Idiom {
    /// The operations that it may end with.
    ends: &'static [&'static str],
    find: fn(&mut Call<'_, '_>) -> Lifted,
}

const IDIOMS: &[Idiom] = &[
    Idiom {
        ends: &["Reshape"],
        find: dense::folded_rows,
    },
    Idiom {
        ends: activation::ENDS,
        find: activation::by_values,
    },
];

/// The outputs of the operation where it ends an idiom.
pub(crate) fn read(call: &mut Call<'_, '_>) -> Lifted {
    for idiom in IDIOMS {
        if idiom.ends.contains(&&*call.node.op)
            && let Some(outputs) = (idiom.find)(call)?
        {
            return Ok(Some(outputs));
        }
    }
    Ok(None)
}
