use super::*;
use crate::program::{Edge, Signature};
use crate::schema::FunctionDef;
use crate::schema::attr_value::{ListValue, Value};
use crate::schema::op_def::ArgDef;
use crate::schema::{
    DataType, NameAttrList, NodeDef, OpDef, TensorProto, TensorShapeProto, tensor_shape_proto::Dim,
};
use crate::{Binding, InputChoice};

/// A node; attributes are values by name.
pub(crate) fn node(name: &str, op: &str, input: &[&str], attr: &[(&str, Value)]) -> NodeDef {
    NodeDef {
        name: name.into(),
        op: op.into(),
        input: input.iter().map(|&input| input.into()).collect(),
        attr: attr
            .iter()
            .map(|(name, value)| {
                let value = Some(value.clone());
                ((*name).to_owned(), AttrValue { value })
            })
            .collect(),
        ..NodeDef::default()
    }
}

fn shape(sizes: &[i64]) -> Value {
    let dim = |&size: &i64| Dim {
        size,
        ..Dim::default()
    };
    Value::Shape(TensorShapeProto {
        dim: sizes.iter().map(dim).collect(),
        unknown_rank: false,
    })
}

fn placeholder(name: &str, kind: DataType, sizes: &[i64]) -> NodeDef {
    node(
        name,
        "Placeholder",
        &[],
        &[("dtype", Value::Type(kind as i32)), ("shape", shape(sizes))],
    )
}

fn constant(name: &str, value: f32) -> NodeDef {
    let tensor = TensorProto {
        dtype: DataType::DtFloat as i32,
        float_val: vec![value],
        ..TensorProto::default()
    };
    node(name, "Const", &[], &[("value", Value::Tensor(tensor))])
}

fn call(function: &str) -> Value {
    Value::Func(NameAttrList {
        name: function.into(),
        ..NameAttrList::default()
    })
}

fn function(name: &str, inputs: &[&str], nodes: Vec<NodeDef>, outputs: &[(&str, &str)]) -> FunctionDef {
    let argument = |name: &&str| ArgDef {
        name: (*name).to_owned(),
        ..ArgDef::default()
    };
    let names: Vec<&str> = outputs.iter().map(|(name, _)| *name).collect();
    FunctionDef {
        signature: Some(OpDef {
            name: name.into(),
            input_arg: inputs.iter().map(argument).collect(),
            output_arg: names.iter().map(argument).collect(),
        }),
        node_def: nodes,
        ret: outputs
            .iter()
            .map(|&(name, from)| (name.into(), from.into()))
            .collect(),
        ..FunctionDef::default()
    }
}

fn program(nodes: Vec<NodeDef>, functions: Vec<FunctionDef>) -> Program {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1).unwrap();
    // SAFETY: nobody else knows the file.
    #[allow(unsafe_code)]
    let map = unsafe { memmap2::Mmap::map(&file).unwrap() };
    let name = |function: &FunctionDef| function.signature.as_ref().unwrap().name.clone();
    Program {
        nodes,
        functions: functions
            .into_iter()
            .map(|function| (name(&function), function))
            .collect(),
        map: Arc::new(map),
        signature: None,
        variables: crate::file::Variables::default(),
        keras: None,
        format: String::new(),
    }
}

/// A graph in a few words, a node a line: `name = op(inputs)`.
pub(crate) fn shown(flat: &Flat) -> Vec<String> {
    let name = |output: &Output| match (flat.nodes.get(output.node), output.slot) {
        (None, _) => "?".to_owned(),
        (Some(node), 0) => node.name.to_string(),
        (Some(node), slot) => format!("{}:{slot}", node.name),
    };
    let nodes = flat.nodes.iter().map(|node| {
        let inputs: Vec<String> = node.inputs.iter().map(name).collect();
        format!("{} = {}({})", node.name, node.op, inputs.join(", "))
    });
    let feeds = flat
        .feeds
        .iter()
        .map(|feed| format!("feed {} {:?}", name(&feed.output), feed.shape));
    let fetches = flat
        .fetches
        .iter()
        .map(|fetch| format!("fetch {}", name(&fetch.output)));
    feeds.chain(nodes).chain(fetches).collect()
}

fn codes(findings: &Findings) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code.0).collect()
}

fn flat(program: &Program, reader: &TensorflowReader) -> (Vec<String>, Findings) {
    let mut findings = Findings::new();
    let flat = flatten(program, reader, &ReadOptions::default(), &mut findings);
    (shown(&flat), findings)
}

const FLOAT: DataType = DataType::DtFloat;

#[test]
fn what_the_outputs_need_is_taken_in_order() {
    let program = program(
        vec![
            node("out", "Relu", &["sum"], &[]),
            node("sum", "Add", &["x", "c", "^init"], &[]),
            constant("c", 1.0),
            placeholder("x", FLOAT, &[-1, 3]),
            node("save/SaveV2", "SaveV2", &["c"], &[]),
            node("init", "NoOp", &[], &[]),
            node("gradients/Fill", "Fill", &["out", "c"], &[]),
            constant("unused", 2.0),
        ],
        vec![],
    );
    let (lines, findings) = flat(&program, &TensorflowReader::default());
    assert_eq!(
        lines,
        [
            "feed x Some([None, Some(3)])",
            "x = Placeholder()",
            "c = Const()",
            "sum = Add(x, c)",
            "out = Relu(sum)",
            "fetch out"
        ]
    );
    assert_eq!(codes(&findings), ["T0106", "T0113"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let program = program(
        vec![
            placeholder("x", FLOAT, &[2]),
            node("a", "Relu", &["nowhere"], &[]),
            node("b", "Add", &["a", "nobody:1"], &[]),
            node("b", "Relu", &["x"], &[]),
            node("c", "Add", &["b", "x"], &[]),
        ],
        vec![],
    );
    let (_, findings) = flat(&program, &TensorflowReader::default());
    let codes = codes(&findings);
    assert_eq!(
        codes.iter().filter(|&&code| code == "T0102").count(),
        2,
        "{codes:?}"
    );
    assert!(codes.contains(&"T0101"));
    let circle = self::program(
        vec![
            placeholder("x", FLOAT, &[2]),
            node("a", "Add", &["b", "x"], &[]),
            node("b", "Relu", &["a"], &[]),
            node("c", "Relu", &["b"], &[]),
        ],
        vec![],
    );
    let (_, findings) = flat(&circle, &TensorflowReader::default());
    assert!(self::codes(&findings).contains(&"T0103"));
}

#[test]
fn inputs_and_outputs_are_chosen_within_the_graph() {
    let program = program(
        vec![
            placeholder("x", FLOAT, &[2]),
            node(
                "split",
                "Split",
                &["x"],
                &[("num_split", Value::I(2)), ("T", Value::Type(1))],
            ),
            node("a", "Relu", &["split:1"], &[]),
            node("b", "Relu", &["a"], &[]),
            node("c", "Relu", &["split"], &[]),
        ],
        vec![],
    );
    let reader = TensorflowReader {
        inputs: vec!["split:1=1x7".parse().unwrap()],
        outputs: vec!["a:0".into()],
        ..TensorflowReader::default()
    };
    let (lines, findings) = flat(&program, &reader);
    let expected = [
        "feed split Some([Some(1), Some(7)])",
        "split = Placeholder()",
        "a = Relu(split)",
        "fetch a",
    ];
    assert_eq!((lines, findings.len()), (expected.map(String::from).to_vec(), 0));
    let reader = TensorflowReader {
        inputs: vec![InputChoice {
            name: "split:1".into(),
            shape: None,
        }],
        outputs: vec!["b".into(), "c".into(), "d".into()],
        ..TensorflowReader::default()
    };
    let (_, findings) = flat(&program, &reader);
    assert_eq!(codes(&findings), ["T0107", "T0111"]);
}

fn with_dropout() -> Program {
    program(
        vec![
            placeholder("x", FLOAT, &[-1, 3]),
            placeholder("keep_prob", FLOAT, &[]),
            placeholder("is_training", DataType::DtBool, &[]),
            node("uniform", "RandomUniform", &[], &[]),
            node("add", "Add", &["keep_prob", "uniform"], &[]),
            node("floor", "Floor", &["add"], &[]),
            node("mul", "Mul", &["x", "floor"], &[]),
            node("switch", "Switch", &["mul", "is_training"], &[]),
            node("left", "Relu", &["switch"], &[]),
            node("right", "Elu", &["switch:1"], &[]),
            node("merge", "Merge", &["left", "right"], &[]),
        ],
        vec![],
    )
}

#[test]
fn what_training_feeds_has_its_value_of_inference() {
    let (lines, findings) = flat(&with_dropout(), &TensorflowReader::default());
    assert!(lines.contains(&"left = Relu(mul)".to_owned()), "{lines:?}");
    assert!(lines.contains(&"merge = Identity(left)".to_owned()));
    assert!(lines.contains(&"keep_prob = Const()".to_owned()));
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("Elu(") && line.contains("right"))
    );
    assert_eq!(codes(&findings), ["T0106", "T0113", "T0110", "T0110"]);
    let reader = TensorflowReader {
        bind: vec![Binding {
            name: "is_training".into(),
            value: 1.0,
        }],
        ..TensorflowReader::default()
    };
    let (lines, _) = flat(&with_dropout(), &reader);
    assert!(lines.contains(&"merge = Identity(right)".to_owned()), "{lines:?}");
}

#[test]
fn what_a_signature_feeds_in_training_is_bound_unless_the_user_names_it() {
    let edge = |name: &str, tensor: &str| Edge {
        name: name.into(),
        tensor: tensor.into(),
        shape: None,
    };
    let mut program = with_dropout();
    program.signature = Some(Signature {
        name: "serving_default".into(),
        inputs: vec![
            edge("x", "x"),
            edge("keep", "keep_prob"),
            edge("training", "is_training"),
        ],
        outputs: vec![edge("y", "merge")],
    });
    let (lines, findings) = flat(&program, &TensorflowReader::default());
    assert!(lines.contains(&"keep_prob = Const()".to_owned()), "{lines:?}");
    assert!(lines.contains(&"merge = Identity(left)".to_owned()), "{lines:?}");
    assert_eq!(codes(&findings), ["T0110", "T0110"]);
    let input = |name: &str| InputChoice {
        name: name.into(),
        shape: None,
    };
    let reader = TensorflowReader {
        inputs: ["x", "keep", "training"].map(input).to_vec(),
        ..TensorflowReader::default()
    };
    let (lines, _) = flat(&program, &reader);
    assert!(
        lines.contains(&"keep_prob = Placeholder()".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"is_training = Placeholder()".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn numbers_that_nobody_gives_are_asked_for() {
    let program = program(
        vec![
            placeholder("x", FLOAT, &[3]),
            placeholder("alpha", FLOAT, &[]),
            node("y", "Mul", &["x", "alpha"], &[]),
        ],
        vec![],
    );
    let (_, findings) = flat(&program, &TensorflowReader::default());
    assert!(codes(&findings).contains(&"T0111"));
    let reader = TensorflowReader {
        bind: vec![Binding {
            name: "alpha".into(),
            value: 0.5,
        }],
        ..TensorflowReader::default()
    };
    assert!(!flat(&program, &reader).1.has_errors());
}

/// A function that calls another one twice.
fn with_calls() -> Program {
    let inner = function(
        "inner",
        &["a", "b"],
        vec![
            node(
                "split",
                "Split",
                &["b:0"],
                &[("num_split", Value::I(2)), ("T", Value::Placeholder("T".into()))],
            ),
            node("add", "Add", &["a", "split:output:1"], &[]),
        ],
        &[("sum", "add:z:0"), ("same", "a")],
    );
    let inner = FunctionDef {
        node_def: inner
            .node_def
            .into_iter()
            .map(|mut node| {
                node.input
                    .iter_mut()
                    .for_each(|input| *input = input.replace("b:0", "b"));
                node
            })
            .collect(),
        ..inner
    };
    let outer = function(
        "outer",
        &["x"],
        vec![
            node(
                "dense/StatefulPartitionedCall",
                "StatefulPartitionedCall",
                &["x", "x"],
                &[("f", call("inner"))],
            ),
            node(
                "other",
                "inner",
                &[
                    "dense/StatefulPartitionedCall:output:0",
                    "dense/StatefulPartitionedCall:output:1",
                ],
                &[],
            ),
        ],
        &[("y", "other:sum:0")],
    );
    program(
        vec![
            placeholder("x", FLOAT, &[4]),
            node(
                "PartitionedCall",
                "PartitionedCall",
                &["x"],
                &[("f", call("outer"))],
            ),
        ],
        vec![inner, outer],
    )
}

#[test]
fn calls_are_replaced_by_what_they_call() {
    let (lines, findings) = flat(&with_calls(), &TensorflowReader::default());
    assert!(!findings.has_errors(), "{findings}");
    assert_eq!(
        lines[1..],
        [
            "x = Placeholder()",
            "dense/split = Split(x)",
            "dense/add = Add(x, dense/split:1)",
            "other/split = Split(x)",
            "other/add = Add(dense/add, other/split:1)",
            "fetch other/add"
        ]
    );
}

#[test]
fn inputs_and_outputs_are_chosen_within_functions() {
    let reader = |inputs: &[&str], outputs: &[&str]| TensorflowReader {
        inputs: inputs.iter().map(|input| input.parse().unwrap()).collect(),
        outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
        ..TensorflowReader::default()
    };
    let (lines, findings) = flat(&with_calls(), &reader(&["dense/add=1x7"], &["other/add"]));
    let expected = [
        "feed dense/add Some([Some(1), Some(7)])",
        "dense/add = Placeholder()",
        "other/split = Split(x)",
        "other/add = Add(dense/add, other/split:1)",
        "fetch other/add",
    ];
    // The other input of the sum is needed, and nobody has named it.
    assert_eq!(codes(&findings), ["T0111"]);
    assert_eq!(lines[0], expected[0]);
    assert!(lines.contains(&expected[3].to_owned()), "{lines:?}");
    let (lines, findings) = flat(
        &with_calls(),
        &reader(&["dense/add=7", "other/split:1=7"], &["other/add"]),
    );
    assert!(!findings.has_errors(), "{findings}");
    assert_eq!(
        lines[2..],
        [
            "dense/add = Placeholder()",
            "other/split = Placeholder()",
            "other/add = Add(dense/add, other/split)",
            "fetch other/add",
        ]
    );
    let (lines, findings) = flat(&with_calls(), &reader(&[], &["dense/split:1", "dense/add"]));
    assert!(!findings.has_errors(), "{findings}");
    assert_eq!(
        lines[lines.len() - 2..],
        ["fetch dense/split:1", "fetch dense/add"]
    );
    let (_, findings) = flat(&with_calls(), &reader(&[], &["dense/sum"]));
    assert_eq!(codes(&findings).last(), Some(&"T0107"));
}

#[test]
fn dropout_is_told_by_what_it_divides_by() {
    let program = |of: &str| {
        program(
            vec![
                placeholder("x", FLOAT, &[-1, 3]),
                placeholder("dropout", FLOAT, &[]),
                constant("one", 1.0),
                node("rest", "Sub", &["one", "dropout"], &[]),
                node("uniform", "RandomUniform", &[], &[]),
                node("add", "Add", &[of, "uniform"], &[]),
                node("floor", "Floor", &["add"], &[]),
                node("div", "RealDiv", &["x", of], &[]),
                node("mul", "Mul", &["div", "floor"], &[]),
            ],
            vec![],
        )
    };
    for (of, value) in [("dropout", "1,"), ("rest", "0,")] {
        let (_, findings) = flat(&program(of), &TensorflowReader::default());
        let said = findings.to_string();
        assert!(said.contains(&format!("bound to {value}")), "{said}");
    }
}

#[test]
fn functions_that_call_themselves_are_refused() {
    let again = function(
        "again",
        &["x"],
        vec![node("call", "again", &["x"], &[])],
        &[("y", "call:y:0")],
    );
    let program = program(
        vec![placeholder("x", FLOAT, &[4]), node("y", "again", &["x"], &[])],
        vec![again],
    );
    let (_, findings) = flat(&program, &TensorflowReader::default());
    assert!(codes(&findings).contains(&"T0121"));
}

#[test]
fn functions_that_multiply_are_bounded() {
    // Each calls the next one twice.
    let name = |i: usize| format!("f{i}");
    let functions = (0..40)
        .map(|i| {
            let nodes = vec![
                node("a", &name(i + 1), &["x"], &[]),
                node("b", &name(i + 1), &["a:y:0"], &[]),
            ];
            function(&name(i), &["x"], nodes, &[("y", "b:y:0")])
        })
        .chain([function(
            &name(40),
            &["x"],
            vec![node("r", "Relu", &["x"], &[])],
            &[("y", "r:y:0")],
        )])
        .collect();
    let program = program(
        vec![placeholder("x", FLOAT, &[4]), node("y", "f0", &["x"], &[])],
        functions,
    );
    let (_, findings) = flat(&program, &TensorflowReader::default());
    assert!(codes(&findings).contains(&"T0105"));
}

#[test]
fn branches_on_constants_are_taken() {
    let side =
        |name: &str, op: &str| function(name, &["x"], vec![node("r", op, &["x"], &[])], &[("y", "r:y:0")]);
    let branches = Value::List(ListValue {
        func: ["then", "else"]
            .map(|name| NameAttrList {
                name: name.into(),
                ..NameAttrList::default()
            })
            .to_vec(),
        ..ListValue::default()
    });
    let program = program(
        vec![
            placeholder("x", FLOAT, &[4]),
            placeholder("training", DataType::DtBool, &[]),
            node(
                "if",
                "StatelessIf",
                &["training", "x"],
                &[("then_branch", call("then")), ("else_branch", call("else"))],
            ),
            constant("one", 1.0),
            node("case", "Case", &["one", "if"], &[("branches", branches)]),
        ],
        vec![side("then", "Elu"), side("else", "Relu")],
    );
    let (lines, findings) = flat(&program, &TensorflowReader::default());
    assert!(!findings.has_errors(), "{findings}");
    assert_eq!(
        lines[lines.len() - 3..],
        ["if/r = Relu(x)", "case/r = Relu(if/r)", "fetch case/r"]
    );
}

#[test]
#[ignore = "prints the graph of a file: CARIBOU_FILE=model.pb cargo test -p caribou-reader-tf prints -- --ignored --nocapture"]
fn prints_a_file() {
    let source = caribou_ir::Source::open(std::env::var("CARIBOU_FILE").unwrap()).unwrap();
    let program = crate::file::open(&source, None, &Limits::default()).unwrap();
    let (lines, findings) = flat(&program, &TensorflowReader::default());
    std::fs::write("/dev/stdout", format!("{}\n{findings}\n", lines.join("\n"))).unwrap();
}
