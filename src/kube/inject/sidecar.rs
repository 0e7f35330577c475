//! Our own containers and volumes. Pure.
//!
//! Every field of the restricted Pod Security Standard is set, the root file system is read-only with
//! one volume for state, and a mount hides the token of the service account: admission skips containers
//! that mount something there already.

use serde_json::{Map, Value, json};

use super::Injector;
use super::pod::Pod;
use super::quantity;
use super::wishes::Wishes;

/// The name of our containers and volumes begins with this.
pub(super) const NAME: &str = "mcp-whittle";
/// The container that copies the program for stdio servers.
pub(super) const BIN: &str = "mcp-whittle-bin";
/// Where the copied program is mounted. A folder of its own: mounting over a file of the image fails.
pub(super) const BIN_DIR: &str = "/mcp-whittle-bin";
/// Where the state is kept.
pub(super) const STATE_DIR: &str = "/mcp-whittle-state";
/// Where the settings of a ConfigMap are mounted.
pub(super) const CONFIG_DIR: &str = "/mcp-whittle-config";
/// The file in there.
pub(super) const CONFIG_FILE: &str = "/mcp-whittle-config/mcp-whittle.toml";

const NO_TOKEN: &str = "mcp-whittle-notoken";
const STATE: &str = "mcp-whittle-state";
const CONFIG: &str = "mcp-whittle-config";
const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// User and group of the image.
const USER: u32 = 65532;

/// What differs from one sidecar to another.
pub(super) struct Sidecar {
    /// Its name.
    pub(super) name: String,
    /// Options before those of the pod.
    pub(super) args: Vec<String>,
    /// Variables before ours.
    pub(super) env: Vec<Value>,
    /// The port that clients are sent to, if it is declared.
    pub(super) port: Option<Value>,
    /// The port of the probes.
    pub(super) admin_port: u16,
    /// Whether it is an init container that is restarted (native), or one beside the others.
    pub(super) is_native: bool,
}

impl Sidecar {
    /// Writes the container.
    pub(super) fn container(self, injector: &Injector, wishes: &Wishes, pod: Pod<'_>) -> Value {
        let resources = resources(wishes, pod);
        let mut args = self.args;
        args.push(format!("--admin-listen=0.0.0.0:{}", self.admin_port));
        args.extend(shared_options(wishes));
        let mut env = self.env;
        env.extend(bounds(&resources, pod));
        let mut ports: Vec<Value> = self.port.into_iter().collect();
        ports.push(json!({"name": "whittle-admin", "containerPort": self.admin_port}));
        let mut container = base(&self.name, injector, wishes);
        if self.is_native {
            container.insert("restartPolicy".to_owned(), json!("Always"));
        }
        let probe = |path: &str| json!({"path": path, "port": self.admin_port});
        let rest = json!({
            "args": args,
            "env": env,
            "ports": ports,
            "startupProbe": {"httpGet": probe("/startedz"), "periodSeconds": 1, "failureThreshold": 60},
            "readinessProbe": {"httpGet": probe("/readyz"), "periodSeconds": 5},
            "livenessProbe": {"httpGet": probe("/livez"), "periodSeconds": 10, "failureThreshold": 6},
            "resources": resources,
            "securityContext": security(injector, pod),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": mounts(wishes, true),
        });
        if let Value::Object(members) = rest {
            container.extend(members);
        }
        if container["env"].as_array().is_some_and(Vec::is_empty) {
            container.shift_remove("env");
        }
        Value::Object(container)
    }
}

/// The container that copies the program into a volume and ends.
pub(super) fn copier(injector: &Injector, wishes: &Wishes, pod: Pod<'_>) -> Value {
    let mut container = base(BIN, injector, wishes);
    let rest = json!({
        "args": ["copy-self", format!("{BIN_DIR}/{NAME}")],
        "resources": resources(wishes, pod),
        "securityContext": security(injector, pod),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [no_token_mount(), {"name": BIN, "mountPath": BIN_DIR}],
    });
    if let Value::Object(members) = rest {
        container.extend(members);
    }
    Value::Object(container)
}

/// The volumes of all our containers in this pod.
pub(super) fn volumes(wishes: &Wishes, copies: bool) -> Vec<Value> {
    let mut volumes = vec![
        json!({"name": NO_TOKEN, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}),
        json!({"name": STATE, "emptyDir": {"sizeLimit": "64Mi"}}),
    ];
    if copies {
        volumes.push(json!({"name": BIN, "emptyDir": {"sizeLimit": "64Mi"}}));
    }
    if let Some(name) = &wishes.config {
        volumes.push(json!({"name": CONFIG, "configMap": {"name": name}}));
    }
    volumes
}

/// What is mounted beside the program itself; `hides_token` in our own containers only.
pub(super) fn mounts(wishes: &Wishes, hides_token: bool) -> Vec<Value> {
    let mut mounts = Vec::new();
    if hides_token {
        mounts.push(no_token_mount());
    }
    mounts.push(json!({"name": STATE, "mountPath": STATE_DIR}));
    if wishes.config.is_some() {
        mounts.push(json!({"name": CONFIG, "mountPath": CONFIG_DIR, "readOnly": true}));
    }
    mounts
}

/// The mount of the copied program in the container that runs it.
pub(super) fn bin_mount() -> Value {
    json!({"name": BIN, "mountPath": BIN_DIR, "readOnly": true})
}

/// Options that mean the same in every mode.
pub(super) fn shared_options(wishes: &Wishes) -> Vec<String> {
    let mut options = vec![format!("--state-dir={STATE_DIR}")];
    if wishes.config.is_some() {
        options.push(format!("--config={CONFIG_FILE}"));
    }
    for (option, value) in &wishes.options {
        options.push(format!("{option}={value}"));
    }
    options
}

/// Options about who may ask. Any `Host` is welcome unless the pod says otherwise: names of Services
/// cannot be known here, and the server behind us answered to all of them. `Origin` stays checked,
/// which keeps browsers out.
pub(super) fn gate_options(wishes: &Wishes) -> Vec<String> {
    let any = ["*".to_owned()];
    let hosts = if wishes.allow_host.is_empty() {
        &any[..]
    } else {
        &wishes.allow_host
    };
    let mut options: Vec<String> = hosts
        .iter()
        .map(|host| format!("--allow-host={host}"))
        .collect();
    options.extend(
        wishes
            .allow_origin
            .iter()
            .map(|origin| format!("--allow-origin={origin}")),
    );
    options
}

fn no_token_mount() -> Value {
    json!({"name": NO_TOKEN, "mountPath": TOKEN_DIR, "readOnly": true})
}

fn base(name: &str, injector: &Injector, wishes: &Wishes) -> Map<String, Value> {
    let image = wishes.image.as_ref().unwrap_or(&injector.image);
    let mut container = Map::new();
    container.insert("name".to_owned(), json!(name));
    container.insert("image".to_owned(), json!(image));
    container.insert("imagePullPolicy".to_owned(), json!(injector.pull_policy));
    container
}

/// What our container may use. Requests are there also where the pod gives limits only: an autoscaler
/// fails for the whole pod without. A pod of the class Guaranteed stays one. What the pod as a whole is
/// given is shared: an API server refuses containers that ask for more of it than there is.
fn resources(wishes: &Wishes, pod: Pod<'_>) -> Value {
    let mut resources = if pod.is_guaranteed() {
        let amounts = json!({"cpu": "100m", "memory": "128Mi"});
        json!({"requests": amounts, "limits": amounts})
    } else {
        json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}})
    };
    if let Value::Object(groups) = &mut resources {
        for amounts in groups.values_mut().filter_map(Value::as_object_mut) {
            amounts.retain(|name, _| !pod.shares(name));
        }
        groups.retain(|_, amounts| amounts.as_object().is_some_and(|of| !of.is_empty()));
    }
    if let Some(given) = &wishes.resources {
        merge(&mut resources, given, pod);
    }
    resources
}

/// Puts amounts that were given over the others. Of a request and its limit that would not go together
/// the one that was not given becomes the other; in a pod that is Guaranteed by its containers that is so
/// wherever they differ.
fn merge(resources: &mut Value, given: &Value, pod: Pod<'_>) {
    for (group, amounts) in given.as_object().into_iter().flatten() {
        for (name, amount) in amounts.as_object().into_iter().flatten() {
            resources[group][name] = amount.clone();
        }
    }
    for name in ["cpu", "memory"] {
        let amount = |group: &str| quantity::thousandths(&resources[group][name]);
        let (Some(request), Some(limit)) = (amount("requests"), amount("limits")) else {
            continue;
        };
        let is_given = |group: &str| !given[group][name].is_null();
        let is_one = is_given("requests") != is_given("limits");
        let is_exact = is_one && pod.is_guaranteed() && !pod.shares(name);
        if request > limit || (is_exact && request < limit) {
            let (from, to) = if is_given("limits") {
                ("limits", "requests")
            } else {
                ("requests", "limits")
            };
            let amount = resources[from][name].clone();
            resources[to][name] = amount;
        }
    }
}

/// Bounds for what one message, one queue and one list may hold, as shares of the memory limit: the
/// container's, or the one of the pod as a whole.
fn bounds(resources: &Value, pod: Pod<'_>) -> Vec<Value> {
    /// No message is refused that small.
    const LEAST: u64 = 1 << 20;
    let own = quantity::bytes(&resources["limits"]["memory"]);
    let of_pod = || quantity::bytes(&pod.spec()["resources"]["limits"]["memory"]);
    let Some(limit) = own.or_else(of_pod) else {
        return Vec::new();
    };
    [
        ("MCP_WHITTLE_MAX_FRAME_BYTES", limit / 8),
        ("MCP_WHITTLE_LIMITS_MAX_LIST_BYTES", limit / 8),
        ("MCP_WHITTLE_HTTP_MAX_BODY_BYTES", limit / 16),
        ("MCP_WHITTLE_LIMITS_MAX_QUEUE_BYTES", limit / 16),
    ]
    .into_iter()
    .map(|(name, bytes)| {
        // Above the program's own defaults nothing is gained.
        let bytes = bytes.clamp(LEAST, 16 << 20);
        json!({"name": name, "value": bytes.to_string()})
    })
    .collect()
}

/// The bound for messages in a container that has a memory limit of its own, or of its pod.
pub(super) fn frame_bound(resources: &Value, pod: Pod<'_>) -> Option<String> {
    bounds(resources, pod)
        .first()
        .and_then(|bound| bound["value"].as_str())
        .map(|bytes| format!("--max-frame-bytes={bytes}"))
}

fn security(injector: &Injector, pod: Pod<'_>) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let of_pod = pod.spec()["securityContext"]["runAsUser"].as_u64();
    // A user that the pod or the cluster (OpenShift) chooses is as good as ours.
    if of_pod.is_none_or(|user| user == 0) && injector.sets_user {
        context["runAsUser"] = json!(USER);
        context["runAsGroup"] = json!(USER);
    }
    context
}
