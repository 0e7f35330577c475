use serde_json::{Value, json};

use super::*;

fn injector() -> Injector {
    Injector::new("i", "1")
}

fn review(annotations: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "n",
        "object": {"metadata": {"labels": {"mcp-whittle.dev/inject": "enabled"}, "annotations": annotations},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "mcp", "containerPort": 80}]}]}}}})
}

#[track_caller]
fn answered(review: &Value, rejects: bool) -> (Value, Verdict) {
    let answer = answer(&injector(), review.to_string().as_bytes(), rejects).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(body["kind"], "AdmissionReview");
    let response = body["response"].clone();
    assert_eq!(response["uid"], "u-1");
    // Together or neither; else the whole answer counts as none.
    assert_eq!(response["patch"].is_null(), response["patchType"].is_null());
    (response, answer.verdict)
}

#[test]
fn a_patch_is_base64_of_json() {
    let (response, verdict) = answered(&review(&json!({})), false);
    assert_eq!(verdict, Verdict::Injected(Mode::Server));
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD
        .decode(response["patch"].as_str().unwrap())
        .unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert!(
        patch
            .as_array()
            .unwrap()
            .iter()
            .all(|operation| operation["op"] != "test")
    );
    assert_eq!(response["auditAnnotations"]["outcome"], "injected server");
    assert_eq!(response["allowed"], true);
}

#[test]
fn wrong_annotations_allow_the_pod_with_a_warning() {
    let wrong = review(&json!({"mcp-whittle.dev/prot": "x\u{7}"}));
    let (response, verdict) = answered(&wrong, false);
    assert_eq!(response["allowed"], true);
    assert_eq!(verdict.word(), "invalid");
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with(
        "mcp-whittle: pod not injected: the annotation `mcp-whittle.dev/prot` is unknown; hint: "
    ));
    assert!(warning.chars().count() <= MAX_WARNING);
    let (response, _) = answered(&wrong, true);
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 422);
}

#[test]
fn a_panic_allows_the_pod() {
    let body = review(&json!({})).to_string();
    let answer = answer_by(body.as_bytes(), true, |_, _| {
        panic!("on purpose, in a test")
    })
    .unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["response"]["allowed"], true);
    assert!(body["response"]["patch"].is_null());
    assert_eq!(answer.verdict.word(), "failed");
}

#[test]
fn other_objects_are_left_alone() {
    for (member, value) in [
        ("operation", json!("UPDATE")),
        ("subResource", json!("ephemeralcontainers")),
        (
            "kind",
            json!({"group": "apps", "version": "v1", "kind": "Deployment"}),
        ),
        ("object", json!(null)),
        ("object", json!([])),
        ("namespace", json!("kube-system")),
    ] {
        let mut review = review(&json!({}));
        review["request"][member] = value.clone();
        let (response, verdict) = answered(&review, false);
        assert_eq!(response["allowed"], true, "{member}");
        assert!(response["patch"].is_null(), "{member} {value}: {verdict:?}");
    }
}

#[test]
fn what_is_no_review_is_refused() {
    let with = |pointer: &str, value: Value| {
        let mut review = review(&json!({}));
        *review.pointer_mut(pointer).unwrap() = value;
        review.to_string()
    };
    for (body, expected) in [
        (
            with("/apiVersion", json!("admission.k8s.io/v1beta1")),
            ReviewError::Version,
        ),
        (with("/kind", json!("Pod")), ReviewError::Version),
        (with("/request", json!(null)), ReviewError::Empty),
        (with("/request/uid", json!("")), ReviewError::Empty),
    ] {
        assert_eq!(
            answer(&injector(), body.as_bytes(), false).unwrap_err(),
            expected
        );
    }
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"request\": 1}",
        &"[".repeat(10_000),
    ] {
        let error = answer(&injector(), body.as_bytes(), false).unwrap_err();
        assert!(
            matches!(error, ReviewError::Form(_) | ReviewError::Version),
            "{body}: {error}"
        );
    }
}
