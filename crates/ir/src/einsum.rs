//! Sums of products by the names of axes (Einstein's notation, as NumPy's `einsum` has it), as the products of matrices
//! that they are.

use crate::op::{
    Constant, Dense, Elementwise, ElementwiseKind, MatMul, Op, Reduce, ReduceKind, Reshape, Size, Tile,
};
use crate::{Dim, Graph, Tensor, ValueId};

/// What adds operators to a graph on behalf of one layer, with errors that name it.
pub trait Compose {
    /// Why an operator can't be added.
    type Error;

    /// The graph so far.
    fn graph(&self) -> &Graph;

    /// Adds an operator that makes one value.
    ///
    /// # Errors
    /// When it does not fit its inputs.
    fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, Self::Error>;

    /// The axes of `value` in another order: axis `i` of the result is axis `permutation[i]`.
    ///
    /// # Errors
    /// When that is no order of its axes.
    fn permuted(&mut self, value: ValueId, permutation: Vec<usize>) -> Result<ValueId, Self::Error>;

    /// The size of an axis, which must be known.
    ///
    /// # Errors
    /// When it is not.
    fn size(&self, value: ValueId, axis: usize) -> Result<usize, Self::Error>;

    /// What is said of something that can't be composed.
    fn refuse(&self, message: String) -> Self::Error;
}

/// What is summed over.
#[derive(Debug, Clone)]
pub enum Term {
    /// A value, whose first axis is the batch.
    Value(ValueId),
    /// A constant.
    Known(Tensor),
}

/// The sum of the products of one or two terms over the axes that the result does not have. Each term comes with the names
/// of its axes, `output` has those of the result, and `text` is how the source writes the sum.
///
/// # Errors
/// When names repeat, the batch is not kept, or the sum is none of products of matrices.
pub fn einsum<C: Compose>(
    on: &mut C,
    text: &str,
    mut terms: Vec<(Term, Vec<char>)>,
    output: &[char],
) -> Result<ValueId, C::Error> {
    let made = match (terms.pop(), terms.pop(), terms.pop()) {
        (Some((Term::Value(x), axes)), None, None) => named(on, x, axes)?,
        (Some((second, second_axes)), Some((first, first_axes)), None) => match (first, second) {
            (Term::Value(a), Term::Value(b)) => {
                let (a, b) = (named(on, a, first_axes)?, named(on, b, second_axes)?);
                product(on, a, b, output)?
            }
            (Term::Value(x), Term::Known(weight)) => {
                let x = named(on, x, first_axes)?;
                weighted(on, x, &weight, &second_axes, output)?
            }
            (Term::Known(weight), Term::Value(x)) => {
                let x = named(on, x, second_axes)?;
                weighted(on, x, &weight, &first_axes, output)?
            }
            _ => return Err(on.refuse("a sum of constants".into())),
        },
        _ => return Err(on.refuse(format!("the sum {text} is of more than two values"))),
    };
    let summed = reduced(on, made, output)?;
    ordered(on, summed, output)
}

/// Whether the names are letters of which none repeats.
pub fn are_axes(names: &[char]) -> bool {
    names.iter().all(char::is_ascii_alphabetic) && (1..names.len()).all(|i| !names[..i].contains(&names[i]))
}

/// A value whose axes have names; the first is the batch.
struct Named {
    value: ValueId,
    axes: Vec<char>,
}

fn named<C: Compose>(on: &C, value: ValueId, axes: Vec<char>) -> Result<Named, C::Error> {
    let shape = on.graph().shape(value);
    if shape.rank() != axes.len() || !matches!(shape.dims().first(), Some(Dim::Batch(_))) {
        let axes: String = axes.iter().collect();
        return Err(on.refuse(format!("{shape} has not the axes {axes} of its sum")));
    }
    Ok(Named { value, axes })
}

/// Sums over the axes that the result does not have.
fn reduced<C: Compose>(on: &mut C, x: Named, output: &[char]) -> Result<Named, C::Error> {
    let gone: Vec<usize> = (0..x.axes.len())
        .filter(|&i| !output.contains(&x.axes[i]))
        .collect();
    if gone.is_empty() {
        return Ok(x);
    }
    if gone.contains(&0) {
        return Err(on.refuse("it sums over the examples of a batch".into()));
    }
    let op = Reduce {
        kind: ReduceKind::Sum,
        axes: gone,
        keep_dims: false,
    };
    let value = on.apply(op.into(), &[x.value])?;
    let axes = x.axes.into_iter().filter(|axis| output.contains(axis)).collect();
    Ok(Named { value, axes })
}

/// The value with its axes in this order.
fn ordered<C: Compose>(on: &mut C, x: Named, output: &[char]) -> Result<ValueId, C::Error> {
    let places: Option<Vec<usize>> = output
        .iter()
        .map(|axis| x.axes.iter().position(|other| other == axis))
        .collect();
    let permutation = places.filter(|places| places.len() == x.axes.len() && places.first() == Some(&0));
    let permutation =
        permutation.ok_or_else(|| on.refuse("its result does not keep the batch first".into()))?;
    on.permuted(x.value, permutation)
}

fn sizes<C: Compose>(on: &C, x: &Named, axes: &[char]) -> Result<Vec<usize>, C::Error> {
    let place = |axis: &char| x.axes.iter().position(|other| other == axis).unwrap_or(0);
    axes.iter().map(|axis| on.size(x.value, place(axis))).collect()
}

/// The value with its axes in the order batch, `groups[0]`, `groups[1]`, …, the axes of each of the last two groups
/// folded into one.
fn folded<C: Compose>(
    on: &mut C,
    x: &Named,
    outer: &[char],
    groups: [&[char]; 2],
) -> Result<ValueId, C::Error> {
    let order: Vec<char> = x.axes[..1]
        .iter()
        .chain(outer)
        .chain(groups[0])
        .chain(groups[1])
        .copied()
        .collect();
    let y = ordered(
        on,
        Named {
            value: x.value,
            axes: x.axes.clone(),
        },
        &order,
    )?;
    let mut target = sizes(on, x, outer)?;
    for group in groups {
        target.push(sizes(on, x, group)?.iter().product());
    }
    on.apply(Reshape::features(&target).into(), &[y])
}

/// Two values that share the batch.
fn product<C: Compose>(on: &mut C, a: Named, b: Named, output: &[char]) -> Result<Named, C::Error> {
    if a.axes[0] != b.axes[0] || output.first() != Some(&a.axes[0]) {
        return Err(on.refuse("its values do not share the batch as their first axis".into()));
    }
    // What only one of them has and the result has not is summed before.
    let kept = |other: &Named| -> Vec<char> { output.iter().chain(&other.axes).copied().collect() };
    let (of_a, of_b) = (kept(&b), kept(&a));
    let (a, b) = (reduced(on, a, &of_a)?, reduced(on, b, &of_b)?);
    let is = |x: &Named, axis: char| x.axes.contains(&axis);
    let select = |x: &Named, keep: &dyn Fn(char) -> bool| -> Vec<char> {
        x.axes[1..].iter().copied().filter(|&axis| keep(axis)).collect()
    };
    let outer = select(&a, &|axis| is(&b, axis) && output.contains(&axis));
    let summed = select(&a, &|axis| is(&b, axis) && !output.contains(&axis));
    let left = select(&a, &|axis| !is(&b, axis));
    let right = select(&b, &|axis| !is(&a, axis));
    let x = folded(on, &a, &outer, [&left, &summed])?;
    let y = folded(on, &b, &outer, [&summed, &right])?;
    let op = MatMul {
        transpose_a: false,
        transpose_b: false,
    };
    let z = on.apply(op.into(), &[x, y])?;
    let target = [
        sizes(on, &a, &outer)?,
        sizes(on, &a, &left)?,
        sizes(on, &b, &right)?,
    ]
    .concat();
    let value = on.apply(Reshape::features(&target).into(), &[z])?;
    let axes = a.axes[..1]
        .iter()
        .chain(&outer)
        .chain(&left)
        .chain(&right)
        .copied()
        .collect();
    Ok(Named { value, axes })
}

/// A value times a constant, element by element: repeated along the axes that only the constant has, which are its last then.
/// What is summed is summed afterwards.
fn scaled<C: Compose>(
    on: &mut C,
    x: Named,
    weight: &Tensor,
    names: &[char],
    new: &[char],
) -> Result<Named, C::Error> {
    let axes = [&x.axes[..], new].concat();
    let place = |axis: &char| names.iter().position(|name| name == axis);
    let order: Vec<usize> = axes.iter().filter_map(place).collect();
    let size = |axis: &char| place(axis).map(|place| weight.shape()[place]);
    let shape: Vec<usize> = axes.iter().map(|axis| size(axis).unwrap_or(1)).collect();
    let constant = weight
        .permute(&order)
        .and_then(|weight| weight.reshape(&shape))
        .map_err(|error| on.refuse(error.to_string()))?;
    let mut value = x.value;
    if !new.is_empty() {
        let sizes = sizes(on, &x, &x.axes[1..])?;
        let target = [&sizes[..], &vec![1; new.len()]].concat();
        value = on.apply(Reshape::features(&target).into(), &[value])?;
        let repeats = axes
            .iter()
            .map(|axis| size(axis).filter(|_| new.contains(axis)).unwrap_or(1));
        let repeats = repeats.collect();
        value = on.apply(Tile { repeats }.into(), &[value])?;
    }
    let constant = on.apply(Constant { value: constant }.into(), &[])?;
    let kind = ElementwiseKind::Multiply;
    let value = on.apply(Elementwise { kind }.into(), &[value, constant])?;
    Ok(Named { value, axes })
}

/// A value and a constant: a dense layer on the axes that both have.
fn weighted<C: Compose>(
    on: &mut C,
    x: Named,
    weight: &Tensor,
    names: &[char],
    output: &[char],
) -> Result<Named, C::Error> {
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
    if weight.rank() != names.len() || shared.contains(&x.axes[0]) {
        return Err(on.refuse("a product with a constant that does not keep the examples apart".into()));
    }
    if !fits {
        return scaled(on, x, weight, names, &new);
    }
    let kept: Vec<char> = output.iter().chain(&shared).copied().collect();
    let x = reduced(on, x, &kept)?;
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
        .map_err(|error| on.refuse(error.to_string()))?;
    if sizes(on, &x, &shared)? != sizes_of(&shared) {
        return Err(on.refuse("a constant whose axes have other sizes than those of the value".into()));
    }
    let order: Vec<char> = x.axes[..1].iter().chain(&rest).chain(&shared).copied().collect();
    let axes = x.axes.clone();
    let mut y = ordered(on, Named { value: x.value, axes }, &order)?;
    let rest_sizes = match shared.len() == 1 && new.len() == 1 {
        // Sizes that are unknown stay as they are.
        true => None,
        false => Some(sizes(on, &x, &rest)?),
    };
    if let Some(rest) = &rest_sizes {
        let target = [&rest[..], &matrix[..1]].concat();
        y = on.apply(Reshape::features(&target).into(), &[y])?;
    }
    y = on.apply(Dense { weight, bias: None }.into(), &[y])?;
    if let Some(rest) = &rest_sizes {
        let target: Vec<Size> = std::iter::once(Size::Keep(0))
            .chain(rest.iter().copied().chain(sizes_of(&new)).map(Size::Fixed))
            .collect();
        y = on.apply(Reshape { target }.into(), &[y])?;
    }
    let axes = x.axes[..1].iter().chain(&rest).chain(&new).copied().collect();
    Ok(Named { value: y, axes })
}
