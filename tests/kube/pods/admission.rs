//! From an example's manifest to the pod that a cluster with the webhook makes of it: what a controller and
//! the admission of service accounts do before, the running webhook, `kubectl` for the patch.

use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::deploy::{documents, examples, pod as template};
use super::super::stage::Webhook;
use crate::peers_kit::peer;

const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The pod that a controller makes of an example, before any webhook.
pub(super) fn plain(example: &str) -> Value {
    let text = &examples("")[example];
    let object = &documents(text)[0];
    let template = template(object);
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    let metadata = &mut pod["metadata"];
    metadata["namespace"] = json!("default");
    // Controllers leave the name to the server.
    if metadata["name"].is_null() {
        metadata["generateName"] = json!("example-");
    }
    let spec = &mut pod["spec"];
    for (member, default) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("serviceAccountName", json!("default")),
    ] {
        if spec[member].is_null() {
            spec[member] = default;
        }
    }
    spec["volumes"] = json!([{"name": "kube-api-access-x", "projected": {"sources": []}}]);
    mount_token(&mut pod);
    pod
}

/// What the admission of service accounts does: the token is mounted where nothing else is.
fn mount_token(pod: &mut Value) {
    for kind in ["initContainers", "containers"] {
        let Some(containers) = pod["spec"][kind].as_array_mut() else {
            continue;
        };
        for container in containers {
            let mounts = &mut container["volumeMounts"];
            if mounts.is_null() {
                *mounts = json!([]);
            }
            let mounts = mounts.as_array_mut().expect("a list");
            if mounts.iter().all(|mount| mount["mountPath"] != TOKEN_DIR) {
                mounts.push(
                    json!({"name": "kube-api-access-x", "mountPath": TOKEN_DIR, "readOnly": true}),
                );
            }
        }
    }
}

/// The pod after the webhook.
pub(super) fn injected(webhook: &Webhook, example: &str) -> Value {
    let before = plain(example);
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
        "namespace": "default", "object": before}});
    let (status, answer) = webhook.review(&review.to_string());
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let response = &answer["response"];
    assert!(response["warnings"].is_null(), "{response}");
    let patch = response["patch"].as_str().expect("a patch");
    let patch = base64::engine::general_purpose::STANDARD.decode(patch);
    let mut after = apply(
        &before,
        &String::from_utf8(patch.expect("base64")).expect("UTF-8"),
    );
    // Admission runs again after a webhook that changed the pod.
    mount_token(&mut after);
    after
}

fn apply(pod: &Value, patch: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pod.json");
    std::fs::write(&file, pod.to_string()).expect("it is written");
    let mut kubectl: Command = peer("kubectl");
    let words = [
        "patch",
        "--local",
        "--type=json",
        "-o",
        "json",
        "-p",
        patch,
        "-f",
    ];
    let output = kubectl.args(words).arg(&file).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
