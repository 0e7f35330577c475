//! Refusals: a status and a JSON-RPC error with `id: null` that says what was wrong.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};

/// JSON-RPC 2.0 "Invalid Request": the request was not one we could serve.
const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC 2.0 "Internal error": our side could not serve it.
const INTERNAL_ERROR: i32 = -32603;
/// MCP 2026-07-28 `HeaderMismatch`.
const HEADER_MISMATCH: i32 = -32020;

/// An answer given without asking the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    code: i32,
    message: String,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// The request body is not going to be read, so the connection cannot be used again.
    pub(super) closes: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let code = if status.is_server_error() {
            INTERNAL_ERROR
        } else {
            INVALID_REQUEST
        };
        Self {
            status,
            code,
            message: message.into(),
            header: None,
            closes: false,
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn header_mismatch(message: impl Into<String>) -> Self {
        Self {
            code: HEADER_MISMATCH,
            ..Self::bad_request(message)
        }
    }

    pub(super) fn overloaded(message: impl Into<String>) -> Self {
        let mut refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
        refusal.header = Some((header::RETRY_AFTER, HeaderValue::from_static("1")));
        refusal
    }

    pub(super) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(super) fn body(&self) -> Bytes {
        let error = serde_json::json!({
            "jsonrpc": "2.0",
            "id": null,
            "error": { "code": self.code, "message": self.message },
        });
        Bytes::from(error.to_string())
    }

    /// The whole response as bytes, for connections on which no request was parsed.
    pub(super) fn raw_response(&self) -> Vec<u8> {
        let body = self.body();
        let mut head = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
            self.status,
            body.len()
        );
        if let Some((name, value)) = &self.header {
            head.push_str(&format!(
                "{name}: {}\r\n",
                value.to_str().unwrap_or_default()
            ));
        }
        head.push_str("\r\n");
        let mut response = head.into_bytes();
        response.extend_from_slice(&body);
        response
    }
}
