//! Lays out the tables of the token counter, those of letters that look alike, and what is known of clients.
//!
//! Packs the relocations that the loader applies at each start, where it can read them packed (DT_RELR:
//! glibc 2.36). They are 0.4 MB otherwise, read once and resident from then on.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts through the environment"
)]

#[path = "build/confusables.rs"]
mod confusables;
#[path = "build/profiles.rs"]
mod profiles;
#[path = "build/token_tables.rs"]
mod token_tables;

use std::error::Error;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=src/token/bpe/hash.rs");
    let of = |name| std::env::var(name).unwrap_or_default();
    let out = of("OUT_DIR");
    token_tables::write(Path::new(&of("CARGO_MANIFEST_DIR")), Path::new(&out))?;
    confusables::write(Path::new(&out))?;
    profiles::write(Path::new(&of("CARGO_MANIFEST_DIR")), Path::new(&out))?;
    // Elsewhere the loader of the machine that will run the program is not known.
    let is_native = of("HOST") == of("TARGET") && of("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_native && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// The version of this machine's C library.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
