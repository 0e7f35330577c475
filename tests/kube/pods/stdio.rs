//! Shape `stdio`: the program is copied into the app's container and runs its command.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::super::invariants::lookup;
use super::super::stage::Webhook;
use super::admission::injected;
use super::client;
use super::container::Image;
use super::kubelet::{Cluster, Order, Pod};
use super::network::POD;
use crate::kit::processes;
use crate::peers_kit::account::proof;

#[test]
fn an_attached_client_reaches_a_wrapped_server() {
    let proof = proof("kube::pods::stdio::an_attached_client_reaches_a_wrapped_server");
    let webhook = Webhook::start(&[]);
    let mut image = Image::of_machine(&[]);
    let peers = image.env["MCP_WHITTLE_PEERS"].clone();
    let folder = "npm-v1/node_modules/@modelcontextprotocol/server-everything";
    image.workdir = Some(std::path::Path::new(&peers).join(folder));
    let cluster = Cluster::new(&[], "registry.example.com/everything-mcp:1", image);
    let entry = injected(&webhook, "stdio-wrap.yaml");
    proof.ran("kubectl", 1);
    let pod = Pod::start(&cluster, &entry, Order::Kubernetes);
    let attach = pod.attach();
    let mut options = vec!["--era", "legacy", "--steps", "list,call", "--stdio", "--"];
    options.extend(attach.iter().map(String::as_str));
    client(&cluster, "client-ts1", &options).unwrap_or_else(|told| {
        panic!("{told}\n{}", pod.container("server").log());
    });
    // PID 1 is ours, from the folder that the app cannot write; the server is its child.
    let server = pod.container("server");
    let program = std::fs::read_link(format!("/proc/{}/exe", server.process()));
    assert!(program.is_ok_and(|program| program.ends_with("mcp-whittle-bin/mcp-whittle")));
    assert_eq!(server.names_in("/mcp-whittle-bin"), ["mcp-whittle"]);
    let children = processes::children_of(server.process());
    let words = |process: &i32| std::fs::read_to_string(format!("/proc/{process}/cmdline"));
    assert!(
        children
            .iter()
            .any(|child| words(child).is_ok_and(|words| words == "node\0dist/index.js\0"))
    );
    assert_eq!(
        pod.delete(),
        [
            "mcp-whittle-bin starts",
            "mcp-whittle-bin ended with 0",
            "server starts",
            "server gets SIGTERM",
            // As of any program in a pipe.
            "server ended with 143"
        ]
    );
    assert!(!children.iter().any(|child| processes::is_alive(*child)));
    proof.ran("ts-sdk-v1", 1);
    proof.ran("server-everything", 1);
    proof.close();
}

#[test]
fn a_stdio_server_is_offered_over_http() {
    let proof = proof("kube::pods::stdio::a_stdio_server_is_offered_over_http");
    let webhook = Webhook::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let (bin, repository) = (folder.path().join("bin"), folder.path().join("repository"));
    std::fs::create_dir(&bin).expect("a folder");
    let program = bin.join("mcp-server-git");
    std::fs::write(&program, "#!/bin/sh\nexec \"$RUN\" server-git \"$@\"\n")
        .expect("it is written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("a mode");
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .arg(&repository)
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let mut image = Image::of_machine(&[]);
    image.files.push((bin, "/image/bin".to_owned()));
    image.files.push((repository, "/repository".to_owned()));
    let path = format!("/image/bin:{}", image.env["PATH"]);
    image.env.insert("PATH".to_owned(), path);
    let cluster = Cluster::new(&[("git", POD)], "registry.example.com/git-mcp:1", image);
    let entry = injected(&webhook, "stdio-http.yaml");
    proof.ran("kubectl", 1);
    let pod = Pod::start(&cluster, &entry, Order::Kubernetes);
    pod.wait_ready();
    let (owner, port) = lookup(&entry, "mcp").expect("the name leads somewhere");
    assert_eq!((owner.as_str(), port), ("server", 8080));
    let call = r#"{"call":{"name":"git_status","arguments":{"repo_path":"/repository"},"expect":"No commits yet"}}"#;
    let url = format!("http://git:{port}/mcp");
    for (name, era) in [("client-ts1", "legacy"), ("client-py2", "modern")] {
        let options = [
            "--era",
            era,
            "--steps",
            "list,call",
            "--names",
            call,
            "--url",
            &url,
        ];
        client(&cluster, name, &options).unwrap_or_else(|told| {
            panic!("{told}\n{}", pod.container("server").log());
        });
    }
    assert_eq!(
        pod.delete(),
        [
            "mcp-whittle-bin starts",
            "mcp-whittle-bin ended with 0",
            "server starts",
            "server gets SIGTERM",
            "server ended with 0"
        ]
    );
    proof.ran("ts-sdk-v1", 1);
    proof.ran("py-sdk-v2", 1);
    proof.ran("mcp-server-git", 2);
    proof.close();
}
