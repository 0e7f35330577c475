//! A client of the proxy: HTTP/1.1 by hand over one connection, with little memory of its own, so that
//! thousands fit beside what is measured.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    /// HTTP status.
    pub(crate) status: u16,
    /// `Mcp-Session-Id`.
    pub(crate) session: Option<String>,
    /// The JSON-RPC answer, or null.
    pub(crate) message: Value,
}

/// A connection that is used for one request after another.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// Connects when it is used.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Sends a request and reads the response; once more on a new connection where the old one was closed
    /// while it was idle.
    ///
    /// # Errors
    /// When no response comes.
    pub(crate) async fn ask(
        &mut self,
        verb: &str,
        session: Option<&str>,
        body: &str,
    ) -> io::Result<Response> {
        let request = request(verb, session, body);
        if self.stream.is_some()
            && let Ok(response) = self.try_ask(&request).await
        {
            return Ok(response);
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        self.stream = Some(BufReader::with_capacity(4096, stream));
        self.try_ask(&request).await
    }

    /// Where it goes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether something came behind the last response.
    pub(crate) fn has_more(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| !stream.buffer().is_empty())
    }

    /// Reads a page as text.
    ///
    /// # Errors
    /// When no response comes.
    pub(crate) async fn text(address: SocketAddr, path: &str) -> io::Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes()).await?;
        let head = Head::read(&mut stream).await?;
        let body = head.body(&mut stream).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn try_ask(&mut self, request: &[u8]) -> io::Result<Response> {
        let mut stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        stream.get_mut().write_all(request).await?;
        let head = Head::read(&mut stream).await?;
        let body = head.body(&mut stream).await?;
        let text = match body.strip_prefix(b"data:") {
            Some(_) => last_event(&body),
            None => body.as_slice(),
        };
        if !head.closes {
            self.stream = Some(stream);
        }
        Ok(Response {
            status: head.status,
            message: serde_json::from_slice(text).unwrap_or_default(),
            session: head.session,
        })
    }
}

fn last_event(body: &[u8]) -> &[u8] {
    let mut lines = body.split(|byte| *byte == b'\n').rev();
    lines
        .find_map(|line| line.strip_prefix(b"data:"))
        .unwrap_or_default()
}

/// The bytes of a request.
pub(crate) fn request(verb: &str, session: Option<&str>, body: &str) -> Vec<u8> {
    let mut head = format!(
        "{verb} /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    if let Some(session) = session {
        head.push_str(&format!(
            "Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n"
        ));
    }
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

struct Head {
    status: u16,
    session: Option<String>,
    length: Option<usize>,
    is_chunked: bool,
    closes: bool,
}

impl Head {
    async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut head = Self {
            status: status.ok_or(io::ErrorKind::UnexpectedEof)?,
            session: None,
            length: None,
            is_chunked: false,
            closes: false,
        };
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                return Ok(head);
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "mcp-session-id" => head.session = Some(value.to_owned()),
                "content-length" => head.length = value.parse().ok(),
                "transfer-encoding" => head.is_chunked = true,
                "connection" => head.closes = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }

    async fn body(&self, stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.is_chunked {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await?;
                let size = usize::from_str_radix(line.trim(), 16)
                    .map_err(|_| io::ErrorKind::InvalidData)?;
                let start = body.len();
                body.resize(start + size + 2, 0);
                stream.read_exact(&mut body[start..]).await?;
                body.truncate(start + size);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = self.length {
            body.resize(length, 0);
            stream.read_exact(&mut body).await?;
        }
        Ok(body)
    }
}

/// A session of the proxy, with or without a stream.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its id.
    pub(crate) id: String,
    stream: Option<JoinHandle<()>>,
}

impl Session {
    /// Shakes hands; opens a stream too if wanted, which is read or, if `is_deaf`, never is.
    ///
    /// # Errors
    /// When there is no session.
    pub(crate) async fn open(
        connection: &mut Connection,
        has_stream: bool,
        is_deaf: bool,
    ) -> io::Result<Self> {
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "soak", "version": "1"},
        }});
        let response = connection.ask("POST", None, &body.to_string()).await?;
        let Some(id) = response.session else {
            return Err(io::Error::other(format!(
                "no session: {} {}",
                response.status, response.message
            )));
        };
        let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        connection.ask("POST", Some(&id), told).await?;
        let stream = if has_stream {
            let mut stream = TcpStream::connect(connection.address).await?;
            stream.write_all(&request("GET", Some(&id), "")).await?;
            Some(tokio::spawn(async move {
                if is_deaf {
                    std::future::pending::<()>().await;
                }
                let mut block = [0; 512];
                while stream.read(&mut block).await.is_ok_and(|size| size > 0) {}
            }))
        } else {
            None
        };
        Ok(Self { id, stream })
    }

    /// Whether its stream ended although nobody ended the session.
    pub(crate) fn lost_its_stream(&self) -> bool {
        self.stream.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When no response comes.
    pub(crate) async fn end(mut self, connection: &mut Connection) -> io::Result<()> {
        connection.ask("DELETE", Some(&self.id), "").await?;
        if let Some(stream) = self.stream.take() {
            stream.abort();
        }
        Ok(())
    }
}

impl Drop for Session {
    /// Left without a word, as clients that crash do.
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.abort();
        }
    }
}
