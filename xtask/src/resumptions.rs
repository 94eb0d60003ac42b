//! Networks whose training goes on: what stock DL4J makes, what the command does with it, and what is expected.

/// One of them.
pub(crate) struct Resumption {
    pub(crate) name: &'static str,
    /// The network, as the judge calls it.
    pub(crate) network: &'static str,
    /// How it is trained, as JSON.
    pub(crate) options: &'static str,
    /// The command and its options.
    pub(crate) command: &'static [&'static str],
    pub(crate) expected: Expected,
}

/// What the second archive is to do.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// Training goes on in both with the same parameters and the same state, bit by bit.
    SameBits,
    /// The same but for rounding: no number differs by more.
    Near(f64),
    /// The state at the start is the same, but for zeros where parameters were pruned.
    Pruned,
    /// So many numbers are remembered.
    Remembered(usize),
}

const CONVERT: &[&str] = &["convert", "--with-training-state"];

const fn same(name: &'static str, network: &'static str, options: &'static str) -> Resumption {
    Resumption {
        name,
        network,
        options,
        command: CONVERT,
        expected: Expected::SameBits,
    }
}

const IMAGES: &[&str] = &["convert", "--with-training-state", "--input-shape", "1x1x6x6"];

const fn images(name: &'static str, options: &'static str) -> Resumption {
    Resumption {
        command: IMAGES,
        ..same(name, "convolution", options)
    }
}

const fn pass(
    name: &'static str,
    network: &'static str,
    options: &'static str,
    command: &'static [&'static str],
    expected: Expected,
) -> Resumption {
    Resumption {
        name,
        network,
        options,
        command,
        expected,
    }
}

pub(crate) const ADAM: &str = r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.01, "beta1": 0.9,
    "beta2": 0.999, "epsilon": 1e-8}}"#;
const NESTEROVS: &str = r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9}}"#;

/// All of them.
pub(crate) const RESUMPTIONS: &[Resumption] = &[
    same(
        "sgd",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.05}}"#,
    ),
    same("nesterovs", "dense", NESTEROVS),
    same("adam", "dense", ADAM),
    same(
        "amsgrad",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.AMSGrad", "learningRate": 0.01, "beta1": 0.9,
            "beta2": 0.999, "epsilon": 1e-8}}"#,
    ),
    same(
        "adamax",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.AdaMax", "learningRate": 0.01, "beta1": 0.9,
            "beta2": 0.999, "epsilon": 1e-8}}"#,
    ),
    same(
        "nadam",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nadam", "learningRate": 0.01, "beta1": 0.9,
            "beta2": 0.999, "epsilon": 1e-8}}"#,
    ),
    same(
        "rmsprop",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.RmsProp", "learningRate": 0.01, "rmsDecay": 0.95,
            "epsilon": 1e-8}}"#,
    ),
    same(
        "adagrad",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.AdaGrad", "learningRate": 0.05, "epsilon": 1e-6}}"#,
    ),
    same(
        "adadelta",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.AdaDelta", "rho": 0.95, "epsilon": 1e-6}}"#,
    ),
    same(
        "noop",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.NoOp"}}"#,
    ),
    same("graph_adam", "graph", ADAM),
    same("graph_nesterovs", "graph", NESTEROVS),
    same("lstm_adam", "lstm", ADAM),
    same("bidirectional_adam", "bidirectional", ADAM),
    same("frozen_adam", "frozen", ADAM),
    same("frozen_with_backprop_adam", "frozen_with_backprop", ADAM),
    images("convolution_adam", ADAM),
    images(
        "convolution_bias_updater",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "bias_updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.01, "beta1": 0.9,
            "beta2": 0.999, "epsilon": 1e-8}}"#,
    ),
    same(
        "graph_bias_updater",
        "graph",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.01, "beta1": 0.9, "beta2": 0.999,
            "epsilon": 1e-8}, "bias_updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1}}"#,
    ),
    same(
        "layer_updater",
        "graph",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.01, "beta1": 0.9, "beta2": 0.999,
            "epsilon": 1e-8}, "dense_updater": {"@class": "org.nd4j.linalg.learning.config.RmsProp", "learningRate": 0.01,
            "rmsDecay": 0.95, "epsilon": 1e-8}}"#,
    ),
    same(
        "layer_without_steps",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "dense_updater": {"@class": "org.nd4j.linalg.learning.config.NoOp"}}"#,
    ),
    same(
        "schedule_by_step",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": "NaN", "learningRateSchedule":
            {"@class": "org.nd4j.linalg.schedule.ExponentialSchedule", "scheduleType": "ITERATION", "initialValue": 0.05,
            "gamma": 0.9}, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}}"#,
    ),
    same(
        "schedule_by_epoch",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": "NaN", "learningRateSchedule":
            {"@class": "org.nd4j.linalg.schedule.StepSchedule", "scheduleType": "EPOCH", "initialValue": 0.05,
            "decayRate": 0.5, "step": 2.0}, "momentum": 0.9}}"#,
    ),
    same(
        "penalties",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.01, "beta1": 0.9, "beta2": 0.999,
            "epsilon": 1e-8}, "l2": 0.003, "l1_bias": 0.002}"#,
    ),
    // DL4J's builder writes the decay twice, each of half the size, which is rounded twice.
    pass(
        "weight_decay",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "weight_decay": 0.02}"#,
        CONVERT,
        Expected::Near(1e-6),
    ),
    // The softmax of the loss becomes a layer in front of it.
    pass("images_adam", "images", ADAM, IMAGES, Expected::Near(1e-6)),
    same(
        "clipped_by_layer",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1},
            "gradients": "ClipL2PerLayer", "threshold": 0.05}"#,
    ),
    same(
        "scaled_gradients",
        "graph",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1},
            "gradients": "RenormalizeL2PerParamType"}"#,
    ),
    same(
        "constraints",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1}, "max_norm": 0.5,
            "non_negative": true}"#,
    ),
    same(
        "dropout",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1}, "dropout": 0.75}"#,
    ),
    same(
        "class_weights",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1}, "class_weights": [1.0, 2.5, 0.25]}"#,
    ),
    same(
        "momentum_schedule",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.1, "momentum": "NaN",
            "momentumISchedule": {"@class": "org.nd4j.linalg.schedule.StepSchedule", "scheduleType": "ITERATION",
            "initialValue": 0.9, "decayRate": 0.8, "step": 7.0}}}"#,
    ),
    same(
        "dropout_schedule",
        "dense",
        r#"{"updater": {"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1}, "dropout_schedule":
            {"@class": "org.nd4j.linalg.schedule.ExponentialSchedule", "scheduleType": "ITERATION", "initialValue": 0.5,
            "gamma": 1.02}}"#,
    ),
    pass(
        "pruned",
        "dense",
        NESTEROVS,
        &[
            "prune",
            "--sparsity",
            "0.5",
            "--only",
            "*",
            "--with-training-state",
        ],
        Expected::Pruned,
    ),
    pass(
        "simplified",
        "dense",
        ADAM,
        &["simplify", "--with-training-state"],
        Expected::SameBits,
    ),
    pass(
        "quantized",
        "dense",
        ADAM,
        &["quantize", "--only", "*", "--with-training-state"],
        Expected::Remembered(106),
    ),
    pass(
        "transferred",
        "dense",
        ADAM,
        // What is remembered starts anew; so many numbers are there from the first step on.
        &["transfer", "--freeze-through", "layer0"],
        Expected::Remembered(36),
    ),
    pass(
        "replaced_steps",
        "lstm",
        ADAM,
        &["transfer", "--replace-output", "4:softmax:mcxent"],
        Expected::Remembered(448),
    ),
    pass(
        "replaced_filters",
        "images",
        ADAM,
        &[
            "transfer",
            "--replace-output",
            "4:softmax:mcxent",
            "--input-shape",
            "1x1x6x6",
        ],
        Expected::Remembered(120),
    ),
];
