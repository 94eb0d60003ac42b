//! The words in which heads, blocks, optimisers and the like are given: `5:softmax:mcxent`, `adam:lr=0.001`.

mod optimizer;

pub use optimizer::{schedule, updater};

use super::{Block, Function, Head, TransferError};
use caribou_ir::op::{Activation, ReduceKind};
use caribou_ir::{Clipping, LossKind, Scheme};

/// Functions by the names of DL4J's `Activation`.
const FUNCTIONS: &[(&str, Function)] = &[
    ("identity", Function::Elements(Activation::Linear)),
    ("linear", Function::Elements(Activation::Linear)),
    ("relu", Function::Elements(Activation::Relu)),
    (
        "relu6",
        Function::Elements(Activation::BoundedRelu {
            max: Some(6.0),
            slope: 0.0,
            threshold: 0.0,
        }),
    ),
    (
        "leakyrelu",
        Function::Elements(Activation::LeakyRelu { alpha: 0.01 }),
    ),
    ("elu", Function::Elements(Activation::Elu { alpha: 1.0 })),
    ("selu", Function::Elements(Activation::Selu)),
    ("sigmoid", Function::Elements(Activation::Sigmoid)),
    (
        "hardsigmoid",
        Function::Elements(Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        }),
    ),
    ("tanh", Function::Elements(Activation::Tanh)),
    ("hardtanh", Function::Elements(Activation::HardTanh)),
    ("softplus", Function::Elements(Activation::Softplus)),
    ("softsign", Function::Elements(Activation::Softsign)),
    ("swish", Function::Elements(Activation::Swish)),
    ("mish", Function::Elements(Activation::Mish)),
    ("cube", Function::Elements(Activation::Cube)),
    ("softmax", Function::Softmax),
];

/// Losses by the names of DL4J's `LossFunction`.
const LOSSES: &[(&str, LossKind)] = &[
    ("mcxent", LossKind::CategoricalCrossEntropy),
    ("negativeloglikelihood", LossKind::CategoricalCrossEntropy),
    ("sparse_mcxent", LossKind::SparseCategoricalCrossEntropy),
    ("xent", LossKind::BinaryCrossEntropy),
    ("mse", LossKind::MeanSquaredError),
    ("mean_absolute_error", LossKind::MeanAbsoluteError),
    ("mae", LossKind::MeanAbsoluteError),
    (
        "mean_absolute_percentage_error",
        LossKind::MeanAbsolutePercentageError,
    ),
    ("mape", LossKind::MeanAbsolutePercentageError),
    (
        "mean_squared_logarithmic_error",
        LossKind::MeanSquaredLogarithmicError,
    ),
    ("msle", LossKind::MeanSquaredLogarithmicError),
    ("kl_divergence", LossKind::KullbackLeiblerDivergence),
    ("cosine_proximity", LossKind::CosineSimilarity),
    ("poisson", LossKind::Poisson),
    ("hinge", LossKind::Hinge),
    ("squared_hinge", LossKind::SquaredHinge),
];

const SCHEMES: &[(&str, Scheme)] = &[
    ("xavier", Scheme::Xavier),
    ("relu", Scheme::Relu),
    ("zero", Scheme::Zero),
];

/// The entry of a table, by a name in either case.
fn named<T: Copy>(
    table: &[(&str, T)],
    name: &str,
    what: &'static str,
    option: &'static str,
) -> Result<T, TransferError> {
    let wanted = name.to_lowercase();
    table
        .iter()
        .find(|(known, _)| *known == wanted)
        .map(|&(_, value)| value)
        .ok_or_else(|| TransferError::Unknown {
            option,
            what,
            name: name.to_owned(),
            known: table.iter().map(|(known, _)| (*known).to_owned()).collect(),
        })
}

fn units(text: &str, option: &'static str) -> Result<usize, TransferError> {
    match text.parse() {
        Ok(units) if units > 0 => Ok(units),
        _ => Err(TransferError::option(
            option,
            format!("{text} is no number of units"),
        )),
    }
}

fn number(text: &str, option: &'static str) -> Result<f64, TransferError> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(TransferError::option(option, format!("{text} is no number"))),
    }
}

/// `N[:activation[:loss]]`.
///
/// # Errors
/// When it is of another form, or a name is not known.
pub fn head(text: &str, option: &'static str) -> Result<Head, TransferError> {
    let mut parts = text.split(':');
    let head = Head {
        units: units(parts.next().unwrap_or_default(), option)?,
        function: parts
            .next()
            .map(|name| named(FUNCTIONS, name, "activation", option))
            .transpose()?,
        loss: parts
            .next()
            .map(|name| named(LOSSES, name, "loss", option))
            .transpose()?,
    };
    match parts.next() {
        Some(_) => Err(TransferError::option(
            option,
            format!("{text}: expected N, N:ACTIVATION or N:ACTIVATION:LOSS"),
        )),
        None => Ok(head),
    }
}

/// One block of `--append`: `dense:128:relu`, `dropout:0.5`, `batchnorm`, `activation:relu`, `globalpool:avg`, `flatten` or
/// `output:10:softmax:mcxent`.
///
/// # Errors
/// When it is of another form, or a name is not known.
pub fn block(text: &str) -> Result<Block, TransferError> {
    const OPTION: &str = "--append";
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    let plain = |block: Block| match rest {
        "" => Ok(block),
        _ => Err(TransferError::option(OPTION, format!("{kind} takes no {rest}"))),
    };
    match kind {
        "output" => Ok(Block::Output(head(rest, OPTION)?)),
        "dense" => {
            let head = head(rest, OPTION)?;
            if head.loss.is_some() {
                return Err(TransferError::option(OPTION, "only output:… has a loss"));
            }
            Ok(Block::Dense {
                units: head.units,
                function: head.function.unwrap_or(Function::Elements(Activation::Linear)),
            })
        }
        "dropout" => match number(rest, OPTION)? {
            rate if (0.0..1.0).contains(&rate) => Ok(Block::Dropout { rate }),
            rate => Err(TransferError::option(
                OPTION,
                format!("{rate} is no share of units to drop: expected one from 0 to 1"),
            )),
        },
        "activation" => Ok(Block::Activation(named(FUNCTIONS, rest, "activation", OPTION)?)),
        "globalpool" => {
            let kinds = [("avg", ReduceKind::Mean), ("max", ReduceKind::Max)];
            Ok(Block::GlobalPool(named(&kinds, rest, "pooling", OPTION)?))
        }
        "batchnorm" => plain(Block::BatchNorm),
        "flatten" => plain(Block::Flatten),
        _ => Err(TransferError::option(
            OPTION,
            format!(
                "{text}: expected dense:N[:ACTIVATION], dropout:RATE, batchnorm, activation:NAME, globalpool:avg|max, flatten \
                 or output:N[:ACTIVATION[:LOSS]]"
            ),
        )),
    }
}

/// How new parameters are initialised.
///
/// # Errors
/// When the name is not known.
pub fn scheme(text: &str) -> Result<Scheme, TransferError> {
    named(SCHEMES, text, "scheme", "--init")
}

/// `norm:1.0` or `value:0.5`.
///
/// # Errors
/// When it is of another form.
pub fn clipping(text: &str) -> Result<Clipping, TransferError> {
    const OPTION: &str = "--clip-gradients";
    let wrong = || {
        TransferError::option(
            OPTION,
            format!("{text}: expected norm:X or value:X, X above zero"),
        )
    };
    let (kind, limit) = text.split_once(':').ok_or_else(wrong)?;
    let limit = number(limit, OPTION)?;
    match kind {
        "norm" if limit > 0.0 => Ok(Clipping::Norm(limit)),
        "value" if limit > 0.0 => Ok(Clipping::Value(limit)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_blocks_are_read() {
        assert_eq!(
            head("5:softmax:MCXENT", "").unwrap(),
            Head {
                units: 5,
                function: Some(Function::Softmax),
                loss: Some(LossKind::CategoricalCrossEntropy),
            }
        );
        assert_eq!(head("5", "").unwrap().function, None);
        assert_eq!(block("dropout:0.5").unwrap(), Block::Dropout { rate: 0.5 });
        assert_eq!(block("batchnorm").unwrap(), Block::BatchNorm);
        for wrong in ["0", "x", "5:softmax:mcxent:more", "5:unknown", "5:relu:unknown"] {
            assert!(head(wrong, "").is_err(), "{wrong}");
        }
        for wrong in [
            "dense",
            "dense:5:relu:mse",
            "dropout:1",
            "dropout",
            "batchnorm:3",
            "pool:2",
            "globalpool:min",
        ] {
            assert!(block(wrong).is_err(), "{wrong}");
        }
    }
}
