//! Operations that together are one operator of the graph: one file a family.
//!
//! An idiom is looked for at its last operation, when all that it reads has been read; what the operations before it were
//! read as falls away where nothing else needs it. Those that depend on where constants come from are looked for among the
//! operations themselves, the others among the operators that these were read as.

mod activation;
mod batch_norm;
mod composed;
mod dense;
mod dropout;
mod finite;
mod norm;
mod one_hot;
mod pattern;
mod spatial;

pub(crate) use one_hot::one_hot;
pub(crate) use spatial::{dilated, of_one_row};

use crate::build::Held;
use crate::ops::{Call, Found, Outputs};

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
        ends: &["Reshape"],
        find: dense::folded_indices,
    },
    Idiom {
        ends: &["Reshape"],
        find: norm::by_batch_norm,
    },
    Idiom {
        ends: &["Add", "AddV2", "Sub", "Mul", "RealDiv", "Div"],
        find: batch_norm::stored_statistics,
    },
    Idiom {
        ends: dropout::ENDS,
        find: dropout::nothing_dropped,
    },
    Idiom {
        ends: &["Select", "SelectV2"],
        find: finite::guarded,
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

/// Operations whose result may be the last step of an idiom that is written as arithmetic.
const LAST_STEPS: &[&str] = &[
    "Add",
    "AddV2",
    "Sub",
    "Mul",
    "RealDiv",
    "Div",
    "DivNoNan",
    "Maximum",
    "Minimum",
    "Relu6",
    "Relu",
    "ClipByValue",
    "Log",
];

/// What the operation was read as, or the one operator that it and those before it are.
pub(crate) fn refined(call: &mut Call<'_, '_>, outputs: Vec<Held>) -> Outputs {
    let [Held::Value(value, dtype)] = outputs[..] else {
        return Ok(outputs);
    };
    if !LAST_STEPS.contains(&&*call.node.op) {
        return Ok(outputs);
    }
    let found = match &*call.node.op {
        "Log" => finite::log_sum_exp(call, value)?,
        _ => match norm::found(call, value)? {
            Some(value) => Some(value),
            None => composed::found(call, value)?,
        },
    };
    Ok(vec![Held::Value(found.unwrap_or(value), dtype)])
}
