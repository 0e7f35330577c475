//! A client of the listener with a token, by raw requests.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::kit::http_client::{Response, call_body, exchange, post_bytes};
use crate::kit::messages::{LEGACY, MODERN, initialize_params, modern};

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) address: SocketAddr,
    /// The whole `Authorization`.
    pub(super) authorization: Option<String>,
}

impl Caller {
    pub(super) fn anonymous(address: SocketAddr) -> Self {
        Self {
            address,
            authorization: None,
        }
    }

    pub(super) fn bearer(address: SocketAddr, token: &str) -> Self {
        Self {
            address,
            authorization: Some(format!("Bearer {token}")),
        }
    }

    pub(super) fn post(&self, headers: &[(&str, &str)], body: &Value) -> Response {
        let mut all = headers.to_vec();
        if let Some(authorization) = &self.authorization {
            all.push(("Authorization", authorization));
        }
        exchange(self.address, &post_bytes(&all, &body.to_string()))
    }

    pub(super) fn initialize(&self) -> Response {
        let params = initialize_params(LEGACY, &json!({}));
        self.post(
            &[],
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}),
        )
    }

    /// Shakes hands and returns the session's id.
    #[track_caller]
    pub(super) fn open(&self) -> String {
        let response = self.initialize().expect(200);
        let id = response.header("mcp-session-id").expect("an id").to_owned();
        response.answer();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.in_session(&id, &initialized).expect(202);
        id
    }

    pub(super) fn in_session(&self, session: &str, body: &Value) -> Response {
        let headers = [
            ("Mcp-Session-Id", session),
            ("MCP-Protocol-Version", LEGACY),
        ];
        self.post(&headers, body)
    }

    pub(super) fn call(&self, session: &str, tool: &str, arguments: &Value) -> Response {
        self.in_session(session, &call_body(7, tool, arguments))
    }

    /// A request of the stateless protocol.
    pub(super) fn stateless(&self, method: &str, name: Option<&str>, params: Value) -> Response {
        let mut headers = vec![("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)];
        headers.extend(name.map(|name| ("Mcp-Name", name)));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": modern(params)});
        self.post(&headers, &body)
    }

    /// GET or DELETE of the endpoint.
    pub(super) fn bare(&self, verb: &str, session: &str) -> Response {
        let authorization = match &self.authorization {
            Some(value) => format!("Authorization: {value}\r\n"),
            None => String::new(),
        };
        let head = format!(
            "{verb} /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: {LEGACY}\r\n{authorization}\r\n"
        );
        exchange(self.address, head.as_bytes())
    }
}

/// GET of another path.
pub(super) fn get(address: SocketAddr, path: &str) -> Response {
    let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    exchange(address, head.as_bytes())
}
