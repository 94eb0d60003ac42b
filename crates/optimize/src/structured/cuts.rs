//! What is left of the axes of every value.

use super::follow::Axis;
use super::units::{Unit, Units};
use caribou_ir::ValueId;
use std::collections::HashSet;

/// Which places of the axes of a graph's values stay.
#[derive(Debug, Clone)]
pub struct Cuts {
    /// Of each value, by axis; `None` where all places stay.
    axes: Vec<Vec<Option<Left>>>,
}

/// What is left of one axis.
#[derive(Debug, Clone)]
struct Left {
    /// The places that stay, in ascending order.
    kept: Vec<usize>,
    /// How many there were.
    of: usize,
}

impl Cuts {
    pub(super) fn of(axes: &[Vec<Axis>], units: &Units, gone: &HashSet<Unit>) -> Self {
        let left = |axis: &Axis| {
            let list = axis.as_ref()?;
            let stays = |&place: &usize| !gone.contains(&units.root(list[place]));
            let kept: Vec<usize> = (0..list.len()).filter(stays).collect();
            let of = list.len();
            (kept.len() < of).then_some(Left { kept, of })
        };
        Self {
            axes: axes.iter().map(|axes| axes.iter().map(left).collect()).collect(),
        }
    }

    /// The places of an axis that stay, in ascending order; `None` where all do.
    pub fn kept(&self, value: ValueId, axis: usize) -> Option<&[usize]> {
        self.left(value, axis).map(|left| left.kept.as_slice())
    }

    /// How many places of an axis stay, and of how many; `None` where all do.
    pub(super) fn share(&self, value: ValueId, axis: usize) -> Option<(usize, usize)> {
        self.left(value, axis).map(|left| (left.kept.len(), left.of))
    }

    fn left(&self, value: ValueId, axis: usize) -> Option<&Left> {
        self.axes.get(value.index())?.get(axis)?.as_ref()
    }

    /// How many axes a value has.
    pub(super) fn rank(&self, value: ValueId) -> usize {
        self.axes[value.index()].len()
    }
}
