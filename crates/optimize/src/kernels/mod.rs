//! What is done to every weight: ranges, integer grids, selection by magnitude, masks, clips, and changes of format.
//!
//! Slices in, slices out. A weight array is seen as `[outer, channels, inner]` ([`Channels`]), which covers channels that
//! are rows (a convolution's `[O, I, K…]`), columns (a dense kernel's `[in, out]`), anything between, and one channel for
//! the whole tensor. All kernels are methods of [`Kernels`], which stands for the instructions in use:
//!
//! ```
//! use caribou_optimize::kernels::{Channels, Grid, Kernels, Scheme};
//!
//! let weights = [0.5, -1.0, 0.25, 4.0, 2.0, -3.0];
//! let channels = Channels::rows(2, 3);
//! let mut integers = [0i8; 6];
//! let scales = Kernels::best().quantize_to_range(&weights, channels, Grid::symmetric(8)?, Scheme::Symmetric, &mut integers)?;
//! assert_eq!(integers, [64, -127, 32, 127, 64, -95]);
//! assert_eq!(scales[1].scale, 4.0 / 127.0);
//!
//! let mut pruned = weights;
//! Kernels::best().prune(&mut pruned, 3)?;
//! assert_eq!(pruned, [0.0, 0.0, 0.0, 4.0, 2.0, -3.0]);
//! # Ok::<(), caribou_optimize::kernels::KernelError>(())
//! ```
//!
//! Each family holds a `scalar` reference, which says in the plainest way what is computed, and faster versions beside it
//! that give the same bits on every input; property tests compare them at every [`Level`]. A NaN or an infinity among
//! weights is an error with its index, wherever a kernel would otherwise make a number out of it. Blocks and channels are
//! shared out among the threads of the current `rayon` pool, and results depend neither on their number nor on the level.

mod channels;
mod convert;
mod dispatch;
mod edit;
mod error;
mod histogram;
mod level;
mod n_of_m;
mod noise;
mod quantize;
mod range;
mod select;

pub use channels::Channels;
pub use error::KernelError;
pub use level::{Kernels, Level};
pub use quantize::{Grid, Integer, Quantization, Scheme};
pub use select::Cut;

#[cfg(test)]
mod tests;
