//! New parameters, by the schemes of DL4J.

use super::{New, TransferError};
use caribou_ir::{Origin, Scheme, Tensor};

/// The standard deviation of a scheme, by the numbers of connections that lead into a unit and out of one. Biases start at
/// zero, those of an LSTM's forget gates at one.
fn deviation(scheme: Scheme, fan_in: f64, fan_out: f64) -> f64 {
    match scheme {
        Scheme::Xavier => (2.0 / (fan_in + fan_out)).sqrt(),
        Scheme::Relu => (2.0 / fan_in).sqrt(),
        Scheme::Zero => 0.0,
    }
}

/// Makes new parameters and remembers them.
pub(super) struct Initialiser {
    scheme: Scheme,
    state: u64,
    new: Vec<New>,
}

impl Initialiser {
    pub(super) fn new(scheme: Scheme, seed: u64) -> Self {
        Self {
            scheme,
            state: seed,
            new: Vec::new(),
        }
    }

    pub(super) fn into_new(self) -> Vec<New> {
        self.new
    }

    /// A kernel.
    pub(super) fn kernel(
        &mut self,
        origin: &Origin,
        role: &str,
        shape: &[usize],
        (fan_in, fan_out): (f64, f64),
    ) -> Result<Tensor, TransferError> {
        self.note(origin, role, shape);
        let deviation = deviation(self.scheme, fan_in, fan_out);
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (self.normal() * deviation) as f32).collect();
        Tensor::from_values(shape, values).map_err(TransferError::tensor(origin))
    }

    /// A parameter whose elements are all alike. It owns them: it will learn.
    pub(super) fn constant(
        &mut self,
        origin: &Origin,
        role: &str,
        shape: &[usize],
        value: f32,
    ) -> Result<Tensor, TransferError> {
        self.note(origin, role, shape);
        let values = vec![value; shape.iter().product()];
        Tensor::from_values(shape, values).map_err(TransferError::tensor(origin))
    }

    /// A parameter with these elements.
    pub(super) fn given(&mut self, origin: &Origin, role: &str, values: &[f32]) -> Tensor {
        self.note(origin, role, &[values.len()]);
        Tensor::vector(values)
    }

    fn note(&mut self, origin: &Origin, role: &str, shape: &[usize]) {
        self.new.push(New {
            layer: origin.layer.to_string(),
            role: role.to_owned(),
            shape: shape.to_vec(),
        });
    }

    /// A number of the standard normal distribution (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A number in `[0, 1)` (SplitMix64; Steele et al. 2014).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(scheme: Scheme, seed: u64, fans: (f64, f64)) -> (f64, f64) {
        let origin = Origin::new("new", "Dense");
        let mut initialiser = Initialiser::new(scheme, seed);
        let kernel = initialiser.kernel(&origin, "weight", &[200, 500], fans).unwrap();
        let values = kernel.to_vec().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let squares = values
            .iter()
            .map(|&value| (f64::from(value) - mean).powi(2))
            .sum::<f64>();
        (mean, squares / n)
    }

    #[test]
    fn variances_are_those_of_the_schemes() {
        for (scheme, expected) in [(Scheme::Xavier, 2.0 / 700.0), (Scheme::Relu, 2.0 / 200.0)] {
            let (mean, variance) = moments(scheme, 7, (200.0, 500.0));
            // Of 100,000 numbers the variance is known to 0.45 percent (one deviation).
            assert!(
                (variance / expected - 1.0).abs() < 0.02,
                "{scheme:?}: {variance} {expected}"
            );
            assert!(mean.abs() < 5.0 * (expected / 1e5).sqrt(), "{scheme:?}: {mean}");
        }
        assert_eq!(moments(Scheme::Zero, 7, (200.0, 500.0)), (0.0, 0.0));
    }

    #[test]
    fn a_seed_gives_the_same_numbers_and_another_one_others() {
        let fans = (3.0, 5.0);
        assert_eq!(moments(Scheme::Xavier, 1, fans), moments(Scheme::Xavier, 1, fans));
        assert_ne!(moments(Scheme::Xavier, 1, fans), moments(Scheme::Xavier, 2, fans));
    }
}
