use super::*;

fn named_server() -> Value {
    json!({"containers": [
        {"name": "web", "ports": [{"name": "http", "containerPort": 80}]},
        {"name": "app",
         "ports": [{"name": "mcp", "containerPort": 8080}, {"containerPort": 9100}],
         "readinessProbe": {"httpGet": {"path": "/healthz", "port": "mcp"}},
         "livenessProbe": {"tcpSocket": {"port": 8080}},
         "lifecycle": {"preStop": {"httpGet": {"path": "/bye", "port": "mcp"}}}}]})
}

#[test]
fn a_named_port_is_taken_over() {
    let injection = patched(&injector(), &pod(json!({}), named_server()));
    let app = &injection.pod["spec"]["containers"][1];
    assert_eq!(
        app["ports"][0],
        json!({"name": "mcp-app", "containerPort": 8080})
    );
    // The app's own probes keep going to the app.
    assert_eq!(app["readinessProbe"]["httpGet"]["port"], 8080);
    assert_eq!(app["lifecycle"]["preStop"]["httpGet"]["port"], 8080);
    let sidecar = &injection.pod["spec"]["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    assert_eq!(
        sidecar["ports"][0],
        json!({"name": "mcp", "containerPort": 15180})
    );
    assert_eq!(
        sidecar["args"],
        json!([
            "--listen=0.0.0.0:15180",
            "--upstream=http://127.0.0.1:8080/mcp",
            "--allow-host=*",
            "--admin-listen=0.0.0.0:15191",
            "--state-dir=/mcp-whittle-state"
        ])
    );
    assert_eq!(names(&injection.pod, "containers"), ["web", "app"]);
    assert_eq!(
        injection.pod["metadata"]["labels"]["mcp-whittle.dev/injected"],
        "true"
    );
    assert_eq!(
        injection.pod["metadata"]["annotations"]["mcp-whittle.dev/status"],
        r#"{"v":1,"mode":"server","injector":"1"}"#
    );
}

#[test]
fn without_native_sidecars_a_container_stands_last() {
    let mut injector = injector();
    injector.has_native_sidecars = false;
    let injection = patched(&injector, &pod(json!({}), named_server()));
    assert_eq!(
        names(&injection.pod, "containers"),
        ["web", "app", "mcp-whittle"]
    );
    assert!(injection.pod["spec"]["containers"][2]["restartPolicy"].is_null());
    assert!(injection.pod["spec"]["initContainers"].is_null());
}

#[test]
fn a_port_by_number_moves_to_the_address_of_the_pod() {
    let spec = json!({"containers": [{"name": "app",
        "ports": [{"containerPort": 9}, {"name": "web", "containerPort": 8000, "protocol": "TCP"}],
        "startupProbe": {"tcpSocket": {"port": "web"}}}]});
    let injection = patched(
        &injector(),
        &pod(
            json!({"port": "8000", "app-bind": "loopback", "path": "/v1/mcp"}),
            spec,
        ),
    );
    let app = &injection.pod["spec"]["containers"][0];
    assert_eq!(app["ports"], json!([{"containerPort": 9}]));
    assert_eq!(app["startupProbe"]["tcpSocket"]["port"], 8000);
    let sidecar = &injection.pod["spec"]["initContainers"][0];
    assert_eq!(
        sidecar["ports"][0],
        json!({"containerPort": 8000, "name": "web", "protocol": "TCP"})
    );
    assert_eq!(sidecar["args"][0], "--listen=$(POD_IP):8000");
    assert_eq!(
        sidecar["args"][1],
        "--upstream=http://127.0.0.1:8000/v1/mcp"
    );
    assert_eq!(
        sidecar["env"][0]["valueFrom"]["fieldRef"]["fieldPath"],
        "status.podIP"
    );
    assert_eq!(
        sidecar["env"][1],
        json!({"name": "MCP_WHITTLE_HTTP_PATH", "value": "/v1/mcp"})
    );
}

/// Broken variant that this catches: the sidecar declares number and name only, so that nobody reaches
/// the port of the node any more.
#[test]
fn a_port_by_number_moves_whole() {
    let port = json!({"name": "web", "containerPort": 8000, "hostPort": 8001,
        "hostIP": "10.0.0.1", "future": {"a": 1}});
    let spec = json!({"containers": [{"name": "app", "ports": [port]}]});
    let wishes = json!({"port": "8000", "app-bind": "loopback"});
    let injection = patched(&injector(), &pod(wishes, spec));
    let spec = &injection.pod["spec"];
    assert_eq!(spec["containers"][0]["ports"], json!([]));
    assert_eq!(spec["initContainers"][0]["ports"][0], port);
}

#[test]
fn each_url_of_a_client_has_its_sidecar() {
    let secret = json!({"secretKeyRef": {"name": "urls", "key": "fs"}});
    let spec = json!({"restartPolicy": "Never",
        "initContainers": [{"name": "first"}],
        "containers": [{"name": "agent", "env": [
            {"name": "A", "value": "https://mcp.example.com/mcp"},
            {"name": "OTHER", "value": "$(A)"},
            {"name": "B", "valueFrom": secret}]}]});
    let wishes = json!({"mode": "client", "upstream-env": "A, B",
        "set-env": "C=http://c.example/sse", "order": "first", "budget": "4k"});
    let injection = patched(&injector(), &pod(wishes, spec));
    assert_eq!(
        injection.pod["spec"]["containers"][0]["env"],
        json!([
            {"name": "A", "value": "http://127.0.0.1:15181/mcp"},
            {"name": "OTHER", "value": "$(A)"},
            {"name": "B", "value": "http://127.0.0.1:15182/mcp"},
            {"name": "C", "value": "http://127.0.0.1:15183/mcp"}
        ])
    );
    assert_eq!(
        names(&injection.pod, "initContainers"),
        ["mcp-whittle", "mcp-whittle-2", "mcp-whittle-3", "first"]
    );
    let second = &injection.pod["spec"]["initContainers"][1];
    // It moves as it is: what is in the Secret is seen by nobody else.
    assert_eq!(
        second["env"][0],
        json!({"name": "MCP_WHITTLE_UPSTREAM", "valueFrom": secret})
    );
    assert_eq!(
        second["args"],
        json!([
            "--listen=127.0.0.1:15182",
            "--admin-listen=0.0.0.0:15192",
            "--state-dir=/mcp-whittle-state",
            "--budget=4k"
        ])
    );
}

#[test]
fn the_command_of_a_stdio_server_is_wrapped() {
    let spec = json!({"containers": [{"name": "srv", "command": ["npx", "-y", "s"],
        "args": ["--flag", "$(X)"], "stdin": true,
        "resources": {"limits": {"memory": "64Mi"}}}]});
    let injection = patched(&injector(), &pod(json!({"mode": "stdio"}), spec));
    let server = &injection.pod["spec"]["containers"][0];
    assert_eq!(
        server["command"],
        json!([
            "/mcp-whittle-bin/mcp-whittle",
            "--state-dir=/mcp-whittle-state",
            "--max-frame-bytes=8388608",
            "--",
            "npx",
            "-y",
            "s"
        ])
    );
    assert_eq!(server["args"], json!(["--flag", "$(X)"]));
    assert_eq!(
        server["volumeMounts"],
        json!([
            {"name": "mcp-whittle-bin", "mountPath": "/mcp-whittle-bin", "readOnly": true},
            {"name": "mcp-whittle-state", "mountPath": "/mcp-whittle-state"}
        ])
    );
    let copier = &injection.pod["spec"]["initContainers"][0];
    assert_eq!(
        copier["args"],
        json!(["copy-self", "/mcp-whittle-bin/mcp-whittle"])
    );
    assert!(copier["restartPolicy"].is_null());
}

#[test]
fn a_stdio_server_can_be_served_over_http() {
    let spec = json!({"containers": [{"name": "srv"}]});
    let wishes = json!({"mode": "stdio", "command": "[\"/srv\"]", "expose": "8080",
        "allow-host": "a.example, b.example", "config": "whittle"});
    let injection = patched(&injector(), &pod(wishes, spec));
    let server = &injection.pod["spec"]["containers"][0];
    assert_eq!(
        server["command"],
        json!([
            "/mcp-whittle-bin/mcp-whittle",
            "--listen=0.0.0.0:8080",
            "--allow-host=a.example",
            "--allow-host=b.example",
            "--state-dir=/mcp-whittle-state",
            "--config=/mcp-whittle-config/mcp-whittle.toml",
            "--",
            "/srv"
        ])
    );
    assert_eq!(
        server["ports"],
        json!([{"containerPort": 8080, "name": "mcp"}])
    );
    assert_eq!(server["readinessProbe"]["tcpSocket"]["port"], 8080);
    let volumes = injection.pod["spec"]["volumes"].as_array().unwrap();
    assert_eq!(
        volumes.last().unwrap(),
        &json!({"name": "mcp-whittle-config", "configMap": {"name": "whittle"}})
    );
}

/// Broken variant that this catches: only TCP ports are looked at for the name, which an API server takes
/// once in a container.
#[test]
fn an_exposed_port_takes_no_name_that_is_taken() {
    let udp = json!({"name": "mcp", "protocol": "UDP", "containerPort": 9});
    let spec = json!({"containers": [{"name": "srv", "command": ["/srv"], "ports": [udp]}]});
    let wishes = json!({"mode": "stdio", "expose": "8080"});
    let injection = patched(&injector(), &pod(wishes, spec));
    assert_eq!(
        injection.pod["spec"]["containers"][0]["ports"],
        json!([udp, {"containerPort": 8080}])
    );
}

#[test]
fn our_containers_are_restricted_and_bounded() {
    let secure = |context: Value| {
        let mut spec = named_server();
        spec["securityContext"] = context;
        patched(&injector(), &pod(json!({}), spec)).pod["spec"]["initContainers"][0].clone()
    };
    let sidecar = secure(json!({}));
    assert_eq!(
        sidecar["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 65532, "runAsGroup": 65532})
    );
    assert_eq!(
        sidecar["volumeMounts"][0]["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    assert_eq!(
        sidecar["env"],
        json!([
            {"name": "MCP_WHITTLE_MAX_FRAME_BYTES", "value": "16777216"},
            {"name": "MCP_WHITTLE_LIMITS_MAX_LIST_BYTES", "value": "16777216"},
            {"name": "MCP_WHITTLE_HTTP_MAX_BODY_BYTES", "value": "8388608"},
            {"name": "MCP_WHITTLE_LIMITS_MAX_QUEUE_BYTES", "value": "8388608"}
        ])
    );
    // The pod's own user is as good; root is not.
    assert!(secure(json!({"runAsUser": 1000}))["securityContext"]["runAsUser"].is_null());
    assert_eq!(
        secure(json!({"runAsUser": 0}))["securityContext"]["runAsUser"],
        65532
    );
}

/// Broken variant that this catches: the annotation sets a limit and leaves the request below it, so that
/// the pod is Burstable.
#[test]
fn a_guaranteed_pod_stays_guaranteed() {
    let limits = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}});
    let spec = json!({"containers": [
        {"name": "app", "ports": [{"name": "mcp", "containerPort": 1}], "resources": limits}]});
    let injection = patched(&injector(), &pod(json!({}), spec.clone()));
    assert!(Pod(&injection.pod).is_guaranteed());
    let with = |resources: &str| {
        let chosen = json!({"resources": resources});
        patched(&injector(), &pod(chosen, spec.clone())).pod
    };
    let amounts = json!({"cpu": "200m", "memory": "256Mi"});
    for group in ["limits", "requests"] {
        let pod = with(&json!({group: amounts}).to_string());
        assert!(Pod(&pod).is_guaranteed(), "{group}");
        assert_eq!(
            pod["spec"]["initContainers"][0]["resources"],
            json!({"requests": amounts, "limits": amounts})
        );
    }
    // Both are given: that is what was asked for.
    let pod = with(r#"{"limits":{"memory":"1Gi"},"requests":{"memory":"64Mi"}}"#);
    assert!(!Pod(&pod).is_guaranteed());
}

/// Broken variant that this catches: our container asks for its own amounts beside those of the pod as a
/// whole, which an API server refuses: together the requests, or its limit alone, may be more.
#[test]
fn what_the_pod_as_a_whole_is_given_is_shared() {
    let spec = |resources: Value| {
        let mut spec = named_server();
        spec["resources"] = resources;
        spec
    };
    let sidecar = |wishes: Value, resources: Value| {
        let injection = patched(&injector(), &pod(wishes, spec(resources)));
        injection.pod["spec"]["initContainers"][0].clone()
    };
    let small = json!({"cpu": "100m", "memory": "64Mi"});
    let both = json!({"requests": small, "limits": small});
    let ours = sidecar(json!({}), both.clone());
    assert_eq!(ours["resources"], json!({}));
    // An eighth of what all of them have.
    assert_eq!(
        ours["env"][0],
        json!({"name": "MCP_WHITTLE_MAX_FRAME_BYTES", "value": "8388608"})
    );
    let injection = patched(&injector(), &pod(json!({}), spec(both.clone())));
    assert!(Pod(&injection.pod).is_guaranteed());
    assert_eq!(
        sidecar(json!({}), json!({"requests": {"memory": "64Mi"}}))["resources"],
        json!({"requests": {"cpu": "10m"}})
    );
    // Nothing is given.
    assert_eq!(
        sidecar(json!({}), json!({"limits": {}}))["resources"]["limits"],
        json!({"memory": "128Mi"})
    );
    let chosen = json!({"resources": "{\"limits\":{\"memory\":\"32Mi\"}}"});
    assert_eq!(
        sidecar(chosen, both)["resources"],
        json!({"limits": {"memory": "32Mi"}})
    );
    // The same for a message in the app's own container.
    let stdio = json!({"resources": {"limits": {"memory": "64Mi"}},
        "containers": [{"name": "srv", "command": ["/srv"]}]});
    let injection = patched(&injector(), &pod(json!({"mode": "stdio"}), stdio));
    let command = &injection.pod["spec"]["containers"][0]["command"];
    assert_eq!(command[2], "--max-frame-bytes=8388608");
}

/// Broken variant that this catches: the annotation replaces all, so that our container has no requests
/// and an autoscaler fails for the whole pod.
#[test]
fn amounts_that_were_given_stand_beside_the_others() {
    #[track_caller]
    fn check(given: &str, expected: Value) {
        let injection = patched(
            &injector(),
            &pod(json!({ "resources": given }), named_server()),
        );
        let sidecar = &injection.pod["spec"]["initContainers"][0];
        assert_eq!(sidecar["resources"], expected, "{given}");
    }
    check(
        r#"{"limits":{"memory":"256Mi"}}"#,
        json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}),
    );
    check(
        r#"{"limits":{"cpu":"5m","memory":"16Mi"}}"#,
        json!({"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"cpu": "5m", "memory": "16Mi"}}),
    );
    check(
        r#"{"requests":{"memory":"256Mi","ephemeral-storage":"1Gi"}}"#,
        json!({"requests": {"cpu": "10m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
            "limits": {"memory": "256Mi"}}),
    );
}

#[test]
fn a_second_run_does_nothing() {
    for wishes in [
        json!({}),
        json!({"mode": "stdio", "container": "app", "command": "[\"x\"]"}),
        json!({"mode": "client", "container": "app", "set-env": "A=https://a/mcp"}),
    ] {
        let injection = patched(&injector(), &pod(wishes, named_server()));
        let again = injector().inject(&injection.pod, None);
        assert!(
            matches!(&again, Outcome::Skipped { is_quiet: true, reason } if reason.contains("already")),
            "{again:?}"
        );
    }
}

#[test]
fn annotations_of_other_modes_are_told() {
    let wishes = json!({"mode": "server", "container": "app", "upstream-env": "X"});
    let injection = patched(&injector(), &pod(wishes, named_server()));
    assert_eq!(
        injection.warnings,
        ["the annotation `upstream-env` means nothing in mode server"]
    );
}
