//! YAML as Kubernetes' own tools read and write it. Pure.
//!
//! They read plain words by YAML 1.1 (`sigs.k8s.io/yaml` on go-yaml v2): `defaultMode: 0644` is 420
//! and `stdin: yes` is true. A reader of YAML 1.2 would turn the one into 644 and the other into a text. The
//! events come from a crate; what words mean, and writing, is here.

mod read;
mod word;
mod write;

#[cfg(test)]
mod tests;

pub use read::{YamlError, read};
pub use write::write;
