//! Sums of products by the names of axes (`Einsum`), and the products of matrices that are such.

use super::{Call, Found, Outputs, Row, real};
use crate::build::Held;
use caribou_ir::op::{Dense, MatMul, Reduce, ReduceKind, Reshape, Size};
use caribou_ir::{Dim, Tensor, ValueId};

pub(super) const TABLE: &[Row] = &[real("Einsum", &["equation"], einsum)];

/// A value whose axes have names; the first is the batch.
struct Named {
    value: ValueId,
    axes: Vec<char>,
}

/// `bij,bjk->bik`.
fn einsum(call: &mut Call<'_, '_>) -> Outputs {
    let text = call.text("equation", "")?.replace(' ', "");
    let Some((inputs, output)) = text.split_once("->") else {
        return Err(call.option(format!("the sum {text} does not name its result")));
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    let (names, output) = spelled(call, &inputs, output)?;
    let plain = |axes: &Vec<char>| {
        axes.iter().all(char::is_ascii_alphabetic) && (1..axes.len()).all(|i| !axes[..i].contains(&axes[i]))
    };
    if !names.iter().all(plain) || !plain(&output) {
        return Err(call.option(format!("the sum {text} repeats names of axes")));
    }
    if call.inputs.len() != names.len() {
        return Err(call.option(format!("the sum {text} is of {} values", call.inputs.len())));
    }
    let mut terms: Vec<(Held, Vec<char>)> = call.inputs.clone().into_iter().zip(names).collect();
    let made = match (terms.pop(), terms.pop(), terms.pop()) {
        (Some((Held::Value(x, _), x_axes)), None, None) => named(call, x, x_axes)?,
        (Some((second, second_axes)), Some((first, first_axes)), None) => match (first, second) {
            (Held::Value(a, _), Held::Value(b, _)) => {
                let (a, b) = (named(call, a, first_axes)?, named(call, b, second_axes)?);
                product(call, a, b, &output)?
            }
            (Held::Value(x, _), Held::Known(_)) => {
                let (x, weight) = (named(call, x, first_axes)?, call.tensor(1)?);
                weighted(call, x, &weight, &second_axes, &output)?
            }
            (Held::Known(_), Held::Value(x, _)) => {
                let (x, weight) = (named(call, x, second_axes)?, call.tensor(0)?);
                weighted(call, x, &weight, &first_axes, &output)?
            }
            _ => return Err(call.option("a sum of constants")),
        },
        _ => return Err(call.option(format!("the sum {text} is of more than two values"))),
    };
    let summed = reduced(call, made, &output)?;
    let y = ordered(call, summed, &output)?;
    call.gives(y)
}

/// The names with those of the axes that an ellipsis stands for: capital letters from the end of the alphabet.
fn spelled(call: &Call<'_, '_>, inputs: &[&str], output: &str) -> Found<(Vec<Vec<char>>, Vec<char>)> {
    let spell = |text: &str, count: usize| -> Vec<char> {
        match text.split_once("...") {
            None => text.chars().collect(),
            Some((before, behind)) => {
                let stands = ('A'..='Z').rev().take(count).collect::<Vec<char>>();
                before
                    .chars()
                    .chain(stands.into_iter().rev())
                    .chain(behind.chars())
                    .collect()
            }
        }
    };
    let mut hidden = 0;
    let mut names = Vec::new();
    for (text, held) in inputs.iter().zip(&call.inputs) {
        let rank = match held {
            Held::Value(value, _) => call.rank(*value),
            Held::Known(array) => array.rank(),
        };
        let count = rank.saturating_sub(text.replace("...", "").len());
        if text.contains("...") {
            if hidden != 0 && hidden != count {
                return Err(call.option("axes that are not named are stretched"));
            }
            hidden = count;
        }
        names.push(spell(text, count));
    }
    Ok((names, spell(output, hidden)))
}

fn named(call: &Call<'_, '_>, value: ValueId, axes: Vec<char>) -> Found<Named> {
    let shape = call.shape(value);
    if shape.rank() != axes.len() || !matches!(shape.dims().first(), Some(Dim::Batch(_))) {
        let axes: String = axes.iter().collect();
        return Err(call.option(format!("{shape} has not the axes {axes} of its sum")));
    }
    Ok(Named { value, axes })
}

/// Sums over the axes that the result does not have.
fn reduced(call: &mut Call<'_, '_>, x: Named, output: &[char]) -> Found<Named> {
    let gone: Vec<usize> = (0..x.axes.len())
        .filter(|&i| !output.contains(&x.axes[i]))
        .collect();
    if gone.is_empty() {
        return Ok(x);
    }
    if gone.contains(&0) {
        return Err(call.option("it sums over the examples of a batch"));
    }
    let op = Reduce {
        kind: ReduceKind::Sum,
        axes: gone,
        keep_dims: false,
    };
    let value = call.apply(op, &[x.value])?;
    let axes = x.axes.into_iter().filter(|axis| output.contains(axis)).collect();
    Ok(Named { value, axes })
}

/// The value with its axes in this order.
fn ordered(call: &mut Call<'_, '_>, x: Named, output: &[char]) -> Found<ValueId> {
    let places: Option<Vec<usize>> = output
        .iter()
        .map(|axis| x.axes.iter().position(|other| other == axis))
        .collect();
    let permutation = places.filter(|places| places.len() == x.axes.len() && places.first() == Some(&0));
    let permutation = permutation.ok_or_else(|| call.option("its result does not keep the batch first"))?;
    call.permuted(x.value, permutation)
}

fn sizes(call: &Call<'_, '_>, x: &Named, axes: &[char]) -> Found<Vec<usize>> {
    let place = |axis: &char| x.axes.iter().position(|other| other == axis).unwrap_or(0);
    axes.iter().map(|axis| call.size(x.value, place(axis))).collect()
}

/// The value with its axes in the order batch, `groups[0]`, `groups[1]`, …, the axes of each of the last two groups
/// folded into one.
fn folded(call: &mut Call<'_, '_>, x: &Named, outer: &[char], groups: [&[char]; 2]) -> Found<ValueId> {
    let order: Vec<char> = x.axes[..1]
        .iter()
        .chain(outer)
        .chain(groups[0])
        .chain(groups[1])
        .copied()
        .collect();
    let y = ordered(
        call,
        Named {
            value: x.value,
            axes: x.axes.clone(),
        },
        &order,
    )?;
    let mut target = sizes(call, x, outer)?;
    for group in groups {
        target.push(sizes(call, x, group)?.iter().product());
    }
    call.apply(Reshape::features(&target), &[y])
}

/// Two values that share the batch.
fn product(call: &mut Call<'_, '_>, a: Named, b: Named, output: &[char]) -> Found<Named> {
    if a.axes[0] != b.axes[0] || output.first() != Some(&a.axes[0]) {
        return Err(call.option("its values do not share the batch as their first axis"));
    }
    // What only one of them has and the result has not is summed before.
    let kept = |other: &Named| -> Vec<char> { output.iter().chain(&other.axes).copied().collect() };
    let (of_a, of_b) = (kept(&b), kept(&a));
    let (a, b) = (reduced(call, a, &of_a)?, reduced(call, b, &of_b)?);
    let is = |x: &Named, axis: char| x.axes.contains(&axis);
    let select = |x: &Named, keep: &dyn Fn(char) -> bool| -> Vec<char> {
        x.axes[1..].iter().copied().filter(|&axis| keep(axis)).collect()
    };
    let outer = select(&a, &|axis| is(&b, axis) && output.contains(&axis));
    let summed = select(&a, &|axis| is(&b, axis) && !output.contains(&axis));
    let left = select(&a, &|axis| !is(&b, axis));
    let right = select(&b, &|axis| !is(&a, axis));
    let x = folded(call, &a, &outer, [&left, &summed])?;
    let y = folded(call, &b, &outer, [&summed, &right])?;
    let op = MatMul {
        transpose_a: false,
        transpose_b: false,
    };
    let z = call.apply(op, &[x, y])?;
    let target = [
        sizes(call, &a, &outer)?,
        sizes(call, &a, &left)?,
        sizes(call, &b, &right)?,
    ]
    .concat();
    let value = call.apply(Reshape::features(&target), &[z])?;
    let axes = a.axes[..1]
        .iter()
        .chain(&outer)
        .chain(&left)
        .chain(&right)
        .copied()
        .collect();
    Ok(Named { value, axes })
}

/// A value and a constant: a dense layer on the axes that both have.
fn weighted(
    call: &mut Call<'_, '_>,
    x: Named,
    weight: &Tensor,
    names: &[char],
    output: &[char],
) -> Found<Named> {
    let failed = |call: &Call<'_, '_>, error: caribou_ir::TensorError| call.option(error.to_string());
    let shared: Vec<char> = names
        .iter()
        .copied()
        .filter(|axis| x.axes.contains(axis))
        .collect();
    let new: Vec<char> = names
        .iter()
        .copied()
        .filter(|axis| !x.axes.contains(axis))
        .collect();
    let fits =
        shared.iter().all(|axis| !output.contains(axis)) && new.iter().all(|axis| output.contains(axis));
    if weight.rank() != names.len() || !fits || shared.contains(&x.axes[0]) {
        return Err(call.option("a product with a constant that shares an axis with the result"));
    }
    let kept: Vec<char> = output.iter().chain(&shared).copied().collect();
    let x = reduced(call, x, &kept)?;
    let rest: Vec<char> = x.axes[1..]
        .iter()
        .copied()
        .filter(|axis| !shared.contains(axis))
        .collect();
    let place = |axis: &char| names.iter().position(|other| other == axis).unwrap_or(0);
    let shape = weight.shape();
    let sizes_of = |axes: &[char]| -> Vec<usize> { axes.iter().map(|axis| shape[place(axis)]).collect() };
    let order: Vec<usize> = shared.iter().chain(&new).map(place).collect();
    let matrix = [
        sizes_of(&shared).iter().product::<usize>(),
        sizes_of(&new).iter().product::<usize>(),
    ];
    let weight = weight
        .permute(&order)
        .and_then(|weight| weight.reshape(&matrix))
        .map_err(|error| failed(call, error))?;
    if sizes(call, &x, &shared)? != sizes_of(&shared) {
        return Err(call.option("a constant whose axes have other sizes than those of the value"));
    }
    let order: Vec<char> = x.axes[..1].iter().chain(&rest).chain(&shared).copied().collect();
    let axes = x.axes.clone();
    let mut y = ordered(call, Named { value: x.value, axes }, &order)?;
    let rest_sizes = match shared.len() == 1 && new.len() == 1 {
        // Sizes that are unknown stay as they are.
        true => None,
        false => Some(sizes(call, &x, &rest)?),
    };
    if let Some(rest) = &rest_sizes {
        let target = [&rest[..], &matrix[..1]].concat();
        y = call.apply(Reshape::features(&target), &[y])?;
    }
    y = call.apply(Dense { weight, bias: None }, &[y])?;
    if let Some(rest) = &rest_sizes {
        let target: Vec<Size> = std::iter::once(Size::Keep(0))
            .chain(rest.iter().copied().chain(sizes_of(&new)).map(Size::Fixed))
            .collect();
        y = call.apply(Reshape { target }, &[y])?;
    }
    let axes = x.axes[..1].iter().chain(&rest).chain(&new).copied().collect();
    Ok(Named { value: y, axes })
}
