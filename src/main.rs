//! The program: allocator, arguments, exit code.

fn main() {}
