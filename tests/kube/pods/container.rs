//! One container as a process: PID 1 of its process namespace, in the pod's network namespace, with a root,
//! a user, variables and mounts of its own. Seccomp, memory limits and cgroups are left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use serde_json::Value;

use super::network::{Hosts, Network};
use crate::kit::{processes, until, within};
use crate::peers_kit::{PROXY, root};

/// What runtimes set where an image says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What stands in for an image.
#[derive(Default)]
pub(super) struct Image {
    /// ENTRYPOINT and CMD.
    pub(super) entrypoint: Vec<String>,
    /// Variables.
    pub(super) env: BTreeMap<String, String>,
    /// The folder that programs start in.
    pub(super) workdir: Option<PathBuf>,
    /// Files and folders by their place in it.
    pub(super) files: Vec<(PathBuf, String)>,
}

impl Image {
    /// The machine's own programs and libraries with an entrypoint.
    pub(super) fn of_machine(entrypoint: &[&str]) -> Self {
        let peers = std::env::var_os("MCP_WHITTLE_PEERS").map(PathBuf::from);
        let peers = peers.unwrap_or_else(|| root().join(".peers"));
        // Where processes and users would be seen is the container's own.
        let own = ["proc", "dev", "sys", "var", "run", "mnt", "media"];
        let mut files: Vec<(PathBuf, String)> = std::fs::read_dir("/")
            .expect("the root")
            .flatten()
            .filter(|entry| !own.iter().any(|own| entry.file_name() == **own))
            .map(|entry| (entry.path(), entry.path().display().to_string()))
            .collect();
        for folder in [root(), peers.as_path()] {
            files.push((folder.to_owned(), folder.display().to_string()));
        }
        let env = [
            (
                "PATH",
                std::env::var("PATH").unwrap_or_default() + ":" + PATH,
            ),
            ("HOME", std::env::var("HOME").unwrap_or_default()),
            ("MCP_WHITTLE_PEERS", peers.display().to_string()),
            ("RUN", root().join("tests/peers/run").display().to_string()),
        ];
        Self {
            entrypoint: entrypoint.iter().map(|word| (*word).to_owned()).collect(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            workdir: None,
            files,
        }
    }

    /// Our own image: the binary and nothing else. The binary under test is not static, so the system's
    /// libraries lie beside it; `deploy/image/verify` runs the static one alone.
    pub(super) fn ours() -> Self {
        let libraries = ["/usr/lib", "/usr/lib64", "/lib", "/lib64"].map(PathBuf::from);
        let mut files: Vec<(PathBuf, String)> = libraries
            .into_iter()
            .filter(|path| path.exists())
            .map(|path| (path.clone(), path.display().to_string()))
            .collect();
        files.push((PROXY.into(), "/mcp-whittle".to_owned()));
        Self {
            entrypoint: vec!["/mcp-whittle".to_owned()],
            files,
            ..Self::default()
        }
    }
}

/// A container that was started.
pub(super) struct Container {
    pub(super) name: String,
    child: Child,
    log: PathBuf,
    /// Where its root is mounted, in its own view only.
    _root: tempfile::TempDir,
}

/// What a container needs besides its own entry.
pub(super) struct Surroundings<'a> {
    pub(super) network: &'a Network,
    pub(super) hosts: &'a Hosts,
    pub(super) image: &'a Image,
    /// Values of its variables.
    pub(super) env: BTreeMap<String, String>,
    /// Folders of the pod's volumes, by name.
    pub(super) volumes: &'a BTreeMap<String, PathBuf>,
    /// Where its output goes.
    pub(super) log: PathBuf,
    /// What it reads and writes if somebody attaches.
    pub(super) attached: Option<(File, File)>,
}

impl Container {
    /// Starts the container of this entry of a pod.
    pub(super) fn start(entry: &Value, around: Surroundings<'_>) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let image = around.image;
        let words = |list: &Value| -> Option<Vec<String>> {
            let words = list.as_array()?.iter();
            Some(
                words
                    .map(|word| expand(word.as_str().unwrap_or_default(), &around.env))
                    .collect(),
            )
        };
        // As in Kubernetes: a `command` replaces ENTRYPOINT and CMD, `args` CMD only.
        let mut program = words(&entry["command"]).unwrap_or_else(|| image.entrypoint.clone());
        program.extend(words(&entry["args"]).unwrap_or_default());
        let context = &entry["securityContext"];
        let user = context["runAsUser"].as_u64();
        let is_read_only = context["readOnlyRootFilesystem"] == true;
        let mut binds: Vec<String> = image
            .files
            .iter()
            .map(|(source, target)| format!("{}:{target}:ro", source.display()))
            .collect();
        binds.push(format!("{}:/etc/hosts:ro", around.hosts.file().display()));
        for mount in entry["volumeMounts"].as_array().into_iter().flatten() {
            let name = mount["name"].as_str().expect("a name");
            let source = around
                .volumes
                .get(name)
                .unwrap_or_else(|| panic!("no volume {name}"));
            let mode = if mount["readOnly"] == true {
                "ro"
            } else {
                "rw"
            };
            let target = mount["mountPath"].as_str().expect("a path");
            binds.push(format!("{}:{target}:{mode}", source.display()));
        }
        let log = File::options().create(true).append(true).open(&around.log);
        let log = log.expect("a log");
        let (stdin, stdout): (Stdio, Stdio) = match around.attached {
            Some((input, output)) => (input.into(), output.into()),
            None => (Stdio::null(), log.try_clone().expect("a log").into()),
        };
        let workdir = image.workdir.as_deref().unwrap_or(Path::new("/"));
        let child = around
            .network
            .command("unshare")
            .args([
                "--pid",
                "--mount",
                "--fork",
                "--kill-child",
                "--propagation=private",
                "--",
            ])
            .arg(crate::peers_kit::root().join("tests/kube/pods/container.sh"))
            .arg(root.path())
            .arg(user.map_or("-".to_owned(), |user| user.to_string()))
            .arg(if is_read_only { "read-only" } else { "-" })
            .arg(workdir)
            .args(binds)
            .arg("--")
            .args(program)
            .env_clear()
            .env("PATH", PATH)
            .envs(&image.env)
            .envs(&around.env)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .expect("nsenter runs");
        Self {
            name: entry["name"].as_str().expect("a name").to_owned(),
            child,
            log: around.log,
            _root: root,
        }
    }

    /// PID 1 of the container, as it is seen from here; only once it is the program itself.
    #[track_caller]
    pub(super) fn process(&self) -> i32 {
        let outer = i32::try_from(self.child.id()).expect("process ids are small");
        until(
            &format!("the program of {}\n{}", self.name, self.log()),
            || {
                let inner = *processes::children_of(outer).first()?;
                let words = std::fs::read(format!("/proc/{inner}/cmdline")).ok()?;
                // Until then it is the script, and what the script becomes on the way.
                let is_on_the_way = words.is_empty()
                    || [&b"unshare\0"[..], b"setpriv\0"]
                        .iter()
                        .any(|start| words.starts_with(start))
                    || words.windows(12).any(|part| part == b"container.sh");
                (!is_on_the_way).then_some(inner)
            },
        )
    }

    /// Sends a signal to PID 1.
    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        processes::signal(self.process(), signal);
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be waited for")
    }

    /// Waits for its end for as long as Kubernetes would, then kills it.
    pub(super) fn end(&mut self, grace: std::time::Duration) -> ExitStatus {
        if let Some(status) = within(grace, || self.ended()) {
            return status;
        }
        self.signal(rustix::process::Signal::KILL);
        until("the end of a killed container", || self.ended())
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A line of `/proc/PID/status`.
    pub(super) fn status(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the line").trim().to_owned()
    }

    /// The value of a variable that the process was started with.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let environment = std::fs::read(format!("/proc/{}/environ", self.process()));
        let environment = String::from_utf8(environment.expect("it runs")).expect("UTF-8");
        let mut entries = environment.split('\0');
        entries.find_map(|entry| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }

    /// Names in a folder as the container sees it.
    pub(super) fn names_in(&self, folder: &str) -> Vec<String> {
        let path = format!("/proc/{}/root{folder}", self.process());
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Whether its root can be written.
    pub(super) fn has_read_only_root(&self) -> bool {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.process()));
        let mounts = mounts.expect("it runs");
        let root = mounts
            .lines()
            .find(|line| line.split(' ').nth(4) == Some("/"));
        let options = root.and_then(|line| line.split(' ').nth(5));
        options.is_some_and(|options| options.split(',').any(|option| option == "ro"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its PID 1 dies with it, and everything in there with that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts values in the place of `$(NAME)`, as Kubernetes does in arguments.
pub(super) fn expand(word: &str, env: &BTreeMap<String, String>) -> String {
    env.iter().fold(word.to_owned(), |word, (name, value)| {
        word.replace(&format!("$({name})"), value)
    })
}
