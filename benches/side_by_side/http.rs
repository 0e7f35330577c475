//! A client over streamable HTTP: one connection that is kept, answers as JSON or as an event stream.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::message::{INITIALIZE, INITIALIZED, id_of};

/// Lines of heads and of chunk sizes.
const MOST_LINE: u64 = 64 << 10;

/// A connection to a hop, in a session.
pub(crate) struct Connection {
    stream: Option<BufReader<TcpStream>>,
    address: String,
    path: &'static str,
    pub(crate) session: Option<String>,
    limit: Duration,
    body: Vec<u8>,
}

impl Connection {
    /// Connects to `127.0.0.1:PORT`; each answer may take up to `limit`.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn open(
        address: &str,
        path: &'static str,
        session: Option<String>,
        limit: Duration,
    ) -> io::Result<Self> {
        let mut connection = Self {
            stream: None,
            address: address.to_owned(),
            path,
            session,
            limit,
            body: Vec::new(),
        };
        connection.connect()?;
        Ok(connection)
    }

    fn connect(&mut self) -> io::Result<()> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.limit))?;
        stream.set_write_timeout(Some(self.limit))?;
        self.stream = Some(BufReader::with_capacity(64 << 10, stream));
        Ok(())
    }

    /// Shakes hands: this connection is then in a session of its own.
    ///
    /// # Errors
    /// When the hop does not.
    pub(crate) fn shake(&mut self) -> io::Result<()> {
        self.session = None;
        self.ask(INITIALIZE.as_bytes())?;
        self.post(INITIALIZED.as_bytes())
    }

    /// Sends a request and returns its answer, a JSON text.
    ///
    /// # Errors
    /// When it is refused, or not there in time.
    pub(crate) fn ask(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        self.post(message)?;
        if self.body.first() == Some(&b'{') {
            return Ok(&self.body);
        }
        let mut at = 0;
        while at < self.body.len() {
            let rest = &self.body[at..];
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            if line.starts_with(b"data:") && id_of(line).is_some() {
                let start = at + 5 + line[5..].iter().take_while(|byte| **byte == b' ').count();
                let stop = at + line.len() - usize::from(line.ends_with(b"\r"));
                return Ok(&self.body[start..stop]);
            }
            at += end + 1;
        }
        Err(io::Error::other("the event stream ended without an answer"))
    }

    fn post(&mut self, message: &[u8]) -> io::Result<()> {
        if self.stream.is_none() {
            self.connect()?;
        }
        let session = self.session.as_ref().map_or_else(String::new, |id| {
            format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-06-18\r\n")
        });
        let mut text = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n{session}content-length: {}\r\n\r\n",
            self.path,
            self.address,
            message.len()
        )
        .into_bytes();
        text.extend_from_slice(message);
        let mut stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        stream.get_mut().write_all(&text)?;
        let status = line(&mut stream)?;
        let (mut length, mut is_chunked, mut is_last) = (None, false, false);
        loop {
            let head = line(&mut stream)?;
            let Some((name, value)) = head.split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    length = Some(value.parse::<usize>().map_err(io::Error::other)?);
                }
                "transfer-encoding" => is_chunked = true,
                "connection" => is_last = value.eq_ignore_ascii_case("close"),
                "mcp-session-id" => self.session = Some(value.to_owned()),
                _ => {}
            }
        }
        self.body.clear();
        if is_chunked {
            self.read_chunks(&mut stream)?;
        } else if let Some(length) = length {
            self.body.resize(length, 0);
            stream.read_exact(&mut self.body)?;
        } else if !status.contains(" 202 ") && !status.contains(" 204 ") {
            stream.read_to_end(&mut self.body)?;
            is_last = true;
        }
        if !is_last {
            self.stream = Some(stream);
        }
        if !status.starts_with("HTTP/1.1 2") {
            let said = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).into_owned();
            return Err(io::Error::other(format!(
                "refused: {} {said}",
                status.trim()
            )));
        }
        Ok(())
    }

    fn read_chunks(&mut self, stream: &mut BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let size = line(stream)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            let start = self.body.len();
            self.body.resize(start + size, 0);
            stream.read_exact(&mut self.body[start..])?;
            line(stream)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    if stream.take(MOST_LINE).read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text)
}

/// Returns an address on loopback that was free a moment ago.
///
/// # Errors
/// When there is none.
pub(crate) fn free_address() -> io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
