//! Transpose sinking.
