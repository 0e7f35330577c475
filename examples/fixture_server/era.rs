//! Which protocol eras the fixture speaks, and how a server of one era meets the other.
//!
//! The SDK always knows both eras, so this gate stands before it and answers or rewrites
//! the messages a server of one era could not have understood. It sees JSON only and does
//! no I/O.

use std::borrow::Cow;

use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

/// The protocol eras a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Era {
    /// Both: `initialize` and per-request metadata.
    Dual,
    /// Versions 2024-11-05 to 2025-11-25, opened by `initialize`.
    Legacy,
    /// Version 2026-07-28 only, metadata on each request.
    Modern,
}

/// What becomes of a message that arrived.
#[derive(Debug, PartialEq)]
pub(crate) enum Gate {
    /// It goes to the SDK as it is.
    Pass,
    /// This goes to the SDK instead.
    Rewrite(Value),
    /// The SDK never sees it; this is the answer, and its HTTP status where there is one.
    Answer(Value, u16),
}

const MODERN_KEY_PREFIX: &str = "io.modelcontextprotocol/";
const PROTOCOL_VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

impl Era {
    /// The protocol versions a server of this era supports, oldest first.
    pub(crate) fn versions(self) -> Cow<'static, [ProtocolVersion]> {
        match self {
            Self::Dual => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
            Self::Legacy => {
                Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
            }
            Self::Modern => Cow::Owned(vec![ProtocolVersion::V_2026_07_28]),
        }
    }

    /// Decides on one message; `header_version` is `MCP-Protocol-Version` where there is HTTP.
    pub(crate) fn gate(self, message: &Value, header_version: Option<&str>) -> Gate {
        match self {
            Self::Dual => Gate::Pass,
            Self::Legacy => self.gate_legacy(message, header_version),
            Self::Modern => self.gate_modern(message),
        }
    }

    /// An old server knows neither `server/discover` nor the new header value, and ignores
    /// `_meta` keys it has never heard of.
    fn gate_legacy(self, message: &Value, header_version: Option<&str>) -> Gate {
        let id = message.get("id");
        if let (Some("server/discover"), Some(id)) = (method(message), id) {
            return Gate::Answer(error(id, -32601, "Method not found", None), 200);
        }
        if let Some(version) = header_version
            && !self
                .versions()
                .iter()
                .any(|known| known.as_str() == version)
        {
            let text = format!("Bad Request: Unsupported protocol version: {version}");
            return Gate::Answer(error(&Value::Null, -32000, &text, None), 400);
        }
        let mut rewritten = message.clone();
        let Some(meta) = rewritten
            .pointer_mut("/params/_meta")
            .and_then(Value::as_object_mut)
        else {
            return Gate::Pass;
        };
        let before = meta.len();
        meta.retain(|key, _| !key.starts_with(MODERN_KEY_PREFIX));
        if meta.len() == before {
            Gate::Pass
        } else {
            Gate::Rewrite(rewritten)
        }
    }

    /// A server that dropped the handshake names the versions it speaks (-32022, MCP
    /// 2026-07-28 basic/versioning). With modern metadata `initialize` is an unknown method,
    /// which the SDK answers.
    fn gate_modern(self, message: &Value) -> Gate {
        let (Some("initialize"), Some(id)) = (method(message), message.get("id")) else {
            return Gate::Pass;
        };
        let metadata = message.pointer("/params/_meta").and_then(Value::as_object);
        if metadata.is_some_and(|meta| meta.contains_key(PROTOCOL_VERSION_KEY)) {
            return Gate::Pass;
        }
        let data = json!({
            "supported": self.versions(),
            "requested": message.pointer("/params/protocolVersion").cloned().unwrap_or_default(),
        });
        Gate::Answer(
            error(id, -32022, "Unsupported protocol version", Some(data)),
            400,
        )
    }
}

fn method(message: &Value) -> Option<&str> {
    message.get("method").and_then(Value::as_str)
}

fn error(id: &Value, code: i32, text: &str, data: Option<Value>) -> Value {
    let mut error = json!({ "code": code, "message": text });
    if let Some(data) = data {
        error["data"] = data;
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}
