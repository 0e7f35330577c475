//! A raw HTTP/1.1 client: one connection for each request, every byte under the test's control.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::GUARD;
use super::messages::{LEGACY, initialize_params};

/// A response, read so far as its head.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
    is_chunked: bool,
    /// Bytes of the body that were unwrapped but not used.
    rest: Vec<u8>,
}

/// Sends bytes and reads the head of what comes back.
#[track_caller]
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = connect(address);
    stream.write_all(request).expect("the request is sent");
    read_head(stream).expect("a response")
}

/// Opens a connection that hangs at most [`GUARD`].
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the proxy listens");
    stream
        .set_read_timeout(Some(GUARD))
        .expect("a timeout can be set");
    stream
        .set_write_timeout(Some(GUARD))
        .expect("a timeout can be set");
    stream
}

/// Writes a POST to `/mcp` with a JSON body, further headers after the usual ones.
pub(crate) fn post_bytes(headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = String::from("POST /mcp HTTP/1.1\r\n");
    if !has(headers, "host") {
        head.push_str("Host: 127.0.0.1\r\n");
    }
    if !has(headers, "accept") {
        head.push_str("Accept: application/json, text/event-stream\r\n");
    }
    if !has(headers, "content-type") {
        head.push_str("Content-Type: application/json\r\n");
    }
    if !has(headers, "content-length") && !has(headers, "transfer-encoding") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

fn has(headers: &[(&str, &str)], name: &str) -> bool {
    headers
        .iter()
        .any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// Posts a message.
#[track_caller]
pub(crate) fn post(address: SocketAddr, headers: &[(&str, &str)], body: &Value) -> Response {
    exchange(address, &post_bytes(headers, &body.to_string()))
}

/// A legacy session of the listener.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    address: SocketAddr,
    id: String,
}

impl Session {
    /// Shakes hands.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Self {
        let params = initialize_params(LEGACY, &json!({}));
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = post(address, &[], &body).expect(200);
        let id = response
            .header("mcp-session-id")
            .expect("a session id")
            .to_owned();
        let answer = response.answer();
        assert!(answer["result"].is_object(), "{answer}");
        let session = Self { address, id };
        session
            .post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .expect(202);
        session
    }

    /// Posts a message in the session.
    #[track_caller]
    pub(crate) fn post(&self, body: &Value) -> Response {
        post(self.address, &self.headers(), body)
    }

    /// Posts a call and reads its answer.
    #[track_caller]
    pub(crate) fn call(&self, id: i64, tool: &str, arguments: Value) -> Value {
        self.post(&call_body(id, tool, &arguments)).answer()
    }

    /// Opens the stream for messages that answer nothing.
    #[track_caller]
    pub(crate) fn listen(&self) -> Response {
        let mut head =
            String::from("GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n");
        for (name, value) in self.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        exchange(self.address, format!("{head}\r\n").as_bytes())
    }

    /// The headers of a request in the session.
    pub(crate) fn headers(&self) -> [(&str, &str); 2] {
        [
            ("Mcp-Session-Id", &self.id),
            ("MCP-Protocol-Version", LEGACY),
        ]
    }
}

/// The body of `tools/call`.
pub(crate) fn call_body(id: i64, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// Reads the head of a response.
pub(crate) fn read_head(stream: TcpStream) -> Result<Response, String> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| format!("no status line: {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let is_chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value.contains("chunked"));
    Ok(Response {
        status,
        headers,
        stream,
        is_chunked,
        rest: Vec::new(),
    })
}

impl Response {
    /// The value of a header, its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Checks the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let found = self.status;
        if found == status {
            return self;
        }
        panic!("status {found} instead of {status}: {}", self.text());
    }

    /// Reads the whole body as text.
    pub(crate) fn text(mut self) -> String {
        let length = self
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok());
        let mut body = Vec::new();
        if self.is_chunked {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else if let Some(length) = length {
            body.resize(length, 0);
            self.stream.read_exact(&mut body).expect("the whole body");
        } else {
            let _ = self.stream.read_to_end(&mut body);
        }
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Reads the one answer: the JSON body, or the first response in the event stream.
    #[track_caller]
    pub(crate) fn answer(mut self) -> Value {
        if self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"))
        {
            loop {
                let Some(event) = self.event() else {
                    panic!("the stream ended without an answer");
                };
                if event.get("method").is_none() {
                    return event;
                }
            }
        }
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }

    /// Reads the next message of the event stream.
    pub(crate) fn event(&mut self) -> Option<Value> {
        loop {
            let line = self.line()?;
            if let Some(data) = line.strip_prefix("data:")
                && let Ok(message) = serde_json::from_str(data.trim())
            {
                return Some(message);
            }
        }
    }

    /// Reads a line of the body, comments included.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.is_chunked {
                let chunk = self.chunk()?;
                self.rest.extend(chunk);
            } else {
                let mut block = [0; 4096];
                let size = self.stream.read(&mut block).ok().filter(|size| *size > 0)?;
                self.rest.extend(&block[..size]);
            }
        }
    }

    fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Hangs up.
    pub(crate) fn hang_up(self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }
}
