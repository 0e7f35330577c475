//! The kubelet's part: containers of a pod start, are probed, are started again and end in Kubernetes' order.
//! Sources: Kubernetes "Sidecar Containers", "Pod Lifecycle"; API v1 `Probe`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::container::{Container, Image, Surroundings, expand};
use super::network::{Hosts, Network, POD};
use crate::kit::{GUARD, until, until_true, within};

/// What a pod meets in its cluster.
pub(super) struct Cluster {
    /// Where clients and servers outside of the pod are.
    pub(super) world: Network,
    pub(super) hosts: Hosts,
    /// By the name in `image`, without what stands for ours.
    pub(super) images: BTreeMap<&'static str, Image>,
    pub(super) ours: Image,
    /// Values by Secret and key.
    pub(super) secrets: BTreeMap<(&'static str, &'static str), String>,
}

impl Cluster {
    pub(super) fn new(hosts: &[(&str, &str)], image: &'static str, program: Image) -> Self {
        Self {
            world: Network::world(),
            hosts: Hosts::new(hosts),
            images: BTreeMap::from([(image, program)]),
            ours: Image::ours(),
            secrets: BTreeMap::new(),
        }
    }
}

/// Which containers start first.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    /// As Kubernetes does it.
    Kubernetes,
    /// The app before the sidecars, for an app that ends: what must not work, so that a test can show that it sees the difference.
    AppFirst,
}

/// A running pod.
pub(super) struct Pod<'a> {
    cluster: &'a Cluster,
    pub(super) network: Network,
    spec: Value,
    folder: TempDir,
    volumes: BTreeMap<String, PathBuf>,
    sidecars: Vec<Container>,
    apps: Vec<Container>,
    /// What happened, in order.
    pub(super) events: Vec<String>,
}

impl<'a> Pod<'a> {
    /// Starts a pod; returns when its app containers were started.
    pub(super) fn start(cluster: &'a Cluster, pod: &Value, order: Order) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = pod["spec"].clone();
        let mut volumes = BTreeMap::new();
        for volume in list(&spec, "volumes") {
            let name = volume["name"].as_str().expect("a name").to_owned();
            let path = folder.path().join(&name);
            std::fs::create_dir(&path).expect("a volume");
            if volume["projected"].is_object() {
                std::fs::write(path.join("token"), "a token of the account")
                    .expect("it is written");
            } else {
                assert!(volume["emptyDir"].is_object(), "{volume}");
                // As the kubelet makes them.
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
                std::fs::set_permissions(&path, mode).expect("a mode");
            }
            volumes.insert(name, path);
        }
        let mut pod = Self {
            network: cluster.world.beside(),
            cluster,
            spec,
            folder,
            volumes,
            sidecars: Vec::new(),
            apps: Vec::new(),
            events: Vec::new(),
        };
        if order == Order::AppFirst {
            pod.start_apps();
            pod.end_apps();
        }
        pod.start_init();
        if order == Order::Kubernetes {
            pod.start_apps();
        }
        pod
    }

    fn start_init(&mut self) {
        for entry in list(&self.spec.clone(), "initContainers") {
            let mut container = self.start_container(entry);
            let name = container.name.clone();
            if entry["restartPolicy"] == "Always" {
                let probe = &entry["startupProbe"];
                until_true(&format!("{name} is started\n{}", container.log()), || {
                    let ended = container.ended();
                    assert!(ended.is_none(), "{name}: {ended:?}\n{}", container.log());
                    self.probe(entry, probe)
                });
                self.events.push(format!("{name} passed its startup probe"));
                self.sidecars.push(container);
            } else {
                let status = until(&format!("the end of {name}"), || container.ended());
                assert!(status.success(), "{name}: {status}\n{}", container.log());
                self.events.push(format!("{name} ended with 0"));
            }
        }
    }

    fn start_apps(&mut self) {
        for entry in list(&self.spec.clone(), "containers") {
            let container = self.start_container(entry);
            self.apps.push(container);
        }
    }

    fn start_container(&mut self, entry: &Value) -> Container {
        let name = entry["name"].as_str().expect("a name");
        let image = entry["image"].as_str().expect("an image");
        let image = match self.cluster.images.get(image) {
            Some(image) => image,
            None => {
                assert!(image.starts_with("mcp-whittle:"), "{image}");
                &self.cluster.ours
            }
        };
        let attached = (entry["stdin"] == true).then(|| self.pipes());
        self.events.push(format!("{name} starts"));
        let around = Surroundings {
            network: &self.network,
            hosts: &self.cluster.hosts,
            image,
            env: self.variables(entry),
            volumes: &self.volumes,
            log: self.folder.path().join(format!("{name}.log")),
            attached,
        };
        Container::start(entry, around)
    }

    /// Pipes with names, which `attach` opens too. Both ends are held open, as the kubelet does.
    fn pipes(&self) -> (File, File) {
        let open = |name: &str| {
            let path = self.folder.path().join(name);
            let mode = rustix::fs::Mode::from_bits_truncate(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
                .expect("a pipe");
            File::options()
                .read(true)
                .write(true)
                .open(&path)
                .expect("a pipe")
        };
        (open("stdin"), open("stdout"))
    }

    /// The words that attach to a container: its input and output become theirs.
    pub(super) fn attach(&self) -> Vec<String> {
        let (input, output) = (
            self.folder.path().join("stdin"),
            self.folder.path().join("stdout"),
        );
        let script = format!("cat {} & exec cat > {}", output.display(), input.display());
        ["sh", "-c", &script].map(str::to_owned).to_vec()
    }

    fn variables(&self, entry: &Value) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for variable in entry["env"].as_array().into_iter().flatten() {
            let from = &variable["valueFrom"];
            let value = if from["fieldRef"]["fieldPath"] == "status.podIP" {
                POD.to_owned()
            } else if let Some(key) = from["secretKeyRef"].as_object() {
                let key = (
                    key["name"].as_str().unwrap_or(""),
                    key["key"].as_str().unwrap_or(""),
                );
                self.cluster.secrets[&key].clone()
            } else {
                assert!(from.is_null(), "{from}");
                expand(variable["value"].as_str().unwrap_or_default(), &found)
            };
            found.insert(variable["name"].as_str().expect("a name").to_owned(), value);
        }
        found
    }

    /// Runs a probe once, from outside of the pod.
    fn probe(&self, entry: &Value, probe: &Value) -> bool {
        let kind = ["httpGet", "tcpSocket"]
            .into_iter()
            .find(|kind| probe[*kind].is_object());
        let Some(kind) = kind else {
            return true;
        };
        let port = &probe[kind]["port"];
        let named = || list(entry, "ports").find(|known| known["name"] == *port);
        let port = port.as_u64().or_else(|| named()?["containerPort"].as_u64());
        let port = port.expect("a port");
        match probe[kind]["path"].as_str() {
            Some(path) => {
                let status = self.cluster.world.get(POD, port, path);
                status.is_some_and(|status| (200..400).contains(&status))
            }
            None => self.cluster.world.connects(POD, port),
        }
    }

    /// Waits until every container is ready, its sidecars among them.
    #[track_caller]
    pub(super) fn wait_ready(&self) {
        let spec = &self.spec;
        let natives =
            list(spec, "initContainers").filter(|entry| entry["restartPolicy"] == "Always");
        for entry in list(spec, "containers").chain(natives) {
            let name = entry["name"].as_str().expect("a name");
            let log = self.container(name).log();
            until_true(&format!("{name} is ready\n{log}"), || {
                self.probe(entry, &entry["readinessProbe"])
            });
        }
    }

    /// Kills a sidecar as the kernel does that is short of memory, and starts it again, as its
    /// `restartPolicy` says.
    #[track_caller]
    pub(super) fn kill(&mut self, name: &str) {
        let natives: Vec<Value> = list(&self.spec, "initContainers").cloned().collect();
        let mut sidecars = self.sidecars.iter();
        let place = sidecars
            .position(|one| one.name == name)
            .expect("a sidecar");
        self.sidecars[place].signal(Signal::KILL);
        let status = until("its end", || self.sidecars[place].ended());
        assert!(!status.success());
        self.events.push(format!("{name} is killed"));
        let mut entries = natives.iter();
        let entry = entries
            .find(|entry| entry["name"] == *name)
            .expect("its entry");
        self.sidecars[place] = self.start_container(entry);
    }

    #[track_caller]
    pub(super) fn container(&self, name: &str) -> &Container {
        let mut all = self.sidecars.iter().chain(&self.apps);
        all.find(|container| container.name == name)
            .expect("a running container")
    }

    /// The folder of a volume.
    pub(super) fn volume(&self, name: &str) -> &PathBuf {
        &self.volumes[name]
    }

    /// Waits until the app ends by itself, as in a Job, then ends the sidecars.
    #[track_caller]
    pub(super) fn finish(mut self) -> Vec<String> {
        self.end_apps();
        self.end_sidecars()
    }

    /// Waits until the app ends by itself.
    #[track_caller]
    pub(super) fn end_apps(&mut self) -> &Self {
        for mut container in std::mem::take(&mut self.apps) {
            let status = within(GUARD, || container.ended());
            let status = status.unwrap_or_else(|| panic!("it does not end\n{}", container.log()));
            self.events
                .push(format!("{} ended with {}", container.name, code(status)));
            if !status.success() {
                self.events.push(container.log());
            }
        }
        self
    }

    /// Ends the pod as a deletion does: SIGTERM to the app, and to the sidecars only after it has ended.
    #[track_caller]
    pub(super) fn delete(mut self) -> Vec<String> {
        for container in &self.apps {
            container.signal(Signal::TERM);
            self.events.push(format!("{} gets SIGTERM", container.name));
        }
        let grace = self.spec["terminationGracePeriodSeconds"].as_u64();
        let grace = Duration::from_secs(grace.unwrap_or(30));
        for mut container in std::mem::take(&mut self.apps) {
            let status = container.end(grace);
            self.events
                .push(format!("{} ended with {}", container.name, code(status)));
        }
        self.end_sidecars()
    }

    /// One after the other, the last one first; nobody waits for less than the grace here, so a sidecar
    /// that does not go by itself is seen.
    fn end_sidecars(mut self) -> Vec<String> {
        for mut container in std::mem::take(&mut self.sidecars).into_iter().rev() {
            container.signal(Signal::TERM);
            self.events.push(format!("{} gets SIGTERM", container.name));
            let status = container.end(Duration::from_secs(15));
            self.events
                .push(format!("{} ended with {}", container.name, code(status)));
        }
        std::mem::take(&mut self.events)
    }
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

/// An exit code as Kubernetes tells it.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(-1)
}
