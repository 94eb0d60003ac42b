//! EinsumDense: products of the input with a kernel, summed over the axes that an equation names.
//!
//! An equation whose axes are each either kept, summed over or new is a dense layer over the summed axes, once the axes
//! are in the right order. One in which the kernel has an axis that is kept (a kernel for each step) is none.

use super::operator::{Number, elementwise};
use super::{CONFIG, Call, OPTION, Outputs, WEIGHT, config};
use caribou_ir::op::{Dense, ElementwiseKind, Reshape, Size};
use caribou_ir::{Finding, Tensor, TensorError};

/// The axes of an equation: those of the input, the kernel and the output, as letters.
struct Equation {
    input: Vec<char>,
    kernel: Vec<char>,
    output: Vec<char>,
}

/// Stands for the axes of an ellipsis, of which there may be several: none of the letters that Keras allows.
const ELIDED: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', '7'];

impl Equation {
    /// The equation of an input of `rank` axes; `None` where it is not of Keras' form.
    fn parse(text: &str, rank: usize) -> Option<Self> {
        let (inputs, output) = text.split_once("->")?;
        let (input, kernel) = inputs.split_once(',')?;
        let letters = input.replace("...", "").chars().count();
        let elided = match input.contains("...") {
            true => ELIDED.get(..rank.checked_sub(letters)?)?.iter().collect(),
            false => String::new(),
        };
        let letters = |part: &str| -> Option<Vec<char>> {
            let letters: Vec<char> = part.trim().replacen("...", &elided, 1).chars().collect();
            let known = |letter: &char| letter.is_ascii_alphabetic() || ELIDED.contains(letter);
            let once = |(i, letter): (usize, &char)| !letters[..i].contains(letter);
            (letters.iter().all(known) && letters.iter().enumerate().all(once)).then(|| letters.clone())
        };
        let equation = Self {
            input: letters(input)?,
            kernel: letters(kernel)?,
            output: letters(output)?,
        };
        let ellipses = input.contains("...") == output.contains("...") && !kernel.contains("...");
        (equation.input.len() == rank && ellipses).then_some(equation)
    }

    /// The letters of `of` for which `test` holds.
    fn of(of: &[char], test: impl Fn(&char) -> bool) -> Vec<char> {
        of.iter().copied().filter(|letter| test(letter)).collect()
    }
}

/// The places of `letters` among `all`.
fn places(letters: &[char], all: &[char]) -> Vec<usize> {
    letters
        .iter()
        .filter_map(|letter| all.iter().position(|other| other == letter))
        .collect()
}

fn viewed(call: &Call<'_>, result: Result<Tensor, TensorError>) -> Result<Tensor, Box<Finding>> {
    result.map_err(|error| call.refuse(WEIGHT, error.to_string()))
}

/// `activation(einsum(equation, x, kernel) + bias)`.
pub(super) fn einsum_dense(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let text = config!(call, text_or("equation", "")).to_owned();
    let unsupported = |call: &Call<'_>, why: &str| {
        let message = format!("the equation {text} {why}");
        Err(call.refuse(OPTION, message))
    };
    let Some(equation) = Equation::parse(&text, call.rank(x)) else {
        return unsupported(call, "is not one that Keras has for this input");
    };
    let Equation {
        input,
        kernel,
        output,
    } = &equation;
    let kept = Equation::of(output, |letter| input.contains(letter));
    let summed = Equation::of(input, |letter| !output.contains(letter));
    let new = Equation::of(output, |letter| !input.contains(letter));
    let mut expected = [&summed[..], &new[..]].concat();
    let mut found = kernel.clone();
    expected.sort_unstable();
    found.sort_unstable();
    if expected != found || summed.is_empty() || new.is_empty() {
        return unsupported(
            call,
            "is no dense layer: each axis of its kernel must be summed over or new, and no other axis",
        );
    }
    if output.first() != input.first() || kept.first() != input.first() {
        return unsupported(call, "moves the examples of a batch");
    }
    let sizes = |call: &Call<'_>, letters: &[char]| -> Result<Vec<usize>, Box<Finding>> {
        let places = places(letters, input);
        places.into_iter().map(|axis| call.size(x, axis)).collect()
    };
    let summed_sizes = sizes(call, &summed)?;
    let new_sizes = new_sizes(call, &equation, &new)?;
    let size_of = |letter: &char| {
        let known = summed.iter().zip(&summed_sizes).chain(new.iter().zip(&new_sizes));
        known
            .into_iter()
            .find_map(|(other, &size)| (other == letter).then_some(size))
    };
    let shape: Vec<usize> = kernel.iter().filter_map(size_of).collect();
    let weight = call.weight("kernel", &shape)?;
    let order = places(&[&summed[..], &new[..]].concat(), kernel);
    let (rows, columns) = (summed_sizes.iter().product(), new_sizes.iter().product());
    let weight = viewed(call, weight.permute(&order))?;
    let weight = match weight.reshape(&[rows, columns]) {
        Ok(weight) => weight,
        // Axes that do not follow each other evenly are copied.
        Err(_) => viewed(
            call,
            weight
                .to_owned_f32()
                .and_then(|weight| weight.reshape(&[rows, columns])),
        )?,
    };
    let bias = Bias::read(call, &equation, &new, columns)?;
    let op = Dense {
        weight,
        bias: match &bias {
            Bias::OfUnits(bias) => Some(bias.clone()),
            Bias::None | Bias::OfCells(_) => None,
        },
    };
    let order = places(&[&kept[..], &summed[..]].concat(), input);
    let mut y = call.permuted(x, order)?;
    let keep = || (0..kept.len()).map(Size::Keep);
    if summed.len() > 1 {
        let target = keep().chain([Size::Fixed(rows)]).collect();
        y = call.apply(Reshape { target }, &[y])?;
    }
    y = call.apply(op, &[y])?;
    if new.len() > 1 {
        let target = keep()
            .chain(new_sizes.iter().map(|&size| Size::Fixed(size)))
            .collect();
        y = call.apply(Reshape { target }, &[y])?;
    }
    y = call.permuted(y, places(output, &[&kept[..], &new[..]].concat()))?;
    if let Bias::OfCells(bias) = bias {
        y = elementwise(call, ElementwiseKind::Add, Number::Value(y), Number::Known(bias))?;
    }
    Ok(vec![call.activated(y)?])
}

/// The sizes of the new axes, which the configuration gives: the whole output shape but for the batch and the axes of an
/// ellipsis.
fn new_sizes(call: &Call<'_>, equation: &Equation, new: &[char]) -> Result<Vec<usize>, Box<Finding>> {
    let wrong = || {
        call.refuse(
            CONFIG,
            "output_shape: expected the sizes of the axes that the equation adds",
        )
    };
    let stated: Vec<Option<usize>> = match call.config.get("output_shape") {
        Some(value) if value.is_u64() => vec![Some(config!(call, size("output_shape")))],
        _ => config!(call, shape("output_shape")).unwrap_or_default(),
    };
    let left = equation
        .output
        .first()
        .is_some_and(|letter| ELIDED.contains(letter));
    let named = Equation::of(&equation.output, |letter| !ELIDED.contains(letter));
    let named = if left {
        &named[..]
    } else {
        named.get(1..).unwrap_or_default()
    };
    if named.len() != stated.len() {
        return Err(wrong());
    }
    places(new, named)
        .into_iter()
        .map(|place| stated[place].ok_or_else(wrong))
        .collect()
}

/// What is added to the products.
enum Bias {
    None,
    /// A number for each unit of the dense layer.
    OfUnits(Tensor),
    /// Numbers along other axes of the output: of size one where they are the same for all.
    OfCells(Tensor),
}

impl Bias {
    fn read(
        call: &mut Call<'_>,
        equation: &Equation,
        new: &[char],
        units: usize,
    ) -> Result<Self, Box<Finding>> {
        let axes: Vec<char> = config!(call, text_or("bias_axes", "")).chars().collect();
        if axes.is_empty() {
            return Ok(Self::None);
        }
        let stored = call.weights.shape(&call.scopes, "bias").unwrap_or_default();
        let bias = call.weight("bias", &stored)?;
        let mut sorted = (axes.clone(), new.to_vec());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        // Without a kept axis behind them, the new axes alone are those of the stored array.
        if sorted.0 == sorted.1 && stored.iter().product::<usize>() == units {
            return Ok(Self::OfUnits(viewed(call, bias.reshape(&[units]))?));
        }
        if axes.iter().any(|letter| !equation.output.contains(letter)) || stored.is_empty() {
            return Err(call.refuse(CONFIG, "bias_axes: expected axes of the output"));
        }
        call.lost_in_training("its bias, which is not one for each unit, is part of a composition");
        Ok(Self::OfCells(bias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_stands_for_the_axes_that_have_no_letter() {
        let parsed =
            |text, rank| Equation::parse(text, rank).map(|e| (e.input.len(), e.kernel.len(), e.output.len()));
        assert_eq!(parsed("abc,cd->abd", 3), Some((3, 2, 3)));
        assert_eq!(parsed("...x,xy->...y", 4), Some((4, 2, 4)));
        assert_eq!(parsed("ab...,bc->ac...", 4), Some((4, 2, 4)));
        assert_eq!(parsed("abc,cd->abd", 4), None);
        assert_eq!(parsed("aac,cd->aad", 3), None);
        assert_eq!(parsed("abc", 3), None);
    }
}
