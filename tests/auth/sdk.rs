//! Unmodified official clients with a bearer token, in both eras.

use std::time::Duration;

use super::issuer::{Issuer, settings};
use crate::kit::{Proxy, ScriptedServer};
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{CLIENTS, driver};

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn official_clients_bring_their_tokens() {
    let proof = proof("auth::sdk::official_clients_bring_their_tokens");
    let issuer = Issuer::new();
    let folder = tempfile::tempdir().expect("a folder");
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, issuer.keys("").to_string()).expect("the keys");
    let server = ScriptedServer::new("tool echo");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings(&settings(&jwks.display().to_string()))
        .start();
    let url = format!("http://{}/mcp", proxy.address());
    for client in CLIENTS.iter().filter(|client| client.peer != "rmcp") {
        for (token, is_good) in [
            (issuer.token("ann"), true),
            (Issuer::new().token("ann"), false),
        ] {
            let mut command = driver(client.driver);
            command.env("DRIVER_BEARER", &token);
            command.args(["--era", client.era, "--url", &url, "--steps", "list,call"]);
            command.args(["--limit", "30"]);
            let ended = run(&mut command, LIMIT);
            let (name, era) = (client.driver, client.era);
            assert_eq!(ended.code == Some(0), is_good, "{name} {era}: {ended:#?}");
        }
        proof.ran(client.peer, 1);
    }
    proof.close();
}
