//! The masks of Keras: which steps count. They are written down where they arise, and become values of the graph only
//! where a layer reads them.

use crate::config::Layer;
use crate::version::Generation;
use caribou_ir::op::{
    Activation, Concat, Elementwise, ElementwiseKind, Op, Reduce, ReduceKind, Unary, UnaryKind,
};
use caribou_ir::{Graph, Origin, ShapeError, ValueId};

/// A mask `[N, T]`.
#[derive(Debug, Clone)]
pub(crate) enum Mask {
    /// The steps whose index is not zero.
    NonZero(ValueId),
    /// The steps of which any feature differs from this number.
    Differs {
        /// The features.
        value: ValueId,
        /// The number.
        from: f32,
    },
    /// The steps that all of them count.
    All(Vec<Mask>),
    /// One behind the other in time.
    Joined(Vec<Mask>),
    /// A value of the model, of zeros and ones.
    Made(ValueId),
    /// What Keras 3 makes of masks of several inputs, which its versions do not agree on. Where the model writes the
    /// result down, that one counts.
    Unsettled,
    /// A mask that can't be made, and why.
    Unknown(&'static str),
}

/// Why a mask could not become a value.
pub(crate) enum Unmade {
    /// It has no meaning here.
    Unknown(&'static str),
    /// It does not fit.
    Misfit(ShapeError),
}

impl From<ShapeError> for Unmade {
    fn from(error: ShapeError) -> Self {
        Self::Misfit(error)
    }
}

const UNSETTLED: &str = "masks of several inputs, which versions of Keras 3 join differently";

/// Large enough that its square lifts the smallest float over one.
const LIFT: f64 = (1u128 << 100) as f64;

impl Mask {
    /// The mask as zeros and ones.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn value(&self, graph: &mut Graph, origin: &Origin) -> Result<ValueId, Unmade> {
        // Indices are whole numbers, so a step that counts has at least a one.
        let clip = Op::from(Activation::BoundedRelu {
            max: Some(1.0),
            slope: 0.0,
            threshold: 0.0,
        });
        let unary =
            |graph: &mut Graph, kind: UnaryKind, x: ValueId| graph.apply(Unary { kind }, &[x], origin);
        match self {
            Self::NonZero(indices) => Ok(graph.apply(clip, &[*indices], origin)?),
            Self::Differs { value, from } => {
                let mut x = *value;
                if *from != 0.0 {
                    let shift = -f64::from(*from);
                    x = unary(graph, UnaryKind::Affine { scale: 1.0, shift }, x)?;
                }
                let negated = unary(graph, UnaryKind::Negate, x)?;
                let kind = ElementwiseKind::Maximum;
                let size = graph.apply(Elementwise { kind }, &[x, negated], origin)?;
                let axes = vec![graph.shape(size).rank() - 1];
                let kind = ReduceKind::Max;
                let mut y = graph.apply(
                    Reduce {
                        kind,
                        axes,
                        keep_dims: false,
                    },
                    &[size],
                    origin,
                )?;
                for _ in 0..2 {
                    let kind = UnaryKind::Affine {
                        scale: LIFT,
                        shift: 0.0,
                    };
                    y = unary(graph, kind, y)?;
                }
                Ok(graph.apply(clip, &[y], origin)?)
            }
            Self::All(masks) | Self::Joined(masks) => {
                let values: Result<Vec<ValueId>, Unmade> =
                    masks.iter().map(|mask| mask.value(graph, origin)).collect();
                match (values?.as_slice(), self) {
                    ([value], _) => Ok(*value),
                    (values, Self::Joined(_)) => Ok(graph.apply(Concat { axis: 1 }, values, origin)?),
                    (values, _) => {
                        let kind = ElementwiseKind::Multiply;
                        Ok(graph.apply(Elementwise { kind }, values, origin)?)
                    }
                }
            }
            Self::Made(value) => Ok(*value),
            Self::Unsettled => Err(Unmade::Unknown(UNSETTLED)),
            Self::Unknown(why) => Err(Unmade::Unknown(why)),
        }
    }

    /// The mask on the other side of a model's border, where what is written down is no longer all there is.
    pub(crate) fn across(self) -> Self {
        match self {
            Self::Unsettled => Self::Unknown(UNSETTLED),
            other => other,
        }
    }

    /// The mask of what a layer makes that leaves the steps as they are, by the masks of its inputs: a step counts when
    /// all inputs that have a mask count it.
    pub(crate) fn passed(
        layer: &Layer,
        masks: &[Option<&Self>],
        rank: usize,
        generation: Generation,
    ) -> Option<Self> {
        let known: Vec<Self> = masks.iter().flatten().map(|&mask| mask.clone()).collect();
        if known.len() < 2 && masks.len() < 2 {
            return known.into_iter().next();
        }
        if generation == Generation::Three && !known.is_empty() {
            return Some(Self::Unsettled);
        }
        let along_time = layer.class == "Concatenate" && {
            let axis = layer.config.axes_or("axis", &[-1]).unwrap_or_default();
            !matches!(axis[..], [axis] if axis == -1 || axis == rank as i64 - 1)
        };
        match (known.is_empty(), along_time) {
            (true, _) => None,
            (false, false) => Some(Self::All(known)),
            (false, true) if rank == 3 && known.len() == masks.len() => Some(Self::Joined(known)),
            (false, true) => Some(Self::Unknown(
                "some of the steps that are joined have a mask, and some have none",
            )),
        }
    }

    /// The mask that the layer itself begins, by what it reads.
    pub(crate) fn begun(layer: &Layer, input: Option<ValueId>) -> Option<Self> {
        let input = input?;
        let from = layer.config.number_or("mask_value", 0.0).unwrap_or_default() as f32;
        match layer.class.as_str() {
            "Masking" => Some(Self::Differs { value: input, from }),
            "Embedding" if layer.config.flag_or("mask_zero", false) == Ok(true) => Some(Self::NonZero(input)),
            "TimeDistributed" => {
                let inner = layer.config.get("layer")?.get("config")?;
                let class = layer.config.get("layer")?.get("class_name")?;
                let masks = class == "Masking" || inner.get("mask_zero").is_some_and(|flag| flag == true);
                masks.then_some(Self::Unknown("the layer at each step makes a mask"))
            }
            _ => None,
        }
    }
}
