//! Runs an arm64 kernel through the whole stack, on any machine.
fn main() {}
