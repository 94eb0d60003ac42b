//! Where the quantized parameters of a graph are in the archive.

use crate::format::{BlockGrid, QuantizationEntry, QuantizedBlock, QuantizedRange};
use caribou_ir::{Code, Encoding, Finding, Findings, Origin, Quantization, QuantizedParameter, Tensor};

/// A quantized parameter that is not in the archive as it is.
const LOST: Code = Code("D0203");

/// The entry for a parameter vector that is made of these tensors, and what could not be recorded.
pub(crate) fn entry(
    quantization: &Quantization,
    parameters: &[(String, Tensor)],
) -> (QuantizationEntry, Findings) {
    let mut findings = Findings::new();
    let mut entry = QuantizationEntry {
        version: QuantizationEntry::VERSION,
        parameters: Vec::new(),
        activations: quantization
            .activations
            .iter()
            .map(|range| QuantizedRange {
                layer: range.layer.clone(),
                least: range.least,
                greatest: range.greatest,
            })
            .collect(),
    };
    let mut found = vec![false; quantization.parameters.len()];
    let mut offset = 0;
    for (layer, tensor) in parameters {
        let quantized = quantization
            .parameters
            .iter()
            .position(|parameter| parameter.values.shares_storage(tensor));
        if let Some(at) = quantized {
            let parameter = &quantization.parameters[at];
            if let Some(grid) = grid(parameter, tensor) {
                found[at] = true;
                entry.parameters.push(QuantizedBlock {
                    layer: layer.clone(),
                    source: parameter.layer.clone(),
                    role: parameter.role.clone(),
                    offset,
                    elements: tensor.len(),
                    grid,
                });
            }
        }
        offset += tensor.len();
    }
    for (parameter, _) in quantization
        .parameters
        .iter()
        .zip(found)
        .filter(|(_, found)| !found)
    {
        let message = format!(
            "its {} is quantized, but DL4J's layer holds other numbers made of it: its integers are not recorded",
            parameter.role
        );
        findings.push(Finding::warning(
            LOST,
            &Origin::new(parameter.layer.as_str(), "layer"),
            message,
        ));
    }
    (entry, findings)
}

/// The grid of a parameter as the archive has it.
fn grid(parameter: &QuantizedParameter, tensor: &Tensor) -> Option<BlockGrid> {
    let doubles = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
    Some(match &parameter.encoding {
        Encoding::Half => BlockGrid::Half,
        Encoding::Bfloat16 => BlockGrid::Bfloat16,
        Encoding::Codebook { bits, values } => BlockGrid::Codebook {
            bits: *bits,
            values: doubles(values),
        },
        Encoding::Integer {
            bits,
            symmetric,
            scales,
            zero_points,
        } => {
            let (order, run) = match scales.len() {
                1 => (vec![0], tensor.len()),
                _ => {
                    let entries = tensor.entries_of(&parameter.values)?;
                    (entries.entries, entries.run)
                }
            };
            let scales: Option<Vec<f64>> = order
                .iter()
                .map(|&at| scales.get(at).copied().map(f64::from))
                .collect();
            let zero_points: Option<Vec<i32>> =
                order.iter().map(|&at| zero_points.get(at).copied()).collect();
            match symmetric {
                true => BlockGrid::Symmetric {
                    bits: *bits,
                    run,
                    scales: scales?,
                },
                false => BlockGrid::Affine {
                    bits: *bits,
                    run,
                    scales: scales?,
                    zero_points: zero_points?,
                },
            }
        }
    })
}
