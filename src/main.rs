//! Command line of the conformance harness.
fn main() {}
