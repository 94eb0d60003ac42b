//! Cross-layer equalisation: channels of two layers are scaled against each other, so that all have ranges alike.

use crate::OptimizeError;
use crate::draft::Draft;
use crate::kernel::Kernel;
use caribou_ir::op::{Activation, Op};
use caribou_ir::{Graph, Node, Rewrite, Tensor};
use std::collections::HashMap;

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
    let mut layers = HashMap::new();
    for &position in pairs.iter().flat_map(|(first, second)| [first, second]) {
        if let Some(node) = draft.node(position)
            && !layers.contains_key(&position)
            && let Some(layer) = Layer::read(node)?
        {
            layers.insert(position, layer);
        }
    }
    for _ in 0..ROUNDS {
        for pair in &pairs {
            balance(&mut layers, *pair);
        }
    }
    for (position, layer) in layers {
        if let Some(node) = draft.node_mut(position) {
            layer.write(node)?;
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

/// The numbers of a layer while they are scaled.
struct Layer {
    kernel: Kernel,
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Layer {
    fn read(node: &Node) -> Result<Option<Self>, OptimizeError> {
        let Some((kernel, weight, bias)) = Kernel::of(&node.op) else {
            return Ok(None);
        };
        let failed = OptimizeError::tensor(&node.origin);
        Ok(Some(Self {
            kernel,
            weight: weight.to_vec().map_err(&failed)?,
            bias: bias.map(Tensor::to_vec).transpose().map_err(&failed)?,
        }))
    }

    fn write(self, node: &mut Node) -> Result<(), OptimizeError> {
        if let Some((weight, bias)) = Kernel::tensors(&mut node.op) {
            let failed = OptimizeError::tensor(&node.origin);
            *weight = Tensor::from_values(&weight.shape(), self.weight).map_err(failed)?;
            *bias = self.bias.map(|bias| Tensor::vector(&bias));
        }
        Ok(())
    }
}

fn balance(layers: &mut HashMap<usize, Layer>, (first, second): (usize, usize)) {
    let [Some(a), Some(b)] = layers.get_disjoint_mut([&first, &second]) else {
        return;
    };
    let ranges1 = a.kernel.ranges(&a.weight, |out, _| out, a.kernel.out);
    let ranges2 = b.kernel.ranges(&b.weight, |_, input| input, b.kernel.inputs);
    let factors: Vec<f64> = ranges1
        .iter()
        .zip(&ranges2)
        .map(|(&r1, &r2)| match r1 > 0.0 && r2 > 0.0 {
            true => (r1 * r2).sqrt() / r2,
            false => 1.0,
        })
        .collect();
    let inverse: Vec<f64> = factors.iter().map(|factor| 1.0 / factor).collect();
    a.kernel
        .scale(&mut a.weight, &inverse, &vec![1.0; a.kernel.inputs]);
    b.kernel.scale(&mut b.weight, &vec![1.0; b.kernel.out], &factors);
    for (bias, factor) in a.bias.iter_mut().flatten().zip(&inverse) {
        *bias = (f64::from(*bias) * factor) as f32;
    }
}
