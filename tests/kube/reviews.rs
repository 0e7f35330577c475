//! Reviews as API servers sent them, against the running webhook over TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use super::invariants::{judge, list};
use super::stage::{OLD_PREFIX, Webhook};
use crate::peers_kit::account::proof;
use crate::peers_kit::peer;

/// What becomes of each pod: its mode and target, or nothing where it is left alone.
const EXPECTED: [(&str, Option<(&str, &str)>); 13] = [
    ("a-named", Some(("server", "app"))),
    ("a-numeric", Some(("server", "app"))),
    ("b-client", Some(("client", "agent"))),
    ("c-nocmd", None),
    ("c-stdio", Some(("stdio", "srv"))),
    ("job-client", Some(("client", "agent"))),
    ("replicaset", Some(("server", "app"))),
    ("s-client", Some(("client", "app"))),
    ("s-server", Some(("server", "app"))),
    ("s-stdio", Some(("stdio", "app"))),
    ("stdio", Some(("stdio", "srv"))),
    ("zz", Some(("server", "app"))),
    ("", None),
];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kube/reviews");
    let mut files: Vec<PathBuf> = ["1.20.2", "1.36.2"]
        .iter()
        .flat_map(|version| std::fs::read_dir(folder.join(version)).expect("the folder"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// A pod before, the patch that the webhook gave, and what it is for.
struct Patched {
    file: PathBuf,
    before: Value,
    patch: Value,
    mode: &'static str,
    target: &'static str,
}

fn patched(webhook: &Webhook) -> Vec<Patched> {
    let mut found = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a review");
        let before: Value = serde_json::from_str(&text).expect("JSON");
        let (status, answer) = webhook.review(&text);
        assert_eq!(status, 200, "{}: {answer}", file.display());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let response = &answer["response"];
        assert_eq!(response["uid"], before["request"]["uid"]);
        assert_eq!(response["allowed"], true);
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let (_, expected) = EXPECTED
            .iter()
            .find(|(known, _)| *known == name)
            .expect("a known file");
        let Some((mode, target)) = *expected else {
            assert!(response["patch"].is_null());
            assert!(
                response["warnings"][0]
                    .as_str()
                    .is_some_and(|text| text.contains("hint: "))
            );
            continue;
        };
        let patch = response["patch"].as_str().expect("a patch");
        let patch = base64::engine::general_purpose::STANDARD
            .decode(patch)
            .expect("base64");
        let patch: Value = serde_json::from_slice(&patch).expect("JSON");
        let operations = patch.as_array().expect("a list");
        assert!(operations.iter().all(|one| {
            ["add", "replace", "remove"]
                .iter()
                .any(|op| one["op"] == *op)
        }));
        found.push(Patched {
            before: before["request"]["object"].clone(),
            patch,
            mode,
            target,
            file,
        });
    }
    assert_eq!(found.len(), 16);
    found
}

/// `inject -f` for the same pod; labels of the namespace count as given.
fn injected(pod: &Value) -> Value {
    let (code, out, told) =
        super::inject::inject(&["--prefix", OLD_PREFIX, "--all"], &pod.to_string());
    assert_eq!(code, Some(0), "{told}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn injected_pods_hold_what_they_must() {
    let webhook = Webhook::start(&["--prefix", OLD_PREFIX]);
    for one in patched(&webhook) {
        let after = injected(&one.before);
        judge(&one.before, &after, one.mode, one.target);
        // The pod after it goes through unchanged, also when another webhook changed it meanwhile.
        let mut again = after.clone();
        again["spec"]["containers"][0]["env"] = json!([{"name": "LATER", "value": "x"}]);
        for pod in [&after, &again] {
            let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "object": pod}});
            let (_, answer) = webhook.review(&review.to_string());
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert!(
                answer["response"]["patch"].is_null(),
                "{}",
                one.file.display()
            );
            assert!(answer["response"]["warnings"].is_null());
        }
    }
}

#[test]
fn wrong_injections_are_noticed() {
    let pods = patched(&Webhook::start(&["--prefix", OLD_PREFIX]));
    let of = |mode: &str| pods.iter().find(|one| one.mode == mode).expect("one");
    type Fault = fn(&mut Value);
    let broken: [(&str, Fault); 5] = [
        ("server", |pod| {
            pod["spec"]["containers"][0]["ports"][0]["name"] = json!("mcp")
        }),
        ("server", |pod| {
            pod["spec"]["initContainers"][0]["securityContext"]["runAsNonRoot"] = json!(null)
        }),
        ("client", |pod| {
            pod["spec"]["initContainers"][0]["args"][0] = json!("--listen=0.0.0.0:15181")
        }),
        ("stdio", |pod| {
            pod["spec"]["containers"][0]["args"] = json!(null)
        }),
        ("stdio", |pod| {
            pod["spec"]["terminationGracePeriodSeconds"] = json!(1)
        }),
    ];
    for (index, (mode, break_it)) in broken.into_iter().enumerate() {
        let one = of(mode);
        let mut after = injected(&one.before);
        break_it(&mut after);
        let judged = std::panic::catch_unwind(|| judge(&one.before, &after, one.mode, one.target));
        assert!(judged.is_err(), "{index} is not noticed");
    }
}

#[test]
fn kubectl_applies_patches_to_the_same_pods() {
    let proof = proof("kube::reviews::kubectl_applies_patches_to_the_same_pods");
    let pods = patched(&Webhook::start(&["--prefix", OLD_PREFIX]));
    let folder = tempfile::tempdir().expect("it works");
    for one in &pods {
        let pod = folder.path().join("pod.json");
        std::fs::write(&pod, one.before.to_string()).expect("it works");
        let patch = folder.path().join("patch.json");
        std::fs::write(&patch, one.patch.to_string()).expect("it works");
        let output = peer("kubectl")
            .args(["patch", "--local", "--type=json", "-o", "json", "-f"])
            .arg(&pod)
            .arg("--patch-file")
            .arg(&patch)
            .output()
            .expect("kubectl runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {told}", one.file.display());
        let theirs: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let ours = injected(&one.before);
        // kubectl writes a typed object: what it adds or leaves out is the same for the pod that came.
        let typed = typed(&ours, &folder);
        assert_eq!(theirs, typed, "{}", one.file.display());
        proof.ran("kubectl", 1);
        for version in ["1.29.0", "1.33.0", "1.36.0", "1.37.0"] {
            let file = folder.path().join("after.json");
            let mut valid = theirs.clone();
            // Its schema has no null time, which old servers send.
            valid["metadata"]
                .as_object_mut()
                .expect("it works")
                .retain(|_, value| !value.is_null());
            // And it wants the name that the server has not given yet.
            if valid["metadata"]["name"].is_null() {
                valid["metadata"]["name"] = json!("given-later");
            }
            std::fs::write(&file, valid.to_string()).expect("it works");
            let output = peer("kubernetes-validate")
                .args(["--strict", "--no-warn", "-k", version])
                .arg(&file)
                .output()
                .expect("it runs");
            let told = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{} {version}: {told}",
                one.file.display()
            );
            proof.ran("kubernetes-validate", 1);
        }
    }
    assert!(list(&pods[0].before, "containers").len() == 1);
    proof.close();
}

/// The same object as kubectl writes it, through an empty patch.
fn typed(pod: &Value, folder: &tempfile::TempDir) -> Value {
    let file = folder.path().join("typed.json");
    std::fs::write(&file, pod.to_string()).expect("it works");
    let mut command: Command = peer("kubectl");
    let output = command
        .args([
            "patch",
            "--local",
            "--type=json",
            "-o",
            "json",
            "-p",
            "[]",
            "-f",
        ])
        .arg(&file)
        .output()
        .expect("kubectl runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
