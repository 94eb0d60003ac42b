//! Chains as stock DL4J writes them, whose meaning is not what their fields say at first sight.
// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::panic)]

use caribou_ir::op::Op;
use caribou_ir::{Import, ReadError, ReadOptions, Reader, Source};
use caribou_reader_dl4j::Dl4jReader;
use caribou_writer_dl4j::format::{
    COEFFICIENTS, CONFIGURATION,
    array::{ArrayType, row_header},
};
use serde_json::{Value, json};
use std::io::Write;
use zip::write::SimpleFileOptions;

fn archive(configuration: &Value, parameters: &[f32]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
    zip.start_file(CONFIGURATION, SimpleFileOptions::default())
        .unwrap();
    zip.write_all(configuration.to_string().as_bytes()).unwrap();
    zip.start_file(COEFFICIENTS, SimpleFileOptions::default())
        .unwrap();
    zip.write_all(&row_header(ArrayType::Float, parameters.len()))
        .unwrap();
    for value in parameters {
        zip.write_all(&value.to_be_bytes()).unwrap();
    }
    zip.finish().unwrap();
    file
}

fn read(configuration: &Value, parameters: &[f32], shape: &[usize]) -> Result<Import, ReadError> {
    let file = archive(configuration, parameters);
    let options = ReadOptions {
        input_shapes: vec![shape.iter().map(|&size| Some(size)).collect()],
        ..ReadOptions::default()
    };
    Dl4jReader.read(&Source::open(file.path()).unwrap(), &options)
}

fn batch_normalization(variables: &[&str]) -> Value {
    json!({"confs": [{
        "optimizationAlgo": "STOCHASTIC_GRADIENT_DESCENT",
        "variables": variables,
        "layer": {
            "@class": "org.deeplearning4j.nn.conf.layers.BatchNormalization",
            "nin": 1, "nout": 1, "eps": 0.0, "useLogStd": false,
            "iupdater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1},
        },
    }]})
}

/// DL4J sets `useLogStd` by the names of the variables, whatever the file says.
#[test]
fn a_batch_normalisation_without_a_variance_stores_the_logarithm_of_a_deviation() {
    for (variables, variance) in [
        (&["gamma", "beta", "mean", "var"], 0.5),
        (&["gamma", "beta", "mean", "log10stdev"], 10.0),
    ] {
        let import = read(&batch_normalization(variables), &[1.0, 0.0, 0.0, 0.5], &[2, 1]).unwrap();
        let (_, node) = import.graph.nodes().next().unwrap();
        let Op::BatchNorm(op) = &node.op else {
            panic!("{:?}", node.op)
        };
        assert_eq!(op.variance.to_vec().unwrap(), [variance]);
    }
}

/// `[T N, F]`, time outermost, is what DL4J gives here, and no value of the graph.
#[test]
fn rows_of_all_steps_are_refused_as_an_output() {
    let layer = |class: &str| {
        json!({
            "@class": format!("org.deeplearning4j.nn.conf.layers.{class}"), "nin": 2, "nout": 1, "layerName": "last",
            "activationFn": {"@class": "org.nd4j.linalg.activations.impl.ActivationIdentity"},
            "iupdater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1},
        })
    };
    let fold = json!({"@class": "org.deeplearning4j.nn.conf.preprocessor.RnnToFeedForwardPreProcessor", "rnnDataFormat": "NCW"});
    let rows = json!({
        "confs": [{"optimizationAlgo": "STOCHASTIC_GRADIENT_DESCENT", "layer": layer("DenseLayer")}],
        "inputPreProcessors": {"0": fold},
    });
    let Err(ReadError::Refused { findings, .. }) = read(&rows, &[1.0, 2.0, 3.0], &[1, 2, 4]) else {
        panic!("rows were read")
    };
    let finding = findings.iter().next().unwrap();
    assert_eq!(
        (finding.code.0, &*finding.origin.as_ref().unwrap().layer),
        ("D0306", "last")
    );
}
