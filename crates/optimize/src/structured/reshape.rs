//! Where the places of an axis are after a reshape.

use super::follow::Axis;
use caribou_ir::{Dim, Shape};
use std::ops::Range;

/// Elements of axes that are reshaped together, up to which their places are followed one by one.
const MOST: usize = 1 << 24;

/// Neighbouring axes whose elements fill other neighbouring axes.
struct Group {
    from: Range<usize>,
    to: Range<usize>,
    /// Whether all sizes are known.
    known: bool,
}

/// The axes of both shapes, divided into the smallest groups that hold the same elements.
fn groups(from: &Shape, to: &Shape) -> Vec<Group> {
    let (a, b) = (from.dims(), to.dims());
    let mut list = Vec::new();
    let mut front = (0, 0);
    while let Some(next) = group(&a[front.0..], &b[front.1..], false) {
        let end = (front.0 + next.0, front.1 + next.1);
        list.push(Group {
            from: front.0..end.0,
            to: front.1..end.1,
            known: true,
        });
        front = end;
    }
    let mut back = (a.len(), b.len());
    while back.0 > front.0
        && back.1 > front.1
        && let Some(next) = group(&a[front.0..back.0], &b[front.1..back.1], true)
    {
        let start = (back.0 - next.0, back.1 - next.1);
        list.push(Group {
            from: start.0..back.0,
            to: start.1..back.1,
            known: true,
        });
        back = start;
    }
    if front.0 < back.0 || front.1 < back.1 {
        list.push(Group {
            from: front.0..back.0,
            to: front.1..back.1,
            known: false,
        });
    }
    list
}

/// How many axes of each shape, from the front or from the back, hold the same elements; at least one axis of one.
fn group(a: &[Dim], b: &[Dim], backwards: bool) -> Option<(usize, usize)> {
    let at = |dims: &[Dim], i: usize| match backwards {
        true => dims.get(dims.len().checked_sub(i + 1)?).copied(),
        false => dims.get(i).copied(),
    };
    match (at(a, 0), at(b, 0)) {
        (Some(x), Some(y)) if x == y => return Some((1, 1)),
        (None, None) => return None,
        _ => {}
    }
    let (mut i, mut j) = (0, 0);
    let (mut x, mut y) = (1usize, 1usize);
    loop {
        let next = if x <= y && at(a, i).is_some_and(|dim| dim.fixed().is_some()) {
            i += 1;
            (&mut x, at(a, i - 1))
        } else {
            j += 1;
            (&mut y, at(b, j - 1))
        };
        *next.0 = next.0.checked_mul(next.1?.fixed()?)?;
        if x == y {
            return Some((i, j));
        }
    }
}

/// The units of the axes after a reshape. Axes that can't be followed are told to `lost`, by their numbers before.
pub(super) fn reshaped(axes: &[Axis], from: &Shape, to: &Shape, mut lost: impl FnMut(usize)) -> Vec<Axis> {
    let mut after: Vec<Axis> = vec![None; to.rank()];
    for group in groups(from, to) {
        let labelled: Vec<usize> = group.from.clone().filter(|&axis| axes[axis].is_some()).collect();
        let &[axis] = labelled.as_slice() else {
            labelled.into_iter().for_each(&mut lost);
            continue;
        };
        match placed(axes, axis, &group, from, to) {
            Some((place, units)) => after[place] = Some(units),
            None => lost(axis),
        }
    }
    after
}

/// The axis after the reshape along which alone the units of an axis vary, and the units of its places.
fn placed(
    axes: &[Axis],
    axis: usize,
    group: &Group,
    from: &Shape,
    to: &Shape,
) -> Option<(usize, std::rc::Rc<[super::units::Unit]>)> {
    let units = axes[axis].as_ref()?;
    if !group.known {
        return None;
    }
    if group.from.len() == 1 && group.to.len() == 1 {
        return Some((group.to.start, units.clone()));
    }
    let sizes =
        |shape: &Shape, range: Range<usize>| range.map(|axis| shape.size(axis)).collect::<Option<Vec<_>>>();
    let (before, after) = (sizes(from, group.from.clone())?, sizes(to, group.to.clone())?);
    let count = before
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .filter(|&count| count > 0 && count <= MOST)?;
    let inside: usize = before[axis - group.from.start + 1..].iter().product();
    let unit = |flat: usize| units[flat / inside % units.len()];
    let mut stride = count;
    for (i, &size) in after.iter().enumerate() {
        stride /= size;
        let list: Vec<_> = (0..size).map(|place| unit(place * stride)).collect();
        if (0..count).all(|flat| list[flat / stride % size] == unit(flat)) {
            return Some((group.to.start + i, list.into()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(count: u32) -> Axis {
        Some((0..count).collect::<Vec<_>>().into())
    }

    fn check(from: &[Dim], axis: usize, to: &[Dim]) -> Option<(usize, Vec<u32>)> {
        let (from, to) = (Shape::new(from), Shape::new(to));
        let mut axes = vec![None; from.rank()];
        axes[axis] = units(from.size(axis).unwrap() as u32);
        let mut lost = false;
        let after = reshaped(&axes, &from, &to, |_| lost = true);
        let mut found = after
            .into_iter()
            .enumerate()
            .filter_map(|(i, axis)| Some((i, axis?.to_vec())));
        let first = found.next();
        assert_eq!(first.is_none(), lost);
        first
    }

    #[test]
    fn flattening_repeats_or_tiles_channels() {
        let n = Dim::BATCH;
        let flat = check(&[n, 2.into(), 3.into()], 1, &[n, 6.into()]);
        assert_eq!(flat, Some((1, vec![0, 0, 0, 1, 1, 1])));
        let last = check(&[n, 3.into(), 2.into()], 2, &[n, 6.into()]);
        assert_eq!(last, Some((1, vec![0, 1, 0, 1, 0, 1])));
    }

    #[test]
    fn axes_that_stay_apart_are_followed() {
        let (n, t) = (Dim::BATCH, Dim::Unknown(0));
        assert_eq!(
            check(&[n, 2.into(), 1.into(), 1.into()], 1, &[n, 2.into()]),
            Some((1, vec![0, 1]))
        );
        assert_eq!(
            check(&[n, 2.into()], 1, &[n, 1.into(), 2.into()]),
            Some((2, vec![0, 1]))
        );
        assert_eq!(
            check(&[n, t, 3.into(), 2.into()], 3, &[Dim::Unknown(1), 2.into()]),
            Some((1, vec![0, 1]))
        );
        assert_eq!(
            check(&[n, 7.into(), 2.into()], 2, &[Dim::Batch(7), 2.into()]),
            Some((1, vec![0, 1]))
        );
    }

    #[test]
    fn an_axis_that_is_cut_is_lost() {
        let n = Dim::BATCH;
        assert_eq!(check(&[n, 6.into()], 1, &[n, 2.into(), 3.into()]), None);
        assert_eq!(
            check(&[n, 2.into(), 2.into(), 3.into()], 2, &[n, 3.into(), 4.into()]),
            None
        );
    }
}
