use super::*;

fn server() -> Value {
    json!({"containers": [{"name": "app", "ports": [{"name": "mcp", "containerPort": 8080}]}]})
}

fn with(member: &str, value: Value) -> Value {
    let mut spec = server();
    spec[member] = value;
    pod(json!({}), spec)
}

#[test]
fn pods_that_must_not_be_touched_are_left_alone() {
    #[track_caller]
    fn check(pod: &Value, words: &str) {
        match injector().inject(pod, Some("default")) {
            Outcome::Skipped { reason, .. } => assert!(reason.contains(words), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    check(&with("hostNetwork", json!(true)), "hostNetwork");
    check(&with("os", json!({"name": "windows"})), "Windows");
    check(
        &with("nodeSelector", json!({"kubernetes.io/os": "windows"})),
        "Windows",
    );
    check(
        &with("initContainers", json!([{"name": "mcp-whittle"}])),
        "already",
    );
    check(
        &with(
            "initContainers",
            json!([{"name": "x", "ports": [{"containerPort": 15191}]}]),
        ),
        "15191",
    );
    let mut mirror = with("x", json!(1));
    mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!("abc");
    check(&mirror, "static pod");
    let mut disabled = with("x", json!(1));
    disabled["metadata"]["labels"]["mcp-whittle.dev/inject"] = json!("disabled");
    check(&disabled, "disabled");
    check(
        &pod(json!({}), json!({"containers": [{"name": "a"}]})),
        "no annotation `mode`",
    );
    let system = injector().inject(&with("x", json!(1)), Some("kube-system"));
    assert!(matches!(system, Outcome::Skipped { reason, .. } if reason.contains("system")));
    let old = Injector {
        has_native_sidecars: false,
        ..injector()
    };
    for (pod, words) in [
        (with("restartPolicy", json!("OnFailure")), "never end"),
        (
            pod(
                json!({"mode": "client", "set-env": "A=https://a/"}),
                server(),
            ),
            "before its sidecar",
        ),
    ] {
        let outcome = old.inject(&pod, None);
        assert!(
            matches!(&outcome, Outcome::Skipped { reason, .. } if reason.contains(words)),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_told() {
    #[track_caller]
    fn check(annotations: Value, spec: Value, words: &str) {
        match injector().inject(&pod(annotations, spec), None) {
            Outcome::Invalid(invalid) => {
                assert!(invalid.to_string().contains(words), "{invalid}");
            }
            other => panic!("{other:?}"),
        }
    }
    let annotation = |name: &str, value: Value, words: &str| {
        check(json!({ name: value }), server(), words);
    };
    annotation("prot", json!("mcp"), "`mcp-whittle.dev/prot` is unknown");
    annotation("mode", json!("sever"), "expected server or client or stdio");
    annotation("listen-port", json!("0"), "from 1 to 65535");
    annotation("listen-port", json!(15180), "put it into quotes");
    annotation("port", json!("no such port"), "the name or the number");
    annotation("app-bind", json!("all"), "expected loopback");
    annotation("command", json!("node s.js"), "JSON array of texts");
    annotation("command", json!("[]"), "names no program");
    annotation("set-env", json!("A=ftp://x"), "NAME=https://");
    annotation("set-env", json!("A=https://$(B)/"), "NAME=https://");
    annotation("upstream-env", json!("A B"), "commas");
    annotation("config", json!("A_B"), "ConfigMap");
    annotation("budget", json!("much"), "number of tokens");
    annotation("allow-host", json!("a,,b"), "commas");
    annotation("allow-host", json!("-x"), "names");
    annotation("log-level", json!("loud"), "expected off or error");
    annotation("resources", json!("{\"limit\":{}}"), "requests and limits");
    annotation(
        "resources",
        json!("{\"limits\":{\"memory\":\"1MiB\"}}"),
        "no quantity",
    );
    annotation("image", json!("evil"), "does not allow");
    annotation("container", json!("other"), "no container `other`");
    annotation("port", json!("8080"), "given by number");
    check(
        json!({"resources": "{\"limits\":{\"cpu\":\"1\"},\"requests\":{\"cpu\":\"1100m\"}}"}),
        server(),
        "more cpu is requested",
    );
    check(
        json!({"mode": "server", "port": "web"}),
        server(),
        "no TCP port named `web`",
    );
    check(
        json!({"mode": "client"}),
        server(),
        "not where its servers are",
    );
    check(
        json!({"mode": "client", "upstream-env": "A"}),
        server(),
        "no variable `A`",
    );
    check(json!({"mode": "stdio"}), server(), "has no `command`");
    check(
        json!({"mode": "client", "set-env": "A=https://a/", "listen-port": "65535", "admin-port": "65535"}),
        server(),
        "used twice",
    );
    let client = |entry: Value| json!({"containers": [{"name": "a", "env": [entry]}]});
    let wish = || json!({"mode": "client", "upstream-env": "A"});
    for value in ["", "x", "http://$(HOST)/mcp", "https://"] {
        check(
            wish(),
            client(json!({"name": "A", "value": value})),
            "no plain http",
        );
    }
    for source in [
        json!({"resourceFieldRef": {"resource": "limits.cpu"}}),
        json!({"secretKeyRef": {"name": "a", "key": "b", "optional": true}}),
        json!({}),
    ] {
        check(
            wish(),
            client(json!({"name": "A", "valueFrom": source})),
            "cannot be given",
        );
    }
    let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    check(json!({"mode": "stdio"}), two, "several containers");
    let volumes = json!({"containers": [{"name": "a", "command": ["x"]}],
        "volumes": [{"name": "mcp-whittle-state", "emptyDir": {}}]});
    check(json!({"mode": "stdio"}), volumes, "volume named");
    check(json!({}), json!({}), "no list of containers");
}

#[test]
fn odd_pods_are_no_trouble() {
    for odd in [
        json!(null),
        json!([]),
        json!("pod"),
        json!({"spec": {"containers": null}}),
        json!({"spec": {"containers": [null, 1, "x", []]}}),
        json!({"metadata": {"annotations": []}, "spec": {"containers": [{"name": 1, "ports": {"a": 1}}]}}),
        json!({"metadata": null, "spec": {"containers": [{"name": "a", "ports": [{"name": "mcp", "containerPort": -1}]}]}}),
        json!({"spec": {"containers": [{"name": "a", "ports": [{"name": "mcp", "containerPort": "8080"}]}]}}),
        json!({"spec": {"volumes": {}, "containers": [{"name": "a", "ports": [{"name": "mcp", "containerPort": 80}]}]}}),
        json!({"spec": {"initContainers": "x", "containers": [{"name": "a", "ports": [{"name": "mcp", "containerPort": 80}]}]}}),
    ] {
        let outcome = injector().inject(&odd, None);
        assert!(!matches!(outcome, Outcome::Patched(_)), "{outcome:?}");
    }
}
