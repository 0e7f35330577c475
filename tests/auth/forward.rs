//! Whose credentials go where: to the one server that the operator named, and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::caller::{Caller, get};
use crate::kit::http_upstream::{HttpUpstream, Reply, Request};
use crate::kit::{Proxy, ScriptedServer};

const CHALLENGE: &str =
    r#"Bearer resource_metadata="https://rs.example/.well-known/oauth-protected-resource/mcp""#;

/// A server that wants `Bearer good…`, and says so in each answer that it refuses.
fn guarded(is_revoked: &Arc<AtomicBool>) -> HttpUpstream {
    let is_revoked = Arc::clone(is_revoked);
    HttpUpstream::start(move |request: &Request, _, reply: &mut Reply| {
        if request.path.starts_with("/.well-known/") {
            let headers = [
                ("Content-Type", "application/json"),
                ("Cache-Control", "max-age=60"),
            ];
            if request
                .path
                .starts_with("/.well-known/oauth-protected-resource/mcp")
            {
                reply.full(200, &headers, r#"{ "resource":"https://rs.example/mcp"}"#);
            } else {
                reply.full(404, &[], "");
            }
            return true;
        }
        let token = request.header("authorization").unwrap_or_default();
        let is_good = token.starts_with("Bearer good") && !is_revoked.load(Ordering::SeqCst);
        if !is_good {
            // As servers on the official SDKs do it: the refusal is a JSON-RPC error as well.
            let body = json!({"jsonrpc": "2.0", "id": request.body["id"], "error": {"code": -32001, "message": "who are you?"}});
            let headers = [
                ("WWW-Authenticate", CHALLENGE),
                ("Content-Type", "application/json"),
            ];
            reply.full(401, &headers, &body.to_string());
        }
        !is_good
    })
}

fn tokens_of(upstream: &HttpUpstream) -> Vec<Option<String>> {
    let requests = upstream.requests();
    let mut tokens: Vec<Option<String>> = requests
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    tokens.sort();
    tokens.dedup();
    tokens
}

#[test]
fn the_sidecar_passes_tokens_and_challenges_on() {
    let is_revoked = Arc::default();
    let upstream = guarded(&is_revoked);
    let proxy = Proxy::upstream(&upstream.url())
        .listening()
        .option("--log-level=trace")
        .start();
    let address = proxy.address();

    // Without a token and with a bad one the server's own challenge comes back, in every kind of request.
    for caller in [Caller::anonymous(address), Caller::bearer(address, "bad")] {
        for response in [
            caller.initialize(),
            caller.initialize(),
            caller.stateless("tools/list", None, json!({})),
            caller.stateless(
                "tools/call",
                Some("echo"),
                json!({"name": "echo", "arguments": {}}),
            ),
            caller.stateless("server/discover", None, json!({})),
        ] {
            let status = response.status;
            let challenge = response.header("www-authenticate").map(str::to_owned);
            let text = response.text();
            assert_eq!(status, 401, "{text}");
            assert_eq!(challenge.as_deref(), Some(CHALLENGE), "{text}");
        }
    }
    let good = Caller::bearer(address, "good-1");
    let session = good.open();
    let answer = good
        .call(&session, "echo", &json!({"a": 1}))
        .expect(200)
        .answer();
    assert_eq!(answer["result"]["content"][0]["text"], r#"{"a":1}"#);
    good.stateless(
        "tools/call",
        Some("echo"),
        json!({"name": "echo", "arguments": {}}),
    )
    .expect(200);
    // Another token is another principal, however good it is.
    let other = Caller::bearer(address, "good-2");
    other.call(&session, "echo", &json!({})).expect(404);
    other.bare("DELETE", &session).expect(404);
    Caller::anonymous(address)
        .call(&session, "echo", &json!({}))
        .expect(404);
    // Each request upstream had the token of whom it was for.
    let of_calls: Vec<_> = upstream
        .requests_of("tools/call")
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(of_calls, vec![Some("Bearer good-1".to_owned()); 2]);

    // A refusal in the middle of a session reaches the client.
    is_revoked.store(true, Ordering::SeqCst);
    let response = good.call(&session, "echo", &json!({})).expect(401);
    assert_eq!(response.header("www-authenticate"), Some(CHALLENGE));
    let log = proxy.stderr();
    assert!(!log.contains("good-1") && !log.contains("good-2"), "{log}");
}

/// A server may let anybody in and ask for a token at the first call.
#[test]
fn a_session_without_a_token_may_get_one_and_keeps_it() {
    let upstream = HttpUpstream::start(|request, _, reply| {
        let has_token = request.header("authorization") == Some("Bearer good-1");
        let is_refused = request.method() == "tools/call" && !has_token;
        if is_refused {
            reply.full(401, &[("WWW-Authenticate", CHALLENGE)], "");
        }
        is_refused
    });
    let proxy = Proxy::upstream(&upstream.url()).listening().start();
    let anonymous = Caller::anonymous(proxy.address());
    let session = anonymous.open();
    let response = anonymous.call(&session, "echo", &json!({})).expect(401);
    assert_eq!(response.header("www-authenticate"), Some(CHALLENGE));
    let good = Caller::bearer(proxy.address(), "good-1");
    good.call(&session, "echo", &json!({})).expect(200);
    anonymous.call(&session, "echo", &json!({})).expect(404);
    let other = Caller::bearer(proxy.address(), "good-2");
    other.call(&session, "echo", &json!({})).expect(404);
    good.bare("DELETE", &session).expect(200);
}

#[test]
fn documents_of_the_server_pass_unchanged_and_nothing_else_does() {
    let upstream = guarded(&Arc::default());
    let proxy = Proxy::upstream(&upstream.url()).listening().start();
    let response = get(proxy.address(), "/.well-known/oauth-protected-resource/mcp").expect(200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("max-age=60"));
    assert_eq!(response.text(), r#"{ "resource":"https://rs.example/mcp"}"#);
    get(proxy.address(), "/.well-known/oauth-authorization-server").expect(404);
    let asked = upstream.requests().len();
    for path in [
        "/.well-known/secrets",
        "/.well-known/oauth-protected-resource/../../admin",
        "/.well-known/oauth-protected-resource/%2e%2e/%2e%2e/admin",
        "/.well-known/oauth-protected-resource//admin",
        "/.well-known/../admin",
        "/admin",
    ] {
        let status = get(proxy.address(), path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    assert_eq!(
        upstream.requests().len(),
        asked,
        "nothing of this was asked for"
    );
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[test]
fn nothing_kept_is_given_to_a_token_that_its_server_does_not_take() {
    let is_revoked = Arc::default();
    let upstream = guarded(&is_revoked);
    let proxy = Proxy::upstream(&upstream.url())
        .listening()
        .settings("cache.tools = { echo = { ttl = \"1h\", scope = \"shared\" } }")
        .start();
    let address = proxy.address();
    let call = json!({"name": "echo", "arguments": {"a": 1}});
    let ask = |token: &str| {
        let caller = Caller::bearer(address, token);
        // Only answers of tools whose definition is known are kept.
        caller.stateless("tools/list", None, json!({}));
        caller
            .stateless("tools/call", Some("echo"), call.clone())
            .status
    };
    assert_eq!(ask("good-1"), 200);
    assert_eq!(ask("good-2"), 200);
    let asked = upstream.requests_of("tools/call").len();
    assert_eq!(asked, 1, "the operator let them share the answer");
    // Somebody who makes up a token does not get what was kept.
    assert_eq!(ask("bad"), 401);
    is_revoked.store(true, Ordering::SeqCst);
    // Another call learns that the token counts no more; what was kept is then out of reach as well.
    let other = json!({"name": "other", "arguments": {}});
    let caller = Caller::bearer(address, "good-1");
    assert_eq!(
        caller.stateless("tools/call", Some("other"), other).status,
        401
    );
    assert_eq!(ask("good-1"), 401);
    // Lists and handles wait for the server's word as well.
    assert_eq!(caller.stateless("tools/list", None, json!({})).status, 401);
    let read = json!({"name": "read_result", "arguments": {"handle": "x"}});
    assert_eq!(
        caller
            .stateless("tools/call", Some("read_result"), read)
            .status,
        401
    );
    is_revoked.store(false, Ordering::SeqCst);
    assert_eq!(ask("good-1"), 200);
}

#[test]
fn tokens_go_to_no_other_server_and_over_no_redirect() {
    let other = HttpUpstream::start(|_, _, _| false);
    let to = other.url();
    let away = HttpUpstream::start(move |request, _, reply| {
        let is_call = request.method() == "tools/call";
        if is_call {
            reply.full(307, &[("Location", &to)], "");
        }
        is_call
    });
    let child = ScriptedServer::new("tool t");
    let proxy = Proxy::servers(&[("child", &child)])
        .url("other", &other.url())
        .entry(&format!(
            "[servers.own]\nurl = \"{}\"\nforward_authorization = true\n",
            away.url()
        ))
        .listening()
        .start();
    let ann = Caller::bearer(proxy.address(), "good-1");
    let session = ann.open();
    ann.call(&session, "other__echo", &json!({})).expect(200);
    ann.call(&session, "child__t", &json!({})).expect(200);
    let answer = ann.call(&session, "own__echo", &json!({})).answer();
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .contains("redirect"),
        "{answer}"
    );
    assert_eq!(tokens_of(&other), [None]);
    assert_eq!(tokens_of(&away), [Some("Bearer good-1".to_owned())]);
    let received = format!("{:?}", child.received());
    assert!(!received.contains("good-1"));
}

#[test]
fn tokens_that_we_check_and_those_of_never_stay_here() {
    let upstream = HttpUpstream::start(|_, _, _| false);
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "ann: 0123456789abcdef\n").expect("a file");
    let tokens = tokens.display().to_string();
    for options in [
        format!("--auth-tokens {tokens}"),
        "--forward-authorization never".to_owned(),
        "--header Authorization:own-credentials".to_owned(),
    ] {
        let before = upstream.requests().len();
        let proxy = Proxy::upstream(&upstream.url())
            .listening()
            .options(&options)
            .start();
        let ann = Caller::bearer(proxy.address(), "0123456789abcdef");
        let session = ann.open();
        ann.call(&session, "echo", &json!({})).expect(200);
        get(proxy.address(), "/.well-known/oauth-protected-resource").expect(404);
        for request in &upstream.requests()[before..] {
            let token = request.header("authorization").unwrap_or_default();
            assert!(
                !token.contains("0123456789abcdef"),
                "{options}: {request:?}"
            );
        }
    }
}

/// Signed tokens that are checked here and are meant for the server as well: the pair is one resource.
#[test]
fn checked_tokens_go_on_where_the_operator_says_so() {
    use super::issuer::{Issuer, claims_with, header, settings};
    let issuer = Issuer::new();
    let upstream = HttpUpstream::start(|_, _, _| false);
    let folder = tempfile::tempdir().expect("a folder");
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, issuer.keys("").to_string()).expect("the keys");
    let proxy = Proxy::upstream(&upstream.url())
        .listening()
        .options("--forward-authorization always")
        .settings(&settings(&jwks.display().to_string()))
        .start();
    let address = proxy.address();
    let sign = |claims: &Value| issuer.sign(&header("ES256", "ec"), claims);
    let token = sign(&claims_with("exp", json!(super::issuer::now() + 600)));
    let renewed = sign(&claims_with("exp", json!(super::issuer::now() + 900)));
    let wider = sign(&claims_with("scope", json!("tools extra more")));
    let session = Caller::bearer(address, &token).open();
    Caller::bearer(address, &renewed)
        .call(&session, "echo", &json!({}))
        .expect(200);
    let calls = upstream.requests_of("tools/call");
    let sent = calls[0].header("authorization").unwrap_or_default();
    assert_eq!(
        sent,
        format!("Bearer {renewed}"),
        "the token of this very request"
    );
    // What the server shows may depend on what is granted.
    Caller::bearer(address, &wider)
        .call(&session, "echo", &json!({}))
        .expect(404);
    Caller::anonymous(address).initialize().expect(401);
}
