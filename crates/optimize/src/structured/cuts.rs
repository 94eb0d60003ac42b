//! What is left of the axes of every value.

use super::units::{Unit, Units};
use caribou_ir::ValueId;
use std::collections::HashSet;
use std::rc::Rc;

/// Which places of the axes of a graph's values stay.
#[derive(Debug, Clone)]
pub struct Cuts {
    /// Of each value, by axis: the places that stay, and how many there were; `None` where all stay.
    axes: Vec<Vec<Option<(Vec<usize>, usize)>>>,
}

impl Cuts {
    pub(super) fn of(axes: &[Vec<Option<Rc<[Unit]>>>], units: &Units, gone: &HashSet<Unit>) -> Self {
        let left = |axis: &Option<Rc<[Unit]>>| {
            let list = axis.as_ref()?;
            let stays = |&place: &usize| !gone.contains(&units.root(list[place]));
            let kept: Vec<usize> = (0..list.len()).filter(stays).collect();
            (kept.len() < list.len()).then_some((kept, list.len()))
        };
        Self {
            axes: axes.iter().map(|axes| axes.iter().map(left).collect()).collect(),
        }
    }

    /// The places of an axis that stay, in ascending order; `None` where all do.
    pub fn kept(&self, value: ValueId, axis: usize) -> Option<&[usize]> {
        let (kept, _) = self.axes.get(value.index())?.get(axis)?.as_ref()?;
        Some(kept)
    }

    /// How many places of an axis stay, and of how many; `None` where all do.
    pub(super) fn share(&self, value: ValueId, axis: usize) -> Option<(usize, usize)> {
        let (kept, of) = self.axes.get(value.index())?.get(axis)?.as_ref()?;
        Some((kept.len(), *of))
    }

    /// How many axes a value has.
    pub(super) fn rank(&self, value: ValueId) -> usize {
        self.axes[value.index()].len()
    }
}
