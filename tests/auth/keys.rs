//! An issuer whose keys come over HTTP: rotated, slow, huge, and asked for by made-up ids.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::process::Signal;

use super::caller::Caller;
use super::issuer::{Issuer, claims, header, settings};
use crate::kit::authority::{Authority, Pem};
use crate::kit::http_upstream::HttpUpstream;
use crate::kit::{GUARD, Proxy, ScriptedServer, processes};

/// An endpoint whose answer changes.
struct Endpoint {
    server: HttpUpstream,
    body: Arc<Mutex<String>>,
    hangs: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Endpoint {
    fn new(body: String) -> Self {
        let body = Arc::new(Mutex::new(body));
        let (hangs, asked): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let (its_body, its_hangs, its_asked) =
            (Arc::clone(&body), Arc::clone(&hangs), Arc::clone(&asked));
        let server = HttpUpstream::start(move |_, _, reply| {
            its_asked.fetch_add(1, Ordering::SeqCst);
            if its_hangs.load(Ordering::SeqCst) {
                reply.hang();
                return true;
            }
            let body = its_body.lock().expect("no panic").clone();
            reply.full(200, &[("Content-Type", "application/json")], &body);
            true
        });
        Self {
            server,
            body,
            hangs,
            asked,
        }
    }

    fn set(&self, body: String) {
        *self.body.lock().expect("no panic") = body;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[test]
fn keys_are_rotated_and_a_bad_issuer_hurts_nobody() {
    let issuer = Issuer::new();
    let endpoint = Endpoint::new(issuer.keys("").to_string());
    let server = ScriptedServer::new("tool t");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings(&settings(&endpoint.server.url()))
        .start();
    let address = proxy.address();
    let signed = |key: &str| issuer.sign(&header("ES256", key), &claims("ann"));
    let status = |key: &str| Caller::bearer(address, &signed(key)).initialize().status;
    // Also before the first answer of the issuer: the request waits for it.
    assert_eq!(status("ec"), 200);
    assert_eq!(endpoint.asked(), 1);

    // Rotation: the new key is fetched when it is first met, and the old one is gone with it.
    endpoint.set(issuer.keys("new-").to_string());
    assert_eq!(status("new-ec"), 200);
    assert_eq!(status("ec"), 401);

    // Made-up ids cause few fetches.
    for n in 0..50 {
        assert_eq!(status(&format!("made-up-{n}")), 401);
    }
    let asked = endpoint.asked();
    assert!(asked <= 8, "{asked} fetches");

    // 10 MB instead of keys: told once, nothing changes, and it is not read to its end.
    let before = processes::memory_kib(proxy.process());
    endpoint.set(format!("{{\"keys\": [\"{}\"]}}", "x".repeat(10 << 20)));
    processes::signal(proxy.process(), Signal::HUP);
    proxy.wait_log(&["the issuer's keys cannot be used, the old ones stay"]);
    assert_eq!(status("new-ec"), 200);
    let grown = processes::memory_kib(proxy.process()).saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more");

    // Silence: who is known is not held up, who is not is told in time.
    endpoint.hangs.store(true, Ordering::SeqCst);
    processes::signal(proxy.process(), Signal::HUP);
    let asked = endpoint.asked();
    crate::kit::until_true("the silent fetch", || endpoint.asked() > asked);
    let start = Instant::now();
    assert_eq!(status("new-ec"), 200);
    assert_eq!(status("made-up"), 401);
    assert!(start.elapsed() < GUARD);
}

/// Answers every connection over TLS with these keys.
fn serve_over_tls(pem: &Pem, body: String) -> std::net::SocketAddr {
    let config = crate::kit::tls::server(pem);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(connection) = rustls::ServerConnection::new(Arc::clone(&config)) else {
                continue;
            };
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            // Whoever does not trust us has hung up.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            let _ = stream.flush();
        }
    });
    address
}

#[test]
fn keys_come_over_https_from_whom_the_operator_trusts() {
    let (issuer, authority) = (Issuer::new(), Authority::new());
    let address = serve_over_tls(&authority.leaf(None), issuer.keys("").to_string());
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("a file");
    let start = |options: &str| {
        Proxy::wrap(&server)
            .listening()
            .options(options)
            .settings(&settings(&format!("https://{address}/keys")))
            .start()
    };
    let trusting = start(&format!("--ca-file {}", ca.display()));
    let status = |proxy: &Proxy| {
        let ann = Caller::bearer(proxy.address(), &issuer.token("ann"));
        ann.initialize().status
    };
    assert_eq!(status(&trusting), 200);
    let other = start("");
    assert_eq!(status(&other), 503);
    other.wait_log(&["the issuer's keys cannot be used", "UnknownIssuer"]);
}

#[test]
fn without_keys_nobody_is_sent_away_for_good() {
    let issuer = Issuer::new();
    let endpoint = Endpoint::new("<html>down for maintenance</html>".to_owned());
    let server = ScriptedServer::new("tool t");
    let proxy = Proxy::wrap(&server)
        .listening()
        .settings(&settings(&endpoint.server.url()))
        .start();
    let ann = Caller::bearer(proxy.address(), &issuer.token("ann"));
    let response = ann.initialize().expect(503);
    assert!(response.header("retry-after").is_some());
    assert!(response.text().contains("tokens cannot be checked now"));
    // No token is no token all the same.
    Caller::anonymous(proxy.address()).initialize().expect(401);
    endpoint.set(issuer.keys("").to_string());
    processes::signal(proxy.process(), Signal::HUP);
    crate::kit::until_true("the keys", || ann.initialize().status == 200);
}
