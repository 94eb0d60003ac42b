//! Graph passes that make trained networks smaller: clipping, magnitude pruning, per-channel quantization
