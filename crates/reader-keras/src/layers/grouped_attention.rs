//! Multi-head attention whose keys and values are shared by groups of queries (Ainslie et al. 2023).

use super::attention::{Arguments, arguments, dropout, projection};
use super::{CONFIG, Call, OPTION, Outputs, WEIGHT, config};
use caribou_ir::op::{Attention, Projection};
use caribou_ir::{Finding, Tensor, TensorError};

/// The projection with the columns of each of its heads `times` times, one behind the other.
fn repeated(projection: Projection, heads: usize, times: usize) -> Result<Projection, TensorError> {
    let columns = |tensor: &Tensor| -> Result<Tensor, TensorError> {
        let shape = tensor.shape();
        let (rows, size) = match shape[..] {
            [rows, columns] => (rows, columns / heads),
            _ => (1, tensor.len() / heads),
        };
        let values = tensor.to_vec()?;
        let mut all = Vec::with_capacity(values.len() * times);
        for row in 0..rows {
            for head in 0..heads {
                let from = (row * heads + head) * size;
                for _ in 0..times {
                    all.extend_from_slice(&values[from..from + size]);
                }
            }
        }
        let mut shape = shape;
        if let Some(last) = shape.last_mut() {
            *last *= times;
        }
        Tensor::from_f32(&shape, &all)
    };
    Ok(Projection {
        weight: columns(&projection.weight)?,
        bias: projection.bias.as_ref().map(columns).transpose()?,
    })
}

/// As multi-head attention, once each head of the keys and values is repeated for its group of queries.
pub(super) fn grouped(call: &mut Call<'_>) -> Outputs {
    let Arguments {
        query,
        value,
        key,
        causal,
    } = arguments(call)?;
    if [query, value, key].iter().any(|&input| call.rank(input) != 3) {
        return Err(call.refuse(
            OPTION,
            "attention over anything but the steps of sequences [N, T, F] is not supported",
        ));
    }
    let heads = config!(call, size("num_query_heads"));
    let groups = config!(call, size("num_key_value_heads"));
    let size = config!(call, size("head_dim"));
    if groups == 0 || heads == 0 || size == 0 || !heads.is_multiple_of(groups) {
        return Err(call.refuse(
            CONFIG,
            "head_dim and the numbers of heads must be positive, and that of the queries a multiple of the other",
        ));
    }
    let features = [call.size(query, 2)?, call.size(key, 2)?, call.size(value, 2)?];
    let times = heads / groups;
    let shared = |call: &Call<'_>, name: &str, features: usize| -> Result<Option<Projection>, Box<Finding>> {
        let projection = projection(call, name, &[features], &[groups, size])?;
        match (projection, times) {
            (Some(projection), 2..) => repeated(projection, groups, times)
                .map(Some)
                .map_err(|error| call.refuse(WEIGHT, error.to_string())),
            (projection, _) => Ok(projection),
        }
    };
    let op = Attention {
        heads,
        query: projection(call, "query", &[features[0]], &[heads, size])?,
        key: shared(call, "key", features[1])?,
        value: shared(call, "value", features[2])?,
        output: projection(call, "attention_output", &[heads, size], &[features[0]])?,
        scale: 1.0 / (size as f64).sqrt(),
        causal,
    };
    dropout(call)?;
    if times > 1 {
        call.lost_in_training(
            "each head of its keys and values becomes one for each query, and they are no longer tied",
        );
    }
    Ok(vec![call.apply(op, &[query, key, value])?])
}
