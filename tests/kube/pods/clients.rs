//! Shape `client`: an agent and a job whose variables are turned to sidecars.

use std::ffi::OsStr;

use rustix::process::Signal;

use super::super::stage::Webhook;
use super::admission::injected;
use super::container::Image;
use super::kubelet::{Cluster, Order, Pod};
use super::network::{POD, WORLD};
use super::{is_confined, server};
use crate::kit::authority::Authority;
use crate::kit::until_true;
use crate::peers_kit::account::proof;

/// Uses both servers as soon as it starts, and the first one again when it is told to end.
const AGENT: &str = r#"search() { "$RUN" client-ts1 --era legacy --steps list,call --url "$SEARCH_MCP_URL"; }
files() { "$RUN" client-py1 --era legacy --steps list,call --url "$FILES_MCP_URL"; }
trap 'search && exit 0; exit 9' TERM
trap 'search && echo again' USR1
search || exit 3
files || exit 4
echo served
while :; do sleep 0.1; done"#;

#[test]
fn an_agents_variables_lead_through_its_sidecars() {
    let proof = proof("kube::pods::clients::an_agents_variables_lead_through_its_sidecars");
    let webhook = Webhook::start(&[]);
    let hosts = [("search.example.com", WORLD), ("files.default.svc", WORLD)];
    let image = Image::of_machine(&["sh", "-c", AGENT]);
    let mut cluster = Cluster::new(&hosts, "registry.example.com/agent:1", image);
    let files = "http://files.default.svc/mcp";
    cluster
        .secrets
        .insert(("agent", "files-url"), files.to_owned());
    // One server is behind TLS. What trusts it is part of the image, as the roots of the system are.
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let pem = authority.leaf_for("search.example.com");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path
    };
    let (certificate, key) = (write("crt", &pem.certificate), write("key", &pem.key));
    let roots = write("roots", &authority.pem());
    let place = "/etc/ssl/certs/ca-certificates.crt".to_owned();
    cluster.ours.files.push((roots, place));
    let tls: [(&str, &OsStr); 2] = [
        ("SERVER_CERT", certificate.as_os_str()),
        ("SERVER_KEY", key.as_os_str()),
    ];
    let _search = server(&cluster, "server-ts1", &format!("{WORLD}:443"), &tls);
    let _files = server(&cluster, "server-ts1", &format!("{WORLD}:80"), &[]);

    let entry = injected(&webhook, "client-agent.yaml");
    proof.ran("kubectl", 1);
    let mut pod = Pod::start(&cluster, &entry, Order::Kubernetes);
    pod.wait_ready();
    until_true(
        &format!("both servers are used\n{}", pod.container("agent").log()),
        || pod.container("agent").log().contains("served"),
    );
    // Each knows what it must and no more: the agent no real URL, a sidecar not the other's.
    let agent = pod.container("agent");
    for (name, port) in [("SEARCH_MCP_URL", 15181), ("FILES_MCP_URL", 15182)] {
        let url = format!("http://127.0.0.1:{port}/mcp");
        assert_eq!(agent.variable(name), Some(url));
        assert!(
            !cluster.world.connects(POD, port),
            "only the pod itself is let in"
        );
        assert!(pod.network.connects("127.0.0.1", port));
    }
    for (name, url) in [
        ("mcp-whittle", "https://search.example.com/mcp"),
        ("mcp-whittle-2", files),
    ] {
        let sidecar = pod.container(name);
        assert_eq!(
            sidecar.variable("MCP_WHITTLE_UPSTREAM").as_deref(),
            Some(url)
        );
        is_confined(sidecar);
    }
    // A sidecar that was killed serves the agent again.
    pod.kill("mcp-whittle");
    pod.wait_ready();
    pod.container("agent").signal(Signal::USR1);
    until_true("the agent is served again", || {
        pod.container("agent").log().contains("again")
    });

    // On the way out the agent still reaches its servers: the sidecars go after it, the last one first.
    let events = pod.delete();
    assert_eq!(
        events,
        [
            "mcp-whittle starts",
            "mcp-whittle passed its startup probe",
            "mcp-whittle-2 starts",
            "mcp-whittle-2 passed its startup probe",
            "agent starts",
            "mcp-whittle is killed",
            "mcp-whittle starts",
            "agent gets SIGTERM",
            "agent ended with 0",
            "mcp-whittle-2 gets SIGTERM",
            "mcp-whittle-2 ended with 0",
            "mcp-whittle gets SIGTERM",
            "mcp-whittle ended with 0"
        ]
    );
    proof.ran("ts-sdk-v1", 3);
    proof.ran("py-sdk-v1", 1);
    proof.close();
}

/// One try, as a job makes it.
const JOB: &str = r#"exec "$RUN" client-py1 --era legacy --steps list,call --url "$DOCS_MCP_URL""#;

#[test]
fn a_job_ends_and_so_does_its_sidecar() {
    let proof = proof("kube::pods::clients::a_job_ends_and_so_does_its_sidecar");
    let webhook = Webhook::start(&[]);
    let entry = injected(&webhook, "client-job.yaml");
    proof.ran("kubectl", 1);
    let run = |order| {
        let image = Image::of_machine(&["sh", "-c", JOB]);
        let hosts = [("docs.default.svc", WORLD)];
        let cluster = Cluster::new(&hosts, "registry.example.com/report:1", image);
        let _docs = server(&cluster, "server-ts1", &format!("{WORLD}:80"), &[]);
        Pod::start(&cluster, &entry, order).finish()
    };
    assert_eq!(
        run(Order::Kubernetes),
        [
            "mcp-whittle starts",
            "mcp-whittle passed its startup probe",
            "report starts",
            "report ended with 0",
            "mcp-whittle gets SIGTERM",
            "mcp-whittle ended with 0"
        ]
    );
    proof.ran("ts-sdk-v1", 1);
    proof.ran("py-sdk-v1", 1);
    proof.close();
}

/// The order matters, and these tests see it: a job that starts before its sidecar fails.
#[test]
fn a_job_before_its_sidecar_fails() {
    let webhook = Webhook::start(&[]);
    let entry = injected(&webhook, "client-job.yaml");
    // One connection, before anything of ours can listen.
    let once = r#"url=${DOCS_MCP_URL#http://} && exec bash -c "exec 3<>/dev/tcp/${url%%:*}/15181""#;
    let run = |order| {
        let image = Image::of_machine(&["sh", "-c", once]);
        let cluster = Cluster::new(&[], "registry.example.com/report:1", image);
        let mut pod = Pod::start(&cluster, &entry, order);
        pod.end_apps()
            .events
            .contains(&"report ended with 0".to_owned())
    };
    assert!(run(Order::Kubernetes));
    assert!(!run(Order::AppFirst));
}
