//! mcp-whittle in Kubernetes: what `inject` and `webhook` make of pods, judged by others' programs.

mod inject;
