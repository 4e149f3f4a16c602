//! campanile
mod probe;
fn main() {}
