//! Normalisation of each example, written as arithmetic: layer, instance and group normalisation.

use super::Lifted;
use super::pattern::{affine, constant, either, factors, made, pair, reduce, unary};
use crate::build::Held;
use crate::literal::meant;
use crate::ops::{Call, Found};
use caribou_ir::op::{
    Centring, ElementwiseKind as Kind, GroupNorm, LayerNorm, NormEpsilon, Op, ReduceKind, Reshape, Size,
    Transpose, UnaryKind,
};
use caribou_ir::{Graph, Tensor, ValueId};

/// What is normalised, and how.
struct Core {
    x: ValueId,
    axes: Vec<usize>,
    epsilon: f64,
    centring: Centring,
}

/// What a value is the mean of, over which axes that stay.
fn mean(graph: &Graph, value: ValueId) -> Option<(Vec<usize>, ValueId)> {
    let (op, x) = reduce(graph, value)?;
    (op.kind == ReduceKind::Mean && op.keep_dims).then(|| (op.axes.clone(), x))
}

/// `x` less its own mean: `x`, and the axes of the mean.
fn centred(graph: &Graph, value: ValueId) -> Option<(ValueId, Vec<usize>)> {
    let [x, centre] = pair(graph, value, Kind::Subtract)?;
    let (axes, of) = mean(graph, centre)?;
    (of == x).then_some((x, axes))
}

/// The variance, or the mean of the squares, under a root: of what, over which axes.
fn spread(graph: &Graph, value: ValueId) -> Option<Core> {
    let (epsilon, spread) = match affine(graph, value) {
        Some(([1.0, epsilon], inner)) => (epsilon, inner),
        _ => (0.0, value),
    };
    let (axes, squares) = mean(graph, spread)?;
    let (1.0, list) = factors(graph, squares) else {
        return None;
    };
    let [a, b] = list[..] else { return None };
    if a != b {
        return None;
    }
    let (x, centring) = match centred(graph, a) {
        Some((x, of)) if of == axes => (x, Centring::Values),
        _ => (a, Centring::Nothing),
    };
    Some(Core {
        x,
        axes,
        epsilon,
        centring,
    })
}

/// A value divided by its spread.
fn core(graph: &Graph, value: ValueId) -> Option<Core> {
    let divided = pair(graph, value, Kind::Divide)
        .and_then(|[top, root]| unary(graph, root, UnaryKind::Sqrt).map(|sum| (top, sum)));
    let products = either(graph, value, Kind::Multiply).into_iter();
    let multiplied = products
        .filter_map(|[top, root]| unary(graph, root, UnaryKind::ReciprocalSqrt).map(|sum| (top, sum)));
    divided.into_iter().chain(multiplied).find_map(|(top, sum)| {
        let core = spread(graph, sum)?;
        let fits = match core.centring {
            Centring::Values => centred(graph, top).is_some_and(|(x, axes)| x == core.x && axes == core.axes),
            _ => top == core.x,
        };
        fits.then_some(core)
    })
}

/// The root that scales, and a learned array that it is multiplied with.
fn scale(graph: &Graph, value: ValueId) -> Option<(Core, Option<ValueId>)> {
    if let Some(sum) = unary(graph, value, UnaryKind::ReciprocalSqrt) {
        return Some((spread(graph, sum)?, None));
    }
    either(graph, value, Kind::Multiply)
        .into_iter()
        .find_map(|[root, array]| {
            constant(graph, array)?;
            let sum = unary(graph, root, UnaryKind::ReciprocalSqrt)?;
            Some((spread(graph, sum)?, Some(array)))
        })
}

/// `x * s + (beta - mean * s)`, as `tf.nn.batch_normalization` writes it.
fn scaled_and_shifted(graph: &Graph, value: ValueId) -> Option<(Core, [Option<ValueId>; 2])> {
    let mut sums: Vec<([ValueId; 2], Option<ValueId>)> = Vec::new();
    for [product, shift] in either(graph, value, Kind::Add) {
        if let Some([beta, centre]) = pair(graph, shift, Kind::Subtract)
            && constant(graph, beta).is_some()
        {
            sums.push(([product, centre], Some(beta)));
        } else if let Some(([-1.0, 0.0], centre)) = affine(graph, shift) {
            sums.push(([product, centre], None));
        }
    }
    sums.extend(pair(graph, value, Kind::Subtract).map(|both| (both, None)));
    for ([product, centre], beta) in sums {
        for [x, s] in either(graph, product, Kind::Multiply) {
            let Some((core, gamma)) = scale(graph, s) else {
                continue;
            };
            let fits = either(graph, centre, Kind::Multiply)
                .into_iter()
                .any(|[of_mean, other]| other == s && mean(graph, of_mean) == Some((core.axes.clone(), x)));
            if core.x == x && core.centring == Centring::Values && fits {
                return Some((core, [gamma, beta]));
            }
        }
    }
    None
}

/// The value as a normalisation of another, where it is one.
pub(super) fn found(call: &mut Call<'_, '_>, value: ValueId) -> Found<Option<ValueId>> {
    if let Some((core, learned)) = scaled_and_shifted(call.graph(), value) {
        let arrays = learned.map(|array| array.and_then(|array| constant(call.graph(), array).cloned()));
        return normalised(call, core, arrays);
    }
    if let Some(core) = core(call.graph(), value) {
        return normalised(call, core, [None, None]);
    }
    with_learned(call, value)
}

fn normalised(call: &mut Call<'_, '_>, core: Core, learned: [Option<Tensor>; 2]) -> Found<Option<ValueId>> {
    if core.axes.contains(&0) {
        return Ok(None);
    }
    let norm = Norm {
        x: core.x,
        op: LayerNorm {
            axes: core.axes,
            centring: core.centring,
            scale: None,
            offset: None,
            epsilon: core.epsilon,
            placement: NormEpsilon::InsideRoot,
            divide: true,
        },
    };
    norm.with(call, learned)
}

/// A factor or a summand behind a normalisation that has none yet.
fn with_learned(call: &mut Call<'_, '_>, value: ValueId) -> Found<Option<ValueId>> {
    let graph = call.graph();
    for (kind, place) in [(Kind::Multiply, 0), (Kind::Add, 1)] {
        for [inner, array] in either(graph, value, kind) {
            let (Some(array), Some((Op::LayerNorm(op), &[x]))) = (constant(graph, array), made(graph, inner))
            else {
                continue;
            };
            let free = op.offset.is_none() && (place == 1 || op.scale.is_none());
            if !free {
                continue;
            }
            let norm = Norm { x, op: op.clone() };
            let mut learned = [op.scale.clone(), None];
            learned[place] = Some(array.clone());
            let norm = Norm {
                op: LayerNorm {
                    scale: None,
                    ..norm.op
                },
                ..norm
            };
            if place == 1 && op.scale.is_some() {
                return norm.with_offset(call, op.scale.clone(), array.clone());
            }
            return norm.with(call, learned);
        }
    }
    grouped_offset(call, value)
}

/// A summand behind the normalisation of groups that has none yet.
fn grouped_offset(call: &mut Call<'_, '_>, value: ValueId) -> Found<Option<ValueId>> {
    let graph = call.graph();
    for [inner, array] in either(graph, value, Kind::Add) {
        let Some(array) = constant(graph, array).cloned() else {
            continue;
        };
        // Groups may have been taken apart again behind it.
        let (grouped, ahead) = match made(graph, inner) {
            Some((Op::Reshape(_), &[ahead])) => (true, ahead),
            _ => (false, inner),
        };
        let Some((Op::Transpose(back), &[norm])) = made(graph, ahead) else {
            continue;
        };
        let Some((Op::GroupNorm(op), &[x])) = made(graph, norm) else {
            continue;
        };
        let channels = graph.shape(x).size(1);
        if op.offset.is_some() || channels != Some(array.len()) {
            continue;
        }
        let shape = graph.shape(inner);
        if !runs_along_channels(&array.shape(), shape.rank(), grouped) {
            continue;
        }
        let Ok(offset) = array.reshape(&[array.len()]) else {
            continue;
        };
        let op = GroupNorm {
            offset: Some(offset),
            ..op.clone()
        };
        let (back, sizes) = (back.clone(), shape.feature_sizes());
        let y = call.apply(op, &[x])?;
        let y = call.apply(back, &[y])?;
        let y = match (grouped, sizes) {
            (true, Some(sizes)) => call.apply(Reshape::features(&sizes), &[y])?,
            (true, None) => return Ok(None),
            _ => y,
        };
        return Ok(Some(y));
    }
    Ok(None)
}

/// Whether an array has one number for each channel: on the last axis, or on the last two where these are groups.
fn runs_along_channels(shape: &[usize], rank: usize, grouped: bool) -> bool {
    let axes = if grouped { 2 } else { 1 };
    shape.len() <= rank && shape.iter().rev().skip(axes).all(|&size| size == 1)
}

struct Norm {
    x: ValueId,
    /// Without learned arrays.
    op: LayerNorm,
}

impl Norm {
    /// The normalisation with these arrays behind it, where it is one of the graph's.
    fn with(self, call: &mut Call<'_, '_>, [scale, offset]: [Option<Tensor>; 2]) -> Found<Option<ValueId>> {
        let arrays = [&scale, &offset];
        if let Some([scale, offset]) = self.of_axes(call, arrays) {
            let op = LayerNorm {
                scale,
                offset,
                ..self.op
            };
            let what = match op.centring {
                Centring::Nothing => "normalisation by the root of the mean square",
                _ => "layer normalisation",
            };
            let y = call.apply(op, &[self.x])?;
            call.lift(what);
            return Ok(Some(y));
        }
        self.of_groups(call, arrays)
    }

    /// The same where the scale has the axes' shape already.
    fn with_offset(
        self,
        call: &mut Call<'_, '_>,
        scale: Option<Tensor>,
        offset: Tensor,
    ) -> Found<Option<ValueId>> {
        let Some([_, offset]) = self.of_axes(call, [&None, &Some(offset)]) else {
            return Ok(None);
        };
        let op = LayerNorm {
            scale,
            offset,
            ..self.op
        };
        let y = call.apply(op, &[self.x])?;
        call.lift("layer normalisation");
        Ok(Some(y))
    }

    /// The arrays where each has a number for each element of the axes.
    fn of_axes(&self, call: &Call<'_, '_>, arrays: [&Option<Tensor>; 2]) -> Option<[Option<Tensor>; 2]> {
        let shape = call.graph().shape(self.x);
        let rank = shape.rank();
        let sizes: Vec<usize> = self
            .op
            .axes
            .iter()
            .map(|&axis| shape.size(axis))
            .collect::<Option<_>>()
            .or_else(|| arrays.iter().all(|array| array.is_none()).then(Vec::new))?;
        let mut fitted = [None, None];
        for (place, array) in arrays.into_iter().enumerate() {
            let Some(array) = array else { continue };
            let own = array.shape();
            let full: Vec<usize> = std::iter::repeat_n(1, rank.checked_sub(own.len())?)
                .chain(own)
                .collect();
            let fits = full
                .iter()
                .enumerate()
                .all(|(axis, &size)| match self.op.axes.contains(&axis) {
                    true => shape.size(axis) == Some(size),
                    false => size == 1,
                });
            if !fits {
                return None;
            }
            fitted[place] = Some(array.reshape(&sizes).ok()?);
        }
        Some(fitted)
    }

    /// Normalisation over all spatial axes with a number for each channel, or over them and the channels of a group.
    fn of_groups(self, call: &mut Call<'_, '_>, arrays: [&Option<Tensor>; 2]) -> Found<Option<ValueId>> {
        let shape = call.shape(self.x);
        let rank = shape.rank();
        if self.op.centring != Centring::Values || rank < 3 {
            return Ok(None);
        }
        let spatial: Vec<usize> = (1..rank - 1).collect();
        let in_groups: Vec<usize> = (1..rank - 2).chain([rank - 1]).collect();
        let grouped = match &self.op.axes {
            axes if *axes == spatial => false,
            axes if *axes == in_groups && rank >= 4 => true,
            _ => return Ok(None),
        };
        let (Some(last), before) = (shape.size(rank - 1), shape.size(rank - 2)) else {
            return Ok(None);
        };
        let (groups, channels) = match (grouped, before) {
            (false, _) => (last, last),
            (true, Some(groups)) => (groups, groups * last),
            (true, None) => return Ok(None),
        };
        let mut learned = [None, None];
        for (place, array) in arrays.into_iter().enumerate() {
            let Some(array) = array else { continue };
            if array.len() != channels || !runs_along_channels(&array.shape(), rank, grouped) {
                return Ok(None);
            }
            let Ok(vector) = array.reshape(&[channels]) else {
                return Ok(None);
            };
            learned[place] = Some(vector);
        }
        let [scale, offset] = learned;
        let op = GroupNorm {
            groups,
            scale,
            offset,
            epsilon: self.op.epsilon,
        };
        let mut x = self.x;
        let mut full = rank;
        if grouped {
            full = rank - 1;
            let mut target: Vec<Size> = (0..rank - 2).map(Size::Keep).collect();
            target.push(Size::Fixed(channels));
            // The groups were taken out of the channels just before.
            let before = match made(call.graph(), x) {
                Some((Op::Reshape(_), &[before]))
                    if call.rank(before) == full && call.shape(before).size(full - 1) == Some(channels) =>
                {
                    Some(before)
                }
                _ => None,
            };
            x = match before {
                Some(before) => before,
                None => call.apply(Reshape { target }, &[x])?,
            };
        }
        let y = call.permuted(x, Transpose::channels_first(full).permutation)?;
        let y = call.apply(op, &[y])?;
        let mut y = call.apply(Transpose::channels_last(full), &[y])?;
        if grouped {
            let Some(sizes) = shape.feature_sizes() else {
                return Ok(None);
            };
            y = call.apply(Reshape::features(&sizes), &[y])?;
        }
        call.lift(if grouped {
            "group normalisation"
        } else {
            "instance normalisation"
        });
        Ok(Some(y))
    }
}

/// Keras' layer normalisation by the kernel of batch normalisation: the examples become channels, `[1, N, F, 1]`, whose
/// statistics are computed as in training, with ones and zeros in place of what is learned.
pub(super) fn by_batch_norm(call: &mut Call<'_, '_>) -> Lifted {
    let flat = call.builder.flat;
    let Some(&first) = call.node.inputs.first() else {
        return Ok(None);
    };
    let kernel = call.through(first);
    let node = &flat.nodes[kernel.node];
    let text = |name: &str| match node.attributes.get(name).and_then(|value| value.value.as_ref()) {
        Some(crate::schema::attr_value::Value::S(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    let training = match node
        .attributes
        .get("is_training")
        .and_then(|value| value.value.as_ref())
    {
        Some(crate::schema::attr_value::Value::B(flag)) => *flag,
        _ => true,
    };
    let epsilon = match node
        .attributes
        .get("epsilon")
        .and_then(|value| value.value.as_ref())
    {
        Some(crate::schema::attr_value::Value::F(epsilon)) => meant(*epsilon),
        _ => 1e-4,
    };
    if !node.op.starts_with("FusedBatchNorm")
        || kernel.slot != 0
        || !training
        || text("data_format").as_deref() != Some(b"NCHW")
        || node.inputs.len() != 5
    {
        return Ok(None);
    }
    for (place, expected) in [(1, 1.0), (2, 0.0)] {
        if !is_filled(call, node.inputs[place], expected) {
            return Ok(None);
        }
    }
    let folded = call.through(node.inputs[0]);
    let folding = &flat.nodes[folded.node];
    let (Some(&source), Some(&target)) = (folding.inputs.first(), folding.inputs.get(1)) else {
        return Ok(None);
    };
    let (Some(Held::Value(x, dtype)), Some(Held::Known(target))) =
        (call.builder.held(source), call.builder.held(target))
    else {
        return Ok(None);
    };
    let (x, dtype, target) = (*x, *dtype, target.clone());
    let shape = call.shape(x);
    let (target, back) = (call.folded(target.as_wholes())?, call.wholes(1)?);
    let [one, _, features, last] = &target[..] else {
        return Ok(None);
    };
    let features = features.number();
    if &*folding.op != "Reshape" || one.number() != Some(1) || last.number() != Some(1) {
        return Ok(None);
    }
    let same = back.len() == shape.rank() && (0..back.len()).all(|axis| back[axis].is(shape.dims()[axis]));
    // The last axes, whose sizes multiply to the number of features.
    let mut product = 1i64;
    let mut axes = Vec::new();
    for axis in (1..shape.rank()).rev() {
        if !axes.is_empty() && Some(product) == features {
            break;
        }
        let Some(size) = shape.size(axis) else {
            return Ok(None);
        };
        product = product.saturating_mul(size as i64);
        axes.insert(0, axis);
    }
    if !same || Some(product) != features || axes.is_empty() {
        return Ok(None);
    }
    let op = LayerNorm {
        axes,
        centring: Centring::Values,
        scale: None,
        offset: None,
        epsilon,
        placement: NormEpsilon::InsideRoot,
        divide: true,
    };
    let y = call.apply(op, &[x])?;
    call.lift_of("layer normalisation", vec![source]);
    Ok(Some(vec![Held::Value(y, dtype)]))
}

/// Whether an output is an array of one number, whatever its size.
fn is_filled(call: &Call<'_, '_>, output: crate::graph::Output, number: f64) -> bool {
    let output = call.through(output);
    let node = &call.builder.flat.nodes[output.node];
    if &*node.op == "Fill"
        && let Some(&value) = node.inputs.get(1)
    {
        return matches!(call.builder.held(value), Some(Held::Known(array)) if array.scalar() == Some(number));
    }
    matches!(call.builder.held(output), Some(Held::Known(array))
        if array.as_reals().is_ok_and(|values| values.iter().all(|&value| value == number)))
}
