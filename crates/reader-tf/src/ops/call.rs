//! What an operation's function works with.

use super::{ATTRIBUTE, CONSTANT, MISFIT, OPTION, Outputs};
use crate::build::{Builder, Held};
use crate::fold::{Array, Whole};
use crate::graph::{Node, Output};
use crate::literal::meant;
use crate::schema::DataType;
use crate::schema::attr_value::Value;
use caribou_ir::op::{Op, Reshape, Size, Transpose};
use caribou_ir::{Code, DType, Dim, Finding, Graph, Origin, Shape, ShapeError, Tensor, ValueId};

/// One operation, with all that its function needs.
pub(crate) struct Call<'a, 'f> {
    pub(crate) builder: &'a mut Builder<'f>,
    /// Its position in the list of operations.
    pub(crate) index: usize,
    pub(crate) node: &'f Node,
    /// What it reads.
    pub(crate) inputs: Vec<Held>,
    /// Which of its inputs are arrays that are the same for each example, read as `[1, …]`.
    pub(crate) repeated: Vec<bool>,
    /// The layer that it belongs to.
    pub(crate) origin: Origin,
}

/// A problem, or what was asked for.
pub(crate) type Found<T> = Result<T, Box<Finding>>;

impl Call<'_, '_> {
    pub(crate) fn refuse(&self, code: Code, message: impl Into<String>) -> Box<Finding> {
        Box::new(Finding::error(code, &self.node.origin(), message))
    }

    /// A refusal of an option that is known.
    pub(crate) fn option(&self, message: impl Into<String>) -> Box<Finding> {
        self.refuse(OPTION, message)
    }

    /// A refusal of constants that can't be computed with.
    pub(crate) fn folded<T>(&self, result: Result<T, String>) -> Found<T> {
        result.map_err(|message| self.refuse(CONSTANT, message))
    }

    pub(crate) fn viewed<T>(&self, result: Result<T, caribou_ir::TensorError>) -> Found<T> {
        result.map_err(|error| self.refuse(CONSTANT, error.to_string()))
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.builder.graph
    }

    /// What input `place` is.
    pub(crate) fn input(&self, place: usize) -> Found<&Held> {
        self.inputs
            .get(place)
            .ok_or_else(|| self.refuse(MISFIT, format!("it has {} inputs", self.inputs.len())))
    }

    /// Input `place`, which depends on the inputs of the model.
    pub(crate) fn value(&self, place: usize) -> Found<ValueId> {
        match self.input(place)? {
            Held::Value(value, _) => Ok(*value),
            Held::Known(_) => Err(self.option(format!("its input {place} is a constant"))),
        }
    }

    /// Input `place`, which must be known.
    pub(crate) fn known(&self, place: usize) -> Found<&Array> {
        match self.input(place)? {
            Held::Known(array) => Ok(array),
            Held::Value(..) => {
                Err(self.option(format!("its input {place} depends on the inputs of the model")))
            }
        }
    }

    /// Input `place` as a parameter of fractions.
    pub(crate) fn tensor(&self, place: usize) -> Found<Tensor> {
        let array = self.known(place)?;
        if !array.dtype().is_float() {
            return Err(self.option(format!("its input {place} is of type {}", array.dtype())));
        }
        self.folded(array.tensor())
    }

    /// Input `place` as a list of whole numbers.
    pub(crate) fn integers(&self, place: usize) -> Found<Vec<i64>> {
        let array = self.known(place)?;
        self.folded(array.integers())
    }

    /// Input `place` as a list of sizes, which may be unknown.
    pub(crate) fn wholes(&self, place: usize) -> Found<Vec<Whole>> {
        let array = self.known(place)?;
        self.folded(array.as_wholes())
    }

    /// Input `place` as one whole number.
    pub(crate) fn integer(&self, place: usize) -> Found<i64> {
        match self.integers(place)?[..] {
            [number] => Ok(number),
            _ => Err(self.option(format!("its input {place} must be one number"))),
        }
    }

    /// An array beside values of the model, as `[1, …]`: it is the same for each example.
    pub(crate) fn each_example(&self, array: &Array) -> Found<Array> {
        let shape = array.shape();
        if shape.first() == Some(&1) {
            return Ok(array.clone());
        }
        // The number of examples that the file fixes.
        if shape.first().copied() == self.builder.batch
            && let Some(&count) = shape.first()
        {
            let first = self.folded(array.cut(0, 0, 1, 1))?;
            let of_first = self.folded(first.as_reals())?;
            let all = self.folded(array.as_reals())?;
            if all
                .chunks(all.len().div_euclid(count).max(1))
                .all(|row| *row == of_first)
            {
                return Ok(first);
            }
        }
        Err(self.option(format!(
            "a constant of shape {shape:?} beside values for each example"
        )))
    }

    pub(crate) fn shape(&self, value: ValueId) -> Shape {
        self.graph().shape(value).clone()
    }

    pub(crate) fn rank(&self, value: ValueId) -> usize {
        self.graph().shape(value).rank()
    }

    /// The known size of an axis.
    pub(crate) fn size(&self, value: ValueId, axis: usize) -> Found<usize> {
        let shape = self.graph().shape(value);
        shape
            .size(axis)
            .ok_or_else(|| self.refuse(MISFIT, format!("axis {axis} of its input {shape} must be known")))
    }

    /// Whether the first axis of the value is that of the examples.
    pub(crate) fn batch_first(&self, value: ValueId) -> bool {
        matches!(self.graph().shape(value).dims().first(), Some(Dim::Batch(_)))
    }

    /// Whether the examples of the value stand behind another axis.
    pub(crate) fn batch_behind(&self, value: ValueId) -> bool {
        let mut dims = self.graph().shape(value).dims().iter().skip(1);
        dims.any(|dim| matches!(dim, Dim::Batch(_)))
    }

    /// Adds an operator.
    pub(crate) fn push(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Found<Vec<ValueId>> {
        self.builder
            .graph
            .push(op, inputs, &self.origin)
            .map_err(|error: ShapeError| self.refuse(MISFIT, error.to_string()))
    }

    /// Adds an operator that makes one value.
    ///
    /// One number an example is computed with as a column: DL4J has no arrays of one axis.
    pub(crate) fn apply(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Found<ValueId> {
        let op = op.into();
        let on_elements = matches!(op, Op::Unary(_) | Op::Activate(_) | Op::Elementwise(_));
        let origin = self.origin.clone();
        let columns: Option<Vec<ValueId>> = match on_elements {
            true => inputs
                .iter()
                .map(|&input| self.builder.column(input, &origin))
                .collect(),
            false => None,
        };
        let added = self
            .builder
            .graph
            .apply(op, columns.as_deref().unwrap_or(inputs), &origin);
        let y = added.map_err(|error: ShapeError| self.refuse(MISFIT, error.to_string()))?;
        match columns {
            Some(_) => self.row(y),
            None => Ok(y),
        }
    }

    /// One number an example, of a value that has axes of size one besides.
    pub(crate) fn row(&mut self, x: ValueId) -> Found<ValueId> {
        let mut column = x;
        if self.rank(x) != 2 {
            let target = vec![Size::Keep(0), Size::Fixed(1)];
            column = self.apply(Reshape { target }, &[x])?;
        }
        let target = vec![Size::Keep(0)];
        self.apply(Reshape { target }, &[column])
    }

    /// The axes of `value` in another order; nothing is added for the order they are in.
    pub(crate) fn permuted(&mut self, value: ValueId, permutation: Vec<usize>) -> Found<ValueId> {
        if permutation.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(value);
        }
        // Back to the order that the axes were in before.
        if let Some(node) = self.graph().producer(value)
            && let Op::Transpose(before) = &node.op
            && permutation
                .iter()
                .enumerate()
                .all(|(i, &axis)| before.permutation[axis] == i)
        {
            return Ok(node.inputs[0]);
        }
        self.apply(Transpose { permutation }, &[value])
    }

    /// Whether all that reads an output of the operation puts the examples first again, or takes single steps of it: until
    /// then they may stand behind.
    pub(crate) fn moves_examples_back(&self, slot: usize) -> bool {
        let own = Output {
            node: self.index,
            slot,
        };
        let flat = self.builder.flat;
        let back = |node: &Node| {
            let place = match &*node.op {
                "Transpose" | "Unpack" | "StridedSlice" | "Gather" | "GatherV2" | "Shape" => 0,
                "BlockLSTM" | "BlockLSTMV2" => 1,
                _ => return false,
            };
            let reads = node.inputs.iter().enumerate();
            reads.filter(|(_, input)| **input == own).all(|(i, _)| i == place)
        };
        let mut readers = flat.nodes.iter().filter(|node| node.inputs.contains(&own));
        readers.all(back) && flat.fetches.iter().all(|fetch| fetch.output != own)
    }

    /// Where the examples of a value were moved behind other axes: the value before, and the order of its axes.
    pub(crate) fn examples_behind(&self, value: ValueId) -> Option<(ValueId, Vec<usize>)> {
        if !self.batch_behind(value) {
            return None;
        }
        match self
            .graph()
            .producer(value)
            .map(|node| (&node.op, &node.inputs[..]))
        {
            Some((Op::Transpose(turn), &[before])) => Some((before, turn.permutation.clone())),
            _ => None,
        }
    }

    /// The operation's only output, of the type of its first input that is no constant.
    pub(crate) fn gives(&self, value: ValueId) -> Outputs {
        Ok(vec![self.held(value)])
    }

    /// The same for several.
    pub(crate) fn gives_all(&self, values: Vec<ValueId>) -> Outputs {
        Ok(values.into_iter().map(|value| self.held(value)).collect())
    }

    fn held(&self, value: ValueId) -> Held {
        let dtype = self.inputs.iter().find_map(|input| match input {
            Held::Value(_, dtype) => Some(*dtype),
            Held::Known(_) => None,
        });
        Held::Value(value, dtype.unwrap_or(DType::F32))
    }

    /// An axis as TensorFlow counts it, negative from the end.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Found<usize> {
        let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(wrapped) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => Err(self.refuse(
                MISFIT,
                format!("axis {axis} is none of the {rank} axes of its input"),
            )),
        }
    }

    /// Whether anything reads this output of the operation.
    pub(crate) fn is_read(&self, slot: usize) -> bool {
        self.builder.readers(Output {
            node: self.index,
            slot,
        }) > 0
    }

    // Attributes.

    fn attribute(&self, name: &str) -> Option<&Value> {
        self.node.attributes.get(name)?.value.as_ref()
    }

    fn wrong(&self, name: &str, expected: &str) -> Box<Finding> {
        self.refuse(ATTRIBUTE, format!("its attribute {name} is no {expected}"))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Found<bool> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Value::B(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(name, "truth value")),
        }
    }

    pub(crate) fn whole(&self, name: &str, default: i64) -> Found<i64> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Value::I(number)) => Ok(*number),
            Some(_) => Err(self.wrong(name, "whole number")),
        }
    }

    pub(crate) fn real(&self, name: &str, default: f32) -> Found<f64> {
        match self.attribute(name) {
            None => Ok(meant(default)),
            Some(Value::F(number)) => Ok(meant(*number)),
            Some(_) => Err(self.wrong(name, "number")),
        }
    }

    pub(crate) fn text(&self, name: &str, default: &'static str) -> Found<&str> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Value::S(bytes)) => std::str::from_utf8(bytes).map_err(|_| self.wrong(name, "text")),
            Some(_) => Err(self.wrong(name, "text")),
        }
    }

    /// A list of whole numbers that are not negative.
    pub(crate) fn sizes(&self, name: &str, default: &[usize]) -> Found<Vec<usize>> {
        match self.attribute(name) {
            None => Ok(default.to_vec()),
            Some(Value::List(list)) => list
                .i
                .iter()
                .map(|&size| usize::try_from(size).map_err(|_| self.wrong(name, "list of sizes")))
                .collect(),
            Some(_) => Err(self.wrong(name, "list of sizes")),
        }
    }

    /// A list of whole numbers.
    pub(crate) fn list(&self, name: &str) -> Found<Vec<i64>> {
        match self.attribute(name) {
            None => Ok(Vec::new()),
            Some(Value::List(list)) => Ok(list.i.clone()),
            Some(_) => Err(self.wrong(name, "list of whole numbers")),
        }
    }

    /// A type of numbers.
    pub(crate) fn kind(&self, name: &str, default: DType) -> Found<DType> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Value::Type(code)) => DataType::try_from(*code)
                .ok()
                .and_then(crate::literal::dtype)
                .ok_or_else(|| self.wrong(name, "type of numbers that is supported")),
            Some(_) => Err(self.wrong(name, "type")),
        }
    }

    /// The output behind operations that change nothing.
    pub(crate) fn through(&self, output: Output) -> Output {
        self.builder.through(output)
    }
}
