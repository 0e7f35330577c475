//! What an API server asks and what people write: every review that can be read is answered and allowed, its
//! patch makes the pod that was meant, and a text that was injected once is left alone the second time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use mcp_whittle::kube::inject::patch::{self, Operation};
use mcp_whittle::kube::inject::{Injector, Outcome};
use mcp_whittle::kube::manifest::{self, Consent, Done};
use mcp_whittle::kube::review;

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    let injector = Injector::new("registry/whittle:1", "1");
    check(data, |body| {
        review::answer(&injector, body, false)
            .ok()
            .map(|answer| answer.body)
    });
    if let Ok(text) = std::str::from_utf8(data) {
        manifests(&injector, text);
    }
}

/// The property for what answers reviews.
pub fn check(data: &[u8], answer: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let Ok(pod) = serde_json::from_slice::<Value>(data) else {
        // No review: no answer, whatever it is.
        assert!(answer(data).is_none());
        return;
    };
    let _ = answer(data);
    // Anything may stand where a pod should.
    let review = serde_json::json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": "default",
            "object": pod,
        },
    });
    let body = answer(review.to_string().as_bytes()).expect("a review is answered");
    let said: Value = serde_json::from_slice(&body).expect("an answer is JSON");
    let response = &said["response"];
    assert_eq!(response["uid"], "u1");
    assert_eq!(response["allowed"], true, "{response}");
    let Some(encoded) = response["patch"].as_str() else {
        return;
    };
    let bytes = STANDARD.decode(encoded).expect("a patch is base64");
    let operations: Vec<Operation> = serde_json::from_slice(&bytes).expect("a patch is JSON");
    let mut applied = pod.clone();
    patch::apply(&mut applied, &operations).expect("a patch applies");
    // What its owner wrote stays: the containers are those that were, in order, and ours.
    let names = |pod: &Value| -> Vec<String> {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        containers.map(|one| one["name"].to_string()).collect()
    };
    let (before, after) = (names(&pod), names(&applied));
    assert!(
        before.iter().all(|name| after.contains(name)),
        "a container is gone"
    );
    // It is not injected twice.
    let injector = Injector::new("registry/whittle:1", "1");
    assert!(
        !matches!(
            injector.inject(&applied, Some("default")),
            Outcome::Patched(_)
        ),
        "injected twice"
    );
}

fn manifests(injector: &Injector, text: &str) {
    for consent in [Consent::ByLabel, Consent::All] {
        match manifest::inject(injector, text, consent) {
            Ok(made) => {
                let is_injected = |done: &Done| matches!(done, Done::Injected { .. });
                if !made.reports.iter().any(|report| is_injected(&report.done)) {
                    assert_eq!(made.text, text, "nothing was injected");
                    continue;
                }
                let again = manifest::inject(injector, &made.text, consent)
                    .expect("what was written is read");
                assert_eq!(again.text, made.text, "the second time");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
