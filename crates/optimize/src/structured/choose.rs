//! Which units are taken out.

use super::Options;
use super::follow::Axis;
use super::layers::Filters;
use super::units::{Unit, Units};
use crate::prune::{Scope, count};
use crate::selection::override_of;
use crate::weights::Weight;
use std::collections::{HashMap, HashSet};

/// The units that are taken out, by those that stand for their sets.
pub(super) struct Chosen {
    pub(super) units: HashSet<Unit>,
    /// How many sets there are to choose from.
    pub(super) candidates: usize,
    /// How many were to be taken out.
    pub(super) wanted: usize,
}

/// Takes the sets of the lowest scores, of equal ones the first, but never all that fill an axis.
pub(super) fn choose(
    layers: &[(Filters, Weight)],
    axes: &[Vec<Axis>],
    units: &Units,
    scores: &HashMap<Unit, f64>,
    options: &Options,
) -> Chosen {
    let mut room = Room::of(axes, units);
    let mut chosen = Chosen {
        units: HashSet::new(),
        candidates: 0,
        wanted: 0,
    };
    for (share, mut pool) in pools(layers, units, options) {
        pool.sort_by(|a, b| scores[a].total_cmp(&scores[b]).then(a.cmp(b)));
        let wanted = count(share, pool.len());
        chosen.candidates += pool.len();
        chosen.wanted += wanted;
        let gone = pool.into_iter().filter(|&unit| room.take(unit)).take(wanted);
        chosen.units.extend(gone);
    }
    chosen
}

/// The sets that are compared with each other, with the share of them that goes.
fn pools(layers: &[(Filters, Weight)], units: &Units, options: &Options) -> Vec<(f64, Vec<Unit>)> {
    // Layers of which filters go together are one.
    let mut joined = Units::default();
    let numbers = joined.fresh(layers.len());
    let mut owner: HashMap<Unit, Unit> = HashMap::new();
    for ((layer, _), &number) in layers.iter().zip(&numbers) {
        for &unit in layer.units.iter() {
            let first = *owner.entry(units.root(unit)).or_insert(number);
            joined.join(first, number);
        }
    }
    let mut shares: HashMap<Unit, f64> = HashMap::new();
    for ((_, weight), &number) in layers.iter().zip(&numbers) {
        if let Some(&share) = override_of(&options.overrides, weight) {
            shares.insert(joined.root(number), share);
        }
    }
    // The first pool is that of all layers together.
    let mut pools: Vec<(f64, Vec<Unit>)> = vec![(options.sparsity, Vec::new())];
    let mut own: HashMap<Unit, usize> = HashMap::new();
    let mut candidates: Vec<(Unit, Unit)> = owner
        .into_iter()
        .filter(|(unit, _)| units.reason(*unit).is_none())
        .collect();
    candidates.sort_unstable();
    for (unit, number) in candidates {
        let layer = joined.root(number);
        let share = shares.get(&layer).copied();
        let pool = match (options.scope, share) {
            (Scope::Global, None) => 0,
            _ => *own.entry(layer).or_insert_with(|| {
                pools.push((share.unwrap_or(options.sparsity), Vec::new()));
                pools.len() - 1
            }),
        };
        pools[pool].1.push(unit);
    }
    pools
}

/// How many places of each axis are still filled.
struct Room {
    left: Vec<usize>,
    /// For each set, the axes where it is, with the number of places.
    places: HashMap<Unit, Vec<(usize, usize)>>,
}

impl Room {
    fn of(axes: &[Vec<Axis>], units: &Units) -> Self {
        let mut room = Self {
            left: Vec::new(),
            places: HashMap::new(),
        };
        let mut seen: HashSet<*const Unit> = HashSet::new();
        for axis in axes.iter().flatten().flatten() {
            // Most values share the list of the layer that they come from.
            if !seen.insert(axis.as_ptr()) {
                continue;
            }
            let number = room.left.len();
            room.left.push(axis.len());
            for &unit in axis.iter() {
                let places = room.places.entry(units.root(unit)).or_default();
                match places.last_mut() {
                    Some((last, count)) if *last == number => *count += 1,
                    _ => places.push((number, 1)),
                }
            }
        }
        room
    }

    /// Takes a set out, if something stays everywhere.
    fn take(&mut self, unit: Unit) -> bool {
        let places = self.places.get(&unit).map_or(&[] as &[_], Vec::as_slice);
        if places.iter().any(|&(axis, count)| self.left[axis] <= count) {
            return false;
        }
        for &(axis, count) in places {
            self.left[axis] -= count;
        }
        true
    }
}
