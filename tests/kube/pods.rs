//! Every example of `deploy/` as a running pod: the manifest goes through the webhook, and what comes out is
//! started as processes in one network namespace, each container with a root, a user, variables and volumes
//! of its own, in the order of Kubernetes. Official clients and servers are on the far sides.
//!
//! This needs root, for namespaces and users; without, these tests fail. What a kubelet does besides (pulling
//! images, cgroups, seccomp, endpoints, evictions) is not here.

mod admission;
mod clients;
mod container;
mod kubelet;
mod network;
mod servers;
mod stdio;

use std::ffi::OsStr;
use std::time::Duration;

use container::Container;
use kubelet::Cluster;

use crate::peers_kit::peer_runner;
use crate::peers_kit::process::{Listening, run};

const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long a client may take for its steps.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs an official client in the world, with these options after its name; tells whether all went well.
fn client(cluster: &Cluster, name: &str, options: &[&str]) -> Result<(), String> {
    let runner = peer_runner();
    // A step may wait for a server that starts on a busy machine.
    let first = [
        runner.as_os_str(),
        OsStr::new(name),
        OsStr::new("--limit"),
        OsStr::new("60"),
    ];
    let words: Vec<&OsStr> = first
        .into_iter()
        .chain(options.iter().map(OsStr::new))
        .collect();
    let ended = run(&mut cluster.hosts.command(&cluster.world, &words), LIMIT);
    match ended.code {
        Some(0) => Ok(()),
        _ => Err(format!("{name}: {ended:?}")),
    }
}

/// Lists the tools and calls one, over HTTP.
#[track_caller]
fn lists_and_calls(cluster: &Cluster, name: &str, era: &str, url: &str) {
    let options = ["--era", era, "--steps", "list,call", "--url", url];
    if let Err(told) = client(cluster, name, &options) {
        panic!("{url}: {told}");
    }
}

/// An official server in the world.
fn server(cluster: &Cluster, name: &str, address: &str, env: &[(&str, &OsStr)]) -> Listening {
    let runner = peer_runner();
    let words = [
        runner.as_os_str(),
        OsStr::new(name),
        OsStr::new("--http"),
        OsStr::new(address),
    ];
    let mut command = cluster.hosts.command(&cluster.world, &words);
    Listening::start(command.envs(env.iter().copied()))
}

/// A container of ours has left root, can get nothing back, and sees no token; it can write its state alone.
#[track_caller]
fn is_confined(container: &Container) {
    assert_eq!(container.status("Uid:"), "65532\t65532\t65532\t65532");
    assert_eq!(container.status("Gid:"), "65532\t65532\t65532\t65532");
    assert_eq!(container.status("Groups:"), "");
    assert_eq!(container.status("CapPrm:"), "0000000000000000");
    assert_eq!(container.status("NoNewPrivs:"), "1");
    assert!(container.has_read_only_root());
    assert_eq!(container.names_in(TOKEN_DIR), [""; 0]);
    assert!(!container.names_in("/mcp-whittle-state").is_empty());
}
