//! Chains, graphs, vertices and preprocessors.

use crate::inputs::Input;
use crate::layers::attention::Sizes;
use crate::parameters::Parameters;
use crate::shapes;
use caribou_ir::op::{
    Concat, Elementwise, ElementwiseKind, L2Normalize, Op, Reduce, ReduceKind, Reshape, Reverse, Size, Slice,
    SliceAxis, Transpose, Unary, UnaryKind,
};
use caribou_ir::{Code, Dim, Finding, Findings, Graph, Layout, Origin, Severity, Shape, Tensor, ValueId};
use caribou_writer_dl4j::format::{Configuration, Preprocessor, Vertex};
use std::collections::{HashMap, HashSet};

/// A class, or a field of one, that is not known.
pub(crate) const UNKNOWN: Code = Code("D0301");
/// A layer that does not fit its input.
pub(crate) const MISFIT: Code = Code("D0302");
/// The parameters do not fit the layers.
const PARAMETERS: Code = Code("D0303");
/// The shape of an input can't be told.
pub(crate) const INPUT: Code = Code("D0305");

/// What a layer or vertex gives, or why it gives nothing.
pub(crate) type Built<T> = Result<T, Box<Finding>>;

pub(crate) struct Builder {
    pub(crate) graph: Graph,
    pub(crate) findings: Findings,
    pub(crate) parameters: Parameters,
    /// The values of which DL4J has the rows of all steps below each other; see [`crate::rows`].
    pub(crate) folded: HashSet<ValueId>,
}

impl Builder {
    pub(crate) fn new(parameters: Tensor) -> Self {
        Self {
            graph: Graph::new(),
            findings: Findings::new(),
            parameters: Parameters::new(parameters),
            folded: HashSet::new(),
        }
    }

    /// The graph, what there is to say about it, and what of the parameters went where.
    pub(crate) fn finish(mut self) -> (Graph, Findings, Parameters) {
        let left = self.parameters.left();
        if left > 0 && !self.findings.has_errors() {
            let message = format!("{left} parameters are left over when all layers have theirs");
            self.findings
                .push(Finding::new(Severity::Error, PARAMETERS, None, message));
        }
        (self.graph, self.findings, self.parameters)
    }

    /// Reads the whole network.
    pub(crate) fn network(&mut self, configuration: &Configuration, inputs: &[Input]) {
        match configuration {
            Configuration::MultiLayer(network) => {
                let Some(mut value) = self.input(configuration, "input", &inputs[0]) else {
                    return;
                };
                let mut last = "output".to_owned();
                for (i, conf) in network.confs.iter().enumerate() {
                    let name = conf.layer.base().and_then(|base| base.layer_name.clone());
                    last = name.unwrap_or_else(|| format!("layer{i}"));
                    let origin = Origin::new(last.as_str(), conf.layer.class());
                    let preprocessor = network.input_pre_processors.get(&i.to_string());
                    match self
                        .preprocessed(value, preprocessor, &before(&origin))
                        .and_then(|x| self.layer_of_rows(&conf.layer_as_restored(), x, &origin))
                    {
                        Ok(next) => value = next,
                        Err(finding) => return self.findings.push(*finding),
                    }
                }
                self.network_output(last, value);
            }
            Configuration::Graph(network) => {
                let mut values: HashMap<String, ValueId> = HashMap::new();
                for (name, input) in network.network_inputs.iter().zip(inputs) {
                    if let Some(value) = self.input(configuration, name, input) {
                        values.insert(name.clone(), value);
                    }
                }
                let Some(order) = network.order() else {
                    let message = "the vertices can't be brought into an order: the graph has a cycle or a vertex is missing";
                    return self
                        .findings
                        .push(Finding::new(Severity::Error, UNKNOWN, None, message));
                };
                for name in order {
                    let inputs: Option<Vec<ValueId>> = network
                        .reads(&name)
                        .iter()
                        .map(|read| values.get(read).copied())
                        .collect();
                    let vertex = network.vertex(&name);
                    let kind = match &vertex {
                        Some(Vertex::Layer { layer_conf, .. }) => layer_conf.layer.class().to_owned(),
                        _ => "vertex".to_owned(),
                    };
                    let origin = Origin::new(name.as_str(), kind);
                    // What reads a vertex that could not be read is not missed again.
                    let Some(inputs) = inputs else { continue };
                    let built = match vertex {
                        Some(vertex) => self.vertex_of_rows(&vertex, &inputs, &origin),
                        None => Err(refuse(UNKNOWN, &origin, "its configuration can't be read")),
                    };
                    match built {
                        Ok(value) => {
                            values.insert(name, value);
                        }
                        Err(finding) => self.findings.push(*finding),
                    }
                }
                for name in &network.network_outputs {
                    match values.get(name) {
                        Some(&value) => self.network_output(name.clone(), value),
                        None if self.findings.has_errors() => {}
                        None => {
                            let message = format!("the output {name} is no vertex");
                            self.findings
                                .push(Finding::new(Severity::Error, UNKNOWN, None, message));
                        }
                    }
                }
            }
        }
    }

    fn input(&mut self, configuration: &Configuration, name: &str, input: &Input) -> Option<ValueId> {
        let sizes = input.sizes.clone();
        let Some(sizes) = sizes.or_else(|| shapes::wanted(configuration, name)) else {
            let message = "an archive does not store the shape of its inputs, and nothing in it tells";
            let origin = Origin::new(&*input.name, "input");
            self.findings.push(Finding::error(INPUT, &origin, message));
            return None;
        };
        let mut dims = vec![Dim::BATCH];
        for size in sizes {
            dims.push(size.map_or_else(|| self.graph.unknown(), Dim::Fixed));
        }
        // What an archive takes and gives has no other order than its own.
        let value = self.graph.input(&*input.name, Shape::new(dims), Layout::Plain);
        if let Some(port) = self.graph.inputs_mut().last_mut() {
            // Either name is understood.
            name.clone_into(&mut port.source_name);
        }
        Some(value)
    }

    pub(crate) fn apply(&mut self, op: impl Into<Op>, inputs: &[ValueId], origin: &Origin) -> Built<ValueId> {
        self.graph
            .apply(op, inputs, origin)
            .map_err(|error| refuse(MISFIT, origin, error.to_string()))
    }

    pub(crate) fn permuted(
        &mut self,
        value: ValueId,
        permutation: &[usize],
        origin: &Origin,
    ) -> Built<ValueId> {
        if permutation.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(value);
        }
        self.apply(
            Transpose {
                permutation: permutation.to_vec(),
            },
            &[value],
            origin,
        )
    }

    pub(crate) fn rank(&self, value: ValueId) -> usize {
        self.graph.shape(value).rank()
    }

    pub(crate) fn take(&mut self, shape: &[usize], origin: &Origin) -> Built<Tensor> {
        self.parameters
            .take(shape, &origin.layer)
            .map_err(|error| refuse(PARAMETERS, origin, error.to_string()))
    }

    pub(crate) fn take_fortran(&mut self, shape: &[usize], origin: &Origin) -> Built<Tensor> {
        self.parameters
            .take_fortran(shape, &origin.layer)
            .map_err(|error| refuse(PARAMETERS, origin, error.to_string()))
    }

    pub(crate) fn vertex(&mut self, vertex: &Vertex, inputs: &[ValueId], origin: &Origin) -> Built<ValueId> {
        let one = || {
            inputs
                .first()
                .copied()
                .ok_or_else(|| refuse(MISFIT, origin, "it has no input"))
        };
        match vertex {
            Vertex::Layer {
                layer_conf,
                pre_processor,
                ..
            } => {
                let x = self.preprocessed(one()?, pre_processor.as_ref(), &before(origin))?;
                self.layer_of_rows(&layer_conf.layer_as_restored(), x, origin)
            }
            Vertex::Preprocessor { pre_processor } => self.preprocessed(one()?, Some(pre_processor), origin),
            Vertex::Merge { merge_axis } => {
                let axis = inputs.first().map_or(*merge_axis, |&x| self.axis(x, *merge_axis));
                self.apply(Concat { axis }, inputs, origin)
            }
            Vertex::ElementWise { op } => {
                let kind = match op.as_str() {
                    "Add" => ElementwiseKind::Add,
                    "Subtract" => ElementwiseKind::Subtract,
                    "Product" => ElementwiseKind::Multiply,
                    "Average" => ElementwiseKind::Average,
                    "Max" => ElementwiseKind::Maximum,
                    other => {
                        return Err(refuse(
                            UNKNOWN,
                            origin,
                            format!("the operation {other} is not known"),
                        ));
                    }
                };
                self.apply(Elementwise { kind }, inputs, origin)
            }
            Vertex::Subset { from, to } => {
                let x = one()?;
                let cut = SliceAxis::range(self.axis(x, 1), *from as i64, Some(*to as i64 + 1));
                self.apply(Slice { axes: vec![cut] }, &[x], origin)
            }
            Vertex::Reshape {
                new_shape,
                reshape_order,
            } if reshape_order == "c" => {
                let size = |&size: &i64| usize::try_from(size).map_or(Size::Rest, Size::Fixed);
                self.apply(
                    Reshape {
                        target: new_shape.iter().map(size).collect(),
                    },
                    &[one()?],
                    origin,
                )
            }
            Vertex::Scale { scale_factor } => self.apply(
                Unary {
                    kind: UnaryKind::Affine {
                        scale: *scale_factor,
                        shift: 0.0,
                    },
                },
                &[one()?],
                origin,
            ),
            Vertex::Shift { shift_factor } => self.apply(
                Unary {
                    kind: UnaryKind::Affine {
                        scale: 1.0,
                        shift: *shift_factor,
                    },
                },
                &[one()?],
                origin,
            ),
            Vertex::L2Normalize { dimension, eps } => {
                let x = one()?;
                let axes = dimension.clone().unwrap_or_else(|| (1..self.rank(x)).collect());
                self.apply(L2Normalize { axes, epsilon: *eps }, &[x], origin)
            }
            Vertex::Attention {
                nin_queries,
                nin_keys,
                nin_values,
                nout,
                head_size,
                nheads,
                project_input,
                ..
            } => {
                let sizes = project_input.then_some(Sizes {
                    heads: *nheads,
                    head: *head_size,
                    features: [*nin_queries, *nin_keys, *nin_values],
                    out: *nout,
                });
                self.attention(sizes.as_ref(), *nin_queries, inputs, origin)
            }
            Vertex::L2 {} => {
                let kind = ElementwiseKind::Subtract;
                let difference = self.apply(Elementwise { kind }, inputs, origin)?;
                let norm = Reduce {
                    kind: ReduceKind::L2,
                    axes: (1..self.rank(difference)).collect(),
                    keep_dims: false,
                };
                let norm = self.apply(norm, &[difference], origin)?;
                self.apply(Reshape::features(&[1]), &[norm], origin)
            }
            Vertex::LastTimeStep { .. } => self.apply(
                Slice {
                    axes: vec![SliceAxis::index(2, -1)],
                },
                &[one()?],
                origin,
            ),
            Vertex::PoolHelper {} => {
                let rest = |axis| SliceAxis::range(axis, 1, None);
                let axes = vec![rest(2), rest(3)];
                self.apply(Slice { axes }, &[one()?], origin)
            }
            Vertex::ReverseTimeSeries { .. } => self.apply(Reverse { axis: 2 }, &[one()?], origin),
            Vertex::Frozen { underlying } => self.vertex(underlying, inputs, origin),
            Vertex::Reshape { new_shape, .. } => self.reshape_fortran(one()?, new_shape, origin),
            Vertex::Unknown(value) => {
                let class = value
                    .get("@class")
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("without a class");
                Err(refuse(
                    UNKNOWN,
                    origin,
                    format!("the vertex {class} is not known, or its fields are not those of one"),
                ))
            }
        }
    }

    /// The same elements under another shape in Fortran order. Examples stay apart where the first axis counts them before and
    /// after: then it is the features of each that are reshaped, in reverse order of the axes.
    fn reshape_fortran(&mut self, x: ValueId, target: &[i64], origin: &Origin) -> Built<ValueId> {
        let sizes: Option<Vec<usize>> = target
            .iter()
            .skip(1)
            .map(|&size| usize::try_from(size).ok())
            .collect();
        let known = self.graph.shape(x).feature_sizes();
        let same = |(sizes, known): (&Vec<usize>, &Vec<usize>)| {
            sizes.iter().product::<usize>() == known.iter().product::<usize>()
        };
        let Some(sizes) = sizes.filter(|sizes| known.as_ref().is_some_and(|known| same((sizes, known))))
        else {
            let message = "a reshape in Fortran order that mixes examples, or features of an unknown number, is not supported";
            return Err(refuse(UNKNOWN, origin, message));
        };
        let reversed = |rank: usize| -> Vec<usize> { std::iter::once(0).chain((1..rank).rev()).collect() };
        let x = self.permuted(x, &reversed(self.rank(x)), origin)?;
        let backwards: Vec<usize> = sizes.iter().rev().copied().collect();
        let y = self.apply(Reshape::features(&backwards), &[x], origin)?;
        self.permuted(y, &reversed(sizes.len() + 1), origin)
    }

    fn preprocessed(
        &mut self,
        x: ValueId,
        preprocessor: Option<&Preprocessor>,
        origin: &Origin,
    ) -> Built<ValueId> {
        let Some(preprocessor) = preprocessor else {
            return Ok(x);
        };
        self.check_preprocessor(x, preprocessor, origin)?;
        if matches!(
            preprocessor,
            Preprocessor::CnnToFeedForward { .. } | Preprocessor::FeedForwardToCnn { .. }
        ) && let Some(y) = self.image_of_rows(x, origin)?
        {
            return Ok(y);
        }
        match preprocessor {
            Preprocessor::CnnToFeedForward { .. }
            | Preprocessor::Cnn3dToFeedForward { .. }
            | Preprocessor::FlattenRnn { .. } => self.apply(Reshape::flatten(), &[x], origin),
            Preprocessor::FeedForwardToCnn {
                input_height,
                input_width,
                num_channels,
            } => self.apply(
                Reshape::features(&[*num_channels, *input_height, *input_width]),
                &[x],
                origin,
            ),
            // Images that are no steps of a sequence are sequences of one step.
            Preprocessor::CnnToRnn {
                input_height,
                input_width,
                num_channels,
                rnn_data_format,
            } => {
                let features = num_channels * input_height * input_width;
                let sizes = if rnn_data_format == "NWC" {
                    [1, features]
                } else {
                    [features, 1]
                };
                self.apply(Reshape::features(&sizes), &[x], origin)
            }
            Preprocessor::Reshape { target_shape, .. } => {
                self.apply(Reshape::features(target_shape), &[x], origin)
            }
            Preprocessor::Permute { permutation_indices } => {
                let permutation: Vec<usize> = std::iter::once(0)
                    .chain(permutation_indices.iter().copied())
                    .collect();
                self.permuted(x, &permutation, origin)
            }
            Preprocessor::RnnToFeedForward { rnn_data_format } => self.fold(x, rnn_data_format, origin),
            Preprocessor::FeedForwardToRnn { rnn_data_format } => self.unfold(x, rnn_data_format, origin),
            Preprocessor::Composable { input_pre_processors } => {
                input_pre_processors.iter().try_fold(x, |x, preprocessor| {
                    self.preprocessed(x, Some(preprocessor), origin)
                })
            }
            Preprocessor::Unknown(value) => {
                let class = value
                    .get("@class")
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("without a class");
                Err(refuse(
                    UNKNOWN,
                    origin,
                    format!("the preprocessor {class} is not known, or its fields are not those of one"),
                ))
            }
        }
    }
}

/// What a preprocessor that is a field of a layer, and no vertex of its own, is called.
pub(crate) const PREPROCESSOR: &str = "preprocessor";

/// What happens in front of a layer has a name of its own, so that it does not take the layer's.
fn before(origin: &Origin) -> Origin {
    Origin::new(format!("{}_preprocessor", origin.layer), PREPROCESSOR)
}

pub(crate) fn refuse(code: Code, origin: &Origin, message: impl Into<String>) -> Box<Finding> {
    Box::new(Finding::error(code, origin, message))
}
