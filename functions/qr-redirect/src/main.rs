//! Resolves a code.

fn main() {}
