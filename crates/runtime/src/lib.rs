//! Runs a caribou graph on the CPU in f32: the judge of every conversion
