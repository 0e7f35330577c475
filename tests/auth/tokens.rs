//! Tokens of a file, whose session is whose, and whose results.

use rustix::process::Signal;
use serde_json::json;

use mcp_whittle::store::Store;
use mcp_whittle::store::results::{Meta, ResultOptions, ResultStore};

use super::caller::Caller;
use crate::kit::{Proxy, ScriptedServer, processes, until_true};

const ANN: &str = "ann-0123456789abcdef";
const ANN_TOO: &str = "ann-fedcba9876543210";
const BOB: &str = "bob-0123456789abcdef";

#[test]
fn a_session_or_a_result_of_another_looks_as_if_it_were_not_there() {
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let state = tempfile::tempdir().expect("a state folder");
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, format!("ann: {ANN}\nann: {ANN_TOO}\nbob: {BOB}\n")).expect("a file");
    let kept = {
        let store = Store::open(state.path()).expect("a state folder");
        let results = ResultStore::open(Some(&store), ResultOptions::default()).expect("results");
        let text = json!({"content": [{"type": "text", "text": "secret of ann ".repeat(50)}]});
        results
            .put("token:ann", text.to_string().as_bytes(), &Meta::default())
            .expect("kept")
            .to_string()
    };
    let proxy = Proxy::wrap(&server)
        .listening()
        .state(state.path())
        .options("--result-cap 600 --auth-tokens")
        .option(&tokens.display().to_string())
        .start();
    let address = proxy.address();
    let (ann, bob) = (Caller::bearer(address, ANN), Caller::bearer(address, BOB));
    let (of_ann, of_bob) = (ann.open(), bob.open());
    let list = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"});

    // Both of her tokens name one principal.
    Caller::bearer(address, ANN_TOO)
        .in_session(&of_ann, &list)
        .expect(200);
    let unknown = bob.in_session("0123456789abcdef", &list).expect(404).text();
    for (what, response) in [
        ("POST", bob.in_session(&of_ann, &list)),
        ("GET", bob.bare("GET", &of_ann)),
        ("DELETE", bob.bare("DELETE", &of_ann)),
    ] {
        assert_eq!(response.status, 404, "{what}");
        if what == "POST" {
            assert_eq!(
                response.text(),
                unknown,
                "it says nothing that an unknown one would not"
            );
        }
    }
    ann.in_session(&of_ann, &list).expect(200);
    let stream = ann.bare("GET", &of_ann).expect(200);
    stream.hang_up();

    // Handles, in a session and without one.
    bob.in_session(&of_bob, &list).expect(200);
    let arguments = json!({"handle": kept});
    let uri = format!("whittle://results/{kept}");
    let read =
        json!({"jsonrpc": "2.0", "id": 4, "method": "resources/read", "params": {"uri": uri}});
    let hers = ann
        .call(&of_ann, "read_result", &arguments)
        .answer()
        .to_string();
    assert!(hers.contains("secret of ann"), "{hers}");
    let hers = ann.in_session(&of_ann, &read).answer().to_string();
    assert!(hers.contains("secret of ann"), "{hers}");
    let stateless = json!({"name": "read_result", "arguments": arguments});
    for foreign in [
        bob.call(&of_bob, "read_result", &arguments),
        bob.in_session(&of_bob, &read),
        bob.stateless("tools/call", Some("read_result"), stateless),
        bob.stateless("resources/read", Some(&uri), json!({"uri": uri})),
    ] {
        let text = foreign.text();
        assert!(!text.contains("secret of ann"), "{text}");
    }
    ann.bare("DELETE", &of_ann).expect(200);
    ann.in_session(&of_ann, &list).expect(404);
}

#[test]
fn tokens_are_read_again_and_broken_ones_are_not_taken() {
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, format!("ann: {ANN}\n")).expect("a file");
    let proxy = Proxy::wrap(&server)
        .listening()
        .option("--auth-tokens")
        .option(&tokens.display().to_string())
        .start();
    let address = proxy.address();
    let status = |token: &str| Caller::bearer(address, token).initialize().status;
    assert_eq!((status(ANN), status(BOB)), (200, 401));
    std::fs::write(&tokens, "bob\n").expect("a file");
    processes::signal(proxy.process(), Signal::HUP);
    proxy.wait_log(&["the tokens stay as they were", "line 1"]);
    assert_eq!((status(ANN), status(BOB)), (200, 401));
    std::fs::write(&tokens, format!("bob: {BOB}\n")).expect("a file");
    processes::signal(proxy.process(), Signal::HUP);
    until_true("the new tokens", || status(BOB) == 200);
    assert_eq!(status(ANN), 401);
    let log = proxy.stderr();
    assert!(
        !log.contains(ANN) && !log.contains(BOB),
        "a token is in the log"
    );
}

/// Whoever is refused leaves nothing behind (F62): neither a session nor a server is started for them.
#[test]
fn refused_handshakes_leave_nothing() {
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, format!("ann: {ANN}\n")).expect("a file");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings("limits.max_sessions = 3")
        .option("--auth-tokens")
        .option(&tokens.display().to_string())
        .start();
    let address = proxy.address();
    for _ in 0..200 {
        Caller::bearer(address, BOB).initialize().expect(401);
        Caller::anonymous(address).initialize().expect(401);
    }
    assert_eq!(
        server.starts().len(),
        1,
        "the one that is started for whoever comes first"
    );
    Caller::bearer(address, ANN).open();
}
