use serde_json::{Value, json};

use super::*;

fn injector() -> Injector {
    Injector::new("registry.example/mcp-whittle:1", "1")
}

#[track_caller]
fn injected(text: &str, consent: Consent) -> Injected {
    inject(&injector(), text, consent).unwrap_or_else(|error| panic!("{error}"))
}

const STREAM: &str = "# Source: a chart
apiVersion: v1
kind: ConfigMap   # stays as it is
data: {a:   yes}
---
# a server
apiVersion: apps/v1
kind: Deployment
metadata: {name: docs}
spec:
  template:
    metadata:
      labels: {app: docs, mcp-whittle.dev/inject: enabled}
    spec:
      # this comment goes
      containers:
      - name: app
        ports: [{name: mcp, containerPort: 8080}]
        volumeMounts: [{name: v, mountPath: /v}]
      volumes:
      - name: v
        secret: {secretName: s, defaultMode: 0440}
--- # the last one
apiVersion: v1
kind: Pod
metadata: {name: other}
spec: {containers: [{name: a}]}
";

#[test]
fn only_what_is_injected_is_written_anew() {
    let done = injected(STREAM, Consent::ByLabel);
    let (before, rest) = done.text.split_once("---\n").unwrap();
    assert_eq!(before, STREAM.split_once("---\n").unwrap().0);
    let (deployment, after) = rest.split_once("--- # the last one\n").unwrap();
    assert!(deployment.starts_with("# a server\napiVersion: apps/v1\nkind: Deployment\n"));
    assert!(STREAM.ends_with(after));
    let value = yaml::read(deployment).unwrap();
    let spec = &value["spec"]["template"]["spec"];
    assert_eq!(spec["initContainers"][0]["name"], "mcp-whittle");
    assert_eq!(spec["volumes"][0]["secret"]["defaultMode"], 0o440);
    let said: Vec<String> = done
        .reports
        .iter()
        .map(|report| format!("{report:?}"))
        .collect();
    assert!(
        said[0].contains("Deployment/docs") && said[0].contains("Server"),
        "{said:?}"
    );
    assert!(
        said[1].contains("Pod/other") && said[1].contains("no label"),
        "{said:?}"
    );
    // A second run changes nothing, byte for byte.
    assert_eq!(injected(&done.text, Consent::All).text, done.text);
}

/// Broken variant that this catches: only a space stands between a marker and its comment, so that the
/// marker goes with the line and two documents become one.
#[test]
fn a_marker_with_a_comment_stays() {
    let pod = "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, ports: [{name: mcp, containerPort: 80}]}]}\n";
    for marker in ["---\t# a", "---  # a", "--- # a", "--- \t", "---\r", "---"] {
        let before = format!("kind: ConfigMap\n{marker}\n");
        let done = injected(&format!("{before}{pod}"), Consent::All);
        let written = done.text.strip_prefix(before.as_str());
        assert!(
            written.is_some_and(|text| text.starts_with("kind: Pod\n")),
            "{marker:?}: {}",
            done.text
        );
        assert_eq!(injected(&done.text, Consent::All).text, done.text);
    }
}

#[test]
fn templates_are_found_in_every_kind() {
    let template = json!({"metadata": {"labels": {"mcp-whittle.dev/inject": "enabled"}},
        "spec": {"restartPolicy": "OnFailure", "containers": [
            {"name": "app", "ports": [{"name": "mcp", "containerPort": 8080}]}]}});
    let mut items: Vec<Value> = TEMPLATES
        .iter()
        .filter(|(kind, _)| *kind != "CronJob")
        .map(|(kind, _)| json!({"kind": kind, "metadata": {"name": "x"}, "spec": {"template": template}}))
        .collect();
    items.push(
        json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}),
    );
    let mut pod = template.clone();
    pod["kind"] = json!("Pod");
    items.push(pod);
    items.push(json!({"kind": "Service", "spec": {"template": template}}));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let text = list.to_string();
    let done = injected(&text, Consent::ByLabel);
    assert_eq!(done.reports.len(), 8);
    assert!(!done.text.contains('\n'), "it came on one line");
    let value: Value = serde_json::from_str(&done.text).unwrap();
    for (index, item) in value["items"].as_array().unwrap().iter().enumerate() {
        let is_service = item["kind"] == "Service";
        assert_eq!(item.to_string().contains("15180"), !is_service, "{index}");
    }
    let indented = serde_json::to_string_pretty(&list).unwrap() + "\n";
    let done = injected(&indented, Consent::ByLabel);
    assert!(done.text.ends_with("}\n") && done.text.contains("\n  \"items\": ["));
}

#[test]
fn what_cannot_be_done_is_told_and_nothing_given_out() {
    #[track_caller]
    fn check(text: &str, words: &str) {
        let error = inject(&injector(), text, Consent::All)
            .expect_err(text)
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    check("a: 1\n---\nb: [\n---\nc: 1\n", "line ");
    check("a: 1\n---\nb: 1\nb: 2\n", "line 4: the key `b`");
    check(
        "kind: Pod\nmetadata: {name: p, annotations: {mcp-whittle.dev/mode: x}}\nspec: {containers: []}\n",
        "Pod/p: the annotation",
    );
    check(&" ".repeat(MAX_BYTES + 1), "longer than");
}

#[test]
fn texts_without_pods_stay() {
    for text in [
        "",
        "---\n",
        "# nothing\n",
        "a: 1",
        "---\na: 1\n---\n---\nb: 2\n...\n",
        "[1, 2]",
        "{\"a\":1}",
        "x",
    ] {
        assert_eq!(injected(text, Consent::All).text, text);
    }
    let block = "kind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: a\n    args:\n    - |\n      ---\n      x\n";
    assert_eq!(injected(block, Consent::All).text, block);
}
