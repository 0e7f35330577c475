//! The program: see [`mcp_whittle`].

fn main() {}
