//! The policy that needs no webhook makes of pods what the webhook makes of them.
//!
//! Its expressions are evaluated by cel-python, which knows no types of Kubernetes: what an API server
//! checks about types is not shown here.

use std::path::Path;

use mcp_whittle::kube::inject::patch::{Operation, apply};
use serde_json::{Value, json};

use super::invariants::judge;
use super::stage::OLD_PREFIX;
use crate::peers_kit::account::proof;
use crate::peers_kit::peer;

/// Which policy patches which pod; the others ask for more than policies do.
const PATCHED: [(&str, &str, &str); 5] = [
    ("a-named", "server", "app"),
    ("replicaset", "server", "app"),
    ("zz", "server", "app"),
    ("c-stdio", "stdio", "srv"),
    ("stdio", "stdio", "srv"),
];

/// The mode of the policy that patches a pod, and the pod after it.
fn evaluated(pod: &Value) -> Option<(String, Value)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pod.json");
    std::fs::write(&file, pod.to_string()).expect("written");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = peer("python-kube")
        .arg(root.join("tests/peers/kube/policy.py"))
        .arg(root.join("deploy/policy/mutating-admission-policy.yaml"))
        .arg(&file)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mode = answer["policy"].as_str()?.strip_prefix("mcp-whittle-")?;
    let operations: Vec<Operation> =
        serde_json::from_value(answer["patch"].clone()).expect("a patch");
    let mut after = pod.clone();
    apply(&mut after, &operations).unwrap_or_else(|error| panic!("{error}"));
    Some((mode.to_owned(), after))
}

#[test]
fn policies_make_the_same_pods() {
    let proof = proof("kube::policy::policies_make_the_same_pods");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kube/reviews/1.36.2");
    let mut n_patched = 0;
    for entry in std::fs::read_dir(folder).expect("the reviews") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a review");
        let review: Value =
            serde_json::from_str(&text.replace(OLD_PREFIX, "mcp-whittle.dev")).expect("JSON");
        let pod = &review["request"]["object"];
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        proof.ran("cel-python", 1);
        let expected = PATCHED.iter().find(|(known, ..)| *known == name);
        let Some((_, mode, target)) = expected else {
            assert_eq!(evaluated(pod), None, "{name}");
            continue;
        };
        let (by, after) = evaluated(pod).unwrap_or_else(|| panic!("{name} is not patched"));
        assert_eq!(by, *mode, "{name}");
        judge(pod, &after, mode, target);
        let (_, ours, _) = super::inject::inject(&[], &pod.to_string());
        let mut ours: Value = serde_json::from_str(&ours).expect("JSON");
        let status = "mcp-whittle.dev/status";
        ours["metadata"]["annotations"][status] = after["metadata"]["annotations"][status].clone();
        assert_eq!(after, ours, "{name}");
        // A second time nothing happens, and nothing to pods that must not be touched.
        assert_eq!(evaluated(&after), None, "{name}");
        for (member, value) in [
            ("hostNetwork", json!(true)),
            ("os", json!({"name": "windows"})),
            ("initContainers", json!([{"name": "mcp-whittle"}])),
        ] {
            let mut other = pod.clone();
            other["spec"][member] = value;
            assert_eq!(evaluated(&other), None, "{name} {member}");
        }
        let mut wishing = pod.clone();
        wishing["metadata"]["annotations"]["mcp-whittle.dev/budget"] = json!("4k");
        assert_eq!(evaluated(&wishing), None, "{name} asks for more");
        n_patched += 1;
    }
    assert_eq!(n_patched, PATCHED.len());
    proof.close();
}
