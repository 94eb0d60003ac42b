//! The README's table of what is supported, made from the cases: a layer is listed as converted only where a case
//! converts it, and a refusal only where a case is refused so.

use crate::Failure;
use crate::case::{Case, cases, matches};
use crate::verify;
use caribou_writer_dl4j::ArchiveLayout;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Where the table starts and ends in the README.
const MARKS: [&str; 2] = [
    "<!-- cases: made by `cargo xtask table` -->",
    "<!-- end of cases -->",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing, and fail when the README is out of date.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Families of layer classes, by patterns; a class belongs to the first that matches.
type Families = &'static [(&'static str, &'static [&'static str])];

/// What has a row of its own.
#[derive(Clone, Copy, PartialEq)]
enum Row {
    Family,
    Class,
}

/// A framework's own table: its title, the folders of its cases, its families, and its rows.
const FRAMEWORKS: &[(&str, &[&str], Families, Row)] = &[
    ("Layers of Keras", &["keras", "keras3"], KERAS, Row::Family),
    ("Layers of Caffe", &["caffe"], CAFFE, Row::Class),
    ("Operations of TensorFlow", &["tf"], TENSORFLOW, Row::Family),
];

const CAFFE: Families = &[
    ("convolutions", &["*onvolution*", "Interp", "Upsample"]),
    ("pooling", &["Pooling", "ROIPooling"]),
    (
        "normalisation",
        &["BatchNorm", "BN", "LRN", "MVN", "Normalize", "Scale", "Bias"],
    ),
    (
        "activations",
        &[
            "*ReLU*",
            "ELU",
            "Sigmoid",
            "TanH",
            "AbsVal",
            "BNLL",
            "Power",
            "Exp",
            "Log",
            "Threshold",
            "*Swish",
            "Clip",
            "Dropout",
            "Softmax",
        ],
    ),
    ("several bottoms", &["Eltwise", "Concat", "Axpy", "Crop"]),
    (
        "shapes",
        &[
            "Slice",
            "Split",
            "Flatten",
            "Reshape",
            "Permute",
            "Tile",
            "ShuffleChannel",
        ],
    ),
    ("reductions", &["ArgMax", "Reduction"]),
    ("recurrent", &["LSTM", "RNN", "Embed"]),
    ("dense", &["InnerProduct"]),
    ("others", &["*"]),
];

const KERAS: Families = &[
    (
        "recurrent",
        &["*LSTM*", "*GRU*", "*RNN*", "Bidirectional", "TimeDistributed"],
    ),
    (
        "preprocessing",
        &[
            "Rescaling",
            "Normalization",
            "Resizing",
            "CenterCrop",
            "Random*",
            "*Encoding",
            "*Lookup",
            "TextVectorization",
            "Hashing",
            "Discretization",
        ],
    ),
    ("convolutions", &["*Conv*", "Deconvolution*", "LocallyConnected*"]),
    ("pooling", &["*Pooling*"]),
    ("normalisation", &["*Normalization"]),
    ("activations", &["Activation", "*ReLU", "ELU", "Softmax"]),
    ("attention", &["*Attention"]),
    (
        "merging",
        &[
            "Add",
            "Subtract",
            "Multiply",
            "Average",
            "Maximum",
            "Minimum",
            "Concatenate",
            "Dot",
            "Merge",
        ],
    ),
    (
        "shapes",
        &[
            "Flatten",
            "Reshape",
            "Permute",
            "RepeatVector",
            "ZeroPadding*",
            "Cropping*",
            "UpSampling*",
            "Identity",
        ],
    ),
    ("noise", &["*Dropout*", "Gaussian*", "ActivityRegularization"]),
    (
        "core",
        &["Dense", "EinsumDense", "Embedding", "Masking", "Lambda"],
    ),
    ("operators and models", &["*"]),
];

const TENSORFLOW: Families = &[
    ("convolutions", &["*Conv*"]),
    ("pooling", &["*Pool*"]),
    ("normalisation", &["*Norm*", "LRN"]),
    (
        "recurrent",
        &[
            "*LSTM*",
            "*GRU*",
            "*RNN*",
            "While",
            "StatelessWhile",
            "Enter",
            "Exit",
            "*Loop*",
        ],
    ),
    (
        "activations",
        &[
            "*Relu*",
            "*ReLU*",
            "*elu",
            "*Elu",
            "Selu",
            "Sigmoid",
            "HardSigmoid",
            "Tanh",
            "Soft*",
            "LogSoftmax",
            "*GELU*",
            "Gelu*",
            "*wish",
        ],
    ),
    ("dense", &["*MatMul*", "BiasAdd*", "Einsum", "Tensordot", "Dense"]),
    ("embeddings", &["*Gather*", "OneHot", "*mbedding*", "*ttention*"]),
    ("quantization", &["*Quant*", "*uantize*"]),
    (
        "reductions",
        &[
            "Mean",
            "Sum",
            "Max",
            "Min",
            "Prod",
            "Arg*",
            "EuclideanNorm",
            "All",
            "Any",
        ],
    ),
    (
        "shapes",
        &[
            "Reshape",
            "Transpose",
            "Squeeze",
            "ExpandDims",
            "Concat*",
            "Split*",
            "Slice",
            "StridedSlice",
            "Pack",
            "Unpack",
            "Pad*",
            "MirrorPad",
            "Tile",
            "Reverse*",
            "Resize*",
            "*Space*",
            "Broadcast*",
            "Shape",
            "Flatten",
            "Extract*",
        ],
    ),
    (
        "branches and functions",
        &["If", "StatelessIf", "Case", "Switch", "Merge", "*Call"],
    ),
    ("elementwise and others", &["*"]),
];

/// What the cases show.
#[derive(Default)]
struct Support {
    /// The number of cases that convert a class.
    converted: BTreeMap<String, usize>,
    /// The reasons why cases are refused, by class.
    refused: BTreeMap<String, BTreeSet<String>>,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let readme = root.join("README.md");
    let text = std::fs::read_to_string(&readme)?;
    let table = table(root)?;
    let replaced = replace(&text, &table).ok_or("README.md has no place for the table")?;
    if replaced == text {
        return Ok(ExitCode::SUCCESS);
    }
    if options.check {
        eprintln!("README.md does not say what the cases show; run cargo xtask table");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(&readme, replaced)?;
    Ok(ExitCode::SUCCESS)
}

/// The text with another table between the marks.
fn replace(text: &str, table: &str) -> Option<String> {
    let [start, end] = MARKS;
    let (before, rest) = text.split_once(start)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{start}\n\n{table}\n{end}{after}"))
}

fn table(root: &Path) -> Result<String, Failure> {
    let work = tempfile::tempdir()?;
    let mut text = String::new();
    for (name, folders, families, row) in FRAMEWORKS {
        let mut support = Support::default();
        for folder in *folders {
            for case in &cases(&root.join("testdata").join(folder), "*")? {
                support.add(case, work.path());
            }
        }
        let gap = if text.is_empty() { "" } else { "\n" };
        writeln!(text, "{gap}{name}:\n")?;
        support.describe(families, *row, &mut text)?;
    }
    Ok(text)
}

fn family(families: Families, class: &str) -> usize {
    families
        .iter()
        .position(|(_, patterns)| patterns.iter().any(|pattern| matches(pattern, class)))
        .unwrap_or(families.len() - 1)
}

impl Support {
    fn add(&mut self, case: &Case, work: &Path) {
        match verify::convert(case, ArchiveLayout::Keep, work) {
            Ok(converted) if case.expect == "convert" => {
                let classes: BTreeSet<&str> = converted
                    .graph
                    .nodes()
                    .map(|(_, node)| &*node.origin.kind)
                    .collect();
                for class in classes {
                    *self.converted.entry(class.to_owned()).or_default() += 1;
                }
            }
            Err(findings) if case.expect == "refuse" => {
                for finding in findings.iter() {
                    if let Some(origin) = &finding.origin
                        && Some(&*origin.layer) == case.layer.as_deref()
                    {
                        self.refused
                            .entry(origin.kind.to_string())
                            .or_default()
                            .insert(finding.message.clone());
                    }
                }
            }
            // The judges report what is not as expected; the table shows it as neither.
            _ => {}
        }
    }

    fn describe(&self, families: Families, row: Row, text: &mut String) -> Result<(), std::fmt::Error> {
        let head = match row {
            Row::Family => ["family", "converted, with the number of cases"],
            Row::Class => ["type", "converted, in so many cases"],
        };
        writeln!(
            text,
            "| {} | {} | refused, in the words of the command |\n|---|---|---|",
            head[0], head[1]
        )?;
        let all: BTreeSet<&str> = self
            .converted
            .keys()
            .chain(self.refused.keys())
            .map(String::as_str)
            .collect();
        for (i, (name, _)) in families.iter().enumerate() {
            let members: Vec<&str> = all
                .iter()
                .copied()
                .filter(|class| family(families, class) == i)
                .collect();
            match row {
                Row::Family => {
                    let converted: Vec<String> = members
                        .iter()
                        .filter_map(|class| Some(format!("{class} {}", self.converted.get(*class)?)))
                        .collect();
                    let refused: Vec<String> = members
                        .iter()
                        .filter_map(|class| Some(format!("**{class}**: {}", self.reasons(class)?)))
                        .collect();
                    writeln!(
                        text,
                        "| {name} | {} | {} |",
                        converted.join(", "),
                        refused.join("<br>")
                    )?;
                }
                Row::Class => {
                    for class in members {
                        let count = self.converted.get(class).map(usize::to_string);
                        writeln!(
                            text,
                            "| {class} | {} | {} |",
                            count.unwrap_or_default(),
                            self.reasons(class).unwrap_or_default()
                        )?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Why cases of a class are refused, if any are.
    fn reasons(&self, class: &str) -> Option<String> {
        let reasons: Vec<String> = self
            .refused
            .get(class)?
            .iter()
            .map(|reason| reason.replace('|', "\\|"))
            .collect();
        Some(reasons.join("; "))
    }
}
