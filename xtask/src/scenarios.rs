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

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
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
    },
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
        surgery: r#"{
            "freeze_through": "batch_normalization", "remove": 1, "new": ["dense_1"],
            "updater": {"@class": "org.nd4j.linalg.learning.config.Nesterovs", "learningRate": 0.05, "momentum": 0.9},
            "add": [{"kind": "output", "name": "dense_1", "in": 24, "out": 5, "activation": "SOFTMAX", "loss": "MCXENT"}]
        }"#,
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
];
