use serde_json::{Value, json};

use super::*;

mod properties;
mod shapes;
mod stops;

fn injector() -> Injector {
    Injector::new("registry.example/mcp-whittle:1", "1")
}

/// A pod with these annotations (without their prefix) and this specification.
fn pod(annotations: Value, spec: Value) -> Value {
    let annotations: serde_json::Map<String, Value> = annotations
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (format!("{PREFIX}/{name}"), value.clone()))
        .collect();
    json!({"metadata": {"labels": {"app": "x"}, "annotations": annotations}, "spec": spec})
}

#[track_caller]
fn patched(injector: &Injector, pod: &Value) -> Injection {
    match injector.inject(pod, Some("default")) {
        Outcome::Patched(injection) => *injection,
        other => panic!("{other:?}"),
    }
}

/// The containers of a list by name.
fn names(pod: &Value, list: &str) -> Vec<String> {
    elements(&pod["spec"][list])
        .map(|container| container["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}
