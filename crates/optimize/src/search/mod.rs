//! The smallest network within a bound: how many weights of each layer become zero, and of how many bits the rest are.
//!
//! A rate-distortion allocation (Shoham and Gersho 1988, "Efficient bit allocation for an arbitrary set of quantizers"). What a
//! setting does to the weights of a layer is computed from these ([`profile`]); what that does to the outputs is taken to be
//! proportional, by a factor that is measured for each layer with one run or two. The layers are then reverted, from the smallest
//! network on, in the order of how much noise of the outputs a bit takes away, the worst first, and bisection finds the first
//! network within the bound. From there each layer is made smaller for as long as the bound holds.
//!
//! Estimates choose only what is tried next. A network that is given was judged as it is, and the same numbers give the same one.

mod profile;

use crate::OptimizeError;
use crate::recipe::{Applied, GridRule, LayerRecipe, Recipe, Setting, treat};
use crate::selection::Selection;
use crate::simplify::{Simplify, simplify};
use crate::weights::Weight;
use caribou_ir::Graph;
use profile::{Profile, Step, slope};

/// What is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// How far a network may fall behind, by the measure of the judge; from 0 to 1.
    pub max_drop: f64,
    /// The layers that may be changed.
    pub selection: Selection,
    /// How grids are found.
    pub grid: GridRule,
    /// The shares of zeros that are tried, besides none.
    pub sparsities: Vec<f64>,
    /// The bits that are tried, besides 32-bit numbers.
    pub bits: Vec<u32>,
    /// The most networks that are judged.
    pub evaluations: usize,
}

impl Search {
    /// The fewest evaluations with which a search makes sense.
    pub const FEWEST: usize = 16;

    /// A search within a bound, among the usual settings.
    pub fn within(max_drop: f64) -> Self {
        Self {
            max_drop,
            selection: Selection::default(),
            grid: GridRule::default(),
            sparsities: vec![0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95],
            bits: vec![16, 12, 10, 8, 6, 5, 4, 3],
            evaluations: 400,
        }
    }

    fn check(&self) -> Result<(), OptimizeError> {
        if !(0.0..=1.0).contains(&self.max_drop) {
            let message = format!("{} is no bound: expected a share from 0 to 1", self.max_drop);
            return Err(OptimizeError::option("--max-drop", message));
        }
        if self.evaluations < Self::FEWEST {
            let message = format!("{}: expected {} or more", self.evaluations, Self::FEWEST);
            return Err(OptimizeError::option("--evaluations", message));
        }
        Ok(())
    }
}

/// What was found of one network on the examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// How far it falls behind the source, by the measure that is bounded.
    pub drop: f64,
    /// The power of the difference of its outputs, relative to theirs: what tells layers apart where the bounded measure moves in
    /// steps.
    pub noise: f64,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// What is done to each layer that may be changed.
    pub recipe: Recipe,
    /// The network that it makes.
    pub applied: Applied,
    /// What the judge said of exactly this network.
    pub judgement: Judgement,
    /// How many networks were judged.
    pub evaluations: usize,
}

/// In place of noise that is no number.
const UNBOUNDED: f64 = 1e30;

/// What judges networks.
pub type Judge<'j, E> = dyn FnMut(&Graph) -> Result<Judgement, E> + 'j;

/// Finds the smallest network within the bound, as far as the evaluations reach.
///
/// # Errors
/// When an option can't be, no layer may be changed, weights can't be read or are NaN, not even the simplified or the unchanged
/// network is within the bound, or the judge fails.
pub fn search<E: From<OptimizeError>>(
    graph: &Graph,
    options: &Search,
    folding: &Simplify,
    judge: &mut Judge<'_, E>,
) -> Result<Found, E> {
    options.check()?;
    let simplified = simplify(graph, folding)?;
    let mut trial = Trial::new(simplified.graph, options, judge)?;
    let plain = vec![Setting::default(); trial.layers.len()];
    let mut simplifies = true;
    let mut start = trial.judge(&plain)?;
    if !trial.holds(start) {
        // Folding moves sums by their rounding, which the narrowest bounds have no room for.
        simplifies = false;
        let judged = trial.evaluations;
        trial = Trial::new(graph.clone(), options, trial.judge)?;
        trial.evaluations = judged;
        start = trial.judge(&plain)?;
        if !trial.holds(start) {
            let message = format!(
                "{}: the network without any change moves by {:.1e} already, which is the rounding of its sums",
                options.max_drop, start.drop
            );
            return Err(OptimizeError::option("--max-drop", message).into());
        }
    }
    let mut profiles = trial.profiles()?;
    trial.probe(&mut profiles, start)?;
    let mut steps = trial.revert(&profiles)?;
    trial.advance(&profiles, &mut steps)?;

    let settings = settings(&steps);
    let entry = |(layer, setting): (&Layer, &Setting)| LayerRecipe {
        name: layer.name.clone(),
        setting: *setting,
        place: None,
    };
    let recipe = Recipe {
        simplify: simplifies,
        grid: options.grid,
        layers: trial.layers.iter().zip(&settings).map(entry).collect(),
    };
    let applied = recipe.apply(graph, folding)?;
    let judgement = (trial.judge)(&applied.graph)?;
    let evaluations = trial.evaluations + 1;
    if !trial.holds(judgement) {
        let message = format!(
            "{}: the network that was found moves by {:.1e}",
            options.max_drop, judgement.drop
        );
        return Err(OptimizeError::option("--max-drop", message).into());
    }
    Ok(Found {
        recipe,
        applied,
        judgement,
        evaluations,
    })
}

/// A layer that may be changed.
struct Layer {
    name: String,
    weights: Vec<Weight>,
}

/// The network that is being tried.
struct Trial<'t, 'j, E> {
    options: &'t Search,
    base: Graph,
    layers: Vec<Layer>,
    /// The network that was judged last, and the settings that made it.
    graph: Graph,
    settings: Vec<Setting>,
    judge: &'t mut Judge<'j, E>,
    evaluations: usize,
}

fn settings(steps: &[Step]) -> Vec<Setting> {
    steps.iter().map(|step| step.setting).collect()
}

impl<'t, 'j, E: From<OptimizeError>> Trial<'t, 'j, E> {
    fn new(base: Graph, options: &'t Search, judge: &'t mut Judge<'j, E>) -> Result<Self, OptimizeError> {
        let mut layers: Vec<Layer> = Vec::new();
        for weight in options.selection.select(&base)? {
            match layers
                .iter_mut()
                .find(|layer| *layer.name == *weight.origin.layer)
            {
                Some(layer) => layer.weights.push(weight),
                None => layers.push(Layer {
                    name: weight.origin.layer.to_string(),
                    weights: vec![weight],
                }),
            }
        }
        Ok(Self {
            options,
            graph: base.clone(),
            settings: vec![Setting::default(); layers.len()],
            base,
            layers,
            judge,
            evaluations: 0,
        })
    }

    /// A bound is not kept by what is no number.
    fn holds(&self, judgement: Judgement) -> bool {
        judgement.drop <= self.options.max_drop
    }

    /// How many networks may still be judged; one is kept for the last.
    fn left(&self) -> usize {
        self.options.evaluations.saturating_sub(self.evaluations + 1)
    }

    /// Judges the network of these settings.
    fn judge(&mut self, settings: &[Setting]) -> Result<Judgement, E> {
        for ((layer, &setting), current) in self.layers.iter().zip(settings).zip(&mut self.settings) {
            if *current != setting {
                for weight in &layer.weights {
                    treat(&self.base, &mut self.graph, weight, setting, self.options.grid)?;
                }
                *current = setting;
            }
        }
        self.evaluations += 1;
        (self.judge)(&self.graph)
    }

    fn profiles(&self) -> Result<Vec<Profile>, OptimizeError> {
        let profile = |layer: &Layer| Profile::of(&self.base, &layer.weights, self.options);
        self.layers.iter().map(profile).collect()
    }

    /// Measures what the noise of each layer's weights does to the outputs: of zeros and of grids by itself, or of both at once
    /// where the evaluations do not suffice, or not at all.
    fn probe(&mut self, profiles: &mut [Profile], start: Judgement) -> Result<(), E> {
        let spare = self.left().saturating_sub(Search::FEWEST);
        let count = self.layers.len();
        for (i, profile) in profiles.iter_mut().enumerate() {
            let (zeros, grid) = profile.probes();
            let mut noise = |setting: Setting| -> Result<f64, E> {
                let mut settings = vec![Setting::default(); count];
                settings[i] = setting;
                let judged = self.judge(&settings)?;
                // Noise that is no number is more than any.
                Ok(if judged.noise.is_finite() {
                    (judged.noise - start.noise).max(0.0)
                } else {
                    UNBOUNDED
                })
            };
            if spare >= 2 * count {
                let found = (noise(zeros)?, noise(grid)?);
                profile.calibrate(found);
            } else if spare >= count {
                let both = noise(Setting {
                    bits: grid.bits,
                    ..zeros
                })?;
                profile.calibrate_both(both);
            }
        }
        for profile in profiles {
            profile.settle();
        }
        Ok(())
    }

    /// From the smallest network on, reverts layers by a step each, in the order of the noise that a bit takes away, until the bound
    /// holds; by bisection, since the order does not depend on what is found.
    fn revert(&mut self, profiles: &[Profile]) -> Result<Vec<Step>, E> {
        let mut reversions: Vec<(f64, usize, usize)> = Vec::new();
        for (layer, profile) in profiles.iter().enumerate() {
            for (place, pair) in profile.steps.windows(2).enumerate() {
                reversions.push((slope(&pair[0], &pair[1]), layer, place));
            }
        }
        // Within a layer the later steps have the steeper slopes, and go first.
        reversions.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, b.2).cmp(&(b.1, a.2))));
        let after = |count: usize| -> Vec<Step> {
            let mut places: Vec<usize> = profiles.iter().map(|profile| profile.steps.len() - 1).collect();
            for &(_, layer, place) in &reversions[..count] {
                places[layer] = places[layer].min(place);
            }
            let pairs = profiles.iter().zip(places);
            pairs.map(|(profile, place)| profile.steps[place]).collect()
        };
        // With all of them the network is as it was, which is known to hold.
        let (mut low, mut high) = (0, reversions.len());
        while low < high && self.left() > 0 {
            let middle = low.midpoint(high);
            let judged = self.judge(&settings(&after(middle)))?;
            match self.holds(judged) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        Ok(after(high))
    }

    /// Makes one layer at a time smaller, the one first that adds the least noise for a bit that it saves, for as long as the bound
    /// holds. What a layer was refused is not tried again, nor what has as many zeros and as few bits.
    fn advance(&mut self, profiles: &[Profile], steps: &mut [Step]) -> Result<(), E> {
        let mut refused: Vec<Vec<Setting>> = vec![Vec::new(); profiles.len()];
        let bits = |setting: &Setting| setting.bits.unwrap_or(u32::MAX);
        while self.left() > 0 {
            let mut best: Option<(f64, usize, Step)> = None;
            for (layer, profile) in profiles.iter().enumerate() {
                for step in profile.all.iter().filter(|step| step.rate < steps[layer].rate) {
                    let gone = refused[layer].iter().any(|refused| {
                        step.setting.sparsity >= refused.sparsity && bits(&step.setting) <= bits(refused)
                    });
                    let slope = slope(&steps[layer], step);
                    if !gone && best.is_none_or(|(least, ..)| slope < least) {
                        best = Some((slope, layer, *step));
                    }
                }
            }
            let Some((_, layer, step)) = best else { break };
            let before = std::mem::replace(&mut steps[layer], step);
            let judged = self.judge(&settings(steps))?;
            if !self.holds(judged) {
                steps[layer] = before;
                refused[layer].push(step.setting);
            }
        }
        Ok(())
    }
}
