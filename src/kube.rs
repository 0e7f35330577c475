//! Kubernetes: mcp-whittle put into pods. Shell around pure parts.
//!
//! [`inject`] (a raw pod in, a JSON Patch out) and [`manifest`] (texts with pods in, texts out)
//! and [`review`] (a question of an API server in, its answer out) are pure; [`webhook`] serves the last.

pub mod inject;
pub mod manifest;
pub mod review;
pub mod webhook;
