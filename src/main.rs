//! campanile
fn main() {}
