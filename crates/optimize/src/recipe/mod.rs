//! What is to be done to each layer, as a file that can be edited and done again.
//!
//! ```toml
//! version = 1
//! simplify = true
//!
//! [grid]
//! scheme = "symmetric"
//! per_channel = true
//! scale = "max"
//! scale_bits = 5
//!
//! [[layer]]
//! name = "conv2d_*"
//! sparsity = 0.7
//! bits = 8
//! ```
//!
//! In names `*` stands for any characters and `?` for one; of several entries that match a layer the last counts. A layer without
//! `bits` keeps its 32-bit numbers, one without `sparsity` all of its weights, and one that no entry matches stays as it is.

mod text;
mod treat;

pub use text::RecipeError;
pub(crate) use treat::{prune, treat};

use crate::OptimizeError;
use crate::kernels::Scheme;
use crate::layer::LayerChange;
use crate::prune::check_sparsity;
use crate::quantize::{Format, ScaleRule, check_bits};
use crate::selection::{matches, names_of};
use crate::simplify::{Simplified, Simplify, simplify};
use crate::weights::{Weight, weights};
use caribou_ir::{Graph, Place, Quantization, Rewrite};

/// The option of the command that a recipe is given by.
const OPTION: &str = "--recipe";

/// What becomes of the weights of one layer: first the smallest become 0, then the rest values of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Setting {
    /// The share of zeros, from 0 up to, but not including, 1.
    pub sparsity: f64,
    /// The bits of the integers, 2 to 16; `None` leaves 32-bit numbers.
    pub bits: Option<u32>,
}

/// How the grids of all layers are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridRule {
    /// Whether zero is in the middle of the grid.
    pub scheme: Scheme,
    /// Whether each output channel has a scale of its own.
    pub per_channel: bool,
    /// How scales are found.
    pub scale: ScaleRule,
    /// The significant bits of scales, 1 to 24.
    pub scale_bits: u32,
}

impl Default for GridRule {
    fn default() -> Self {
        Self {
            scheme: Scheme::Symmetric,
            per_channel: true,
            scale: ScaleRule::Max,
            scale_bits: Self::SHORT,
        }
    }
}

impl GridRule {
    /// The significant bits of scales that archives deflate well with, at a fifth of a decibel.
    pub const SHORT: u32 = 5;

    /// The grid of so many bits.
    pub fn format(self, bits: u32) -> Format {
        Format::Integer {
            bits,
            scheme: self.scheme,
            per_channel: self.per_channel,
            scale: self.scale,
            scale_bits: self.scale_bits,
        }
    }
}

/// What is done to the layers of a name.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRecipe {
    /// The name, or a pattern of names.
    pub name: String,
    /// What becomes of its weights.
    pub setting: Setting,
    /// Where the entry stands in the file it was read from.
    pub place: Option<Place>,
}

/// What is done to a network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recipe {
    /// Whether the network is simplified before.
    pub simplify: bool,
    /// How grids are found.
    pub grid: GridRule,
    /// The layers.
    pub layers: Vec<LayerRecipe>,
}

/// A network that a recipe was done to.
#[derive(Debug)]
pub struct Applied {
    /// The graph.
    pub graph: Graph,
    /// What its grid values stand for.
    pub quantization: Quantization,
    /// What was done to each weight that the recipe names.
    pub layers: Vec<LayerChange>,
    /// What simplifying it changed.
    pub rewrites: Vec<Rewrite>,
}

impl Recipe {
    /// What becomes of a weight; `None` where no entry names its layer.
    fn setting(&self, weight: &Weight) -> Option<Setting> {
        let mut entries = self.layers.iter().rev();
        let entry = entries.find(|entry| matches(&entry.name, &weight.origin.layer));
        entry.map(|entry| entry.setting)
    }

    /// # Errors
    /// When a number can't be, or an entry names no layer of these.
    fn check(&self, all: &[Weight]) -> Result<(), OptimizeError> {
        check_bits(OPTION, self.grid.format(2))?;
        for entry in &self.layers {
            check_sparsity(OPTION, entry.setting.sparsity)?;
            if let Some(bits) = entry.setting.bits {
                check_bits(OPTION, self.grid.format(bits))?;
            }
            if !all
                .iter()
                .any(|weight| matches(&entry.name, &weight.origin.layer))
            {
                let place = match entry.place {
                    Some(Place::Line { line, column }) => format!("line {line}, column {column}: "),
                    _ => String::new(),
                };
                let message = format!(
                    "{place}{} matches no layer with weights; {}",
                    entry.name,
                    names_of(all)
                );
                return Err(OptimizeError::option(OPTION, message));
            }
        }
        Ok(())
    }

    /// Does what the recipe says.
    ///
    /// # Errors
    /// When a number can't be, an entry names no layer, or weights can't be read or are NaN.
    pub fn apply(&self, graph: &Graph, folding: &Simplify) -> Result<Applied, OptimizeError> {
        let (base, rewrites) = match self.simplify {
            true => {
                let Simplified { graph, rewrites } = simplify(graph, folding)?;
                (graph, rewrites)
            }
            false => (graph.clone(), Vec::new()),
        };
        let all = weights(&base);
        self.check(&all)?;
        let mut applied = Applied {
            graph: base.clone(),
            quantization: Quantization::default(),
            layers: Vec::new(),
            rewrites,
        };
        for weight in &all {
            let Some(setting) = self.setting(weight) else {
                continue;
            };
            let (change, quantized) = treat(&base, &mut applied.graph, weight, setting, self.grid)?;
            applied.layers.push(change);
            applied.quantization.parameters.extend(quantized);
        }
        Ok(applied)
    }
}
