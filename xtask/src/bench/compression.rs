//! What archives of pruned and quantized weights take on disk, beside what Deep Compression took.

use crate::Failure;
use caribou_ir::op::{Activate, Activation, Conv, Dense, Padding, Pool, PoolKind, Reshape, Rounding};
use caribou_ir::{Graph, Layout, Origin, Shape, Tensor, ValidGraph, Validator, WriteOptions, Writer};
use caribou_optimize::kernels::Scheme;
use caribou_optimize::prune::{Prune, Scope, Target, prune};
use caribou_optimize::quantize::{EXACT, Format, Quantize, ScaleRule, quantize};
use caribou_optimize::recipe::GridRule;
use caribou_optimize::selection::Selection;
use caribou_writer_dl4j::format::COEFFICIENTS;
use caribou_writer_dl4j::{Compression, Dl4jWriter};
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// The share of zeros in each layer, and the bits of the rest.
const SPARSITY: f64 = 0.9;
const BITS: u32 = 8;
/// The most bytes that a weight may take.
const AT_MOST: f64 = 0.28;

/// Filters of the convolutions, between poolings, and units of the layers behind them.
const BLOCKS: [&[usize]; 5] = [&[64; 2], &[128; 2], &[256; 3], &[512; 3], &[512; 3]];
const UNITS: [usize; 3] = [4096, 4096, 1000];

/// The schemes: what they are, whether each channel has a scale, the significant bits of scales, and how it is written.
const SCHEMES: [(&str, bool, u32, Compression); 5] = [
    (
        "per channel (the default)",
        true,
        GridRule::SHORT,
        Compression::Smallest,
    ),
    (
        "per channel, less effort",
        true,
        GridRule::SHORT,
        Compression::Deflate,
    ),
    (
        "per channel, `--scale-bits 24`",
        true,
        EXACT,
        Compression::Smallest,
    ),
    ("per channel, `--power-of-two`", true, 1, Compression::Smallest),
    ("`--per-tensor`", false, GridRule::SHORT, Compression::Smallest),
];

/// The section of the report.
pub(super) fn run(root: &Path) -> Result<String, Failure> {
    let archive = root.join("target/bench/compressed.zip");
    let options = Prune {
        target: Target::Sparsity(SPARSITY),
        scope: Scope::PerLayer,
        selection: Selection::default(),
        overrides: Vec::new(),
    };
    let pruned = prune(vgg16()?, &options)?.graph;
    let weights = pruned.parameter_count() as f64;
    let mut text = format!(
        "`cargo xtask bench --part compression`: VGG16 with gaussian weights (He's deviation, {:.1} million parameters), {} % of each \
         layer pruned, the rest {BITS} bits; `coefficients.bin` as it is in the archive, at most {AT_MOST} bytes for each parameter by \
         default. SQNR is that of the grid alone.\n\n\
         | scales | bytes for each parameter | of 32-bit numbers | SQNR, least of all layers |\n|---|---|---|---|\n",
        weights / 1e6,
        SPARSITY * 100.0
    );
    for (name, per_channel, scale_bits, compression) in SCHEMES {
        let quantized = quantize(
            pruned.clone(),
            &Quantize {
                format: Format::Integer {
                    bits: BITS,
                    scheme: Scheme::Symmetric,
                    per_channel,
                    scale: ScaleRule::Max,
                    scale_bits,
                },
                selection: Selection::default(),
                overrides: Vec::new(),
                bias_correction: None,
            },
        )?;
        let noise = quantized
            .layers
            .iter()
            .map(|layer| layer.sqnr)
            .fold(f64::INFINITY, f64::min);
        let graph = validated(quantized.graph)?;
        let mut write = WriteOptions::default();
        write.quantization = Some(quantized.quantization);
        let writer = Dl4jWriter {
            compression,
            ..Dl4jWriter::default()
        };
        let mut sink = BufWriter::new(File::create(&archive)?);
        writer.write(&graph, &mut sink, &write)?;
        drop(sink);
        let mut zip = zip::ZipArchive::new(File::open(&archive)?)?;
        let bytes = zip.by_name(COEFFICIENTS)?.compressed_size() as f64;
        writeln!(
            text,
            "| {name} | {:.3} | 1/{:.1} | {noise:.1} dB |",
            bytes / weights,
            4.0 * weights / bytes
        )?;
    }
    std::fs::remove_file(&archive)?;
    text += "\nDeep Compression (Han, Mao and Dally 2016, table 1) keeps other shares of weights, learns on while it prunes, and has Huffman \
             codes of its own, which no DL4J could load:\n\n\
             | network | parameters | compressed | of 32-bit numbers |\n|---|---|---|---|\n\
             | LeNet-300-100 | 1070 KB | 27 KB | 1/40 |\n| LeNet-5 | 1720 KB | 44 KB | 1/39 |\n\
             | AlexNet | 240 MB | 6.9 MB | 1/35 |\n| VGG-16 | 552 MB | 11.3 MB | 1/49 |\n";
    Ok(text)
}

fn validated(graph: Graph) -> Result<ValidGraph, Failure> {
    let valid = Validator::default().validate(graph);
    valid.map_err(|findings| findings.to_string().into())
}

/// VGG16, channels first.
fn vgg16() -> Result<Graph, Failure> {
    let mut graph = Graph::new();
    let mut seed = 1;
    let mut value = graph.input("image", Shape::batched(&[3, 224, 224]), Layout::ChannelsFirst);
    let mut channels = 3;
    let push = |graph: &mut Graph, op: caribou_ir::Op, value, name: &str| {
        graph.apply(op, &[value], &Origin::new(name, "layer"))
    };
    let relu = || Activate {
        function: Activation::Relu,
    };
    for (block, filters) in BLOCKS.iter().enumerate() {
        for (i, &count) in filters.iter().enumerate() {
            let name = format!("block{}_conv{}", block + 1, i + 1);
            let conv = Conv {
                weight: gaussian(&[count, channels, 3, 3], channels * 9, &mut seed)?,
                bias: Some(Tensor::filled(&[count], 0.0)),
                strides: vec![1, 1],
                dilations: vec![1, 1],
                padding: Padding::Explicit(vec![[1, 1]; 2]),
                groups: 1,
            };
            value = push(&mut graph, conv.into(), value, &name)?;
            value = push(&mut graph, relu().into(), value, &format!("{name}_relu"))?;
            channels = count;
        }
        let pool = Pool {
            kind: PoolKind::Max,
            kernel: vec![2, 2],
            strides: vec![2, 2],
            dilations: vec![1, 1],
            padding: Padding::none(2),
            rounding: Rounding::Floor,
        };
        value = push(
            &mut graph,
            pool.into(),
            value,
            &format!("block{}_pool", block + 1),
        )?;
    }
    value = push(&mut graph, Reshape::flatten().into(), value, "flatten")?;
    let mut inputs = channels * 7 * 7;
    for (i, units) in UNITS.into_iter().enumerate() {
        let dense = Dense {
            // Channels first, so that each is a row of the archive.
            weight: gaussian(&[units, inputs], inputs, &mut seed)?.permute(&[1, 0])?,
            bias: Some(Tensor::filled(&[units], 0.0)),
        };
        let name = format!("fc{}", i + 1);
        value = push(&mut graph, dense.into(), value, &name)?;
        if i + 1 < UNITS.len() {
            value = push(&mut graph, relu().into(), value, &format!("{name}_relu"))?;
        }
        inputs = units;
    }
    graph.output("predictions", value, Layout::Plain);
    Ok(graph)
}

/// Normal numbers of the variance 2 / `inputs`, the same every time (Box and Muller).
fn gaussian(shape: &[usize], inputs: usize, state: &mut u64) -> Result<Tensor, Failure> {
    let count: usize = shape.iter().product();
    let deviation = (2.0 / inputs as f64).sqrt();
    let mut uniform = || {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
        values.push((deviation * radius * angle.cos()) as f32);
        values.push((deviation * radius * angle.sin()) as f32);
    }
    values.truncate(count);
    Ok(Tensor::from_values(shape, values)?)
}
