//! The caribou command.
fn main() {}
