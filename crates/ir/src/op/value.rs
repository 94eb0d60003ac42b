//! What the functions of one number give, in double precision: the definition that the judge runs and that readers
//! compare programs with.

use super::{Activation, UnaryKind};

impl Activation {
    /// The function's value at `x`.
    #[inline]
    pub fn at(self, x: f64) -> f64 {
        match self {
            Activation::Linear => x,
            Activation::Relu => {
                if x.is_nan() {
                    x
                } else {
                    x.max(0.0)
                }
            }
            Activation::BoundedRelu {
                max,
                slope,
                threshold,
            } => {
                let y = if x >= threshold {
                    x
                } else {
                    slope * (x - threshold)
                };
                max.map_or(y, |max| if y > max { max } else { y })
            }
            Activation::LeakyRelu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Activation::ThresholdedRelu { theta } => {
                if x > theta {
                    x
                } else {
                    0.0
                }
            }
            Activation::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Activation::Selu => {
                1.050_700_987_355_480_5
                    * if x > 0.0 {
                        x
                    } else {
                        1.673_263_242_354_377_2 * x.exp_m1()
                    }
            }
            Activation::Celu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * (x / alpha).exp_m1()
                }
            }
            Activation::Sigmoid => sigmoid(x),
            Activation::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
            Activation::Tanh => x.tanh(),
            Activation::HardTanh => x.clamp(-1.0, 1.0),
            Activation::RectifiedTanh => x.tanh().max(0.0),
            Activation::RationalTanh => {
                let y = (2.0 * x / 3.0).abs();
                1.7159 * x.signum() * (1.0 - 1.0 / (1.0 + y + y * y + 1.41645 * y.powi(4)))
            }
            Activation::Softplus => softplus(x),
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::Swish => x * sigmoid(x),
            Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Activation::Mish => x * softplus(x).tanh(),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
            }
            Activation::GeluSigmoid => x * sigmoid(1.702 * x),
            Activation::Exponential => x.exp(),
            Activation::Cube => x.powi(3),
        }
    }
}

impl UnaryKind {
    /// The function's value at `x`.
    #[inline]
    pub fn at(self, x: f64) -> f64 {
        match self {
            UnaryKind::Negate => -x,
            UnaryKind::Abs => x.abs(),
            UnaryKind::Log => x.ln(),
            UnaryKind::Sqrt => x.sqrt(),
            UnaryKind::ReciprocalSqrt => 1.0 / x.sqrt(),
            UnaryKind::Square => x * x,
            UnaryKind::Reciprocal => 1.0 / x,
            UnaryKind::Sign => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            UnaryKind::Floor => x.floor(),
            UnaryKind::Ceil => x.ceil(),
            UnaryKind::Round => x.round_ties_even(),
            UnaryKind::Erf => erf(x),
            UnaryKind::Sin => x.sin(),
            UnaryKind::Cos => x.cos(),
            UnaryKind::Clip { min, max } => x.max(min).min(max),
            UnaryKind::Step { threshold } => f64::from(u8::from(x > threshold)),
            UnaryKind::Affine { scale, shift } => scale * x + shift,
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The error function to about 1e-15: its Maclaurin series near zero, and the continued fraction of the complementary
/// function far from it (Abramowitz and Stegun 7.1.5, 7.1.14).
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    if a < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..=60).rev() {
        fraction = f64::from(n) / 2.0 / (a + fraction);
    }
    let complement = (-a * a).exp() / ((a + fraction) * std::f64::consts::PI.sqrt());
    x.signum() * (1.0 - complement)
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn the_error_function_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (3.0, 0.999_977_909_5),
        ] {
            assert!(
                (erf(x) - y).abs() < 1e-9 && (erf(-x) + y).abs() < 1e-9,
                "erf({x}) = {}",
                erf(x)
            );
        }
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (-1.0, -0.842_700_792_949_714_9),
            (2.5, 0.999_593_047_982_555),
            (3.5, 0.999_999_256_901_627_7),
        ] {
            assert!((erf(x) - y).abs() < 1e-12, "{x}: {}", erf(x));
        }
        assert!((erf(2.499_999) - erf(2.500_001)).abs() < 1e-8);
    }
}
