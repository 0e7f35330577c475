//! From a raw pod to the JSON Patch that puts mcp-whittle into it. Pure: no look-ups, no clock.
//!
//! The patch is explicit operations on the raw object, so that fields nobody here knows survive. Each
//! operation is applied to a copy as it is made; before anything is handed out, the patch is read back,
//! applied to the original and judged ([`check`]). What cannot be done is said, and the pod stays as it is.
//!
//! Whether a pod is injected already is read from its containers, never from an annotation alone:
//! annotations are copied with templates. Sources: RFC 6902; Kubernetes API v1.

pub mod check;
mod client;
pub mod patch;
pub mod pod;
pub mod pointer;
pub mod quantity;
mod server;
mod sidecar;
mod stdio;
#[cfg(test)]
mod tests;
pub mod text;
pub mod values;
pub mod wishes;

use serde_json::{Value, json};

use patch::{Operation, PatchBuilder, PatchError};
use pod::{Container, Pod, elements};
use pointer::Pointer;
use sidecar::{BIN, NAME, Sidecar};
use text::Invalid;
use values::Parsers;
use wishes::{Mode, Port, Wishes};

/// What labels and annotations begin with, where nothing else is said.
pub const PREFIX: &str = "mcp-whittle.dev";
/// Namespaces of the system itself.
const SYSTEM: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// What is the same for all pods of a cluster.
#[derive(Debug, Clone)]
pub struct Injector {
    /// What labels and annotations begin with, without the slash.
    pub prefix: String,
    /// The image of mcp-whittle.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// Secrets for pulling the image; they must exist in the pod's namespace.
    pub pull_secrets: Vec<String>,
    /// Whether the cluster restarts init containers that ask for it (Kubernetes 1.29 and newer).
    pub has_native_sidecars: bool,
    /// Whether a pod may choose another image.
    pub allows_image: bool,
    /// Whether our containers set a user id; not where the cluster assigns them (OpenShift).
    pub sets_user: bool,
    /// Our version, for the pod's status.
    pub version: String,
    /// What the program itself reads values with.
    pub parsers: Parsers,
}

impl Injector {
    /// An injector of this image, for a cluster with native sidecars.
    pub fn new(image: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            prefix: PREFIX.to_owned(),
            image: image.into(),
            pull_policy: "IfNotPresent".to_owned(),
            pull_secrets: Vec::new(),
            has_native_sidecars: true,
            allows_image: false,
            sets_user: true,
            version: version.into(),
            parsers: Parsers::default(),
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }
}

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is patched.
    Patched(Box<Injection>),
    /// It is left alone.
    Skipped {
        /// Why.
        reason: String,
        /// Whether nobody needs to be told: the pod did not ask, or has it already.
        is_quiet: bool,
    },
    /// It asked for something that cannot be done; it is left alone.
    Invalid(Invalid),
    /// We made a patch that does not hold what it should; it is left alone.
    Failed(String),
}

/// A patch and what it makes of the pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// How mcp-whittle stands in it.
    pub mode: Mode,
    /// The patch.
    pub operations: Vec<Operation>,
    /// The pod with the patch applied.
    pub pod: Value,
    /// What the owner of the pod should know.
    pub warnings: Vec<String>,
}

/// Why building ends early.
#[derive(Debug)]
enum Stop {
    Skip { reason: String, is_quiet: bool },
    Invalid(Invalid),
    Patch(PatchError),
}

impl Stop {
    fn skip(reason: impl Into<String>) -> Self {
        Self::Skip {
            reason: reason.into(),
            is_quiet: false,
        }
    }

    fn quiet(reason: impl Into<String>) -> Self {
        Self::Skip {
            reason: reason.into(),
            is_quiet: true,
        }
    }
}

impl From<Invalid> for Stop {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<PatchError> for Stop {
    fn from(error: PatchError) -> Self {
        Self::Patch(error)
    }
}

impl Injector {
    /// Decides about a pod or a pod template (an object with `metadata` and `spec`) in a namespace, where
    /// that is known. Whoever calls this has the consent of a label on the pod or its namespace;
    /// a label `disabled` on the pod is obeyed here.
    pub fn inject(&self, pod: &Value, namespace: Option<&str>) -> Outcome {
        let stop = match self.build(pod, namespace) {
            Ok(injection) => match check::check(self, pod, &injection) {
                Ok(()) => return Outcome::Patched(Box::new(injection)),
                Err(fault) => return Outcome::Failed(fault),
            },
            Err(stop) => stop,
        };
        match stop {
            Stop::Skip { reason, is_quiet } => Outcome::Skipped { reason, is_quiet },
            Stop::Invalid(invalid) => Outcome::Invalid(invalid),
            Stop::Patch(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn build(&self, raw: &Value, namespace: Option<&str>) -> Result<Injection, Stop> {
        let pod = Pod(raw);
        self.refuse(pod, namespace)?;
        let wishes = Wishes::read(pod.annotations(), &self.prefix)?;
        self.parsers.judge(&wishes, &self.prefix)?;
        if wishes.image.is_some() && !self.allows_image {
            return Err(Invalid::new(
                "the pod chooses the image of mcp-whittle, which this injector does not allow",
                "take the annotation `image` away",
            )
            .into());
        }
        let (mode, target) = self.target(pod, &wishes)?;
        if target.value["command"][0] == stdio::program().as_str() {
            return Err(Stop::quiet("the pod is injected already"));
        }
        let is_native = self.is_native(&wishes)?;
        if mode == Mode::Server && !is_native && !pod.restarts_always() {
            return Err(Stop::skip(
                "without native sidecars a pod that is to end would never end",
            ));
        }
        let mut building = Building {
            injector: self,
            wishes: &wishes,
            pod,
            patch: PatchBuilder::new(raw),
        };
        building.add_volumes(mode == Mode::Stdio)?;
        match mode {
            Mode::Server => server::build(&mut building, &target, is_native)?,
            Mode::Client => client::build(&mut building, &target, is_native)?,
            Mode::Stdio => stdio::build(&mut building, &target)?,
        }
        building.add_pull_secrets()?;
        building.sign(mode)?;
        let warnings = warnings(&wishes, mode, &target);
        let (operations, pod) = building.patch.finish();
        Ok(Injection {
            mode,
            operations,
            pod,
            warnings,
        })
    }

    /// Stops at pods that must not be touched.
    fn refuse(&self, pod: Pod<'_>, namespace: Option<&str>) -> Result<(), Stop> {
        let spec = pod.spec();
        if pod.label(&self.name("inject")) == Some("disabled") {
            return Err(Stop::quiet("its label says `disabled`"));
        }
        if let Some(namespace) = namespace.filter(|namespace| SYSTEM.contains(namespace)) {
            return Err(Stop::skip(format!(
                "`{namespace}` is a namespace of the system"
            )));
        }
        if !spec["containers"].is_array() {
            return Err(
                Invalid::new("the pod has no list of containers", "check the manifest").into(),
            );
        }
        if spec["hostNetwork"] == true {
            return Err(Stop::skip("it uses the network of its node (hostNetwork)"));
        }
        let mirror = "kubernetes.io/config.mirror";
        if pod
            .annotations()
            .is_some_and(|annotations| annotations.contains_key(mirror))
        {
            return Err(Stop::skip("it is a static pod of a node"));
        }
        let systems = [
            &spec["os"]["name"],
            &spec["nodeSelector"]["kubernetes.io/os"],
            &spec["nodeSelector"]["beta.kubernetes.io/os"],
        ];
        if systems.iter().any(|system| **system == "windows") {
            return Err(Stop::skip("it runs on Windows"));
        }
        if pod
            .all_containers()
            .any(|container| is_ours(container.name()))
        {
            return Err(Stop::quiet("the pod is injected already"));
        }
        Ok(())
    }

    /// Finds out how and into which container.
    fn target<'a>(&self, pod: Pod<'a>, wishes: &Wishes) -> Result<(Mode, Container<'a>), Stop> {
        let named: Vec<Container<'_>> = match &wishes.port {
            Port::Named(name) => pod
                .containers()
                .filter(|container| container.port_named(name).is_some())
                .collect(),
            Port::Number(_) => Vec::new(),
        };
        let mode = match wishes.mode {
            Some(mode) => mode,
            None if named.len() == 1 || matches!(wishes.port, Port::Number(_)) => Mode::Server,
            // A pod in a namespace that consented for all of its pods, or one that forgot to say what.
            None => {
                let reason = "it has no annotation `mode`, and not exactly one port named `mcp`";
                return Err(if pod.label(&self.name("inject")).is_some() {
                    Stop::skip(reason)
                } else {
                    Stop::quiet(reason)
                });
            }
        };
        let by_name = |name: &str| pod.containers().find(|container| container.name() == name);
        if let Some(name) = &wishes.container {
            let target = by_name(name).ok_or_else(|| {
                Invalid::new(
                    format!("the pod has no container `{name}`"),
                    "give the name of one in the annotation `container`",
                )
            })?;
            return Ok((mode, target));
        }
        let only = |mut containers: Vec<Container<'a>>| {
            (containers.len() == 1).then(|| containers.remove(0))
        };
        let default = pod
            .annotations()
            .and_then(|annotations| annotations.get("kubectl.kubernetes.io/default-container"))
            .and_then(Value::as_str);
        let of_port = (mode == Mode::Server).then(|| only(named)).flatten();
        only(pod.containers().collect())
            .or(of_port)
            .or_else(|| default.and_then(by_name))
            .map(|target| (mode, target))
            .ok_or_else(|| {
                Invalid::new(
                    "the pod has several containers",
                    "name one in the annotation `container`",
                )
                .into()
            })
    }

    fn is_native(&self, wishes: &Wishes) -> Result<bool, Invalid> {
        match wishes.is_native {
            Some(true) if !self.has_native_sidecars => Err(Invalid::new(
                "the pod asks for a native sidecar, and this cluster has none (Kubernetes 1.29 and newer do)",
                "take the annotation `native-sidecar` away",
            )),
            wish => Ok(wish.unwrap_or(self.has_native_sidecars)),
        }
    }
}

/// Whether a container is one of ours, by its name.
fn is_ours(name: &str) -> bool {
    name == NAME
        || name == BIN
        || name
            .strip_prefix(NAME)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn warnings(wishes: &Wishes, mode: Mode, target: &Container<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = wishes
        .unused_in(mode)
        .into_iter()
        .map(|name| {
            format!(
                "the annotation `{name}` means nothing in mode {}",
                mode.word()
            )
        })
        .collect();
    if let (Mode::Stdio, Some(_), false) =
        (mode, &wishes.command, target.value["command"].is_null())
    {
        warnings
            .push("the annotation `command` is not used: the container has a command".to_owned());
    }
    warnings
}

/// A patch in the making.
struct Building<'a> {
    injector: &'a Injector,
    wishes: &'a Wishes,
    pod: Pod<'a>,
    patch: PatchBuilder,
}

impl Building<'_> {
    fn add_volumes(&mut self, copies: bool) -> Result<(), Stop> {
        let list = Pointer::root().keys(["spec", "volumes"]);
        for volume in sidecar::volumes(self.wishes, copies) {
            let is_taken =
                elements(&self.pod.spec()["volumes"]).any(|other| other["name"] == volume["name"]);
            if is_taken {
                return Err(Invalid::new(
                    format!("the pod has a volume named {}", volume["name"]),
                    "rename it; names that begin with mcp-whittle are ours",
                )
                .into());
            }
            self.patch.append(&list, volume)?;
        }
        Ok(())
    }

    fn add_sidecar(&mut self, sidecar: Sidecar) -> Result<(), Stop> {
        let list = if sidecar.is_native {
            "initContainers"
        } else {
            "containers"
        };
        let name = sidecar.name.clone();
        let container = sidecar.container(self.injector, self.wishes, self.pod);
        self.add_container(list, &name, container)
    }

    /// Adds a container of ours, last, or first where that was asked for: then other init
    /// containers can use it. Containers beside the app are always last: the first is what tools take
    /// for the app.
    fn add_container(&mut self, list: &str, name: &str, container: Value) -> Result<(), Stop> {
        let at = Pointer::root().keys(["spec", list]);
        let is_first = self.wishes.is_first && list == "initContainers" && name != BIN;
        if is_first {
            // The n-th sidecar stands behind the ones before it.
            let before = elements(&self.patch.document()["spec"][list])
                .take_while(|other| other["name"].as_str().is_some_and(is_ours))
                .count();
            if before > 0 {
                self.patch.add(&at.index(before), container)?;
            } else {
                self.patch.prepend(&at, container)?;
            }
        } else {
            self.patch.append(&at, container)?;
        }
        Ok(())
    }

    fn mount(&mut self, target: &Container<'_>, mount: Value) -> Result<(), Stop> {
        let is_taken = elements(&target.value["volumeMounts"])
            .any(|other| other["mountPath"] == mount["mountPath"]);
        if is_taken {
            return Err(Invalid::new(
                format!("something is mounted at {} already", mount["mountPath"]),
                "mount it elsewhere",
            )
            .into());
        }
        self.patch.append(&target.at.key("volumeMounts"), mount)?;
        Ok(())
    }

    fn needs_free_ports(&self, ports: &[u16]) -> Result<(), Stop> {
        for (index, port) in ports.iter().enumerate() {
            if ports[..index].contains(port) {
                return Err(Invalid::new(
                    format!("the port {port} would be used twice"),
                    "give other numbers in `listen-port` and `admin-port`",
                )
                .into());
            }
            if self.pod.declares_port(*port, None) {
                return Err(Stop::skip(format!(
                    "a container declares the port {port} that the sidecar needs; the annotations `listen-port` and `admin-port` choose others"
                )));
            }
        }
        Ok(())
    }

    fn add_pull_secrets(&mut self) -> Result<(), Stop> {
        let list = Pointer::root().keys(["spec", "imagePullSecrets"]);
        for name in &self.injector.pull_secrets {
            let is_there =
                elements(&self.pod.spec()["imagePullSecrets"]).any(|other| other["name"] == **name);
            if !is_there {
                self.patch.append(&list, json!({"name": name}))?;
            }
        }
        Ok(())
    }

    /// Says on the pod what was done: a label for selectors, an annotation for people.
    fn sign(&mut self, mode: Mode) -> Result<(), Stop> {
        let metadata = Pointer::root().key("metadata");
        if !self.patch.document()["metadata"].is_object() {
            self.patch.add(&metadata, json!({}))?;
        }
        let status = json!({"v": 1, "mode": mode.word(), "injector": self.injector.version});
        self.patch.set(
            &metadata.key("labels"),
            &self.injector.name("injected"),
            json!("true"),
        )?;
        self.patch.set(
            &metadata.key("annotations"),
            &self.injector.name("status"),
            json!(status.to_string()),
        )?;
        Ok(())
    }
}
