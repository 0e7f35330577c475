//! mcp-whittle in Kubernetes: what `inject` and `webhook` make of pods, judged by others' programs and by
//! rules that were written before them.

mod deploy;
mod inject;
mod invariants;
mod machine;
mod manifests;
mod pods;
mod policy;
mod reviews;
mod stage;
mod webhook;
