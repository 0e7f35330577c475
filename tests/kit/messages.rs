//! Pieces of messages: versions, params, and what errors of ours say.

use serde_json::{Value, json};

/// The protocol version that tests speak unless they say otherwise.
pub(crate) const LEGACY: &str = "2025-11-25";
/// The stateless protocol version.
pub(crate) const MODERN: &str = "2026-07-28";

/// The params of `initialize`.
pub(crate) fn initialize_params(version: &str, capabilities: &Value) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "kit", "version": "1"},
    })
}

/// The params of a modern request: `params` and the metadata that each one carries.
pub(crate) fn modern(mut params: Value) -> Value {
    let meta = params["_meta"].take();
    let mut with = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "kit", "version": "1"},
    });
    if let (Value::Object(with), Value::Object(meta)) = (&mut with, meta) {
        with.extend(meta);
    }
    params["_meta"] = with;
    params
}

/// What an error of ours says: code, kind and outcome.
#[track_caller]
pub(crate) fn assert_ours(answer: &Value, code: i64, kind: &str, outcome: &str) {
    let error = &answer["error"];
    assert_eq!(error["code"], code, "{answer}");
    assert_eq!(error["data"]["source"], "proxy", "{answer}");
    assert_eq!(error["data"]["kind"], kind, "{answer}");
    assert_eq!(error["data"]["outcome"], outcome, "{answer}");
    assert!(error["data"]["retryable"].is_boolean(), "{answer}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{answer}"
    );
}

/// E01: the server is not there; the request was not sent.
#[track_caller]
pub(crate) fn assert_unavailable(answer: &Value) {
    assert_ours(answer, -31001, "upstream_unavailable", "not_sent");
}

/// E02: the connection was lost; the request may have run.
#[track_caller]
pub(crate) fn assert_lost(answer: &Value) {
    assert_ours(answer, -31002, "upstream_lost", "maybe_executed");
}

/// E03: the server took too long; the request may have run.
#[track_caller]
pub(crate) fn assert_deadline(answer: &Value) {
    assert_ours(answer, -31003, "deadline", "maybe_executed");
}
