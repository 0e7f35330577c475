//! What a replayed server says: recorded responses in the caller's era and under the caller's id,
//! handshakes of either era made from either, and errors. Pure.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text::{push_string, to_string};
use crate::jsonrpc::write::{Edit, Outgoing, edit_object, response, splice};
use crate::mcp::error::RESOURCE_NOT_FOUND;
use crate::mcp::method::{self, ListKind};
use crate::mcp::result::to_legacy;
use crate::mcp::version::{Era, LEGACY, MODERN};
use crate::mcp::{capabilities, meta};

use super::book::{Book, INPUT_REQUESTS, Key, Question, REQUEST_STATE, Round, Stored};

/// Recorded calls that an error names, at most.
const MAX_NAMED: usize = 5;
/// Characters of one of them, at most.
const MAX_NAMED_CHARS: usize = 160;

/// Returns a recorded response under another id, its result in the caller's era. All other bytes stay.
pub(super) fn recorded(stored: &Stored, id: &RequestId, era: Era, method_name: &str) -> Outgoing {
    let message = &stored.message;
    let raw = message.raw();
    let mut edits = Vec::new();
    if let Some(at) = message.span(EnvelopeKey::Id) {
        edits.push(Edit {
            range: at,
            with: id.raw().clone(),
        });
    }
    if let Some(at) = message.span(EnvelopeKey::Result)
        && raw[at.clone()].starts_with(b"{")
    {
        match era {
            Era::Modern => {
                // Clients throw without these (TypeScript v2, Python v2).
                let mut set = vec![("resultType", "\"complete\"")];
                if method::is_cacheable(method_name) {
                    set.extend([("ttlMs", "0"), ("cacheScope", "\"private\"")]);
                }
                set.retain(|(name, _)| message.body(name).is_none());
                let set: Vec<(&str, Bytes)> = set
                    .into_iter()
                    .map(|(name, value)| (name, Bytes::from_static(value.as_bytes())))
                    .collect();
                edits.extend(edit_object(raw, at, &[], &set));
            }
            Era::Legacy if stored.era == Era::Modern => edits.extend(to_legacy(raw, at)),
            Era::Legacy => {}
        }
    }
    if let Some(at) = message.span(EnvelopeKey::Error)
        && era == Era::Modern
        && let Some(code) = members::member(&raw[at.clone()], "code")
        && raw[at.start + code.start..at.start + code.end]
            == *RESOURCE_NOT_FOUND.to_string().as_bytes()
    {
        // Modern servers must not use the old code (MCP 2026-07-28 server/resources).
        edits.push(Edit {
            range: at.start + code.start..at.start + code.end,
            with: INVALID_PARAMS.to_string().into(),
        });
    }
    splice(raw, edits)
}

/// Renders a response with a result of ours, given as members without modern metadata.
pub(super) fn made(id: &RequestId, result: &Value, era: Era) -> Outgoing {
    let mut result = result.clone();
    if let (Era::Modern, Value::Object(members)) = (era, &mut result) {
        members
            .entry("resultType")
            .or_insert_with(|| json!("complete"));
    }
    response(id, Outgoing::from(result.to_string().into_bytes()))
}

/// Renders the `input_required` result of a round: the recorded one, or one made of its questions.
pub(super) fn input_required(round: &Round, id: &RequestId, method_name: &str) -> Outgoing {
    if let Some(stored) = &round.recorded {
        return recorded(stored, id, Era::Modern, method_name);
    }
    let mut result =
        format!("{{\"resultType\":\"input_required\",\"{INPUT_REQUESTS}\":{{").into_bytes();
    for (index, question) in round.questions.iter().enumerate() {
        if index > 0 {
            result.push(b',');
        }
        push_string(&mut result, &question.name);
        result.extend_from_slice(b":{\"method\":");
        push_string(&mut result, &question.method);
        if let Some(params) = &question.params {
            result.extend_from_slice(b",\"params\":");
            result.extend_from_slice(params);
        }
        result.push(b'}');
    }
    result.push(b'}');
    if let Some(state) = &round.state {
        result.extend_from_slice(format!(",\"{REQUEST_STATE}\":{}", to_string(state)).as_bytes());
    }
    result.push(b'}');
    response(id, Outgoing::from(result))
}

/// Returns the client capability that a question needs; `None` where none is needed.
pub(super) fn needed_capability(question: &Question) -> Option<&'static str> {
    match question.method.as_str() {
        method::ELICITATION => Some("elicitation"),
        method::SAMPLING => Some("sampling"),
        method::ROOTS_LIST => Some("roots"),
        _ => None,
    }
}

/// Returns the result of a legacy `initialize`.
pub(super) fn initialize(book: &Book, version: &str, id: &RequestId) -> Outgoing {
    let quoted = Bytes::from(to_string(version));
    if let Some(handshake) = &book.handshake
        && handshake.message.body("protocolVersion").is_some()
    {
        let message = &handshake.message;
        let mut edits = vec![];
        if let Some(at) = message.span(EnvelopeKey::Id) {
            edits.push(Edit {
                range: at,
                with: id.raw().clone(),
            });
        }
        if let Some(at) = message.body_span("protocolVersion") {
            edits.push(Edit {
                range: at,
                with: quoted,
            });
        }
        return splice(message.raw(), edits);
    }
    let mut result = Map::new();
    result.insert("protocolVersion".to_owned(), json!(version));
    result.insert(
        "capabilities".to_owned(),
        capabilities::server_to_legacy(capabilities_of(book).to_string().as_bytes()),
    );
    result.insert("serverInfo".to_owned(), server_info(book));
    if let Some(instructions) = handshake_text(book, "instructions") {
        result.insert("instructions".to_owned(), json!(instructions));
    }
    made(id, &Value::Object(result), Era::Legacy)
}

/// Returns the result of `server/discover`.
pub(super) fn discover(book: &Book, serves_legacy: bool, id: &RequestId) -> Outgoing {
    let versions = supported_versions(serves_legacy);
    if let Some(handshake) = &book.handshake
        && let Some(at) = handshake.message.body_span("supportedVersions")
    {
        let raw = handshake.message.raw();
        let replaced = splice(
            raw,
            vec![Edit {
                range: at,
                with: json!(versions).to_string().into(),
            }],
        );
        // The bytes are those of a checked response but for a list of plain texts.
        if let Ok(message) = crate::jsonrpc::message::Message::parse_single(
            replaced.to_bytes(),
            crate::jsonrpc::Limits::default(),
        ) {
            let stored = Stored {
                message,
                era: Era::Modern,
            };
            return recorded(&stored, id, Era::Modern, method::DISCOVER);
        }
    }
    let mut result = Map::new();
    result.insert("supportedVersions".to_owned(), json!(versions));
    result.insert(
        "capabilities".to_owned(),
        capabilities::server_to_modern(capabilities_of(book).to_string().as_bytes()),
    );
    if let Some(instructions) = handshake_text(book, "instructions") {
        result.insert("instructions".to_owned(), json!(instructions));
    }
    result.insert("ttlMs".to_owned(), json!(0));
    result.insert("cacheScope".to_owned(), json!("private"));
    result.insert(
        "_meta".to_owned(),
        json!({ meta::SERVER_INFO: server_info(book) }),
    );
    made(id, &Value::Object(result), Era::Modern)
}

/// Returns the versions that are served, newest first.
pub(super) fn supported_versions(serves_legacy: bool) -> Vec<&'static str> {
    let legacy = if serves_legacy { &LEGACY[..] } else { &[] };
    std::iter::once(MODERN)
        .chain(legacy.iter().copied())
        .collect()
}

/// Returns the server's capabilities: the recorded ones, or those that its lists and calls prove.
pub(super) fn capabilities_of(book: &Book) -> Value {
    let recorded = book
        .handshake
        .as_ref()
        .and_then(|handshake| serde_json::from_slice(handshake.message.body("capabilities")?).ok());
    recorded.unwrap_or_else(|| {
        let mut proved = Map::new();
        for kind in ListKind::ALL {
            if book.has_list(kind) {
                proved.insert(kind.capability().to_owned(), json!({}));
            }
        }
        let methods = [
            (method::TOOLS_CALL, "tools"),
            (method::PROMPTS_GET, "prompts"),
            (method::RESOURCES_READ, "resources"),
            (method::COMPLETE, "completions"),
        ];
        for (name, capability) in methods {
            if book.has_method(name) {
                proved.insert(capability.to_owned(), json!({}));
            }
        }
        Value::Object(proved)
    })
}

fn server_info(book: &Book) -> Value {
    let recorded = book.handshake.as_ref().and_then(|handshake| {
        let message = &handshake.message;
        let raw = message
            .body("serverInfo")
            .or_else(|| message.meta(meta::SERVER_INFO))?;
        serde_json::from_slice(raw).ok()
    });
    recorded.unwrap_or_else(
        || json!({"name": "mcp-whittle-replay", "version": env!("CARGO_PKG_VERSION")}),
    )
}

fn handshake_text(book: &Book, name: &str) -> Option<String> {
    book.handshake.as_ref()?.message.body_text(name)
}

/// Says that a request is not in the recording, what is, and how to record it.
pub(super) fn unknown(book: &Book, key: &Key, subject: Option<&str>) -> ErrorObject {
    let name = &key.method;
    let of = subject
        .map(|subject| format!(" of `{subject}`"))
        .unwrap_or_default();
    let same: Vec<&Key> = book
        .plays
        .iter()
        .filter(|play| play.key.method == *name && play.subject.as_deref() == subject)
        .map(|play| &play.key)
        .collect();
    let mut text = format!("`{name}`{of} with these params is not in the recording.");
    if same.is_empty() {
        let mut others: Vec<&str> = book
            .plays
            .iter()
            .filter(|play| play.key.method == *name)
            .filter_map(|play| play.subject.as_deref())
            .collect();
        others.sort_unstable();
        others.dedup();
        if others.is_empty() {
            text.push_str(" No call of this method is.");
        } else {
            let n_others = others.len();
            others.truncate(MAX_NAMED);
            text.push_str(&format!(
                " Recorded are calls of {}{}.",
                others.join(", "),
                more(n_others)
            ));
        }
    } else {
        let mut shown: Vec<String> = same.iter().map(|key| shown_params(key)).collect();
        shown.dedup();
        let n_shown = shown.len();
        shown.truncate(MAX_NAMED);
        text.push_str(&format!(
            " Recorded calls of it: {}{}.",
            shown.join("; "),
            more(n_shown)
        ));
    }
    text.push_str(
        " hint: make the call while `mcp-whittle capture --conversation --out DIR -- COMMAND` records",
    );
    ErrorObject::new(INVALID_PARAMS, text)
}

fn more(n: usize) -> String {
    match n.saturating_sub(MAX_NAMED) {
        0 => String::new(),
        left => format!(" and {left} more"),
    }
}

/// Shows the arguments of a call, or its params where it has none, cut to a length.
fn shown_params(key: &Key) -> String {
    let has_arguments = matches!(&*key.method, method::TOOLS_CALL | method::PROMPTS_GET);
    let raw = if has_arguments {
        members::get(&key.params, "arguments").unwrap_or(b"{}")
    } else {
        &key.params
    };
    let text = String::from_utf8_lossy(raw);
    match text.char_indices().nth(MAX_NAMED_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}
