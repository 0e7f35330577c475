//! Getting there: refused connections, proxies, TLS, and configurations that cannot work.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

#[tokio::test]
async fn a_refused_connection_was_certainly_not_sent() {
    let server = RawServer::start().await;
    let url = server.url();
    drop(server);
    let mut client = Client::start(url.clone());
    client.post(1, CALL);
    let (key, failure) = client.failure().await;
    assert_eq!((key, failure.kind), (Some(1), FailureKind::Connect));
    assert_eq!(failure.outcome, Outcome::NotSent);
    let origin = url.strip_suffix("/mcp").expect("ends so");
    assert!(
        failure.message.contains(origin) && failure.message.contains("hint:"),
        "{failure}"
    );
    assert!(
        !failure.message.contains("/mcp"),
        "paths can be secret: {failure}"
    );
}

#[tokio::test]
async fn an_unknown_name_was_certainly_not_sent() {
    let mut client = Client::start("http://no-such-host.invalid/mcp".to_owned());
    fails_unsent(&mut client, FailureKind::Connect).await;
}

async fn fails_unsent(client: &mut Client, kind: FailureKind) {
    client.post(1, CALL);
    let (_, failure) = client.failure().await;
    assert_eq!(
        (failure.kind, failure.outcome),
        (kind, Outcome::NotSent),
        "{failure}"
    );
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_timeout() {
    let server = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new(server.url().replace("http://", "https://"));
    config.limits.connect_timeout = Duration::from_millis(20);
    let mut client = Client::with(config);
    fails_unsent(&mut client, FailureKind::Timeout).await;
}

#[tokio::test]
async fn http_goes_to_a_proxy_in_absolute_form_with_its_credentials() {
    let proxy = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new("http://upstream.test:8080/mcp?x=1");
    config.proxy.http = Some(format!("http://user:pass@{}", proxy.address()));
    config.proxy.https = Some("http://127.0.0.1:1".to_owned());
    let mut client = Client::with(config);
    client.post(1, CALL);
    let mut connection = proxy.accept().await;
    let request = connection.request().await;
    assert!(
        request
            .head
            .starts_with("POST http://upstream.test:8080/mcp?x=1 HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert_eq!(request.header("host"), Some("upstream.test:8080"));
    assert_eq!(
        request.header("proxy-authorization"),
        Some("basic dxnlcjpwyxnz")
    );
    connection.json(ANSWER).await;
    client.answer(1).await;
}

#[tokio::test]
async fn loopback_and_no_proxy_hosts_are_reached_directly() {
    let mut server = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new(server.url());
    config.proxy.http = Some("http://127.0.0.1:1".to_owned());
    let mut client = Client::with(config);
    client.post(1, CALL);
    let (mut connection, request) = server.next().await;
    assert!(request.head.starts_with("POST /mcp "));
    connection.json(ANSWER).await;
    client.answer(1).await;

    let proxy = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new("http://a.invalid/mcp");
    config.proxy.http = Some(format!("http://{}", proxy.address()));
    config.proxy.no = Some("b.example, .invalid".to_owned());
    let mut client = Client::with(config);
    client.post(1, CALL);
    // Had it gone to the proxy, this would wait for ever.
    assert_eq!(client.failure().await.1.kind, FailureKind::Connect);
}

#[test]
fn proxy_variables_are_read_in_both_cases() {
    let read = |set: &[(&str, &str)]| {
        ProxySettings::from_variables(|name| {
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    };
    let settings = read(&[
        ("https_proxy", "a"),
        ("HTTP_PROXY", "b"),
        ("http_proxy", "c"),
        ("no_proxy", "d"),
    ]);
    assert_eq!(settings.https.as_deref(), Some("a"));
    assert_eq!(settings.http.as_deref(), Some("b"));
    assert_eq!(settings.no.as_deref(), Some("d"));
    let cgi = read(&[
        ("HTTP_PROXY", "b"),
        ("REQUEST_METHOD", "GET"),
        ("HTTPS_PROXY", " "),
    ]);
    assert_eq!(cgi, ProxySettings::default());
    let shown = format!(
        "{:?}",
        ProxySettings {
            http: Some("http://u:secret@p".into()),
            ..Default::default()
        }
    );
    assert!(!shown.contains("secret"));
}

/// A CA of our own and a server certificate for `upstream.test` and 127.0.0.1 signed by it.
fn certificates() -> (String, rustls::ServerConfig) {
    let mut ca = CertificateParams::new(Vec::new()).expect("no names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("signed");
    let names = vec!["upstream.test".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names)
        .expect("good names")
        .signed_by(&key, &ca)
        .expect("signed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("they fit");
    (ca.pem(), config)
}

/// Speaks TLS on one connection: reads a request with `CALL` as body and answers it.
fn answer_over_tls(
    stream: std::net::TcpStream,
    config: rustls::ServerConfig,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let session = rustls::ServerConnection::new(Arc::new(config)).expect("a session");
    let mut tls = rustls::StreamOwned::new(session, stream);
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    while !seen.ends_with(CALL.as_bytes()) {
        match tls.read(&mut part)? {
            0 => return Ok(()),
            size => seen.extend_from_slice(&part[..size]),
        }
    }
    let length = ANSWER.len();
    write!(
        tls,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
    )?;
    tls.flush()
}

fn ca_file(pem: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(pem.as_bytes()).expect("written");
    file
}

fn trust_only(file: &std::path::Path) -> TlsSettings {
    TlsSettings {
        system: false,
        bundled: false,
        extra_ca_files: vec![file.to_owned()],
    }
}

#[tokio::test]
async fn https_works_with_a_ca_of_our_own_and_fails_without() {
    let (pem, server_config) = certificates();
    let file = ca_file(&pem);
    for is_trusted in [true, false] {
        let server = RawServer::start().await;
        let mut config = HttpUpstreamConfig::new(server.url().replace("http://", "https://"));
        config.tls = trust_only(file.path());
        if !is_trusted {
            config.tls = TlsSettings {
                system: false,
                ..TlsSettings::default()
            };
        }
        let mut client = Client::with(config);
        client.post(1, CALL);
        let stream = server.accept().await.stream.into_std().expect("a socket");
        let server_config = server_config.clone();
        let serving = tokio::task::spawn_blocking(move || answer_over_tls(stream, server_config));
        if is_trusted {
            client.answer(1).await;
        } else {
            let (_, failure) = client.failure().await;
            assert_eq!(
                (failure.kind, failure.outcome),
                (FailureKind::Tls, Outcome::NotSent)
            );
            assert!(failure.message.contains("CA's file"), "{failure}");
        }
        drop(client);
        let _ = patiently(serving).await;
    }
}

#[tokio::test]
async fn https_through_a_proxy_asks_it_to_connect() {
    let (pem, server_config) = certificates();
    let file = ca_file(&pem);
    let proxy = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new("https://upstream.test/mcp");
    config.tls = trust_only(file.path());
    config.proxy.https = Some(proxy.address().to_string());
    config.headers.push((
        http::header::AUTHORIZATION,
        HeaderValue::from_static("Bearer secret"),
    ));
    let mut client = Client::with(config);
    client.post(1, CALL);
    let mut connection = proxy.accept().await;
    let request = connection.request().await;
    assert!(
        request
            .head
            .starts_with("CONNECT upstream.test:443 HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert!(
        !request.head.contains("secret"),
        "the proxy sees no credentials of the server"
    );
    connection
        .send("HTTP/1.1 200 Connection established\r\n\r\n")
        .await;
    let stream = connection.stream.into_std().expect("a socket");
    let serving = tokio::task::spawn_blocking(move || answer_over_tls(stream, server_config));
    client.answer(1).await;
    drop(client);
    let _ = patiently(serving).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let proxy = RawServer::start().await;
    let mut config = HttpUpstreamConfig::new("https://upstream.test/mcp");
    config.tls.system = false;
    config.proxy.https = Some(proxy.address().to_string());
    let mut client = Client::with(config);
    client.post(1, CALL);
    let mut connection = proxy.accept().await;
    connection.request().await;
    connection
        .respond("407 Proxy Authentication Required", "", "")
        .await;
    let (_, failure) = client.failure().await;
    assert_eq!(
        (failure.kind, failure.outcome),
        (FailureKind::Connect, Outcome::NotSent)
    );
    let proxy_name = format!("through the proxy `{}", proxy.address());
    assert!(failure.message.contains(&proxy_name), "{failure}");
    assert!(
        failure.message.contains("proxy authorization required"),
        "{failure}"
    );
}

#[tokio::test]
async fn configurations_that_cannot_work_are_refused_at_once() {
    let (sender, _events) = mpsc::channel(1);
    let refused = |change: &dyn Fn(&mut HttpUpstreamConfig)| {
        let mut config = HttpUpstreamConfig::new("https://upstream.test/mcp");
        change(&mut config);
        let error = spawn(config, sender.clone(), CancellationToken::new()).expect_err("refused");
        let text = error.to_string();
        assert!(!text.contains("secret"), "{text}");
        text
    };
    refused(&|config| config.url = "ftp://u:secret@host/".into());
    let host = HeaderName::from_static("content-length");
    refused(&|config| {
        config
            .headers
            .push((host.clone(), HeaderValue::from_static("1")))
    });
    refused(&|config| config.proxy.https = Some("socks5://u:secret@p:1".into()));
    refused(&|config| config.proxy.https = Some("://secret".into()));
    refused(&|config| config.tls = trust_only(std::path::Path::new("/no/such/file.pem")));
    let empty = ca_file("no certificate");
    let text = refused(&|config| config.tls = trust_only(empty.path()));
    assert!(text.contains("hint:"), "{text}");
    let none = TlsSettings {
        system: false,
        bundled: false,
        extra_ca_files: Vec::new(),
    };
    refused(&|config| config.tls = none.clone());
}
