//! Shape `server`: by name, and by number on the pod's address.

use super::super::invariants::lookup;
use super::super::stage::Webhook;
use super::admission::{injected, plain};
use super::container::Image;
use super::kubelet::{Cluster, Order, Pod};
use super::network::POD;
use super::{TOKEN_DIR, client, is_confined, lists_and_calls};
use crate::peers_kit::account::proof;

/// Servers of the SDK do not end on SIGTERM as PID 1; an image for Kubernetes has something that sees to it.
const NAMED: &str = r#"trap 'kill $server; wait $server; exit 0' TERM
"$RUN" server-ts1 --http 0.0.0.0:8080 & server=$!
wait $server"#;

#[test]
fn a_service_leads_to_the_sidecar_of_a_named_port() {
    let proof = proof("kube::pods::servers::a_service_leads_to_the_sidecar_of_a_named_port");
    let webhook = Webhook::start(&[]);
    let image = Image::of_machine(&["sh", "-c", NAMED]);
    let cluster = Cluster::new(&[("docs", POD)], "registry.example.com/docs-mcp:1", image);
    let entry = injected(&webhook, "server-named-port.yaml");
    proof.ran("kubectl", 1);
    let mut pod = Pod::start(&cluster, &entry, Order::Kubernetes);
    pod.wait_ready();
    assert_eq!(
        pod.events,
        [
            "mcp-whittle starts",
            "mcp-whittle passed its startup probe",
            "server starts"
        ]
    );
    let (owner, port) = lookup(&entry, "mcp").expect("the name leads somewhere");
    assert_eq!(owner, "mcp-whittle");
    let url = format!("http://docs:{port}/mcp");
    lists_and_calls(&cluster, "client-ts1", "legacy", &url);
    lists_and_calls(&cluster, "client-py1", "legacy", &url);
    // A modern client reaches the legacy server, which it could not do alone.
    lists_and_calls(&cluster, "client-py2", "modern", &url);
    let direct = [
        "--era",
        "modern",
        "--steps",
        "list",
        "--url",
        "http://docs:8080/mcp",
    ];
    assert!(client(&cluster, "client-py2", &direct).is_err());
    is_confined(pod.container("mcp-whittle"));
    assert_eq!(pod.container("server").names_in(TOKEN_DIR), ["token"]);
    assert!(
        std::fs::read_dir(pod.volume("mcp-whittle-state"))
            .is_ok_and(|mut state| state.next().is_some())
    );

    // A sidecar that is killed is started again; the app does not notice, and clients begin anew.
    let app = pod.container("server").process();
    pod.kill("mcp-whittle");
    pod.wait_ready();
    lists_and_calls(&cluster, "client-ts1", "legacy", &url);
    assert_eq!(pod.container("server").process(), app);

    let events = pod.delete();
    assert_eq!(
        events[3..],
        [
            "mcp-whittle is killed",
            "mcp-whittle starts",
            "server gets SIGTERM",
            "server ended with 0",
            "mcp-whittle gets SIGTERM",
            "mcp-whittle ended with 0"
        ]
    );

    // Without the webhook the same name leads to the server itself.
    let entry = plain("server-named-port.yaml");
    let (owner, port) = lookup(&entry, "mcp").expect("the name leads somewhere");
    assert_eq!((owner.as_str(), port), ("server", 8080));
    drop(cluster);
    let image = Image::of_machine(&["sh", "-c", NAMED]);
    let cluster = Cluster::new(&[("docs", POD)], "registry.example.com/docs-mcp:1", image);
    let pod = Pod::start(&cluster, &entry, Order::Kubernetes);
    pod.wait_ready();
    lists_and_calls(
        &cluster,
        "client-ts1",
        "legacy",
        &format!("http://docs:{port}/mcp"),
    );
    assert_eq!(
        pod.delete(),
        [
            "server starts",
            "server gets SIGTERM",
            "server ended with 0"
        ]
    );
    proof.ran("ts-sdk-v1", 3);
    proof.ran("py-sdk-v1", 1);
    proof.ran("py-sdk-v2", 1);
    proof.close();
}

#[test]
fn a_server_on_loopback_is_reached_at_the_pods_address() {
    let proof = proof("kube::pods::servers::a_server_on_loopback_is_reached_at_the_pods_address");
    let webhook = Webhook::start(&[]);
    let name = "registry.example.com/notes-mcp:1";
    let image = || {
        Image::of_machine(&[
            "sh",
            "-c",
            r#"exec "$RUN" server-py1 --http 127.0.0.1:8000"#,
        ])
    };
    let url = "http://notes:8000/mcp";
    {
        // Nobody reaches it without.
        let cluster = Cluster::new(&[("notes", POD)], name, image());
        let pod = Pod::start(&cluster, &plain("server-loopback.yaml"), Order::Kubernetes);
        crate::kit::until_true("the server listens", || {
            pod.network.connects("127.0.0.1", 8000)
        });
        assert!(!cluster.world.connects(POD, 8000));
    }
    let cluster = Cluster::new(&[("notes", POD)], name, image());
    let entry = injected(&webhook, "server-loopback.yaml");
    proof.ran("kubectl", 1);
    let pod = Pod::start(&cluster, &entry, Order::Kubernetes);
    pod.wait_ready();
    crate::kit::until_true("the server listens", || {
        pod.network.connects("127.0.0.1", 8000)
    });
    lists_and_calls(&cluster, "client-ts1", "legacy", url);
    lists_and_calls(&cluster, "client-py1", "legacy", url);
    is_confined(pod.container("mcp-whittle"));
    assert_eq!(
        pod.delete(),
        [
            "mcp-whittle starts",
            "mcp-whittle passed its startup probe",
            "server starts",
            "server gets SIGTERM",
            "server ended with 0",
            "mcp-whittle gets SIGTERM",
            "mcp-whittle ended with 0"
        ]
    );
    proof.ran("ts-sdk-v1", 1);
    proof.ran("py-sdk-v1", 1);
    proof.close();
}
