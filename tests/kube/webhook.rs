//! The webhook as a server: what it refuses, what it outlives, how it ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{Webhook, command, write};
use crate::kit::authority::Authority;

fn review() -> String {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "n",
        "object": {"metadata": {"labels": {"mcp-whittle.dev/inject": "enabled"}},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "mcp", "containerPort": 80}]}]}}}})
    .to_string()
}

#[test]
fn refuses_what_is_no_review_and_goes_on() {
    let webhook = Webhook::start(&[]);
    let good = review();
    let json = "application/json";
    for (path, kind, body, status) in [
        ("/mutate", json, good.as_bytes(), 200),
        ("/", json, good.as_bytes(), 404),
        ("/mutate", "text/plain", good.as_bytes(), 415),
        ("/mutate", json, b"{".as_slice(), 400),
        ("/mutate", json, b"{\"request\":null}", 400),
        (
            "/mutate",
            "application/json; charset=utf-8",
            good.as_bytes(),
            200,
        ),
    ] {
        // A refused body need not be read, so the connection may be closed.
        let mut connection = webhook.connect(&webhook.authority).expect("it works");
        let (got, answer) = connection.post(path, kind, body);
        assert_eq!(got, status, "{path} {kind}: {answer}");
    }
    let mut connection = webhook.connect(&webhook.authority).expect("it works");
    connection.send(b"GET /mutate HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.answer().0, 405);
    let mut connection = webhook.connect(&webhook.authority).expect("it works");
    // Refused by its length, before it comes.
    connection.send(b"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 8388609\r\n\r\n");
    assert_eq!(connection.answer().0, 413);
    // Or where it becomes too long; the connection may break before that is read.
    let mut connection = webhook.connect(&webhook.authority).expect("it works");
    connection.send(b"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.send(b"800001\r\n");
    connection.send(&vec![b' '; 0x80_0001]);
    webhook.until("the long body is refused", || {
        webhook.get("/metrics").contains("{result=\"refused\"} 7")
    });
    let metrics = webhook.get("/metrics");
    for line in [
        "mcp_whittle_webhook_requests_total{result=\"injected\"} 2",
        "mcp_whittle_webhook_requests_total{result=\"refused\"} 7",
        "mcp_whittle_webhook_duration_seconds_count 9",
        "mcp_whittle_webhook_certificate_not_after_seconds 4070908800",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    // Nothing of the pods or their texts is in the log.
    assert!(!webhook.log().contains("request\":"), "{}", webhook.log());
}

#[test]
fn a_slow_body_holds_up_nobody() {
    let webhook = Webhook::start(&[]);
    let mut slow = webhook.connect(&webhook.authority).expect("it works");
    slow.send(b"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    assert_eq!(webhook.review(&review()).0, 200);
    assert_eq!(slow.answer().0, 408);
    // Without TLS nobody is answered, and nobody else is disturbed.
    let mut plain = std::net::TcpStream::connect(webhook.address).expect("it works");
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").expect("it works");
    assert_eq!(webhook.review(&review()).0, 200);
}

#[test]
fn certificates_are_taken_over_when_they_are_good() {
    let webhook = Webhook::start(&[]);
    let (first, second) = (&webhook.authority, Authority::new());
    let mut kept = webhook.connect(first).expect("it works");
    webhook.give(&second.leaf_until(2098));
    webhook.until("the second CA", || webhook.connect(&second).is_ok());
    assert!(webhook.connect(first).is_err());
    // What is open goes on.
    assert_eq!(
        kept.post("/mutate", "application/json", review().as_bytes())
            .0,
        200
    );
    let mut mixed = second.leaf_until(2097);
    mixed.key = second.leaf_until(2097).key;
    let mut garbage = second.leaf_until(2097);
    garbage.certificate =
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let mut empty = second.leaf_until(2097);
    empty.key = String::new();
    for (pem, told) in [
        (second.leaf_until(2021), "the certificate has expired"),
        (mixed, "the key does not belong to the certificate"),
        (garbage, "tls.crt` holds no X.509"),
        (empty, "tls.key` holds no private key"),
    ] {
        webhook.give(&pem);
        webhook.until(told, || webhook.log().contains(told));
        assert!(webhook.connect(&second).is_ok(), "{told}");
        assert!(webhook.get("/readyz").starts_with("HTTP/1.1 200"));
    }
    assert!(
        webhook
            .log()
            .contains("the new certificate is not used, the old one stays: ")
    );
    webhook.give(&second.leaf_until(2096));
    webhook.until("one more", || {
        let metrics = webhook.get("/metrics");
        // 2096-01-01.
        metrics.contains("not_after_seconds 3976214400")
    });
    assert!(!webhook.log().contains("PRIVATE KEY"));
}

#[test]
fn an_expired_certificate_is_served_but_not_ready() {
    let folder = tempfile::tempdir().expect("it works");
    write(&folder, &Authority::new().leaf_until(2021));
    let webhook = Webhook::start(&[]);
    drop(webhook);
    let mut child = command(&folder)
        .args(["--listen=127.0.0.1:0", "--log-level=error"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it works");
    let mut line = String::new();
    let stderr = child.stderr.take().expect("it works");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line).expect("it works");
    let _ = child.kill();
    let _ = child.wait();
    assert!(
        line.contains("the certificate has expired; hint: "),
        "{line}"
    );
}

#[test]
fn does_not_start_without_a_usable_certificate() {
    let folder = tempfile::tempdir().expect("it works");
    let output = command(&folder).output().expect("it works");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.starts_with("error: cannot read `"), "{told}");
    assert!(
        told.contains(
            "\nhint: give a certificate and its key in PEM with --tls-cert and --tls-key"
        ),
        "{told}"
    );
    // Another one listens there.
    let webhook = Webhook::start(&[]);
    write(&folder, &webhook.authority.leaf_until(2099));
    let listen = format!("--listen={}", webhook.address);
    let output = command(&folder).arg(listen).output().expect("it works");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.starts_with("error: cannot listen on `") && told.contains("\nhint: another process"),
        "{told}"
    );
}

#[test]
fn drains_on_sigterm() {
    let webhook = Webhook::start(&[]);
    let mut kept = webhook.connect(&webhook.authority).expect("it works");
    assert_eq!(
        kept.post("/mutate", "application/json", review().as_bytes())
            .0,
        200
    );
    webhook.terminate();
    webhook.until("not ready", || {
        webhook.get("/readyz").starts_with("HTTP/1.1 503")
    });
    // Who has not noticed yet is still answered.
    assert_eq!(webhook.review(&review()).0, 200);
    assert_eq!(
        kept.post("/mutate", "application/json", review().as_bytes())
            .0,
        200
    );
    let start = std::time::Instant::now();
    assert_eq!(webhook.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn wrong_annotations_are_refused_only_if_that_is_wanted() {
    let wrong = review().replace(
        "\"labels\"",
        "\"annotations\":{\"mcp-whittle.dev/mode\":\"x\"},\"labels\"",
    );
    for (options, allowed) in [(&[][..], true), (&["--reject-invalid"], false)] {
        let webhook = Webhook::start(options);
        let (status, body) = webhook.review(&wrong);
        let body: Value = serde_json::from_str(&body).expect("it works");
        assert_eq!(
            (status, &body["response"]["allowed"]),
            (200, &json!(allowed))
        );
        assert!(body["response"]["patch"].is_null());
        assert!(
            body.to_string()
                .contains("expected server or client or stdio"),
            "{body}"
        );
    }
}
