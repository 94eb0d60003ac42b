//! The kernels of image interpolation, as TensorFlow has them (`resize_bicubic_op.cc`, `resize_area_op.cc`,
//! `scale_and_translate_op.cc`, all without anti-aliasing, at half-pixel places).

use std::f32::consts::PI;

/// A function of the distance to a cell that says how much of the cell is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// The share of the output cell that the input cell covers.
    Area,
    /// Keys' cubic with a = -0.5, at places rounded to 1024ths of a cell.
    Cubic,
    /// `sinc(x) sinc(x / r)` with a radius of `r` cells.
    Lanczos(u8),
    /// `exp(-2 x^2)` with a radius of 1.5 cells.
    Gaussian,
    /// Mitchell and Netravali's cubic with B = C = 1/3.
    Mitchell,
}

impl Kernel {
    /// The matrix `[from, to]`, row by row, that makes `to` cells of `from` cells of one axis. The columns sum to one.
    pub fn matrix(self, from: usize, to: usize) -> Vec<f32> {
        let mut matrix = vec![0f32; from * to];
        if from == 0 {
            return matrix;
        }
        for o in 0..to {
            let seen = self.seen(o, from, to);
            let sum: f32 = seen.iter().map(|(_, weight)| weight).sum();
            for (cell, weight) in seen {
                matrix[cell * to + o] += if sum == 0.0 { weight } else { weight / sum };
            }
        }
        matrix
    }

    /// The cells that output cell `o` sees, with their weights. In single precision, as the source computes them.
    fn seen(self, o: usize, from: usize, to: usize) -> Vec<(usize, f32)> {
        let scale = from as f32 / to as f32;
        let cells = |start: f32, end: f32| {
            let start = start.clamp(0.0, (from - 1) as f32) as usize;
            let end = end.clamp(0.0, (from - 1) as f32) as usize;
            start..=end
        };
        match self {
            Self::Area => {
                let (low, high) = (o as f32 * scale, (o + 1) as f32 * scale);
                let share = |cell: usize| (high.min((cell + 1) as f32) - low.max(cell as f32)).max(0.0);
                cells(low.floor(), high.ceil() - 1.0)
                    .map(|cell| (cell, share(cell)))
                    .collect()
            }
            Self::Cubic => {
                let place = (o as f32 + 0.5) * scale - 0.5;
                let first = place.floor();
                let phase = ((place - first) * 1024.0).round_ties_even() / 1024.0;
                let weights = [
                    keys(1.0 + phase),
                    keys(phase),
                    keys(1.0 - phase),
                    keys(2.0 - phase),
                ];
                let inside = |(i, weight): (usize, f32)| {
                    let cell = first as i64 - 1 + i as i64;
                    usize::try_from(cell)
                        .ok()
                        .filter(|cell| *cell < from)
                        .map(|cell| (cell, weight))
                };
                weights.into_iter().enumerate().filter_map(inside).collect()
            }
            Self::Lanczos(_) | Self::Gaussian | Self::Mitchell => {
                let place = (o as f32 + 0.5) * scale;
                let radius = self.radius();
                cells((place - radius - 0.5).ceil(), (place + radius - 0.5).floor())
                    .map(|cell| (cell, self.at((cell as f32 + 0.5 - place).abs())))
                    .collect()
            }
        }
    }

    fn radius(self) -> f32 {
        match self {
            Self::Lanczos(radius) => f32::from(radius),
            Self::Gaussian => 1.5,
            Self::Area | Self::Cubic | Self::Mitchell => 2.0,
        }
    }

    /// The weight at the distance `x >= 0`.
    fn at(self, x: f32) -> f32 {
        let radius = self.radius();
        if x > radius {
            return 0.0;
        }
        match self {
            Self::Lanczos(_) if x <= 1e-3 => 1.0,
            Self::Lanczos(_) => radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * PI * x * x),
            Self::Gaussian if x >= radius => 0.0,
            Self::Gaussian => (-2.0 * x * x).exp(),
            Self::Mitchell if x >= 2.0 => 0.0,
            Self::Mitchell if x >= 1.0 => ((-7.0 / 18.0 * x + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0,
            Self::Mitchell => (7.0 / 6.0 * x - 2.0) * x * x + 8.0 / 9.0,
            Self::Area | Self::Cubic => keys(x),
        }
    }
}

/// Keys' cubic with a = -0.5 at the distance `x` of 0 to 2.
fn keys(x: f32) -> f32 {
    let a = -0.5;
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    }
}

#[cfg(test)]
mod tests {
    use super::Kernel;

    #[test]
    fn every_output_cell_is_a_mean_of_input_cells() {
        for kernel in [
            Kernel::Area,
            Kernel::Cubic,
            Kernel::Lanczos(3),
            Kernel::Lanczos(5),
            Kernel::Gaussian,
            Kernel::Mitchell,
        ] {
            for (from, to) in [(1, 4), (3, 6), (5, 3), (7, 20), (4, 4)] {
                let matrix = kernel.matrix(from, to);
                for o in 0..to {
                    let sum: f32 = (0..from).map(|i| matrix[i * to + o]).sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{kernel:?} {from} {to} {o}: {sum}");
                }
            }
        }
    }

    #[test]
    fn by_whole_factors_the_area_is_that_of_one_cell() {
        assert_eq!(
            Kernel::Area.matrix(2, 4),
            [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
        );
    }
}
