//! Transfers that are judged: the options of the command, and the same in the words of DL4J's builder.

/// What the command reads.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The model of the source framework.
    Model,
    /// The archive that the conversion of it gave.
    Archive,
}

/// One transfer.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) model: &'static str,
    pub(crate) source: Source,
    /// Options of the conversion, in both ways.
    pub(crate) convert: &'static [&'static str],
    /// Options of the transfer.
    pub(crate) transfer: &'static [&'static str],
    /// The same for DL4J's builder, as JSON; `new` names the layers whose numbers are not the source's.
    pub(crate) surgery: &'static str,
    /// The sizes of an image, in the order that the archive takes.
    pub(crate) input: &'static [usize],
    pub(crate) classes: usize,
    /// Whether training draws random numbers, so that two networks do not have the same losses.
    pub(crate) random: bool,
    /// Whether layers are frozen.
    pub(crate) freezes: bool,
    /// Parts of paths of the configuration that differ for a reason.
    pub(crate) differs: &'static [&'static str],
}

const NESTEROVS: &str = "nesterovs:lr=0.05,momentum=0.9";

const DIGITS: Scenario = Scenario {
    name: "",
    model: "testdata/keras/digits_cnn/model.h5",
    source: Source::Model,
    convert: &[],
    transfer: &[],
    surgery: "{}",
    input: &[8, 8, 1],
    classes: 5,
    random: true,
    freezes: true,
    differs: &[],
};

const GRAPH: Scenario = Scenario {
    model: "testdata/digits/residual.h5",
    surgery: r#"{
        "freeze_through": "sum_relu", "replace": "probabilities", "new": ["probabilities"], "behind": "pool",
        "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
        "add": [
            {"kind": "output", "name": "probabilities", "in": 10, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}
        ]
    }"#,
    random: false,
    ..DIGITS
};

/// A new output in place of the one behind the flattening.
const REPLACED: Scenario = Scenario {
    name: "replaced_output",
    transfer: &[
        "--freeze-through",
        "flatten",
        "--replace-output",
        "5:softmax:mcxent",
        "--updater",
        NESTEROVS,
    ],
    surgery: r#"{
        "freeze_through": "batch_normalization", "remove": 1, "new": ["dense_1"],
        "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
        "add": [{"kind": "output", "name": "dense_1", "in": 24, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}]
    }"#,
    ..DIGITS
};

/// The digits' network as TensorFlow has it, frozen: without a dropout.
const TENSORFLOW: Scenario = Scenario {
    model: "testdata/tf/keras_digits/graph.pb",
    random: false,
    ..DIGITS
};

const CAFFE: Scenario = Scenario {
    model: "testdata/caffe/net_digits/deploy.prototxt",
    convert: &["--weights", "testdata/caffe/net_digits/net.caffemodel"],
    input: &[1, 8, 8],
    random: false,
    ..DIGITS
};

/// A new head of the graph that learns as these options, and this updater of DL4J, say.
macro_rules! learning {
    ($name:literal, [$($option:literal),*], $($updater:literal),+) => {
        Scenario {
            name: $name,
            transfer: &["--freeze-through", "sum_relu", "--replace-output", "5:softmax:mcxent", $($option),*],
            surgery: concat!(
                r#"{"freeze_through": "sum_relu", "replace": "probabilities", "new": ["probabilities"], "behind": "pool", "updater": "#,
                $($updater),+,
                r#", "add": [{"kind": "output", "name": "probabilities", "in": 10, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}]}"#
            ),
            ..GRAPH
        }
    };
}

/// The same by gradient descent whose rate follows a schedule.
macro_rules! scheduled {
    ($name:literal, $schedule:literal, $class:literal, $fields:literal) => {
        learning!(
            $name,
            ["--updater", "sgd", "--schedule", $schedule],
            r#"{"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": "NaN", "learningRateSchedule":
                {"@class": "org.nd4j.linalg.schedule."#,
            $class,
            r#"", "scheduleType": "ITERATION", "#,
            $fields,
            "}}"
        )
    };
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    REPLACED,
    Scenario {
        name: "replaced_output_of_an_archive",
        source: Source::Archive,
        transfer: &[
            "--freeze-through",
            "batch_normalization",
            "--replace-output",
            "5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        surgery: REPLACED.surgery,
        ..DIGITS
    },
    Scenario {
        name: "appended_layers",
        transfer: &[
            "--freeze-through",
            "flatten",
            "--remove-after",
            "dropout",
            "--append",
            "dense:16:relu,output:5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        surgery: r#"{
            "freeze_through": "batch_normalization", "remove": 2, "new": ["dense", "output"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "add": [
                {"kind": "dense", "name": "dense", "in": 48, "out": 16, "activation": "RELU"},
                {"kind": "output", "name": "output", "in": 16, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}
            ]
        }"#,
        ..DIGITS
    },
    Scenario {
        name: "resized_layer",
        transfer: &[
            "--resize",
            "dense=32",
            "--updater",
            NESTEROVS,
            "--freeze-through",
            "flatten",
        ],
        surgery: r#"{
            "freeze_through": "batch_normalization", "new": ["dense", "dense_1"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "resize": {"layer": "dense", "out": 32}
        }"#,
        classes: 10,
        ..DIGITS
    },
    Scenario {
        name: "resized_layer_of_an_archive",
        source: Source::Archive,
        transfer: &[
            "--resize",
            "conv2d_1=16",
            "--updater",
            NESTEROVS,
            "--freeze-through",
            "max_pooling2d",
            "--init",
            "relu",
        ],
        // DL4J's builder does not resize the normalisation behind a convolution.
        surgery: r#"{"builder": false}"#,
        classes: 10,
        ..DIGITS
    },
    Scenario {
        name: "resized_layer_by_another_scheme",
        transfer: &[
            "--resize",
            "dense=20",
            "--updater",
            NESTEROVS,
            "--freeze-through",
            "flatten",
            "--init",
            "relu",
        ],
        surgery: r#"{
            "freeze_through": "batch_normalization", "new": ["dense", "dense_1"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "resize": {"layer": "dense", "out": 20, "init": "RELU"}
        }"#,
        classes: 10,
        ..DIGITS
    },
    Scenario {
        name: "frozen_behind_learning",
        transfer: &[
            "--freeze",
            "conv2d_1",
            "--freeze",
            "batch*",
            "--updater",
            NESTEROVS,
        ],
        // DL4J's builder freezes from the front only.
        surgery: r#"{"builder": false}"#,
        classes: 10,
        ..DIGITS
    },
    Scenario {
        name: "other_training",
        transfer: &[
            "--updater",
            "adam:lr=0.002",
            "--l2",
            "0.001",
            "--clip-gradients",
            "norm:1",
            "--freeze-through",
            "conv2d",
        ],
        surgery: r#"{
            "freeze_through": "conv2d", "l2": 0.001, "clip_norm": 1.0,
            "updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.002, "beta1": 0.9,
                "beta2": 0.999, "epsilon": 1e-8}
        }"#,
        classes: 10,
        // A layer that only drops units has no gradients to clip, nor weights.
        differs: &["/confs/4/"],
        ..DIGITS
    },
    Scenario {
        name: "graph",
        transfer: &[
            "--freeze-through",
            "sum_relu",
            "--replace-output",
            "5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        ..GRAPH
    },
    Scenario {
        name: "graph_of_an_archive",
        source: Source::Archive,
        transfer: &[
            "--freeze-through",
            "sum_relu",
            "--replace-output",
            "5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        ..GRAPH
    },
    Scenario {
        name: "graph_appended",
        transfer: &[
            "--freeze-through",
            "sum_relu",
            "--remove-after",
            "pool",
            "--append",
            "dense:12:tanh,output:5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        surgery: r#"{
            "freeze_through": "sum_relu", "new": ["dense", "output"], "remove_vertices": ["probabilities"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "behind": "pool", "outputs": ["output"], "add": [
                {"kind": "dense", "name": "dense", "in": 10, "out": 12, "activation": "TANH"},
                {"kind": "output", "name": "output", "in": 12, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}
            ]
        }"#,
        ..GRAPH
    },
    Scenario {
        name: "recurrent",
        model: "testdata/keras/digits_lstm/model.h5",
        transfer: &[
            "--freeze-through",
            "lstm",
            "--replace-output",
            "5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        // DL4J's builder fails on every network with a LastTimeStep (ClassCastException).
        surgery: r#"{"builder": false}"#,
        input: &[8, 8],
        random: false,
        ..DIGITS
    },
    learning!(
        "updater_sgd",
        ["--updater", "sgd:lr=0.1"],
        r#"{"@class": "org.nd4j.linalg.learning.config.Sgd", "learningRate": 0.1}"#
    ),
    learning!(
        "updater_adam",
        ["--updater", "adam"],
        r#"{"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}"#
    ),
    learning!(
        "updater_amsgrad",
        ["--updater", "amsgrad:lr=0.01,beta1=0.8,beta2=0.99,epsilon=1e-7"],
        r#"{"@class": "org.nd4j.linalg.learning.config.AMSGrad", "learningRate": 0.01, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-7}"#
    ),
    learning!(
        "updater_adamax",
        ["--updater", "adamax:lr=0.01"],
        r#"{"@class": "org.nd4j.linalg.learning.config.AdaMax", "learningRate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}"#
    ),
    learning!(
        "updater_nadam",
        ["--updater", "nadam:lr=0.01"],
        r#"{"@class": "org.nd4j.linalg.learning.config.Nadam", "learningRate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}"#
    ),
    learning!(
        "updater_rmsprop",
        ["--updater", "rmsprop:lr=0.005,decay=0.9"],
        r#"{"@class": "org.nd4j.linalg.learning.config.RmsProp", "learningRate": 0.005, "rmsDecay": 0.9, "epsilon": 1e-8}"#
    ),
    learning!(
        "updater_adagrad",
        ["--updater", "adagrad:lr=0.05"],
        r#"{"@class": "org.nd4j.linalg.learning.config.AdaGrad", "learningRate": 0.05, "epsilon": 1e-6}"#
    ),
    learning!(
        "updater_adadelta",
        ["--updater", "adadelta:rho=0.9"],
        r#"{"@class": "org.nd4j.linalg.learning.config.AdaDelta", "rho": 0.9, "epsilon": 1e-6}"#
    ),
    learning!(
        "updater_nesterovs",
        ["--updater", "nesterovs:lr=0.05,momentum=0.8"],
        r#"{"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.8}"#
    ),
    scheduled!(
        "schedule_step",
        "step:initial=0.2,decay=0.5,step=5",
        "StepSchedule",
        r#""initialValue": 0.2, "decayRate": 0.5, "step": 5.0"#
    ),
    scheduled!(
        "schedule_exponential",
        "exponential:initial=0.2,gamma=0.9",
        "ExponentialSchedule",
        r#""initialValue": 0.2, "gamma": 0.9"#
    ),
    scheduled!(
        "schedule_inverse",
        "inverse:initial=0.2,gamma=0.1",
        "InverseSchedule",
        r#""initialValue": 0.2, "gamma": 0.1, "power": 1.0"#
    ),
    scheduled!(
        "schedule_poly",
        "poly:initial=0.2,power=0.9,steps=40",
        "InverseSchedule",
        r#""initialValue": 0.2, "gamma": -0.025, "power": -0.9"#
    ),
    scheduled!(
        "schedule_sigmoid",
        "sigmoid:initial=0.3,gamma=-0.2,step=10",
        "SigmoidSchedule",
        r#""initialValue": 0.3, "gamma": -0.2, "stepSize": 10"#
    ),
    scheduled!(
        "schedule_map",
        "map:0=0.2,8=0.1,16=0.05",
        "MapSchedule",
        r#""values": {"0": 0.2, "8": 0.1, "16": 0.05}"#
    ),
    Scenario {
        name: "clipped_by_value",
        transfer: &[
            "--updater",
            NESTEROVS,
            "--clip-gradients",
            "value:0.01",
            "--freeze",
            "stem*",
            "--freeze-through",
            "sum_relu",
        ],
        surgery: r#"{
            "freeze_through": "sum_relu", "clip_value": 0.01,
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9}
        }"#,
        classes: 10,
        ..GRAPH
    },
    Scenario {
        name: "head_of_zeros",
        transfer: &[
            "--freeze-through",
            "sum_relu",
            "--replace-output",
            "5:softmax:mcxent",
            "--init",
            "zero",
            "--updater",
            NESTEROVS,
        ],
        surgery: r#"{
            "freeze_through": "sum_relu", "replace": "probabilities", "new": ["probabilities"], "behind": "pool",
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "add": [{"kind": "output", "name": "probabilities", "in": 10, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT",
                "init": "ZERO"}]
        }"#,
        ..GRAPH
    },
    Scenario {
        name: "appended_blocks",
        transfer: &[
            "--freeze-through",
            "conv2d_1",
            "--remove-after",
            "conv2d_1",
            "--append",
            "batchnorm,globalpool:avg,dense:12:tanh,dropout:0.25,output:5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        surgery: r#"{
            "freeze_through": "conv2d_1", "remove": 4, "new": ["batch_normalization", "dense", "output"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "add": [
                {"kind": "batchnorm", "name": "batch_normalization", "in": 12, "out": 12},
                {"kind": "globalpool", "name": "global_pooling"},
                {"kind": "dense", "name": "dense", "in": 12, "out": 12, "activation": "TANH"},
                {"kind": "dropout", "name": "dropout", "keep": 0.75},
                {"kind": "output", "name": "output", "in": 12, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}
            ]
        }"#,
        // Without effect: functions of layers that have none, what biases and weights start with that there are not, and the
        // axes that are pooled anyway.
        differs: &[
            "/confs/3/layer/activationFn",
            "/confs/3/layer/biasInit",
            "/confs/3/layer/gradientNormalization",
            "/confs/6/layer/activationFn",
            "/confs/6/layer/weightInitFn",
            "/poolingDimensions",
        ],
        ..DIGITS
    },
    Scenario {
        name: "tensorflow",
        transfer: REPLACED.transfer,
        surgery: REPLACED.surgery,
        ..TENSORFLOW
    },
    Scenario {
        name: "tensorflow_resized",
        transfer: &[
            "--resize",
            "dense=20",
            "--freeze-through",
            "flatten",
            "--updater",
            "adam:lr=0.005",
        ],
        surgery: r#"{
            "freeze_through": "batch_normalization", "new": ["dense", "dense_1"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Adam", "learningRate": 0.005, "beta1": 0.9,
                "beta2": 0.999, "epsilon": 1e-8},
            "resize": {"layer": "dense", "out": 20}
        }"#,
        classes: 10,
        ..TENSORFLOW
    },
    Scenario {
        name: "caffe",
        transfer: &[
            "--freeze-through",
            "pool",
            "--replace-output",
            "5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        surgery: r#"{
            "freeze_through": "pool", "remove": 1, "new": ["ip2"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "add": [{"kind": "output", "name": "ip2", "in": 16, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}]
        }"#,
        ..CAFFE
    },
    Scenario {
        name: "caffe_appended",
        transfer: &[
            "--freeze-through",
            "pool",
            "--remove-after",
            "relu1",
            "--append",
            "dense:12:relu,output:5:softmax:mcxent",
            "--updater",
            NESTEROVS,
        ],
        surgery: r#"{
            "freeze_through": "pool", "remove": 1, "new": ["dense", "output"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "add": [
                {"kind": "dense", "name": "dense", "in": 16, "out": 12, "activation": "RELU"},
                {"kind": "output", "name": "output", "in": 12, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}
            ]
        }"#,
        ..CAFFE
    },
];
