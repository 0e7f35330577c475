//! A server that answers as fast as the standard library can, so that a measurement sees the proxy and
//! not the server. It reads just enough of a message to answer it and is no model for a real server.
//!
//! `echo_server [--http ADDR] [--mark FILE] [--list FILE] [--results FOLDER] [--start-delay MS]`
//!
//! * `tools/call` answers with a result of `bytes` bytes (`arguments`), of kind `text` or `rows`, after
//!   `delay` milliseconds; calls that wait do not hold up others. It works `busy` microseconds on it.
//! * `--mark` writes the time (nanoseconds since 1970) of the first byte on stdin to a file.
//! * `--list` gives the result of `tools/list`.
//! * `--results` gives captured results: a call with `file` answers with the `response.result` of that file.
//! * `--http` serves streamable HTTP with plain JSON answers and prints the address it listens on.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A list for when none is given.
const LIST: &str = r#"{"tools":[{"name":"echo","description":"Returns as many bytes as asked for.","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"},"kind":{"type":"string"},"delay":{"type":"integer"}},"required":["bytes"]}}]}"#;
const HANDSHAKE: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}"#;

fn main() -> io::Result<()> {
    run(std::env::args().skip(1).collect())
}

#[derive(Default)]
struct Options {
    http: Option<String>,
    mark: Option<String>,
    list: Option<String>,
    results: Option<PathBuf>,
    start_delay: u64,
}

/// Serves until its input ends.
///
/// # Errors
/// When an argument is not known or a file or address cannot be had.
pub(crate) fn run(arguments: Vec<String>) -> io::Result<()> {
    let mut options = Options::default();
    let mut rest = arguments.into_iter();
    while let (Some(name), value) = (rest.next(), rest.next()) {
        match name.as_str() {
            "--http" => options.http = value,
            "--mark" => options.mark = value,
            "--list" => options.list = value.map(std::fs::read_to_string).transpose()?,
            "--results" => options.results = value.map(PathBuf::from),
            "--start-delay" => {
                options.start_delay = value
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| io::Error::other("--start-delay wants milliseconds"))?;
            }
            _ => return Err(io::Error::other(format!("unknown option {name}"))),
        }
    }
    std::thread::sleep(Duration::from_millis(options.start_delay));
    let server = Server {
        list: options.list.unwrap_or_else(|| LIST.to_owned()),
        results: options.results,
        payloads: HashMap::new(),
    };
    match &options.http {
        Some(address) => server.serve_http(address),
        None => server.serve_pipes(options.mark.as_deref()),
    }
}

#[derive(Clone)]
struct Server {
    list: String,
    /// Where captured results are.
    results: Option<PathBuf>,
    /// Results by what asked for them, so that repeats cost nothing.
    payloads: HashMap<(usize, bool), Arc<str>>,
}

/// An answer, after a delay in milliseconds.
struct Answer {
    text: Vec<u8>,
    delay: u64,
}

impl Server {
    fn serve_pipes(mut self, mark: Option<&str>) -> io::Result<()> {
        let mut input = BufReader::with_capacity(1 << 20, io::stdin().lock());
        // A file rather than `io::stdout()`, whose line buffer would copy and cut large answers.
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let output = Arc::new(Mutex::new(output));
        let mut line = Vec::new();
        if let Some(mark) = mark {
            input.fill_buf()?;
            std::fs::write(mark, now().to_string())?;
        }
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Some(mut answer) = self.answer(&line) else {
                continue;
            };
            answer.text.push(b'\n');
            if answer.delay == 0 {
                lock(&output).write_all(&answer.text)?;
                continue;
            }
            let output = Arc::clone(&output);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(answer.delay));
                lock(&output).write_all(&answer.text)
            });
        }
    }

    fn serve_http(self, address: &str) -> io::Result<()> {
        let listener = TcpListener::bind(address)?;
        writeln!(io::stdout(), "{}", listener.local_addr()?)?;
        for stream in listener.incoming() {
            let (stream, mut server) = (stream?, self.clone());
            std::thread::spawn(move || server.serve_connection(&stream));
        }
        Ok(())
    }

    fn serve_connection(&mut self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut input = BufReader::with_capacity(256 << 10, stream);
        let mut line = String::new();
        loop {
            line.clear();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let is_post = line.starts_with("POST ");
            let mut length = 0;
            loop {
                line.clear();
                input.read_line(&mut line)?;
                let Some((name, value)) = line.split_once(':') else {
                    break;
                };
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
            }
            let mut body = vec![0; length];
            input.read_exact(&mut body)?;
            if !is_post {
                stream.write_all(
                    b"HTTP/1.1 405 Method Not Allowed\r\nallow: POST\r\ncontent-length: 0\r\n\r\n",
                )?;
                continue;
            }
            let Some(answer) = self.answer(&body) else {
                stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            };
            std::thread::sleep(Duration::from_millis(answer.delay));
            let mut out = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.text.len()
            )
            .into_bytes();
            out.extend_from_slice(&answer.text);
            stream.write_all(&out)?;
        }
    }

    fn answer(&mut self, message: &[u8]) -> Option<Answer> {
        // Only what stands before the first arguments is looked at; ids and methods stand there.
        let id = value(message, b"\"id\":")?;
        let method = value(message, b"\"method\":")?;
        let mut delay = 0;
        let payload;
        let (member, body) = match method {
            b"\"initialize\"" => ("result", HANDSHAKE),
            b"\"ping\"" => ("result", "{}"),
            b"\"tools/list\"" => ("result", self.list.as_str()),
            b"\"tools/call\"" => {
                delay = number(message, b"\"delay\":").unwrap_or(0) as u64;
                let busy = number(message, b"\"busy\":").unwrap_or(0) as u64;
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(busy) {
                    std::hint::spin_loop();
                }
                let bytes = number(message, b"\"bytes\":").unwrap_or(0);
                let is_rows = value(message, b"\"kind\":") == Some(b"\"rows\"");
                payload = match self.captured(message) {
                    Some(captured) => captured.into(),
                    None => self.payload(bytes, is_rows),
                };
                ("result", &*payload)
            }
            _ => ("error", r#"{"code":-32601,"message":"method not found"}"#),
        };
        let mut text = Vec::with_capacity(body.len() + 64);
        text.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        text.extend_from_slice(id);
        text.extend_from_slice(format!(",\"{member}\":").as_bytes());
        text.extend_from_slice(body.as_bytes());
        text.push(b'}');
        Some(Answer { text, delay })
    }

    fn captured(&self, message: &[u8]) -> Option<String> {
        let folder = self.results.as_ref()?;
        let file = std::str::from_utf8(value(message, b"\"file\":")?).ok()?;
        let text = std::fs::read_to_string(folder.join(file.trim_matches('"'))).ok()?;
        let captured: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(captured["response"]["result"].to_string())
    }

    fn payload(&mut self, bytes: usize, is_rows: bool) -> Arc<str> {
        Arc::clone(
            self.payloads
                .entry((bytes, is_rows))
                .or_insert_with(|| make_payload(bytes, is_rows).into()),
        )
    }
}

/// Makes a result of about `bytes` bytes: prose with a line break now and then, or rows of a table.
fn make_payload(bytes: usize, is_rows: bool) -> String {
    let mut text = String::with_capacity(bytes + 256);
    if is_rows {
        text.push_str(r#"{"content":[],"structuredContent":{"rows":["#);
        let mut n = 0;
        while text.len() + 160 < bytes.max(200) {
            if n > 0 {
                text.push(',');
            }
            text.push_str(&format!(
                r#"{{"id":{n},"name":"item {n}","is_open":{},"score":{}.25,"labels":["a","b"],"owner":null}}"#,
                n % 2 == 0,
                n % 97
            ));
            n += 1;
        }
        text.push_str("]}}");
        return text;
    }
    text.push_str(r#"{"content":[{"type":"text","text":""#);
    while text.len() + 48 < bytes {
        text.push_str("A line of a file as tools return them, \\\"so\\\".\\n");
    }
    while text.len() + 4 < bytes {
        text.push('.');
    }
    text.push_str("\"}]}");
    text
}

/// Returns the raw string or number after the first `"key":`.
fn value<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let near = &message[..message.len().min(4096)];
    let from = near.windows(key.len()).position(|part| part == key)? + key.len();
    let rest = near[from..].trim_ascii_start();
    let length = match rest.first()? {
        b'"' => rest[1..].iter().position(|b| *b == b'"')? + 2,
        _ => rest.iter().position(|b| matches!(b, b',' | b'}'))?,
    };
    Some(&rest[..length])
}

fn number(message: &[u8], key: &[u8]) -> Option<usize> {
    std::str::from_utf8(value(message, key)?)
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

fn lock(output: &Mutex<File>) -> MutexGuard<'_, File> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}
