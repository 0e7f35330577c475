//! TLS and unix sockets of the listener.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::kit::authority::{Authority, Pem};
use crate::kit::http_client::post_bytes;
use crate::kit::messages::{LEGACY, initialize_params};
use crate::kit::{GUARD, Proxy, ScriptedServer, processes, until_true};

/// A handshake's request that closes its connection.
fn request(session: Option<&str>) -> Vec<u8> {
    let mut headers = vec![("Connection", "close")];
    headers.extend(session.map(|session| ("Mcp-Session-Id", session)));
    let body = match session {
        None => {
            let params = initialize_params(LEGACY, &json!({}));
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        }
        Some(_) => json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    };
    post_bytes(&headers, &body.to_string())
}

/// Sends and reads to the end: the whole response, or nothing where the connection broke.
fn converse(mut stream: impl Read + Write, request: &[u8]) -> String {
    let mut answer = Vec::new();
    let sent = stream.write_all(request).and_then(|()| stream.flush());
    if sent.is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn over_tls(address: SocketAddr, trusted: &Authority, own: Option<&Pem>, request: &[u8]) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der()).expect("an authority");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = CertificateDer::from_pem_slice(pem.certificate.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("PEM");
            builder
                .with_client_auth_cert(vec![chain], key)
                .expect("a pair")
        }
    };
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(GUARD)).expect("a timeout");
    converse(StreamOwned::new(connection, stream), request)
}

fn session_of(answer: &str) -> String {
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "));
    line.unwrap_or_else(|| panic!("no session: {answer}"))
        .to_owned()
}

fn write(folder: &Path, pem: &Pem) {
    std::fs::write(folder.join("tls.crt"), &pem.certificate).expect("a file");
    std::fs::write(folder.join("tls.key"), &pem.key).expect("a file");
}

#[test]
fn certificates_are_taken_over_and_broken_ones_are_not() {
    let (first, second) = (Authority::new(), Authority::new());
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &first.leaf(None));
    let file = |name: &str| folder.path().join(name).display().to_string();
    let proxy = Proxy::wrap(&server)
        .listening()
        .options(&format!(
            "--tls-cert {} --tls-key {}",
            file("tls.crt"),
            file("tls.key")
        ))
        .start();
    let address = proxy.address();
    let speaks = |authority: &Authority| {
        over_tls(address, authority, None, &request(None)).starts_with("HTTP/1.1 200")
    };
    assert!(speaks(&first) && !speaks(&second));
    // Who speaks no TLS gets no answer, and holds nobody up.
    let plain = TcpStream::connect(address).expect("it listens");
    assert!(!converse(plain, &request(None)).starts_with("HTTP/1.1 200"));

    std::fs::write(folder.path().join("tls.crt"), "nonsense").expect("a file");
    processes::signal(proxy.process(), Signal::HUP);
    proxy.wait_log(&["the new certificate is not used, the old one stays"]);
    assert!(speaks(&first));
    write(folder.path(), &second.leaf(None));
    processes::signal(proxy.process(), Signal::HUP);
    until_true("the new certificate", || speaks(&second));
    assert!(!speaks(&first));
}

#[test]
fn clients_are_known_by_their_certificates() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &ours.leaf(None));
    std::fs::write(folder.path().join("ca.crt"), theirs.pem()).expect("a file");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let proxy = Proxy::wrap(&server)
        .listening()
        .options(&format!(
            "--tls-cert {} --tls-key {} --tls-client-ca {}",
            file("tls.crt"),
            file("tls.key"),
            file("ca.crt")
        ))
        .start();
    let address = proxy.address();
    let (ann, bob) = (
        theirs.leaf(Some("spiffe://example.org/ann")),
        theirs.leaf(Some("spiffe://example.org/bob")),
    );
    // The same name in a new certificate is the same client.
    let ann_later = theirs.leaf(Some("spiffe://example.org/ann"));
    let stranger = ours.leaf(Some("spiffe://example.org/ann"));
    let ask =
        |own: Option<&Pem>, session: Option<&str>| over_tls(address, &ours, own, &request(session));
    let session = session_of(&ask(Some(&ann), None));
    for (what, own, status) in [
        ("her own", Some(&ann), Some("200")),
        ("her renewed one", Some(&ann_later), Some("200")),
        ("another's", Some(&bob), Some("404")),
        ("one that nobody vouches for", Some(&stranger), None),
        ("none", None, None),
    ] {
        let answer = ask(own, Some(&session));
        match status {
            Some(status) => assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{what}: {answer}"
            ),
            None => assert_eq!(answer, "", "{what}"),
        }
    }
}

#[test]
fn a_socket_is_for_its_user_only_and_stale_ones_are_replaced() {
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("whittle.sock");
    let start = || {
        let proxy = Proxy::wrap(&server)
            .option(&format!("--listen=unix:{}", path.display()))
            .start();
        proxy.wait_stderr("listening on unix:");
        proxy
    };
    let speaks = || {
        let stream = UnixStream::connect(&path).expect("it listens");
        converse(stream, &request(None)).starts_with("HTTP/1.1 200")
    };
    let proxy = start();
    let mode = std::fs::metadata(&path)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(speaks());
    // Killed, it leaves the socket behind; the next one takes the place.
    processes::kill(proxy.process());
    drop(proxy);
    assert!(path.exists());
    let mut proxy = start();
    assert!(speaks());
    // A second one does not take a living one's place.
    let second = Proxy::wrap(&server)
        .option(&format!("--listen=unix:{}", path.display()))
        .start();
    second.wait_log(&["another process listens there"]);
    assert!(speaks());
    proxy.terminate();
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!path.exists(), "it is taken away at the end");
}

#[test]
fn what_cannot_be_used_is_said_at_the_start() {
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let empty = file("empty", "");
    let html = file("html", "<html></html>");
    let leaf = Authority::new().leaf(None);
    let (cert, key) = (file("crt", &leaf.certificate), file("key", &leaf.key));
    for (options, settings, words) in [
        (
            format!("--auth-tokens {empty}"),
            String::new(),
            "it holds no token",
        ),
        (
            format!("--auth-tokens {empty}.missing"),
            String::new(),
            "cannot read the tokens",
        ),
        (
            String::new(),
            super::issuer::settings(&html),
            "cannot be used: it is no JSON",
        ),
        (
            format!("--tls-cert {empty} --tls-key {key}"),
            String::new(),
            "holds no certificate",
        ),
        (
            format!("--tls-cert {cert} --tls-key {key} --tls-client-ca {empty}"),
            String::new(),
            "holds no authority",
        ),
    ] {
        let mut proxy = Proxy::wrap(&server)
            .listening()
            .options(&options)
            .settings(&settings)
            .start();
        proxy.wait_stderr(words);
        assert_ne!(proxy.wait_exit().code(), Some(0), "{options}");
        assert!(proxy.stderr().contains("hint:"), "{}", proxy.stderr());
    }
}
