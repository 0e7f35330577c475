//! Prints what the learned weights of the constraint checker are about: for each sentence of standard
//! input its features, with tabs between them. `testdata/constraints/train.py` runs it.

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for sentence in std::io::stdin().lock().lines() {
        let features = mcp_whittle::surface::constraints::features_of(&sentence?);
        writeln!(out, "{}", features.join("\t"))?;
    }
    Ok(())
}
