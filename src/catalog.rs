//! Definitions exactly as servers sent them, with fingerprints, and the merged catalog. Pure.
