//! Operators of Keras 3, the `Add` of `x + 1` or the `Relu` of `ops.relu(x)`, as calls of the functions of TensorFlow that
//! compute the same. What TensorFlow takes as arguments of a call, Keras 3 keeps in the configuration in part.

mod operators;

use super::super::{Call, OPTION, Outputs};
use crate::config::{Operand, Operands};
use crate::version::Generation;
use operators::{OPERATORS, default, is_idle, translated};
use serde_json::json;

/// Operators that are activation functions without options, and their names as such.
const ACTIVATIONS: &[(&str, &str)] = &[
    ("Relu", "relu"),
    ("Relu6", "relu6"),
    ("Sigmoid", "sigmoid"),
    ("Tanh", "tanh"),
    ("Silu", "silu"),
    ("Softplus", "softplus"),
    ("Softsign", "softsign"),
    ("Selu", "selu"),
    ("HardSigmoid", "hard_sigmoid"),
    ("HardSilu", "hard_silu"),
    ("SparseSigmoid", "sparse_sigmoid"),
    ("HardTanh", "hard_tanh"),
    ("LogSigmoid", "log_sigmoid"),
    ("HardShrink", "hard_shrink"),
    ("SoftShrink", "soft_shrink"),
    ("SparsePlus", "sparse_plus"),
    ("Squareplus", "squareplus"),
    ("Sparsemax", "sparsemax"),
];

/// A call of an operator of Keras 3.
pub(in super::super) fn keras_3(call: &mut Call<'_>) -> Outputs {
    let class = call.layer.class.as_str();
    if let Some(&(_, name)) = ACTIVATIONS.iter().find(|(known, _)| *known == class) {
        return activation(call, name);
    }
    if class == "Einsum" {
        return super::einsum::einsum(call);
    }
    let Some(operator) = OPERATORS
        .iter()
        .find(|operator| operator.classes.contains(&class))
    else {
        return Err(call.refuse(OPTION, format!("the operator {class} is not supported")));
    };
    let mut operands = Operands::default();
    if call.operands.positional.len() > operator.call.len() {
        return Err(call.refuse(OPTION, "it is called with more arguments than are known"));
    }
    let by_position = operator.call.iter().zip(&call.operands.positional);
    for ((_, parameter), operand) in by_position {
        operands.named.push(((*parameter).to_owned(), operand.clone()));
    }
    for (key, operand) in &call.operands.named {
        let parameter = operator.call.iter().find(|(known, _)| known == key);
        let parameter = parameter.map_or(key.as_str(), |&(_, parameter)| parameter);
        operands.named.push((parameter.to_owned(), operand.clone()));
    }
    for &(key, parameter) in operator.config {
        let value = call.config.get(key).cloned().or_else(|| default(class, key));
        if let Some(value) = value.filter(|value| !value.is_null()) {
            let value = translated(key, value);
            operands.named.push((parameter.to_owned(), Operand::Plain(value)));
        }
    }
    let unknown = call.config.0.iter().find(|(key, value)| {
        let known = operator.config.iter().any(|(known, _)| known == key);
        !known && !is_idle(class, key, value)
    });
    if let Some((key, value)) = unknown {
        return Err(call.refuse(OPTION, format!("its option {key} = {value} is not supported")));
    }
    let mut inner = Call {
        graph: call.graph,
        findings: call.findings,
        layer: call.layer,
        config: call.config,
        generation: call.generation,
        operands: &operands,
        inputs: call.inputs,
        weights: call.weights,
        scopes: call.scopes.clone(),
        mask: None,
        masked_outputs: 0,
        origin: call.origin.clone(),
    };
    super::named(&mut inner, operator.function)
}

fn activation(call: &mut Call<'_>, name: &str) -> Outputs {
    for (key, usual) in [("threshold", 0.5), ("b", 4.0), ("axis", -1.0)] {
        if call.config.number_or(key, usual) != Ok(usual) {
            return Err(call.refuse(OPTION, format!("a {key} other than {usual} is not supported")));
        }
    }
    let x = call.input()?;
    let value = json!(name);
    let op = crate::activation::operator(Some(&value), call.rank(x), Generation::Three)
        .map_err(|what| call.refuse(OPTION, format!("{what} is not supported")))?;
    match op {
        Some(op) => Ok(vec![call.apply(op, &[x])?]),
        None => Ok(vec![x]),
    }
}
