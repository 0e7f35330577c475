//! One JSON-RPC message: its bytes and where its parts stand in them.

use std::ops::Range;

use bytes::Bytes;

use super::Limits;
use super::error::{ErrorObject, INVALID_REQUEST, PARSE_ERROR};
use super::id::RequestId;
use super::scan::{EnvelopeKey, Head, ScanError, Scanner};
use super::strict::{self, StrictError};
use super::text;
use super::utf8::{PIECE, TextCheck};

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A call that wants an answer.
    Request(RequestId),
    /// A call that wants none.
    Notification,
    /// An answer with a result.
    Response(RequestId),
    /// An answer with an error; the id is missing where the peer could not read the request.
    ErrorResponse(Option<RequestId>),
}

/// A message as it came: never re-serialised.
#[derive(Debug, Clone)]
pub struct Message {
    raw: Bytes,
    head: Head,
    kind: Kind,
    method: Box<str>,
}

/// A text on the wire: one message, or the batch that 2025-03-26 allows.
#[derive(Debug, Clone)]
pub enum Parsed {
    /// One message.
    Message(Message),
    /// The elements of a batch, not yet parsed.
    Batch(Vec<Bytes>),
}

/// A text that is no message, with what an answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Why.
    pub fault: Fault,
    /// The id, where it could be read.
    pub id: Option<RequestId>,
    /// Whether it looked like an answer (it has a result or an error) rather than a request.
    pub is_response: bool,
    /// Whether it has a method, so that it is nobody's answer.
    pub has_method: bool,
}

/// Why a text is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The envelope could not be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The request does not read the same for every parser.
    #[error(transparent)]
    Strict(#[from] StrictError),
    /// The bytes are not UTF-8.
    #[error("not valid UTF-8 at byte {offset}")]
    Utf8 {
        /// Bytes before the fault.
        offset: usize,
    },
    /// Valid JSON, but not JSON-RPC 2.0.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    NotJsonRpc(&'static str),
    /// A request id that is neither a string nor a number.
    #[error("a request id is a string or a number")]
    BadId,
    /// A response with both `result` and `error`.
    #[error("a response has either a result or an error")]
    ResultAndError,
    /// Longer than a frame may be.
    #[error("longer than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

impl Malformed {
    /// Returns the error that a requester gets.
    pub fn error(&self) -> ErrorObject {
        let code = match &self.fault {
            Fault::Scan(ScanError::Syntax { .. } | ScanError::Truncated) | Fault::Utf8 { .. } => {
                PARSE_ERROR
            }
            Fault::Strict(error) if error.is_syntax() => PARSE_ERROR,
            _ => INVALID_REQUEST,
        };
        ErrorObject::new(code, format!("the message was refused: {}", self.fault))
    }
}

impl Message {
    /// Parses a whole text.
    pub fn parse(raw: Bytes, limits: Limits) -> Result<Parsed, Malformed> {
        if raw.len() > limits.frame_bytes {
            return Err(Malformed {
                fault: Fault::TooLarge {
                    limit: limits.frame_bytes,
                },
                id: None,
                is_response: false,
                has_method: false,
            });
        }
        let mut scanner = Scanner::new(limits);
        let mut text = TextCheck::default();
        let mut end = 0;
        for piece in raw.chunks(PIECE) {
            scanner.feed(piece);
            end += piece.len();
            if raw.len() > PIECE && !scanner.has(EnvelopeKey::Method) {
                text.advance(&raw[..end]);
            }
        }
        Self::from_scan(raw, &mut scanner, text.checked(), limits)
    }

    /// Parses one message where no batch is allowed.
    pub fn parse_single(raw: Bytes, limits: Limits) -> Result<Self, Malformed> {
        match Self::parse(raw, limits)? {
            Parsed::Message(message) => Ok(message),
            Parsed::Batch(_) => Err(Malformed {
                fault: Fault::NotJsonRpc("a batch stands where one message was expected"),
                id: None,
                is_response: false,
                has_method: false,
            }),
        }
    }

    /// Makes a message of a text whose scan has reached its end. Its first `checked` bytes are known to be UTF-8.
    pub(super) fn from_scan(
        raw: Bytes,
        scanner: &mut Scanner,
        checked: usize,
        limits: Limits,
    ) -> Result<Parsed, Malformed> {
        let id = scanner
            .id()
            .and_then(|id| RequestId::parse(Bytes::copy_from_slice(id)));
        let has_method = scanner.has(EnvelopeKey::Method);
        let is_response =
            !has_method && (scanner.has(EnvelopeKey::Result) || scanner.has(EnvelopeKey::Error));
        let malformed = |fault| Malformed {
            fault,
            id: id.clone(),
            is_response,
            has_method,
        };
        // The strict look at a request needs the whole text.
        let from = if has_method { 0 } else { checked };
        let text = simdutf8::compat::from_utf8(&raw[from..]).map_err(|error| {
            malformed(Fault::Utf8 {
                offset: from + error.valid_up_to(),
            })
        })?;
        let head = scanner.finish().map_err(|error| malformed(error.into()))?;
        if head.is_batch {
            let parts = super::members::elements(&raw);
            return Ok(Parsed::Batch(
                parts.into_iter().map(|part| raw.slice(part)).collect(),
            ));
        }
        let span = |key| head.span(key);
        if span(EnvelopeKey::Jsonrpc).is_none_or(|at| &raw[at] != b"\"2.0\"") {
            return Err(malformed(Fault::NotJsonRpc(
                "the member `jsonrpc` is not \"2.0\"",
            )));
        }
        let raw_id = span(EnvelopeKey::Id);
        let kind = match (
            span(EnvelopeKey::Method),
            span(EnvelopeKey::Result),
            span(EnvelopeKey::Error),
        ) {
            (Some(_), None, None) => match (raw_id, &id) {
                (None, _) => Kind::Notification,
                (Some(_), Some(id)) => Kind::Request(id.clone()),
                (Some(_), None) => return Err(malformed(Fault::BadId)),
            },
            (None, Some(_), None) => match &id {
                Some(id) => Kind::Response(id.clone()),
                None => return Err(malformed(Fault::BadId)),
            },
            (None, None, Some(_)) => Kind::ErrorResponse(id.clone()),
            (None, Some(_), Some(_)) => return Err(malformed(Fault::ResultAndError)),
            (None, None, None) => {
                return Err(malformed(Fault::NotJsonRpc(
                    "it has neither a method nor a result nor an error",
                )));
            }
            (Some(_), ..) => {
                return Err(malformed(Fault::NotJsonRpc(
                    "it has a method and a result or an error",
                )));
            }
        };
        let mut method = Box::default();
        if let Some(at) = span(EnvelopeKey::Method) {
            strict::check(text, &limits).map_err(|error| malformed(error.into()))?;
            method = text::string_value(&raw[at])
                .filter(|method| !method.contains('\0'))
                .ok_or_else(|| malformed(Fault::NotJsonRpc("the method is not a string")))?
                .into();
        }
        Ok(Parsed::Message(Self {
            head,
            kind,
            method,
            raw,
        }))
    }

    /// Returns the bytes as they came.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Returns what the message is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Returns the method of a request or notification, or an empty text.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the id of a request or response.
    pub fn id(&self) -> Option<&RequestId> {
        match &self.kind {
            Kind::Request(id) | Kind::Response(id) => Some(id),
            Kind::ErrorResponse(id) => id.as_ref(),
            Kind::Notification => None,
        }
    }

    /// Returns where an envelope member stands.
    pub fn span(&self, key: EnvelopeKey) -> Option<Range<usize>> {
        self.head.span(key)
    }

    /// Returns the raw value of an envelope member.
    pub fn get(&self, key: EnvelopeKey) -> Option<&[u8]> {
        self.span(key).map(|at| &self.raw[at])
    }

    /// Returns the raw `params`.
    pub fn params(&self) -> Option<&[u8]> {
        self.get(EnvelopeKey::Params)
    }

    /// Returns the raw `result`.
    pub fn result(&self) -> Option<&[u8]> {
        self.get(EnvelopeKey::Result)
    }

    /// Returns the raw `error`.
    pub fn error(&self) -> Option<&[u8]> {
        self.get(EnvelopeKey::Error)
    }

    /// Returns where a member of `params`, `result` or `error` stands, by its key.
    pub fn body_span(&self, name: &str) -> Option<Range<usize>> {
        self.head
            .body
            .iter()
            .find(|member| &*member.key == name)
            .map(|member| member.value.clone())
    }

    /// Returns the raw value of a member of `params`, `result` or `error`.
    pub fn body(&self, name: &str) -> Option<&[u8]> {
        self.body_span(name).map(|at| &self.raw[at])
    }

    /// Returns the keys of the members of `params`, `result` or `error` in order.
    pub fn body_keys(&self) -> impl Iterator<Item = &str> {
        self.head.body.iter().map(|member| &*member.key)
    }

    /// Returns the text of a string member of `params`, `result` or `error`.
    pub fn body_text(&self, name: &str) -> Option<String> {
        text::string_value(self.body(name)?)
    }

    /// Returns where a member of `params._meta` (or `result._meta`) stands.
    pub fn meta_span(&self, name: &str) -> Option<Range<usize>> {
        let meta = self.body_span("_meta")?;
        let inner = super::members::member(&self.raw[meta.clone()], name)?;
        Some(meta.start + inner.start..meta.start + inner.end)
    }

    /// Returns the raw value of a member of `_meta`.
    pub fn meta(&self, name: &str) -> Option<&[u8]> {
        self.meta_span(name).map(|at| &self.raw[at])
    }

    /// Returns the text of a string member of `_meta`.
    pub fn meta_text(&self, name: &str) -> Option<String> {
        text::string_value(self.meta(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, Malformed> {
        Message::parse_single(Bytes::copy_from_slice(text.as_bytes()), Limits::default())
    }

    #[test]
    fn kinds_follow_the_members() {
        let kind = |text: &str| parse(text).unwrap().kind;
        let id = |n| RequestId::from_integer(n);
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#),
            Kind::Request(id(1))
        );
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","method":"x"}"#),
            Kind::Notification
        );
        assert_eq!(
            kind(r#"{"result":{},"jsonrpc":"2.0","id":1}"#),
            Kind::Response(id(1))
        );
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#),
            Kind::ErrorResponse(None)
        );
    }

    #[test]
    fn refusals_carry_code_and_id() {
        let check = |text: &str, code: i64, id: Option<i64>| {
            let malformed = parse(text).unwrap_err();
            assert_eq!(malformed.error().code, code, "{text} {malformed:?}");
            assert_eq!(malformed.id, id.map(RequestId::from_integer), "{text}");
        };
        check(r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600, None);
        check(r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, -32600, None);
        check(r#"{"id":4,"method":"x"}"#, -32600, Some(4));
        check(
            r#"{"jsonrpc":"2.0","id":4,"result":{},"error":{}}"#,
            -32600,
            Some(4),
        );
        check(
            r#"{"jsonrpc":"2.0","method":"x","params":{"t":"\ud800"},"id":4}"#,
            -32700,
            Some(4),
        );
        check(
            r#"{"jsonrpc":"2.0","method":"x","params":{"a":{"t":1,"t":2}},"id":4}"#,
            -32600,
            Some(4),
        );
        check(r#"{"jsonrpc":"2.0","id":4,"method":"x""#, -32700, Some(4));
        check(r#"[{"jsonrpc":"2.0","id":4,"method":"x"}]"#, -32600, None);
    }

    #[test]
    fn parts_are_found_by_name() {
        let message = parse(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"re\u0061d","_meta":{"progressToken":7}}}"#,
        )
        .unwrap();
        assert_eq!(message.body_text("name").unwrap(), "read");
        assert_eq!(message.meta("progressToken").unwrap(), b"7");
        assert_eq!(message.meta("other"), None);
    }
}
