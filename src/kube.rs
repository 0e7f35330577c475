//! Kubernetes: mcp-whittle put into pods. Shell around pure parts.
//!
//! [`inject`] (a raw pod in, a JSON Patch out) and [`manifest`] (texts with pods in, texts out) are pure.

pub mod inject;
pub mod manifest;
