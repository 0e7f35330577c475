//! An HTTP server that does what a closure says, one thread for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::GUARD;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) verb: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Request {
    /// The value of a header, its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC method, or nothing.
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }
}

/// Writes the response.
#[derive(Debug)]
pub(crate) struct Reply {
    stream: TcpStream,
}

impl Reply {
    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        // The proxy may have hung up, which the test sees elsewhere.
        let _ = self
            .stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush());
    }

    /// Sends bytes until the other side does not take them any more; returns how many it took.
    pub(crate) fn flood(&mut self, bytes: &[u8], most: u64) -> u64 {
        let mut sent = 0;
        while sent < most && self.stream.write_all(bytes).is_ok() {
            sent += bytes.len() as u64;
        }
        sent
    }

    /// Sends a whole response.
    pub(crate) fn full(&mut self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut head = format!(
            "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(format!("{head}\r\n{body}").as_bytes());
    }

    /// Sends a JSON response with status 200.
    pub(crate) fn json(&mut self, body: &Value) {
        self.full(
            200,
            &[("Content-Type", "application/json")],
            &body.to_string(),
        );
    }

    /// Answers a request with a result.
    pub(crate) fn result(&mut self, request: &Request, result: Value) {
        self.json(&json!({"jsonrpc": "2.0", "id": request.body["id"], "result": result}));
    }

    /// Starts an event stream that ends with the connection.
    pub(crate) fn start_events(&mut self) {
        self.raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
        );
    }

    /// Sends an event.
    pub(crate) fn event(&mut self, id: Option<&str>, message: &Value) {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        self.raw(format!("{id}data: {message}\n\n").as_bytes());
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Keeps the connection open and silent until the other side closes it.
    pub(crate) fn hang(&mut self) {
        let mut block = [0; 1024];
        while self.stream.read(&mut block).is_ok_and(|size| size > 0) {}
    }
}

/// The server.
#[derive(Debug)]
pub(crate) struct HttpUpstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl HttpUpstream {
    /// Serves; the closure gets each request, and its number among those with the same method,
    /// counted from 1. Where it returns false, a plain legacy server answers.
    pub(crate) fn start(
        handle: impl Fn(&Request, usize, &mut Reply) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let handle = Arc::new(handle);
        let known = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handle, known) = (Arc::clone(&handle), Arc::clone(&known));
                std::thread::spawn(move || serve(stream, &known, &*handle));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(|error| error.into_inner())
            .clone()
    }

    /// The requests with a method so far.
    pub(crate) fn requests_of(&self, method: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.method() == method);
        requests
    }
}

fn serve(
    stream: TcpStream,
    known: &Mutex<Vec<Request>>,
    handle: &dyn Fn(&Request, usize, &mut Reply) -> bool,
) {
    let _ = stream.set_read_timeout(Some(GUARD));
    let Ok(reading) = stream.try_clone() else {
        return;
    };
    let mut reading = BufReader::new(reading);
    let mut reply = Reply { stream };
    while let Some(request) = read_request(&mut reading) {
        let nth = {
            let mut known = known.lock().unwrap_or_else(|error| error.into_inner());
            known.push(request.clone());
            known
                .iter()
                .filter(|other| other.verb == request.verb && other.method() == request.method())
                .count()
        };
        if !handle(&request, nth, &mut reply) {
            answer_plainly(&request, &mut reply);
        }
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let (request, body) = read_bytes(stream)?;
    Some(Request {
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        ..request
    })
}

/// Reads a request and, apart from it, the bytes of its body.
pub(crate) fn read_bytes(stream: &mut BufReader<impl Read>) -> Option<(Request, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|size| *size > 0)?;
    let mut words = line.split(' ');
    let (verb, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let header = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _): &&(String, String)| name == wanted)
            .map(|(_, value)| value.clone())
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok()?;
            body.extend(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = header("content-length").and_then(|length| length.parse().ok()) {
        body.resize(length, 0);
        stream.read_exact(&mut body).ok()?;
    }
    let request = Request {
        verb,
        path,
        headers,
        body: Value::Null,
    };
    Some((request, body))
}

/// Answers as a legacy server with one tool `echo` and the session `s1`.
fn answer_plainly(request: &Request, reply: &mut Reply) {
    if request.verb != "POST" {
        return reply.full(405, &[], "");
    }
    if request.body.get("id").is_none() {
        return reply.full(202, &[], "");
    }
    let error = |code: i64, text: &str| json!({"jsonrpc": "2.0", "id": request.body["id"], "error": {"code": code, "message": text}});
    match request.method() {
        "initialize" => {
            let result = json!({
                "protocolVersion": request.body["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "scripted", "version": "1"},
            });
            let body = json!({"jsonrpc": "2.0", "id": request.body["id"], "result": result});
            let headers = [
                ("Content-Type", "application/json"),
                ("Mcp-Session-Id", "s1"),
            ];
            reply.full(200, &headers, &body.to_string());
        }
        "tools/list" => {
            let echo =
                json!({"name": "echo", "description": "Echo", "inputSchema": {"type": "object"}});
            reply.result(request, json!({"tools": [echo]}));
        }
        "tools/call" => {
            let text = request.body["params"]["arguments"].to_string();
            reply.result(
                request,
                json!({"content": [{"type": "text", "text": text}]}),
            );
        }
        "ping" | "logging/setLevel" => reply.result(request, json!({})),
        "server/discover" => {
            let headers = [("Content-Type", "application/json")];
            reply.full(
                400,
                &headers,
                &error(-32000, "Server not initialized").to_string(),
            );
        }
        _ => reply.json(&error(-32601, "Method not found")),
    }
}
