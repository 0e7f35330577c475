//! What was heard from one server: its handshake, its lists, and answered calls with what was said
//! in between. Raw messages only; nothing here touches files.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::jsonrpc::Limits;
use crate::jsonrpc::members;
use crate::jsonrpc::message::{Kind, Malformed, Message};
use crate::mcp::meta;
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;
use crate::policy::redact::{Redacted, Redactor};

/// The version of the folder's format that is written. Readers refuse newer ones.
pub const FORMAT: u32 = 1;

/// Where a recording comes from, as `capture.json` says. Every field may be missing when read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The format's version, [`FORMAT`].
    pub format: u32,
    /// The day of the capture, `YYYY-MM-DD`.
    pub captured: String,
    /// The program that captured, with its version.
    pub tool: String,
    /// The server's command, secrets masked; empty for a URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The server's URL, secrets masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The server's name, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The server's version, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The protocol version that was spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// How many items, calls and messages there are, by name. Written from the content.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// How many parts of the conversation were taken out, by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redacted: BTreeMap<String, u64>,
}

impl Meta {
    /// Describes a capture on `captured` (`YYYY-MM-DD`) by this program.
    pub fn new(captured: impl Into<String>) -> Self {
        Self {
            format: FORMAT,
            captured: captured.into(),
            tool: format!("mcp-whittle {}", env!("CARGO_PKG_VERSION")),
            ..Self::default()
        }
    }

    /// Says which command was started; what is likely a secret in it is masked.
    #[must_use]
    pub fn with_command(mut self, command: &[String]) -> Self {
        self.command = Redactor::default().arguments(command);
        self
    }

    /// Says which URL was asked, without its user, password and query values.
    #[must_use]
    pub fn with_url(mut self, url: &str) -> Self {
        self.url = Some(Redactor::default().url(url));
        self
    }
}

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The server.
    Server,
    /// The client.
    Client,
}

/// A message between a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who sent it.
    pub from: Side,
    /// The message, as it came.
    pub message: Bytes,
}

/// One request (or client notification) with everything up to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The method. A notification's name stands for what the server sent because of it, such as
    /// `roots/list` after `notifications/initialized`.
    pub method: String,
    /// The raw `params`.
    pub params: Option<Bytes>,
    /// The era the request was made in.
    pub era: Era,
    /// Notifications, the server's requests and the client's answers to them, in order.
    pub messages: Vec<Step>,
    /// The raw response message; missing where there was none.
    pub response: Option<Bytes>,
}

/// Why a message cannot be part of a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// It is no JSON-RPC message.
    #[error("{what} is no JSON-RPC message: {}", malformed.fault)]
    Malformed {
        /// Which part.
        what: String,
        /// What is wrong with it.
        malformed: Malformed,
    },
    /// It is another kind of message.
    #[error("{what} is not {expected}")]
    WrongKind {
        /// Which part.
        what: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The parameters of a call do not read the same for every parser.
    #[error("the params of the recorded `{method}` are not plain JSON (a duplicate key, perhaps)")]
    BadParams {
        /// The method.
        method: String,
    },
}

/// Everything known of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// Where it comes from.
    pub meta: Meta,
    handshake: Option<Bytes>,
    lists: [Vec<Bytes>; 4],
    exchanges: Vec<Exchange>,
}

impl Recording {
    /// Starts an empty recording.
    pub fn new(meta: Meta) -> Self {
        Self {
            meta,
            ..Self::default()
        }
    }

    /// Takes the server's response to `initialize` or `server/discover`, and from it the name,
    /// version and protocol version of [`Meta`] where those are not set yet.
    ///
    /// # Errors
    /// When it is no response with a result.
    pub fn set_handshake(&mut self, raw: impl Into<Bytes>) -> Result<(), RecordingError> {
        let raw = one_line(raw.into());
        let message = parse("the handshake", &raw)?;
        let Some(result) = message.result() else {
            return Err(RecordingError::WrongKind {
                what: "the handshake".to_owned(),
                expected: "a response with a result",
            });
        };
        let info = members::get(result, "serverInfo").or_else(|| message.meta(meta::SERVER_INFO));
        if let Some(info) = info {
            let text = |name| members::get_text(info, name);
            self.meta.server_name = self.meta.server_name.take().or_else(|| text("name"));
            self.meta.server_version = self.meta.server_version.take().or_else(|| text("version"));
        }
        if self.meta.protocol_version.is_none() {
            let discovered = members::get(result, "supportedVersions").and_then(|versions| {
                let newest = members::elements(versions).into_iter().next()?;
                crate::jsonrpc::text::string_value(&versions[newest])
            });
            self.meta.protocol_version =
                members::get_text(result, "protocolVersion").or(discovered);
        }
        self.handshake = Some(raw);
        Ok(())
    }

    /// Takes the pages of a list: response messages in order; an error response is a page too.
    ///
    /// # Errors
    /// When one is no response.
    pub fn set_list<T: Into<Bytes>>(
        &mut self,
        kind: ListKind,
        pages: impl IntoIterator<Item = T>,
    ) -> Result<(), RecordingError> {
        let mut checked = Vec::new();
        for page in pages {
            let page = one_line(page.into());
            let what = format!("page {} of `{}`", checked.len() + 1, kind.method());
            expect_response(&what, &page)?;
            checked.push(page);
        }
        self.lists[kind as usize] = checked;
        Ok(())
    }

    /// Appends an exchange.
    ///
    /// # Errors
    /// When a message is none, the response is no response, or params are ambiguous.
    pub fn add_exchange(&mut self, mut exchange: Exchange) -> Result<(), RecordingError> {
        if let Some(params) = &mut exchange.params {
            *params = one_line(std::mem::take(params));
            if crate::jsonrpc::canonical::canonical(params, &Limits::default()).is_none() {
                return Err(RecordingError::BadParams {
                    method: exchange.method,
                });
            }
        }
        for (index, step) in exchange.messages.iter_mut().enumerate() {
            step.message = one_line(std::mem::take(&mut step.message));
            parse(
                &format!("message {} of the exchange", index + 1),
                &step.message,
            )?;
        }
        if let Some(response) = &mut exchange.response {
            *response = one_line(std::mem::take(response));
            expect_response("the response of the exchange", response)?;
        }
        self.exchanges.push(exchange);
        Ok(())
    }

    /// Takes secrets out of the conversation (not out of handshake and lists, which are the server's
    /// public face) and notes in [`Meta`] how many.
    pub fn redact(&mut self, redactor: &Redactor) -> Redacted {
        let mut total = Redacted::default();
        let mut replace = |raw: &mut Bytes, (text, found): (Bytes, Redacted)| {
            *raw = text;
            total += found;
        };
        for exchange in &mut self.exchanges {
            if let Some(params) = &mut exchange.params {
                let redacted = redactor.value(params);
                replace(params, redacted);
            }
            let steps = exchange.messages.iter_mut().map(|step| &mut step.message);
            for raw in steps.chain(&mut exchange.response) {
                let redacted = redactor.message(raw);
                replace(raw, redacted);
            }
        }
        for (kind, n) in total.iter() {
            *self.meta.redacted.entry(kind.to_owned()).or_default() += n;
        }
        total
    }

    /// Returns the response to the handshake.
    pub fn handshake(&self) -> Option<&Bytes> {
        self.handshake.as_ref()
    }

    /// Returns the pages of a list; none where the list was not recorded.
    pub fn list(&self, kind: ListKind) -> &[Bytes] {
        &self.lists[kind as usize]
    }

    /// Returns the exchanges.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Returns the raw items of a list over all its pages, e.g. tool definitions as sent.
    pub fn items(&self, kind: ListKind) -> Vec<&str> {
        let mut items = Vec::new();
        for page in self.list(kind) {
            let result = members::get(page, "result").unwrap_or_default();
            let array = members::get(result, kind.member()).unwrap_or_default();
            for item in members::elements(array) {
                // Pages were parsed when they were taken, so they are UTF-8.
                items.push(std::str::from_utf8(&array[item]).unwrap_or_default());
            }
        }
        items
    }

    /// Counts what there is, by the names of `capture.json`.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = ListKind::ALL
            .into_iter()
            .filter(|kind| !self.list(*kind).is_empty())
            .map(|kind| (kind.member().to_owned(), self.items(kind).len() as u64))
            .collect();
        if !self.exchanges.is_empty() {
            counts.insert("calls".to_owned(), self.exchanges.len() as u64);
            let messages: usize = self.exchanges.iter().map(|e| e.messages.len()).sum();
            counts.insert("messages".to_owned(), messages as u64);
        }
        counts
    }
}

fn parse(what: &str, raw: &Bytes) -> Result<Message, RecordingError> {
    Message::parse_single(raw.clone(), Limits::default()).map_err(|malformed| {
        RecordingError::Malformed {
            what: what.to_owned(),
            malformed,
        }
    })
}

fn expect_response(what: &str, raw: &Bytes) -> Result<(), RecordingError> {
    match parse(what, raw)?.kind() {
        Kind::Response(_) | Kind::ErrorResponse(_) => Ok(()),
        _ => Err(RecordingError::WrongKind {
            what: what.to_owned(),
            expected: "a response",
        }),
    }
}

/// Puts a JSON text on one line. A newline cannot stand inside a JSON string, so each one is
/// whitespace and a space means the same.
fn one_line(raw: Bytes) -> Bytes {
    let trimmed = raw.trim_ascii();
    if memchr::memchr2(b'\n', b'\r', trimmed).is_none() {
        return if trimmed.len() == raw.len() {
            raw
        } else {
            Bytes::copy_from_slice(trimmed)
        };
    }
    trimmed
        .iter()
        .map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b })
        .collect::<Vec<u8>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_checked_and_put_on_one_line() {
        let mut recording = Recording::new(Meta::new("2026-01-02").with_command(&[
            "server".to_owned(),
            "--token".to_owned(),
            "abc".to_owned(),
        ]));
        recording
            .set_handshake("{\"jsonrpc\":\"2.0\",\n \"id\":1,\"result\":{\"protocolVersion\":\"2025-06-18\",\"serverInfo\":{\"name\":\"n\",\"version\":\"v\"}}}\n")
            .unwrap();
        assert!(!recording.handshake().unwrap().contains(&b'\n'));
        let meta = &recording.meta;
        assert_eq!(meta.server_name.as_deref(), Some("n"));
        assert_eq!(meta.protocol_version.as_deref(), Some("2025-06-18"));
        assert_eq!(meta.command, ["server", "--token", "[redacted]"]);
        let request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}";
        let error = recording.set_list(ListKind::Tools, [request]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "page 1 of `tools/list` is not a response"
        );
        let error = recording.set_handshake("{").unwrap_err();
        assert!(matches!(error, RecordingError::Malformed { .. }));
        let exchange = Exchange {
            method: "x".to_owned(),
            params: Some(Bytes::from_static(b"{\"a\":1,\"a\":2}")),
            era: Era::Legacy,
            messages: Vec::new(),
            response: None,
        };
        assert!(matches!(
            recording.add_exchange(exchange).unwrap_err(),
            RecordingError::BadParams { .. }
        ));
    }

    #[test]
    fn redaction_reaches_every_message_and_no_list() {
        let secret = "ann@b.cd";
        let mut recording = Recording::default();
        let page = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"tools\":[{{\"name\":\"{secret}\"}}]}}}}"
        );
        recording.set_list(ListKind::Tools, [page]).unwrap();
        recording
            .add_exchange(Exchange {
                method: "tools/call".to_owned(),
                params: Some(format!("{{\"q\":\"{secret}\"}}").into()),
                era: Era::Legacy,
                messages: vec![Step {
                    from: Side::Server,
                    message: format!(
                        "{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{{\"t\":\"{secret}\"}}}}"
                    )
                    .into(),
                }],
                response: Some(
                    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"t\":\"{secret}\"}}}}")
                        .into(),
                ),
            })
            .unwrap();
        let found = recording.redact(&Redactor::default());
        assert_eq!(found.total(), 3);
        assert_eq!(recording.meta.redacted.get("email"), Some(&3));
        let exchange = crate::capture::folder::render_exchange(&recording.exchanges()[0]);
        assert!(!String::from_utf8_lossy(&exchange).contains(secret));
        assert_eq!(recording.items(ListKind::Tools).len(), 1);
        assert!(recording.items(ListKind::Tools)[0].contains(secret));
    }
}
