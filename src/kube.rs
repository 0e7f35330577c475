//! Kubernetes: mcp-whittle put into pods. Shell around pure parts.
//!
//! [`inject`] is pure: a raw pod in, a JSON Patch out.

pub mod inject;
