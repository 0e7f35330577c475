//! What is known of clients, as JSON: people write TOML, which each start would have to read.

use std::error::Error;
use std::path::Path;

/// Writes `profiles.json`.
pub(crate) fn write(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let source = root.join("src/config/profiles.toml");
    println!("cargo:rerun-if-changed={}", source.display());
    let profiles: toml::Table = toml::from_str(&std::fs::read_to_string(source)?)?;
    std::fs::write(out.join("profiles.json"), serde_json::to_vec(&profiles)?)?;
    Ok(())
}
