//! Inputs that are the same every time.

use crate::Array;
use caribou_ir::ValidGraph;

/// One array for each input of the graph: numbers from -1 up to 1, or integers below the bound of a port of indices.
/// Unknown sizes become `length`.
pub fn seeded_inputs(graph: &ValidGraph, batch: usize, length: usize, seed: u64) -> Vec<Array> {
    let mut state = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(0x2545_f491_4f6c_dd1d);
    // SplitMix64 (Steele, Lea and Flood 2014).
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    graph
        .inputs()
        .iter()
        .map(|port| {
            let shape = graph.shape(port.value).concrete(batch, length);
            Array::from_shape_simple_fn(shape, || match port.index_bound {
                Some(bound) => (next() % bound.max(1) as u64) as f32,
                None => (next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0,
            })
        })
        .collect()
}
