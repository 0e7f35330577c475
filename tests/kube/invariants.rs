//! What must hold of an injected pod, written from the design (what Kubernetes does with pods), not from
//! what the program puts out.

use serde_json::{Value, json};

/// The containers of a list.
pub(super) fn list<'a>(pod: &'a Value, name: &str) -> Vec<&'a Value> {
    pod["spec"][name].as_array().into_iter().flatten().collect()
}

fn is_ours(container: &Value) -> bool {
    container["name"]
        .as_str()
        .is_some_and(|name| name.starts_with("mcp-whittle"))
}

fn named<'a>(values: &'a Value, name: &str) -> Option<&'a Value> {
    values
        .as_array()?
        .iter()
        .find(|value| value["name"] == *name)
}

/// Every restricted field, the token hidden, requests there: on each container of ours.
#[track_caller]
fn ours_are_safe(pod: &Value) {
    let all = [list(pod, "initContainers"), list(pod, "containers")].concat();
    let ours: Vec<&&Value> = all.iter().filter(|container| is_ours(container)).collect();
    assert!(!ours.is_empty());
    for container in ours {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        let of_pod = pod["spec"]["securityContext"]["runAsUser"]
            .as_u64()
            .unwrap_or(0);
        assert!(of_pod > 0 || context["runAsUser"].as_u64().is_some_and(|user| user > 0));
        assert!(container["resources"]["requests"]["cpu"].is_string());
        assert!(container["resources"]["requests"]["memory"].is_string());
        let token = "/var/run/secrets/kubernetes.io/serviceaccount";
        let mounts = container["volumeMounts"].as_array().expect("mounts");
        let mount = mounts
            .iter()
            .find(|mount| mount["mountPath"] == token)
            .expect("the token is hidden");
        let volume = named(
            &pod["spec"]["volumes"],
            mount["name"].as_str().expect("a name"),
        )
        .expect("its volume");
        assert!(volume["emptyDir"].is_object());
        assert!(
            container["env"]
                .as_array()
                .into_iter()
                .flatten()
                .all(|variable| variable["name"] != "TOKEN")
        );
    }
}

/// A sidecar that starts before the app and ends after it: native, with a startup probe, no hooks.
#[track_caller]
fn starts_first(pod: &Value) {
    for container in list(pod, "initContainers")
        .into_iter()
        .filter(|container| is_ours(container))
    {
        assert_eq!(container["restartPolicy"], "Always");
        assert_eq!(container["startupProbe"]["httpGet"]["path"], "/startedz");
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
        assert!(container["lifecycle"].is_null());
    }
}

/// Which port a Service's name leads to: normal containers first, then restartable init containers, as
/// the endpoints controller looks.
pub(super) fn lookup(pod: &Value, name: &str) -> Option<(String, u64)> {
    let init = list(pod, "initContainers");
    let restartable = init
        .into_iter()
        .filter(|container| container["restartPolicy"] == "Always");
    list(pod, "containers")
        .into_iter()
        .chain(restartable)
        .find_map(|container| {
            let port = named(&container["ports"], name)?;
            Some((
                container["name"].as_str()?.to_owned(),
                port["containerPort"].as_u64()?,
            ))
        })
}

/// Judges an injection in this mode.
#[track_caller]
pub(super) fn judge(before: &Value, after: &Value, mode: &str, target: &str) {
    ours_are_safe(after);
    let apps = |pod: &Value| -> Vec<Value> {
        list(pod, "containers")
            .into_iter()
            .filter(|container| !is_ours(container))
            .cloned()
            .collect()
    };
    let (old, new) = (apps(before), apps(after));
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old["name"], new["name"], "the order stays");
        for (member, value) in old.as_object().expect("a container") {
            let may_change = match mode {
                "server" => member == "ports" || member.ends_with("Probe") || member == "lifecycle",
                "client" => member == "env",
                _ => ["command", "volumeMounts", "ports"].contains(&member.as_str()),
            };
            if !may_change || old["name"] != *target {
                assert_eq!(value, &new[member], "{member}");
            }
        }
    }
    for member in before["spec"].as_object().expect("a spec").keys() {
        if !["containers", "initContainers", "volumes"].contains(&member.as_str()) {
            assert_eq!(before["spec"][member], after["spec"][member], "{member}");
        }
    }
    let app = |apps: &[Value]| {
        apps.iter()
            .find(|app| app["name"] == *target)
            .cloned()
            .expect("the target")
    };
    let (old, new) = (app(&old), app(&new));
    match mode {
        "server" => {
            starts_first(after);
            let sidecar = list(after, "initContainers")
                .into_iter()
                .find(|container| is_ours(container))
                .expect("a sidecar");
            let args = sidecar["args"].to_string();
            match lookup(before, "mcp") {
                Some((_, number)) => {
                    let (owner, port) =
                        lookup(after, "mcp").expect("the name still leads somewhere");
                    assert_eq!((owner.as_str(), port), ("mcp-whittle", 15180));
                    assert!(
                        args.contains(&format!("http://127.0.0.1:{number}/")),
                        "{args}"
                    );
                    // Probes that named the port still reach the app.
                    for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
                        let port = &new[probe]["httpGet"]["port"];
                        assert!(
                            port.is_null() || *port == number || *port != "mcp",
                            "{probe}"
                        );
                    }
                }
                // By number: the same number, on the pod's address only.
                None => {
                    assert!(args.contains("--listen=$(POD_IP):8000"), "{args}");
                    assert_eq!(
                        sidecar["env"][0]["valueFrom"]["fieldRef"]["fieldPath"],
                        "status.podIP"
                    );
                    assert!(new["ports"].as_array().is_none_or(Vec::is_empty));
                }
            }
        }
        "client" => {
            starts_first(after);
            let variables = old["env"].as_array().expect("variables");
            for (index, variable) in variables.iter().enumerate() {
                let now = &new["env"][index];
                assert_eq!(variable["name"], now["name"]);
                if variable == now {
                    continue;
                }
                let url = now["value"].as_str().expect("a URL");
                let port = url.strip_prefix("http://127.0.0.1:").expect("loopback");
                let port = port.strip_suffix("/mcp").expect("the endpoint");
                let sidecar = list(after, "initContainers")
                    .into_iter()
                    .find(|container| container["args"][0] == format!("--listen=127.0.0.1:{port}"))
                    .expect("a sidecar that listens there, on loopback only");
                // What it had goes to the sidecar as it was, values from Secrets unseen.
                let upstream = named(&sidecar["env"], "MCP_WHITTLE_UPSTREAM").expect("the URL");
                assert_eq!(variable["value"], upstream["value"]);
                assert_eq!(variable["valueFrom"], upstream["valueFrom"]);
            }
        }
        _ => {
            let command = new["command"].as_array().expect("a command");
            let old = old["command"].as_array().expect("a command");
            assert_eq!(
                command[command.len() - old.len()..],
                old[..],
                "the command comes last, whole"
            );
            assert_eq!(command[command.len() - old.len() - 1], "--");
            let program = command[0].as_str().expect("a path");
            let (folder, _) = program.rsplit_once('/').expect("a folder");
            let mount = new["volumeMounts"]
                .as_array()
                .expect("mounts")
                .iter()
                .find(|mount| mount["mountPath"] == *folder)
                .expect("the folder is mounted");
            assert_eq!(mount["readOnly"], true);
            let copier = list(after, "initContainers")
                .into_iter()
                .find(|container| is_ours(container))
                .expect("a copier");
            assert!(copier["restartPolicy"].is_null());
            assert_eq!(copier["args"], json!(["copy-self", program]));
            let copies_to = copier["volumeMounts"]
                .as_array()
                .expect("mounts")
                .iter()
                .any(|other| other["name"] == mount["name"] && other["mountPath"] == *folder);
            assert!(copies_to);
        }
    }
}
