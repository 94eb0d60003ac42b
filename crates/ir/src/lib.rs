//! The graph that every caribou crate speaks: operators, lazily read tensors, shapes, validation, layout, findings
