//! Parts of volumes and volumes side by side: `[N, C, D, H, W]`, on which stock DL4J's subset vertex does not run and
//! its merge vertex can't be trained.

use super::{Lowered, Lowering, Place, identity};
use crate::format::{Preprocessor, Vertex};
use caribou_ir::Origin;

impl Lowering<'_> {
    /// Arrays side by side along `axis`. `sizes` are the axes of each behind the batch, where they are known: volumes
    /// are then merged with two of the other axes as one.
    pub(super) fn side_by_side(
        &mut self,
        origin: &Origin,
        suffix: &str,
        axis: usize,
        inputs: &[String],
        sizes: &[Option<Vec<usize>>],
    ) -> String {
        let known: Option<Vec<&Vec<usize>>> = sizes.iter().map(Option::as_ref).collect();
        let many = known.filter(|known| known.first().is_some_and(|sizes| sizes.len() >= 4));
        let Some(many) = many else {
            return self.vertex(origin, suffix, Vertex::Merge { merge_axis: axis }, inputs);
        };
        let mut merged = many[0].clone();
        merged[axis - 1] = many.iter().map(|sizes| sizes[axis - 1]).sum();
        if merged.len() > 4 {
            // All axes in front become one, and all from the merged one on.
            let folded = |sizes: &[usize]| {
                let (before, behind) = sizes.split_at(axis - 1);
                vec![before.iter().product(), behind.iter().product(), 1]
            };
            let sizes: Vec<[Vec<usize>; 2]> =
                many.iter().map(|sizes| [sizes.to_vec(), folded(sizes)]).collect();
            return self.merged_folded(origin, suffix, inputs, &sizes, 2, [folded(&merged), merged]);
        }
        // The last two axes become one, or the first two when the last are merged along.
        let first = if axis < 3 { 2 } else { 0 };
        let folded = |sizes: &[usize]| {
            let mut folded = sizes.to_vec();
            let next = folded.remove(first + 1);
            folded[first] *= next;
            folded
        };
        let merge_axis = if axis < 3 { axis } else { axis - 1 };
        let sizes: Vec<[Vec<usize>; 2]> = many.iter().map(|sizes| [sizes.to_vec(), folded(sizes)]).collect();
        self.merged_folded(
            origin,
            suffix,
            inputs,
            &sizes,
            merge_axis,
            [folded(&merged), merged],
        )
    }

    /// Arrays side by side along `merge_axis` under another shape: `sizes` are of each what they are and what they become,
    /// and the last what the whole becomes, and is.
    fn merged_folded(
        &mut self,
        origin: &Origin,
        suffix: &str,
        inputs: &[String],
        sizes: &[[Vec<usize>; 2]],
        merge_axis: usize,
        [folded, merged]: [Vec<usize>; 2],
    ) -> String {
        let mut flat: Vec<String> = Vec::with_capacity(inputs.len());
        for (i, (input, [own, folded])) in inputs.iter().zip(sizes).enumerate() {
            // The same array is folded once.
            let before = inputs[..i].iter().position(|other| other == input);
            flat.push(match before {
                Some(before) if sizes[before][0] == *own => flat[before].clone(),
                _ => self.preprocess(origin, "fold", Preprocessor::reshape(own, folded), input.clone()),
            });
        }
        let name = self.vertex(origin, "merge", Vertex::Merge { merge_axis }, &flat);
        self.preprocess(origin, suffix, Preprocessor::reshape(&folded, &merged), name)
    }

    /// The channels from `start` to `end` of all `count` on `axes` spatial axes. Those of volumes are cropped, in the
    /// place of a spatial axis.
    pub(super) fn channels(
        &mut self,
        origin: &Origin,
        input: &str,
        [start, end, count]: [usize; 3],
        axes: usize,
    ) -> Lowered<String> {
        if axes < 3 {
            let subset = Vertex::Subset {
                from: start,
                to: end - 1,
            };
            return Ok(self.vertex(origin, "channels", subset, &[input.to_owned()]));
        }
        let swapped = vec![0, 2, 1, 3, 4];
        let whole = Place {
            vertex: input.to_owned(),
            order: identity(5),
            reversed: false,
        };
        let ahead = self.in_order(&whole, &swapped, origin)?;
        let sides = [[start, count - end], [0, 0], [0, 0]];
        let part = Place {
            vertex: self.cropping(origin, "channels", ahead, &sides)?,
            order: swapped,
            reversed: false,
        };
        self.in_order(&part, &identity(5), origin)
    }
}

/// Sizes behind the batch in the order of an array's axes.
pub(super) fn arranged(sizes: Option<Vec<usize>>, order: &[usize]) -> Option<Vec<usize>> {
    let sizes = sizes?;
    let mut arranged = vec![0; sizes.len()];
    for (&to, size) in order[1..].iter().zip(sizes) {
        arranged[to - 1] = size;
    }
    Some(arranged)
}
