//! Layers that act in training only.

use super::{Call, Outputs, config};
use caribou_ir::op::{Noise, NoiseKind};

fn noise(call: &mut Call<'_>, kind: NoiseKind) -> Outputs {
    let x = call.input()?;
    Ok(vec![call.apply(Noise { kind }, &[x])?])
}

/// Dropout; one whose mask is shared over some axes trains differently, which is said.
pub(super) fn dropout(call: &mut Call<'_>) -> Outputs {
    let rate = config!(call, number_or("rate", 0.5));
    if call.config.get("noise_shape").is_some() {
        call.lost_in_training(
            "noise_shape was not carried over: in training, each element is dropped by itself",
        );
    }
    noise(call, NoiseKind::Dropout { rate })
}

/// Dropout of whole channels.
pub(super) fn spatial_dropout(call: &mut Call<'_>) -> Outputs {
    let rate = config!(call, number_or("rate", 0.5));
    let x = call.input()?;
    let x = call.channels_ahead(x)?;
    let kind = NoiseKind::SpatialDropout { rate };
    let y = call.apply(Noise { kind }, &[x])?;
    Ok(vec![call.channels_behind(y)?])
}

/// Dropout for SELU networks.
pub(super) fn alpha_dropout(call: &mut Call<'_>) -> Outputs {
    let rate = config!(call, number_or("rate", 0.5));
    noise(call, NoiseKind::AlphaDropout { rate })
}

/// Multiplicative noise.
pub(super) fn gaussian_dropout(call: &mut Call<'_>) -> Outputs {
    let rate = config!(call, number_or("rate", 0.5));
    noise(call, NoiseKind::GaussianDropout { rate })
}

/// Additive noise.
pub(super) fn gaussian_noise(call: &mut Call<'_>) -> Outputs {
    let deviation = config!(call, number_or("stddev", 0.0));
    noise(call, NoiseKind::GaussianNoise { deviation })
}

/// Layers that only add to the loss.
pub(super) fn other(call: &mut Call<'_>) -> Outputs {
    call.lost_in_training("the penalty that it adds to the loss was not carried over");
    noise(call, NoiseKind::Other)
}
