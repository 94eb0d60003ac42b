//! What settings do to the weights of one layer, and what they are expected to do to the outputs.

use super::Search;
use crate::OptimizeError;
use crate::kernels::Kernels;
use crate::quantize::snap;
use crate::recipe::{Setting, prune};
use crate::weights::Weight;
use caribou_ir::Graph;

/// The bits of a number that is on no grid.
const FLOAT: f64 = 32.0;

/// One setting of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) setting: Setting,
    /// The bits that a coder needs for the layer's weights.
    pub(super) rate: f64,
    /// The noise of the outputs that is expected.
    noise: f64,
}

/// The settings of a layer that are worth a thought.
#[derive(Debug)]
pub(super) struct Profile {
    /// From the layer as it is to the smallest: those on the lower convex hull of bits and noise.
    pub(super) steps: Vec<Step>,
    /// All settings.
    pub(super) all: Vec<Step>,
    elements: f64,
    /// The noise of the weights, relative to their power, of each share of zeros and each number of bits.
    zeros: Vec<(f64, f64)>,
    grids: Vec<(u32, f64)>,
    /// The noise of the outputs for that of the weights, of zeros and of grids.
    gains: (f64, f64),
}

/// The share of zeros and the bits that layers are probed with, or the nearest that are searched.
const PROBE: (f64, u32) = (0.7, 5);

impl Profile {
    /// # Errors
    /// When weights can't be read, or are NaN.
    pub(super) fn of(base: &Graph, weights: &[Weight], options: &Search) -> Result<Self, OptimizeError> {
        let mut zeros: Vec<(f64, f64)> = options
            .sparsities
            .iter()
            .map(|&sparsity| (sparsity, 0.0))
            .collect();
        let mut grids: Vec<(u32, f64)> = options.bits.iter().map(|&bits| (bits, 0.0)).collect();
        let (mut power, mut elements) = (0f64, 0usize);
        for weight in weights {
            let before = weight.load(base, &weight.channels_first())?;
            elements += before.len();
            let judged = |after: &[f32]| -> Result<(f64, f64), OptimizeError> {
                let sums = Kernels::best()
                    .signal_and_noise(&before, after, 1)
                    .map_err(|error| weight.failed(error))?;
                Ok(sums.first().copied().unwrap_or_default())
            };
            power += judged(&before)?.0;
            for (sparsity, noise) in &mut zeros {
                let mut after = before.to_vec();
                prune(weight, &mut after, *sparsity)?;
                *noise += judged(&after)?.1;
            }
            for (bits, noise) in &mut grids {
                let mut after = before.to_vec();
                snap(weight, &mut after, options.grid.format(*bits))?;
                *noise += judged(&after)?.1;
            }
        }
        // Weights that are all zero have neither power nor noise.
        let power = if power > 0.0 { power } else { 1.0 };
        zeros.iter_mut().for_each(|(_, noise)| *noise /= power);
        grids.iter_mut().for_each(|(_, noise)| *noise /= power);
        Ok(Self {
            steps: Vec::new(),
            all: Vec::new(),
            elements: elements as f64,
            zeros,
            grids,
            gains: (1.0, 1.0),
        })
    }

    /// The settings that tell most of a layer: of zeros alone, and of a grid alone.
    pub(super) fn probes(&self) -> (Setting, Setting) {
        let distance = |sparsity: f64| (sparsity - PROBE.0).abs();
        let nearest = self
            .zeros
            .iter()
            .min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        let bits = self.grids.iter().min_by_key(|(bits, _)| bits.abs_diff(PROBE.1));
        let zeros = Setting {
            sparsity: nearest.map_or(0.0, |(sparsity, _)| *sparsity),
            bits: None,
        };
        let grid = Setting {
            sparsity: 0.0,
            bits: bits.map(|(bits, _)| *bits),
        };
        (zeros, grid)
    }

    /// Takes what the two probes did to the outputs.
    pub(super) fn calibrate(&mut self, (zeros, grid): (f64, f64)) {
        let (expected_zeros, expected_grid) = self.expected();
        self.gains = (gain(zeros, expected_zeros), gain(grid, expected_grid));
    }

    /// Takes what both probes at once did.
    pub(super) fn calibrate_both(&mut self, noise: f64) {
        let (zeros, grid) = self.expected();
        let gain = gain(noise, zeros + grid);
        self.gains = (gain, gain);
    }

    /// The noise of the weights of the probes.
    fn expected(&self) -> (f64, f64) {
        let (zeros, grid) = self.probes();
        (self.noise_of_zeros(zeros.sparsity), self.noise_of_grid(grid.bits))
    }

    fn noise_of_zeros(&self, sparsity: f64) -> f64 {
        let found = self.zeros.iter().find(|(known, _)| *known == sparsity);
        found.map_or(0.0, |(_, noise)| *noise)
    }

    fn noise_of_grid(&self, bits: Option<u32>) -> f64 {
        let found = self.grids.iter().find(|(known, _)| Some(*known) == bits);
        found.map_or(0.0, |(_, noise)| *noise)
    }

    /// Chooses the steps, by the gains that are known now.
    pub(super) fn settle(&mut self) {
        let sparsities = std::iter::once(0.0).chain(self.zeros.iter().map(|(sparsity, _)| *sparsity));
        let bits: Vec<Option<u32>> = std::iter::once(None)
            .chain(self.grids.iter().map(|(bits, _)| Some(*bits)))
            .collect();
        let mut all: Vec<Step> = sparsities
            .flat_map(|sparsity| bits.iter().map(move |&bits| Setting { sparsity, bits }))
            .map(|setting| self.step(setting))
            .collect();
        all.sort_by(|a, b| b.rate.total_cmp(&a.rate).then(a.noise.total_cmp(&b.noise)));
        self.steps = hull(&all);
        self.all = all;
    }

    fn step(&self, setting: Setting) -> Step {
        let stays = 1.0 - setting.sparsity;
        let noise = self.gains.0 * self.noise_of_zeros(setting.sparsity)
            // Zeros are on every grid.
            + self.gains.1 * self.noise_of_grid(setting.bits) * stays;
        let bits = setting.bits.map_or(FLOAT, f64::from);
        Step {
            setting,
            rate: self.elements * (entropy(setting.sparsity) + stays * bits),
            noise,
        }
    }
}

/// The noise of the outputs for that of the weights; weights that can't be noisy tell nothing.
fn gain(outputs: f64, weights: f64) -> f64 {
    match weights > 0.0 {
        true => outputs / weights,
        false => 1.0,
    }
}

/// The noise that a step adds for each bit that it saves.
pub(super) fn slope(before: &Step, after: &Step) -> f64 {
    let saved = before.rate - after.rate;
    match saved > 0.0 {
        true => (after.noise - before.noise) / saved,
        false => f64::INFINITY,
    }
}

/// The bits that the places of zeros take for each weight.
fn entropy(sparsity: f64) -> f64 {
    let part = |share: f64| match share > 0.0 {
        true => -share * share.log2(),
        false => 0.0,
    };
    part(sparsity) + part(1.0 - sparsity)
}

/// The lower convex hull of steps in the order of fewer bits: each adds the least noise for a bit that there is, and none is worse
/// than one of fewer bits.
fn hull(all: &[Step]) -> Vec<Step> {
    let mut hull: Vec<Step> = Vec::new();
    for &step in all {
        while let Some(last) = hull.last() {
            // The first one, the layer as it is, has no noise, and stays.
            let worse = hull.len() > 1 && step.noise <= last.noise;
            let bent = hull.len() > 1 && slope(&hull[hull.len() - 2], last) >= slope(last, &step);
            if !(worse || bent) {
                break;
            }
            hull.pop();
        }
        hull.push(step);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::{Setting, Step, hull, slope};

    #[test]
    fn a_hull_starts_as_it_is_and_grows_steeper() {
        let points = [
            (32.0, 0.0),
            (16.0, 1.0),
            (16.0, 3.0),
            (8.0, 1.5),
            (6.0, 9.0),
            (4.0, 8.0),
            (2.0, 40.0),
        ];
        let steps = points.iter().map(|&(rate, noise)| Step {
            setting: Setting::default(),
            rate,
            noise,
        });
        let found = hull(&steps.collect::<Vec<_>>());
        assert_eq!((found[0].rate, found[0].noise), (32.0, 0.0));
        assert_eq!(found.last().map(|step| step.rate), Some(2.0));
        let slopes: Vec<f64> = found.windows(2).map(|pair| slope(&pair[0], &pair[1])).collect();
        assert!(slopes.is_sorted(), "{slopes:?}");
        assert!(found.iter().all(|step| step.rate != 6.0));
    }
}
