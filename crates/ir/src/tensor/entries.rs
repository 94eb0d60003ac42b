//! Where the entries of a parameter's first axis lie in a view of it.

use super::view::{Factor, View};

/// Element `i` of a view belongs to the entry `entries[(i / run) % entries.len()]` of a parameter's first axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// The entries, in the order in which the view has them.
    pub entries: Vec<usize>,
    /// How many neighbours belong to the same.
    pub run: usize,
}

/// The pattern of a view of a parameter whose entries have `size` stored elements each.
pub(super) fn of(view: &View, size: usize) -> Option<Entries> {
    let loops: Vec<Factor> = view
        .loops()
        .into_iter()
        .flat_map(|factor| parted(factor, size))
        .collect();
    by_one_loop(view.offset, &loops, size).or_else(|| by_elements(view, &loops, size))
}

/// A loop that goes through whole entries, as one from entry to entry with one within; any other as it is.
fn parted(factor: Factor, size: usize) -> Vec<Factor> {
    let steps = match usize::try_from(factor.stride) {
        Ok(stride) if stride > 0 && stride < size && size.is_multiple_of(stride) => size / stride,
        _ => return vec![factor],
    };
    if factor.extent <= steps || !factor.extent.is_multiple_of(steps) {
        return vec![factor];
    }
    let across = Factor {
        extent: factor.extent / steps,
        stride: size as isize,
    };
    let within = Factor {
        extent: steps,
        ..factor
    };
    vec![across, within]
}

/// The pattern of a view of which one loop goes from entry to entry, and the others stay within them.
fn by_one_loop(offset: usize, loops: &[Factor], size: usize) -> Option<Entries> {
    let across = |factor: &Factor| factor.stride.unsigned_abs() >= size;
    let place = loops.iter().position(across)?;
    let stride = loops[place].stride;
    if !stride.unsigned_abs().is_multiple_of(size) || loops[place + 1..].iter().any(across) {
        return None;
    }
    // The first and the last element of an entry that the other loops reach.
    let (mut least, mut most) = ((offset % size) as isize, (offset % size) as isize);
    for factor in loops.iter().filter(|factor| !across(factor)) {
        let reach = factor.stride * (factor.extent as isize - 1);
        least += reach.min(0);
        most += reach.max(0);
    }
    if least < 0 || most >= size as isize {
        return None;
    }
    let (first, step) = ((offset / size) as isize, stride / size as isize);
    Some(Entries {
        entries: (0..loops[place].extent)
            .map(|i| (first + i as isize * step) as usize)
            .collect(),
        run: loops[place + 1..].iter().map(|factor| factor.extent).product(),
    })
}

/// The pattern of any view, from its elements one by one.
fn by_elements(view: &View, loops: &[Factor], size: usize) -> Option<Entries> {
    let mut runs = Runs::default();
    let mut index = vec![0usize; loops.len()];
    let mut at = view.offset as isize;
    loop {
        if !runs.take(at as usize / size) {
            return None;
        }
        // The next index, as an odometer.
        let mut axis = loops.len();
        loop {
            if axis == 0 {
                return runs.finish();
            }
            axis -= 1;
            index[axis] += 1;
            at += loops[axis].stride;
            if index[axis] < loops[axis].extent {
                break;
            }
            at -= loops[axis].stride * loops[axis].extent as isize;
            index[axis] = 0;
        }
    }
}

/// The runs of equal entries so far.
#[derive(Default)]
struct Runs {
    entries: Vec<usize>,
    /// The length of all runs, known when the first has ended.
    run: usize,
    /// Whether the entries have come once, and come again since.
    again: bool,
    /// The position in `entries` of the run that goes on, and how long it is.
    place: usize,
    length: usize,
}

impl Runs {
    /// Adds an element; `false` when it breaks the pattern.
    fn take(&mut self, entry: usize) -> bool {
        if self.entries.is_empty() {
            self.entries.push(entry);
        } else if self.length == self.run && self.run > 0 || self.entries[self.place] != entry {
            // A run has ended.
            if self.run == 0 {
                self.run = self.length;
            }
            if self.length != self.run {
                return false;
            }
            self.length = 0;
            self.place += 1;
            if self.again {
                self.place %= self.entries.len();
            } else if self.entries[0] == entry {
                (self.again, self.place) = (true, 0);
            } else {
                self.entries.push(entry);
            }
            if self.entries[self.place] != entry {
                return false;
            }
        }
        self.length += 1;
        true
    }

    fn finish(self) -> Option<Entries> {
        let run = if self.run == 0 { self.length } else { self.run };
        let whole = self.length == run && (!self.again || self.place + 1 == self.entries.len());
        whole.then_some(Entries {
            entries: self.entries,
            run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Entries;
    use crate::Tensor;

    fn counting(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        Tensor::from_values(shape, (0..n).map(|i| i as f32).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_loops_of_whole_parameters_are_enough() {
        let parameter = counting(&[4, 3, 2]);
        let flat = parameter.reshape(&[24]).unwrap();
        for view in [&parameter, &flat, &flat.narrow(0, 6, 18).unwrap()] {
            let loops: Vec<_> = view
                .view
                .loops()
                .into_iter()
                .flat_map(|factor| super::parted(factor, 6))
                .collect();
            let found = super::by_one_loop(view.view.offset, &loops, 6).unwrap();
            assert_eq!((found.run, found.entries.len()), (6, view.len() / 6));
            check(&parameter, view);
        }
        let halves = check(&parameter, &flat.narrow(0, 3, 15).unwrap());
        assert_eq!((halves.entries, halves.run), (vec![0, 1, 1, 2], 3));
    }

    /// What the pattern says, against what the numbers tell: number `v` of storage belongs to entry `v / size`.
    fn check(parameter: &Tensor, view: &Tensor) -> Entries {
        let found = view.entries_of(parameter).unwrap();
        let size = parameter.len() / parameter.shape()[0];
        let one_by_one = super::by_elements(&view.view, &view.view.loops(), size);
        assert_eq!(one_by_one.as_ref(), Some(&found));
        for (i, value) in view.to_vec().unwrap().into_iter().enumerate() {
            assert_eq!(
                found.entries[(i / found.run) % found.entries.len()],
                value as usize / size
            );
        }
        found
    }

    #[test]
    fn entries_are_found_in_any_order_of_axes() {
        let parameter = counting(&[4, 3, 2]);
        assert_eq!(check(&parameter, &parameter).run, 6);
        assert_eq!(check(&parameter, &parameter.permute(&[1, 0, 2]).unwrap()).run, 2);
        assert_eq!(check(&parameter, &parameter.permute(&[2, 1, 0]).unwrap()).run, 1);
        let part = parameter.narrow(0, 1, 3).unwrap().permute(&[1, 2, 0]).unwrap();
        assert_eq!(check(&parameter, &part).entries, [1, 2]);
        let reversed = parameter.reverse(0).unwrap();
        assert_eq!(check(&parameter, &reversed).entries, [3, 2, 1, 0]);
        let one = parameter.narrow(0, 2, 3).unwrap();
        assert_eq!(
            check(&parameter, &one),
            Entries {
                entries: vec![2],
                run: 6
            }
        );
    }

    #[test]
    fn what_has_no_pattern_is_told() {
        let parameter = counting(&[4, 6]);
        // Two of four elements cross from one entry to the next.
        let crossing = parameter.reshape(&[24]).unwrap().narrow(0, 4, 9).unwrap();
        assert_eq!(crossing.entries_of(&parameter), None);
        assert_eq!(parameter.entries_of(&counting(&[4, 6])), None, "another storage");
        assert_eq!(parameter.entries_of(&parameter.permute(&[1, 0]).unwrap()), None);
    }
}
