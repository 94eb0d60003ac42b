//! One weight as a recipe says.

use super::{GridRule, Setting};
use crate::OptimizeError;
use crate::kernels::Kernels;
use crate::layer::LayerChange;
use crate::prune::count;
use crate::quantize::{bits, snap};
use crate::weights::Weight;
use caribou_ir::{Graph, QuantizedParameter};

/// Makes the weight of `graph` what the setting makes of that of `base`.
pub(crate) fn treat(
    base: &Graph,
    graph: &mut Graph,
    weight: &Weight,
    setting: Setting,
    grid: GridRule,
) -> Result<(LayerChange, Option<QuantizedParameter>), OptimizeError> {
    let order = weight.channels_first();
    let mut after = weight.load(base, &order)?;
    prune(weight, &mut after, setting.sparsity)?;
    let encoding = match setting.bits {
        Some(bits) => Some(snap(weight, &mut after, grid.format(bits))?),
        None => None,
    };
    let mut change = LayerChange::measured(weight, base, &after)?;
    change.bits = encoding.as_ref().map(bits);
    if setting == Setting::default() {
        weight.restore(base, graph);
        return Ok((change, None));
    }
    let values = weight.store(graph, &order, after)?;
    let quantized = encoding.map(|encoding| QuantizedParameter {
        layer: weight.origin.layer.to_string(),
        role: weight.role.to_owned(),
        values,
        encoding,
    });
    Ok((change, quantized))
}

/// Makes the smallest of the numbers zero, exactly `round(sparsity * n)` of them, by their positions in channels where they are
/// equal.
pub(crate) fn prune(weight: &Weight, values: &mut [f32], sparsity: f64) -> Result<(), OptimizeError> {
    let k = count(sparsity, values.len());
    if k > 0 {
        let pruned = Kernels::best().prune(values, k);
        pruned.map_err(|error| weight.failed(error))?;
    }
    Ok(())
}
