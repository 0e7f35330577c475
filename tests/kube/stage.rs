//! A running webhook and a client that trusts its CA.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::kit::authority::{Authority, Pem};

/// How long anything may take.
const GUARD: Duration = Duration::from_secs(20);

/// The prefix of labels at the time the reviews were captured.
pub(super) const OLD_PREFIX: &str = "mcp-compress.example.io";

/// A running webhook.
pub(super) struct Webhook {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) authority: Authority,
    folder: TempDir,
    log: Arc<Mutex<String>>,
}

impl Webhook {
    /// Starts one with further options.
    pub(super) fn start(options: &[&str]) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder, &authority.leaf_until(2099));
        let mut child = command(&folder)
            .args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
            .args(["--reload-interval=100ms", "--drain=1s"])
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("piped");
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = lines.lock().expect("no holder panics");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut webhook = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            authority,
            folder,
            log,
        };
        webhook.admin = webhook
            .said("metrics on http://")
            .parse()
            .expect("an address");
        let url = webhook.said("listening on https://");
        let address = url.strip_suffix("/mutate").expect("the path");
        webhook.address = address.parse().expect("an address");
        webhook.until("ready", || {
            webhook.get("/readyz").starts_with("HTTP/1.1 200")
        });
        webhook
    }

    /// The word behind `start` in the log, as soon as it is there.
    pub(super) fn said(&self, start: &str) -> String {
        let mut found = None;
        self.until(start, || {
            let log = self.log();
            found = log
                .split_once(start)
                .filter(|(_, rest)| rest.contains('\n'))
                .and_then(|(_, rest)| rest.split_whitespace().next())
                .map(str::to_owned);
            found.is_some()
        });
        found.expect("it was found")
    }

    pub(super) fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + GUARD;
        while !is_so() {
            assert!(Instant::now() < end, "{what}: not in time\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Puts another certificate into the files.
    pub(super) fn give(&self, pem: &Pem) {
        write(&self.folder, pem);
    }

    /// Opens a connection; an error if the certificate is not one of this CA's.
    pub(super) fn connect(&self, authority: &Authority) -> Result<Connection, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der()).expect("a CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().expect("a name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(GUARD))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Connection(StreamOwned::new(tls, stream)))
    }

    /// Posts a review as API servers do.
    pub(super) fn review(&self, review: &str) -> (u16, String) {
        let mut connection = self.connect(&self.authority).expect("it is trusted");
        connection.post("/mutate?timeout=3s", "application/json", review.as_bytes())
    }

    /// Asks the admin listener; the whole answer.
    pub(super) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("it listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    pub(super) fn terminate(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end.
    pub(super) fn code(mut self) -> Option<i32> {
        let end = Instant::now() + GUARD;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that can be used again and again.
pub(super) struct Connection(StreamOwned<ClientConnection, TcpStream>);

impl Connection {
    pub(super) fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: webhook\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(head.as_bytes());
        self.send(body);
        self.answer()
    }

    /// Sends what may be refused before its end.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).and_then(|()| self.0.flush());
    }

    pub(super) fn answer(&mut self) -> (u16, String) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head");
        let status = head[9..12].parse().expect("a status");
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        (status, String::from_utf8(body).expect("UTF-8"))
    }
}

/// The command with the certificate's files in a folder.
pub(super) fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"));
    command
        .arg("webhook")
        .arg("--tls-cert")
        .arg(folder.path().join("tls.crt"))
        .arg("--tls-key")
        .arg(folder.path().join("tls.key"))
        .stdin(Stdio::null());
    command
}

/// Writes both files; each appears whole.
pub(super) fn write(folder: &TempDir, pem: &Pem) {
    for (name, text) in [("tls.key", &pem.key), ("tls.crt", &pem.certificate)] {
        let part: PathBuf = folder.path().join("part");
        std::fs::write(&part, text).expect("written");
        std::fs::rename(part, folder.path().join(name)).expect("renamed");
    }
}
