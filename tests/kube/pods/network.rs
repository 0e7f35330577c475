//! Network namespaces: one for each pod, and the world around it, joined by a pair of interfaces. Nothing
//! leaves them.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::kit::until_true;

/// Where the world's servers listen.
pub(super) const WORLD: &str = "10.77.0.1";
/// The pod's address.
pub(super) const POD: &str = "10.77.0.2";

/// A network namespace, kept by a process that sleeps.
pub(super) struct Network {
    keeper: Child,
}

impl Network {
    /// Makes one with loopback.
    ///
    /// # Panics
    /// Where namespaces cannot be made, so that nothing passes unseen.
    pub(super) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "pods need namespaces, and users of their own in them\nhint: run this test as root, on Linux with unshare, nsenter, setpriv and ip"
        );
        let keeper = Command::new("unshare")
            .args(["--net", "--", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare runs");
        let network = Self { keeper };
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        until_true("a network namespace", || {
            of(&network.keeper.id().to_string()).is_some_and(|found| Some(found) != of("self"))
        });
        network.ip(&["link", "set", "lo", "up"]);
        network
    }

    /// The world: servers listen at its address before there is a pod.
    pub(super) fn world() -> Self {
        let world = Self::new();
        world.ip(&["addr", "add", WORLD, "dev", "lo"]);
        world
    }

    /// Makes that of a pod, which reaches the world and is reached from it.
    pub(super) fn beside(&self) -> Self {
        let pod = Self::new();
        let into = pod.keeper.id().to_string();
        let pair = [
            "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns",
        ];
        self.ip(&[&pair[..], &[&into]].concat());
        pod.ip(&["addr", "add", &format!("{POD}/24"), "dev", "eth0"]);
        pod.ip(&["link", "set", "eth0", "up"]);
        self.ip(&["link", "set", "eth1", "up"]);
        self.ip(&["route", "add", POD, "dev", "eth1", "src", WORLD]);
        pod
    }

    /// A command that runs inside.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.keeper.id()))
            .arg("--")
            .arg(program);
        command
    }

    fn ip(&self, words: &[&str]) {
        let output = self.command("ip").args(words).output();
        let output = output.expect("nsenter runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {words:?}: {told}");
    }

    /// Asks as the kubelet's probes do; the status, or nothing without an answer.
    pub(super) fn get(&self, address: &str, port: u64, path: &str) -> Option<u16> {
        const ASK: &str = r#"exec 3<>"/dev/tcp/$1/$2" || exit 1
            printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&3
            read -r _ status _ <&3 && echo "$status""#;
        let port = port.to_string();
        let words = ["5", "bash", "-c", ASK, "probe", address, &port, path];
        let output = self.command("timeout").args(words).output();
        let output = output.expect("nsenter runs");
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    }

    /// Whether something accepts connections there.
    pub(super) fn connects(&self, address: &str, port: u64) -> bool {
        let open = format!("exec 3<>/dev/tcp/{address}/{port}");
        let words = ["5", "bash", "-c", &open];
        let output = self.command("timeout").args(words).output();
        output.expect("nsenter runs").status.success()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Names that programs find in `/etc/hosts`, as the cluster's name service would give them.
pub(super) struct Hosts(TempDir);

impl Hosts {
    pub(super) fn new(names: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = names
            .iter()
            .map(|(name, address)| format!("{address} {name}\n"));
        let text = "127.0.0.1 localhost\n".to_owned() + &lines.collect::<String>();
        std::fs::write(folder.path().join("hosts"), text).expect("it is written");
        Self(folder)
    }

    pub(super) fn file(&self) -> std::path::PathBuf {
        self.0.path().join("hosts")
    }

    /// A command in a network that knows these names.
    pub(super) fn command(&self, network: &Network, words: &[&OsStr]) -> Command {
        const MOUNT: &str = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
        let mut command = network.command("unshare");
        command
            .args(["--mount", "--", "sh", "-c", MOUNT])
            .arg(self.file())
            .args(words);
        command
    }
}
