//! The client of a measurement: one connection on pipes or TCP, and the processes behind it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The proxy as it is shipped.
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Returns this program as a role with arguments.
pub(crate) fn role(name: &str, arguments: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().unwrap_or_default();
    let mut words = vec![program.display().to_string(), name.to_owned()];
    words.extend(arguments.iter().map(|word| (*word).to_owned()));
    words
}

/// Puts the proxy with options in front of a command.
pub(crate) fn proxied(options: &[&str], command: Vec<String>) -> Vec<String> {
    let mut words = vec![PROXY.to_owned(), "--log-level=error".to_owned()];
    words.extend(options.iter().map(|word| (*word).to_owned()));
    if !command.is_empty() {
        words.push("--".to_owned());
        words.extend(command);
    }
    words
}

/// A call of the server's one tool.
pub(crate) fn call(id: u64, tool: &str, arguments: &str) -> Vec<u8> {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments}}}}}"
    )
    .into_bytes()
}

/// Writes a real server's answer to `tools/list` to a folder and returns the file.
pub(crate) fn real_list(folder: &Path) -> io::Result<String> {
    let captured = include_str!("../../testdata/servers/notion/tools.json");
    let captured: serde_json::Value = serde_json::from_str(captured)?;
    let file = folder.join("list.json");
    std::fs::write(&file, captured["result"].to_string())?;
    Ok(file.display().to_string())
}

/// A process that ends with the value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a command with pipes on stdin and stdout.
    pub(crate) fn start(words: &[String]) -> io::Result<Self> {
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok(Self { child })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads the one line that servers print: the address they listen on.
    pub(crate) fn address(&mut self) -> io::Result<String> {
        let stdout = self.child.stdout.take().ok_or(io::ErrorKind::NotFound)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            // Servers on TCP do not end with stdin.
            if self.child.stdout.is_none() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client on pipes.
pub(crate) struct PipeClient {
    pub(crate) input: ChildStdin,
    pub(crate) output: BufReader<ChildStdout>,
    pub(crate) process: Process,
    pub(crate) line: Vec<u8>,
}

impl PipeClient {
    /// Starts a command.
    pub(crate) fn start(words: &[String]) -> io::Result<Self> {
        let mut process = Process::start(words)?;
        let missing = || io::Error::other("a pipe is missing");
        Ok(Self {
            input: process.child.stdin.take().ok_or_else(missing)?,
            output: BufReader::with_capacity(
                256 << 10,
                process.child.stdout.take().ok_or_else(missing)?,
            ),
            process,
            line: Vec::new(),
        })
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(message.len() + 1);
        text.extend_from_slice(message);
        text.push(b'\n');
        self.input.write_all(&text)
    }

    /// Reads the next message.
    pub(crate) fn receive(&mut self) -> io::Result<&[u8]> {
        self.line.clear();
        if self.output.read_until(b'\n', &mut self.line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&self.line)
    }
}

/// A client over HTTP that keeps one connection.
pub(crate) struct HttpClient {
    stream: BufReader<TcpStream>,
    host: String,
    path: &'static str,
    session: Option<String>,
    body: Vec<u8>,
}

impl HttpClient {
    /// Connects.
    pub(crate) fn connect(address: &str, path: &'static str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(256 << 10, stream),
            host: address.to_owned(),
            path,
            session: None,
            body: Vec::new(),
        })
    }

    fn post(&mut self, message: &[u8]) -> io::Result<()> {
        let session = self.session.as_ref().map_or_else(String::new, |id| {
            format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n")
        });
        let mut text = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n{session}content-length: {}\r\n\r\n",
            self.path,
            self.host,
            message.len()
        )
        .into_bytes();
        text.extend_from_slice(message);
        self.stream.get_mut().write_all(&text)?;
        let mut line = String::new();
        let (mut length, mut is_chunked) = (0, false);
        self.stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 2") {
            return Err(io::Error::other(format!("refused: {line}")));
        }
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let (name, value) = (name.to_ascii_lowercase(), value.trim());
            match name.as_str() {
                "content-length" => length = value.parse().map_err(io::Error::other)?,
                "transfer-encoding" => is_chunked = true,
                "mcp-session-id" => self.session = Some(value.to_owned()),
                _ => {}
            }
        }
        self.body.clear();
        loop {
            if is_chunked {
                line.clear();
                self.stream.read_line(&mut line)?;
                length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            }
            let start = self.body.len();
            self.body.resize(start + length, 0);
            self.stream.read_exact(&mut self.body[start..])?;
            if !is_chunked {
                return Ok(());
            }
            line.clear();
            self.stream.read_line(&mut line)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// One exchange after another.
pub(crate) trait Client {
    /// Sends a request and returns its answer.
    fn ask(&mut self, message: &[u8]) -> io::Result<&[u8]>;
    /// Sends a notification.
    fn tell(&mut self, message: &[u8]) -> io::Result<()>;

    /// Shakes hands.
    fn shake(&mut self) -> io::Result<()> {
        let answer = self.ask(INITIALIZE.as_bytes())?;
        check(answer, "\"protocolVersion\"")?;
        self.tell(INITIALIZED.as_bytes())
    }
}

/// Fails unless an answer has a text, so that errors are never measured as answers.
pub(crate) fn check(answer: &[u8], text: &str) -> io::Result<()> {
    if memchr::memmem::find(answer, text.as_bytes()).is_none() {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
        return Err(io::Error::other(format!("no {text} in: {shown}")));
    }
    Ok(())
}

impl Client for PipeClient {
    fn ask(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        self.send(message)?;
        self.receive()
    }

    fn tell(&mut self, message: &[u8]) -> io::Result<()> {
        self.send(message)
    }
}

impl Client for HttpClient {
    fn ask(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        self.post(message)?;
        Ok(&self.body)
    }

    fn tell(&mut self, message: &[u8]) -> io::Result<()> {
        self.post(message)
    }
}
