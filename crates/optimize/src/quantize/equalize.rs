//! Cross-layer equalisation: channels of two layers are scaled against each other, so that all have ranges alike.

use crate::OptimizeError;
use crate::draft::Draft;
use crate::kernel::Kernel;
use caribou_ir::op::{Activation, Op};
use caribou_ir::{Graph, Rewrite, Tensor};

/// Rounds over all pairs; each brings ranges nearer to each other.
const ROUNDS: usize = 20;

/// The graph with `W1[i] / s[i]`, `b1[i] / s[i]` and `W2[:, i] * s[i]` for each channel `i` between two layers that nothing but
/// a ReLU stands between: `f(s x) = s f(x)` for `s > 0`, so the function stays. `s[i] = sqrt(r1[i] r2[i]) / r2[i]`, with `r` the
/// largest magnitude of the channel's weights in the first and in the second layer (Nagel et al. 2019).
///
/// # Errors
/// When a tensor can't be read.
pub fn equalize(graph: &Graph) -> Result<(Graph, Vec<Rewrite>), OptimizeError> {
    let mut draft = Draft::new(graph);
    let pairs: Vec<(usize, usize)> = draft
        .positions()
        .filter_map(|first| Some((first, behind(&draft, first)?)))
        .collect();
    for _ in 0..ROUNDS {
        for &(first, second) in &pairs {
            pair(&mut draft, first, second)?;
        }
    }
    for &(first, second) in &pairs {
        if let (Some(a), Some(b)) = (draft.node(first), draft.node(second)) {
            let reason = format!("its channels were scaled against those of {}", b.origin);
            let rewrite = Rewrite::new("equalize", &a.origin, reason);
            draft.rewrites.push(rewrite);
        }
    }
    draft.build()
}

/// The layer that alone reads what the layer at `first` makes, with nothing or a ReLU between.
fn behind(draft: &Draft, first: usize) -> Option<usize> {
    let node = draft.node(first)?;
    Kernel::of(&node.op)?;
    let mut value = *node.outputs.first()?;
    loop {
        let next = draft.sole_consumer(value)?;
        let reader = draft.node(next)?;
        match &reader.op {
            Op::Activate(activate) if matches!(activate.function, Activation::Relu | Activation::Linear) => {
                value = *reader.outputs.first()?;
            }
            op => {
                let (second, ..) = Kernel::of(op)?;
                let (made, ..) = Kernel::of(&node.op)?;
                // The same channels on the same axis.
                let dense = |op: &Op| matches!(op, Op::Dense(_));
                return (dense(op) == dense(&node.op) && made.out == second.inputs).then_some(next);
            }
        }
    }
}

fn pair(draft: &mut Draft, first: usize, second: usize) -> Result<(), OptimizeError> {
    let (Some(a), Some(b)) = (draft.node(first), draft.node(second)) else {
        return Ok(());
    };
    let (Some((made, weight1, bias)), Some((read, weight2, _))) = (Kernel::of(&a.op), Kernel::of(&b.op))
    else {
        return Ok(());
    };
    let (failed1, failed2) = (OptimizeError::tensor(&a.origin), OptimizeError::tensor(&b.origin));
    let mut values1 = weight1.to_vec().map_err(&failed1)?;
    let mut values2 = weight2.to_vec().map_err(&failed2)?;
    let bias = bias.map(Tensor::to_vec).transpose().map_err(&failed1)?;
    let ranges1 = made.ranges(&values1, |out, _| out, made.out);
    let ranges2 = read.ranges(&values2, |_, input| input, read.inputs);
    let factors: Vec<f64> = ranges1
        .iter()
        .zip(&ranges2)
        .map(|(&r1, &r2)| match r1 > 0.0 && r2 > 0.0 {
            true => (r1 * r2).sqrt() / r2,
            false => 1.0,
        })
        .collect();
    let inverse: Vec<f64> = factors.iter().map(|factor| 1.0 / factor).collect();
    made.scale(&mut values1, &inverse, &vec![1.0; made.inputs]);
    read.scale(&mut values2, &vec![1.0; read.out], &factors);
    let bias = bias.map(|bias| {
        let scaled = bias.iter().zip(&inverse).map(|(&b, s)| (f64::from(b) * s) as f32);
        Tensor::vector(&scaled.collect::<Vec<_>>())
    });
    for (position, values, failed) in [(first, values1, failed1), (second, values2, failed2)] {
        let Some(node) = draft.node_mut(position) else {
            continue;
        };
        let Some((weight, old)) = Kernel::tensors(&mut node.op) else {
            continue;
        };
        *weight = Tensor::from_values(&weight.shape(), values).map_err(failed)?;
        if position == first {
            old.clone_from(&bias);
        }
    }
    Ok(())
}
