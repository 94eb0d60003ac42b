//! Recipes as TOML.

use super::{GridRule, LayerRecipe, Recipe, Setting};
use crate::kernels::Scheme;
use crate::prune::check_sparsity;
use crate::quantize::{ScaleRule, check_bits};
use crate::{OptimizeError, recipe};
use caribou_ir::Place;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use toml::Spanned;

/// The only version so far.
const VERSION: u32 = 1;

/// Why a text is no recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct RecipeError {
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: Spanned<u32>,
    #[serde(default)]
    simplify: bool,
    #[serde(default)]
    grid: Option<GridText>,
    #[serde(default, rename = "layer")]
    layers: Vec<LayerText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GridText {
    #[serde(default)]
    scheme: Option<SchemeText>,
    per_channel: Option<bool>,
    scale: Option<Spanned<String>>,
    scale_bits: Option<Spanned<u32>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SchemeText {
    Symmetric,
    Affine,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerText {
    name: Spanned<String>,
    sparsity: Option<Spanned<f64>>,
    bits: Option<Spanned<u32>>,
}

/// Line and column of a byte.
fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let number = |count: usize| u32::try_from(count).map_or(u32::MAX, |count| count.saturating_add(1));
    (number(line), number(column))
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// The first thing that is wrong with it: no TOML, a key that is not known or missing, a number that can't be.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let fail = |span: Range<usize>, message: String| {
            let (line, column) = place(text, span.start);
            RecipeError {
                line,
                column,
                message,
            }
        };
        // What an option can't be, without the option's name.
        let reason = |error: OptimizeError| match error {
            OptimizeError::Option { message, .. } => message,
            error => error.to_string(),
        };
        let document: Document = toml::from_str(text)
            .map_err(|error| fail(error.span().unwrap_or(0..0), error.message().to_owned()))?;
        if *document.version.get_ref() != VERSION {
            let message = format!("expected version {VERSION}, found {}", document.version.get_ref());
            return Err(fail(document.version.span(), message));
        }
        let mut grid = GridRule::default();
        if let Some(told) = document.grid {
            match told.scheme {
                Some(SchemeText::Affine) => grid.scheme = Scheme::Affine,
                Some(SchemeText::Symmetric) | None => {}
            }
            grid.per_channel = told.per_channel.unwrap_or(grid.per_channel);
            if let Some(scale) = told.scale {
                let span = scale.span();
                let rule: Result<ScaleRule, _> = scale.get_ref().parse();
                grid.scale = rule.map_err(|message| fail(span.clone(), format!("scale: {message}")))?;
                check_bits(recipe::OPTION, grid.format(2)).map_err(|error| fail(span, reason(error)))?;
            }
            if let Some(bits) = told.scale_bits {
                grid.scale_bits = *bits.get_ref();
                check_bits(recipe::OPTION, grid.format(2))
                    .map_err(|error| fail(bits.span(), format!("scale_bits: {}", reason(error))))?;
            }
        }
        let mut layers = Vec::with_capacity(document.layers.len());
        for layer in document.layers {
            let (line, column) = place(text, layer.name.span().start);
            let name = layer.name.into_inner();
            let mut setting = Setting::default();
            if let Some(sparsity) = layer.sparsity {
                setting.sparsity = *sparsity.get_ref();
                check_sparsity(recipe::OPTION, setting.sparsity)
                    .map_err(|error| fail(sparsity.span(), format!("layer {name}: {}", reason(error))))?;
            }
            if let Some(bits) = layer.bits {
                setting.bits = Some(*bits.get_ref());
                check_bits(recipe::OPTION, grid.format(*bits.get_ref()))
                    .map_err(|error| fail(bits.span(), format!("layer {name}: {}", reason(error))))?;
            }
            layers.push(LayerRecipe {
                name,
                setting,
                place: Some(Place::Line { line, column }),
            });
        }
        Ok(Self {
            simplify: document.simplify,
            grid,
            layers,
        })
    }

    /// The recipe as text that [`Recipe::parse`] reads.
    ///
    /// # Errors
    /// None that is known: all of it can be said in TOML.
    pub fn to_toml(&self) -> Result<String, OptimizeError> {
        // Places are those of a text that was read; what is written has none.
        fn spanned<T>(value: T) -> Spanned<T> {
            Spanned::new(0..0, value)
        }
        let document = Document {
            version: spanned(VERSION),
            simplify: self.simplify,
            grid: Some(GridText {
                scheme: Some(match self.grid.scheme {
                    Scheme::Symmetric => SchemeText::Symmetric,
                    Scheme::Affine => SchemeText::Affine,
                }),
                per_channel: Some(self.grid.per_channel),
                scale: Some(spanned(self.grid.scale.to_string())),
                scale_bits: Some(spanned(self.grid.scale_bits)),
            }),
            layers: self
                .layers
                .iter()
                .map(|layer| LayerText {
                    name: spanned(layer.name.clone()),
                    sparsity: Some(spanned(layer.setting.sparsity)),
                    bits: layer.setting.bits.map(spanned),
                })
                .collect(),
        };
        toml::to_string(&document).map_err(|error| OptimizeError::option(recipe::OPTION, error.to_string()))
    }
}
