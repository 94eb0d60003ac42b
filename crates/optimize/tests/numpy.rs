//! Quantized weights are those of NumPy, bit for bit (`xtask/fixtures/optimize/quantize.py`).
#![allow(clippy::unwrap_used)]

use caribou_ir::op::Dense;
use caribou_ir::{Encoding, Graph, Layout, Origin, Shape, Tensor};
use caribou_optimize::kernels::Scheme;
use caribou_optimize::quantize::{EXACT, Format, Quantize, ScaleRule, quantize};
use caribou_optimize::selection::Selection;
use serde_json::Value;

fn numbers(bits: &Value) -> Vec<f32> {
    let list = bits.as_array().unwrap().iter();
    list.map(|bits| f32::from_bits(bits.as_u64().unwrap() as u32))
        .collect()
}

/// Zeros of either sign are one integer.
fn bits(values: &[f32]) -> Vec<u32> {
    values
        .iter()
        .map(|value| if *value == 0.0 { 0 } else { value.to_bits() })
        .collect()
}

#[test]
fn quantized_weights_are_those_of_numpy() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/optimize/quantized.json"
    );
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let size = |name: &str| document[name].as_u64().unwrap() as usize;
    let (rows, columns) = (size("rows"), size("columns"));
    // A dense kernel is [in, out]; its channels, the rows of the array, are the columns.
    let weight = Tensor::from_values(&[rows, columns], numbers(&document["weights"])).unwrap();
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batched(&[columns]), Layout::Plain);
    let dense = Dense {
        weight: weight.permute(&[1, 0]).unwrap(),
        bias: None,
    };
    let y = graph.apply(dense, &[x], &Origin::new("dense", "Dense")).unwrap();
    graph.output("y", y, Layout::Plain);
    let run = |format| {
        let options = Quantize {
            format,
            selection: Selection::default(),
            overrides: Vec::new(),
            bias_correction: None,
        };
        quantize(graph.clone(), &options)
            .unwrap()
            .quantization
            .parameters
            .remove(0)
    };
    for case in document["cases"].as_array().unwrap() {
        let symmetric = case["scheme"] == "symmetric";
        let percent = case["percentile"].as_f64().unwrap();
        let found = run(Format::Integer {
            bits: case["bits"].as_u64().unwrap() as u32,
            scheme: if symmetric {
                Scheme::Symmetric
            } else {
                Scheme::Affine
            },
            per_channel: case["per_channel"].as_bool().unwrap(),
            scale: if percent < 100.0 {
                ScaleRule::Percentile(percent)
            } else {
                ScaleRule::Max
            },
            scale_bits: EXACT,
        });
        let name = format!("{} {} {}", case["scheme"], case["bits"], case["percentile"]);
        let Encoding::Integer {
            scales, zero_points, ..
        } = &found.encoding
        else {
            panic!("integers were asked for");
        };
        let expected: Vec<i64> = case["zero_points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|z| z.as_i64().unwrap())
            .collect();
        assert_eq!(bits(scales), bits(&numbers(&case["scales"])), "{name}");
        assert_eq!(
            zero_points.iter().map(|&z| i64::from(z)).collect::<Vec<_>>(),
            expected,
            "{name}"
        );
        let values = found.values.to_vec().unwrap();
        assert_eq!(bits(&values), bits(&numbers(&case["values"])), "{name}");
        let per = values.len() / scales.len();
        for (i, (value, integer)) in values
            .iter()
            .zip(case["integers"].as_array().unwrap())
            .enumerate()
        {
            let integer_found = (value / scales[i / per]).round_ties_even() as i64 + expected[i / per];
            assert_eq!(Some(integer_found), integer.as_i64(), "{name}");
        }
    }
    let half = run(Format::Half).values.to_vec().unwrap();
    assert_eq!(bits(&half), bits(&numbers(&document["half"])));
}
