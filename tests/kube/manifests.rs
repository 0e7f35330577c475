//! YAML that `inject` writes, and reads, as kubectl does.

use serde_json::{Value, json};

use crate::peers_kit::account::proof;
use crate::peers_kit::peer;

/// A manifest as kubectl reads it. `patch --local` wants a patch that changes nothing.
fn read_by_kubectl(manifest: &str) -> Value {
    let folder = tempfile::tempdir().expect("it works");
    let file = folder.path().join("manifest.yaml");
    std::fs::write(&file, manifest).expect("it works");
    let output = peer("kubectl")
        .args([
            "patch",
            "--local",
            "--type=json",
            "-p",
            "[]",
            "-o",
            "json",
            "-f",
        ])
        .arg(&file)
        .output()
        .expect("kubectl runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{manifest}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn kubectl_reads_what_is_written() {
    let proof = proof("kube::manifests::kubectl_reads_what_is_written");
    // Texts that readers take for something else without quotes, as values of variables and as keys.
    let odd = [
        "yes",
        "0644",
        "1e3",
        "~",
        "",
        " a",
        "a: b",
        "a #b",
        "- a",
        "a\nb\n",
        "a\nb",
        "\na",
        "a\n\n\n",
        "\t",
        "é😀",
        "'\"\\",
        "{a",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`",
        "|",
        "---",
        "2001-01-01",
        "12:30",
        ".inf",
        "0x1",
        "1_0",
        "null",
        "$(A)",
        "a\r\nb",
        "\u{85}",
        "\u{2028}",
        "a\n---\nb\n",
        "=",
        "<<",
        "y",
        "on",
    ];
    let variables: Vec<Value> = odd
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"name": format!("V{index}"), "value": text}))
        .collect();
    let annotations: serde_json::Map<String, Value> = odd
        .iter()
        .filter(|text| text.chars().all(|character| character.is_ascii_graphic()))
        .map(|text| ((*text).to_owned(), json!(text)))
        .collect();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "annotations": annotations},
        "spec": {"containers": [{"name": "a", "env": variables, "ports": [{"name": "mcp", "containerPort": 80}]}]}});
    let from_json = super::inject::inject(&["--all"], &pod.to_string()).1;
    // JSON is YAML: with a marker before it, it is read as YAML and written as YAML.
    let from_yaml = super::inject::inject(&["--all"], &format!("---\n{pod}\n")).1;
    assert!(
        from_yaml.starts_with("---\napiVersion: v1\nkind: Pod\n"),
        "{from_yaml}"
    );
    let (json, yaml) = (read_by_kubectl(&from_json), read_by_kubectl(&from_yaml));
    assert_eq!(json, yaml);
    for (index, text) in odd.iter().enumerate() {
        let value = &yaml["spec"]["containers"][0]["env"][index]["value"];
        assert_eq!(value.as_str().unwrap_or_default(), *text);
    }
    // And what people write is read as kubectl reads it.
    let written = "apiVersion: v1
kind: Pod
metadata: {name: x, annotations: {a: &t '12', b: *t}}
spec:
  containers:
  - name: a
    stdin: yes
    ports: [{name: mcp, containerPort: 0x1f90}]
  volumes:
  - {name: v, secret: {secretName: s, defaultMode: 0440}}
  terminationGracePeriodSeconds: 1_0
";
    let ours = super::inject::inject(&["--all"], written).1;
    let (before, after) = (read_by_kubectl(written), read_by_kubectl(&ours));
    assert_eq!(before["spec"]["volumes"][0], after["spec"]["volumes"][0]);
    assert_eq!(
        before["spec"]["containers"][0]["stdin"],
        after["spec"]["containers"][0]["stdin"]
    );
    assert_eq!(
        after["spec"]["containers"][0]["ports"][0]["containerPort"],
        8080
    );
    assert_eq!(after["spec"]["terminationGracePeriodSeconds"], 10);
    assert_eq!(after["metadata"]["annotations"]["b"], "12");
    proof.ran("kubectl", 4);
    proof.close();
}
