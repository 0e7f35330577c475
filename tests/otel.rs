//! Traces and metrics over OTLP, from the built binary to a collector that decodes them.

mod collector;
mod sdk;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use serde_json::{Value, json};

use crate::kit::authority::Authority;
use crate::kit::http_client::post;
use crate::kit::http_upstream::HttpUpstream;
use crate::kit::messages::modern;
use crate::kit::start::ProxyBuilder;
use crate::kit::{Proxy, ScriptedServer, until, until_true};

use collector::{Collector, Manner, hex, texts};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const BOUNDS: [f64; 14] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

fn parent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// A proxy that sends to the collector as fast as it can.
fn with_collector(builder: ProxyBuilder, collector: &Collector) -> ProxyBuilder {
    builder
        .settings(&format!("telemetry.endpoint = \"{}\"", collector.url()))
        .environment(&[
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ])
}

fn call_with_meta(proxy: &mut Proxy, tool: &str, meta: Value) -> Value {
    let params = json!({"name": tool, "arguments": {"mark": "canary-argument"}, "_meta": meta});
    proxy.ask("tools/call", params)
}

fn is(span: &Span, kind: SpanKind, name: &str) -> bool {
    span.kind == kind as i32 && span.name == name
}

fn of_trace(span: &Span) -> bool {
    hex(&span.trace_id) == TRACE
}

#[test]
fn a_call_is_seen_with_its_parent_and_its_numbers() {
    let collector = Collector::start(Manner::Takes);
    let server = ScriptedServer::new("tool echo");
    let mut proxy = with_collector(Proxy::wrap(&server), &collector).start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    let meta = json!({"traceparent": parent(), "tracestate": "a=b", "baggage": "k=v"});
    call_with_meta(&mut proxy, "echo", meta);
    let asked = collector.span("the call", |span| {
        is(span, SpanKind::Server, "tools/call echo")
    });
    let sent = collector.span("the call to the server", |span| {
        is(span, SpanKind::Client, "tools/call echo")
    });
    assert_eq!(
        (hex(&asked.trace_id), hex(&asked.parent_span_id)),
        (TRACE.into(), SPAN.into())
    );
    assert_eq!(
        (&sent.trace_id, &sent.parent_span_id),
        (&asked.trace_id, &asked.span_id)
    );
    assert_eq!(asked.trace_state, "a=b");
    let received = server.wait_received("tools/call", 1);
    let got = &received[0]["params"]["_meta"];
    let expected = format!("00-{TRACE}-{}-01", hex(&sent.span_id));
    assert_eq!(
        *got,
        json!({"traceparent": expected, "tracestate": "a=b", "baggage": "k=v"})
    );
    let attributes = texts(&asked.attributes);
    for (name, value) in [
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2025-11-25"),
        ("gen_ai.tool.name", "echo"),
        ("gen_ai.operation.name", "execute_tool"),
        ("network.transport", "pipe"),
        ("jsonrpc.request.id", "3"),
    ] {
        assert!(
            attributes.contains(&(name.to_owned(), value.to_owned())),
            "{name}: {attributes:?}"
        );
    }
    // Our own handshake is a trace of its own.
    collector.span("the handshake", |span| {
        is(span, SpanKind::Client, "initialize")
    });
    until_true("the numbers are there", || {
        let metrics = collector.metrics();
        [
            "mcp.server.operation.duration",
            "mcp.client.operation.duration",
            "mcp_whittle.tokens",
        ]
        .iter()
        .all(|name| metrics.iter().any(|metric| metric.name == *name))
            && collector
                .histogram("mcp.server.operation.duration")
                .iter()
                .any(|point| {
                    texts(&point.attributes).contains(&("gen_ai.tool.name".into(), "echo".into()))
                })
    });
    for name in [
        "mcp.server.operation.duration",
        "mcp.client.operation.duration",
    ] {
        for point in collector.histogram(name) {
            assert_eq!(point.explicit_bounds, BOUNDS, "{name}");
            let names: Vec<String> = texts(&point.attributes).into_iter().map(|a| a.0).collect();
            assert!(
                !names.contains(&"jsonrpc.request.id".to_owned()),
                "{names:?}"
            );
        }
    }
    let kinds: Vec<String> = collector
        .counter("mcp_whittle.tokens")
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    // Nothing that was asked or answered is in there.
    for export in collector.exports() {
        let body = String::from_utf8_lossy(&export.body).into_owned();
        assert!(!body.contains("canary-argument"), "{body}");
    }
    proxy.finish();
}

#[test]
fn http_carries_contexts_in_headers_and_messages() {
    let collector = Collector::start(Manner::Takes);
    let upstream = HttpUpstream::start(|_, _, _| false);
    let proxy = with_collector(Proxy::upstream(&upstream.url()).listening(), &collector).start();
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    let call = |id: u32, headers: &[(&str, &str)], meta: Value| {
        let params = modern(json!({"name": "echo", "arguments": {}, "_meta": meta}));
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let mut all = vec![
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "echo"),
        ];
        all.extend_from_slice(headers);
        post(proxy.address(), &all, &body).expect(200).answer();
        let sent = upstream.requests_of("tools/call");
        sent.last().cloned().expect("it was sent")
    };
    // The transport's context alone: it is the parent, and the message carries ours on.
    let parent = parent();
    let got = call(
        1,
        &[
            ("traceparent", &parent),
            ("tracestate", "a=b"),
            ("baggage", "k=v"),
        ],
        json!({}),
    );
    let sent = collector.span("the first call", |span| {
        span.kind == SpanKind::Client as i32 && of_trace(span)
    });
    let expected = format!("00-{TRACE}-{}-01", hex(&sent.span_id));
    let meta = &got.body["params"]["_meta"];
    assert_eq!(meta["traceparent"], expected.as_str());
    assert_eq!(
        (&meta["tracestate"], &meta["baggage"]),
        (&json!("a=b"), &json!("k=v"))
    );
    assert_eq!(got.header("traceparent"), Some(expected.as_str()));
    assert_eq!(got.header("tracestate"), Some("a=b"));
    assert_eq!(got.header("baggage"), Some("k=v"));
    // Both: the message's counts, the transport's is linked.
    let got = call(2, &[("traceparent", other)], json!({"traceparent": parent}));
    let asked = collector.span("the second call", |span| {
        span.kind == SpanKind::Server as i32 && of_trace(span) && !span.links.is_empty()
    });
    assert_eq!(hex(&asked.links[0].trace_id), "1".repeat(32));
    assert!(
        got.header("traceparent")
            .is_some_and(|text| text.contains(TRACE))
    );
    let attributes = texts(&asked.attributes);
    assert!(attributes.contains(&("network.transport".into(), "tcp".into())));
    let address = upstream.address();
    let sent = texts(&sent.attributes);
    assert!(
        sent.contains(&("server.port".into(), address.port().to_string())),
        "{sent:?}"
    );
}

#[test]
fn an_answer_of_the_cache_is_one_span() {
    let collector = Collector::start(Manner::Takes);
    let server = ScriptedServer::new("tool echo");
    let builder = Proxy::wrap(&server).options("--cache-tools echo=60s");
    let mut proxy = with_collector(builder, &collector).start();
    proxy.initialize();
    proxy.ask("tools/list", json!({}));
    for _ in 0..2 {
        call_with_meta(&mut proxy, "echo", json!({"traceparent": parent()}));
    }
    let hit = collector.span("the second call", |span| {
        texts(&span.attributes).contains(&("mcp_whittle.cache.hit".into(), "true".into()))
    });
    assert!(is(&hit, SpanKind::Server, "tools/call echo") && of_trace(&hit));
    proxy.finish();
    let mut spans = collector.spans();
    spans.retain(of_trace);
    // Two calls of the client, one of them to the server.
    assert_eq!(spans.len(), 3, "{spans:#?}");
}

#[test]
fn errors_are_told_without_their_text() {
    let collector = Collector::start(Manner::Takes);
    let server = ScriptedServer::new("tool echo");
    let mut proxy = with_collector(Proxy::wrap(&server), &collector).start();
    proxy.initialize();
    proxy.ask("x/canary-method", json!({}));
    let asked = collector.span("the unknown method", |span| {
        is(span, SpanKind::Server, "other")
    });
    let status = asked.status.expect("a status");
    assert_eq!(
        (status.code, status.message.as_str()),
        (StatusCode::Error as i32, "")
    );
    assert!(texts(&asked.attributes).contains(&("error.type".into(), "-32601".into())));
    for export in collector.exports() {
        assert!(!String::from_utf8_lossy(&export.body).contains("canary-method"));
    }
}

#[test]
fn a_collector_in_trouble_holds_nothing_up() {
    for manner in [
        None,
        Some(Manner::Hangs),
        Some(Manner::Garbage),
        Some(Manner::Refuses),
    ] {
        let collector = Collector::start(manner.unwrap_or(Manner::Takes));
        let server = ScriptedServer::new("tool echo");
        let mut proxy = with_collector(Proxy::wrap(&server), &collector);
        // An hour: whoever waits for the collector hangs.
        proxy = proxy
            .settings("telemetry.timeout = \"1h\"")
            .environment(&[("OTEL_BSP_MAX_QUEUE_SIZE", "8")]);
        if manner.is_none() {
            // A port where nobody listens: the later of two values would be refused, so it is the variable.
            let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let url = format!("http://{}", socket.local_addr().expect("an address"));
            proxy = proxy.environment(&[("MCP_WHITTLE_TELEMETRY_ENDPOINT", &url)]);
        }
        let mut proxy = proxy.start();
        proxy.initialize();
        for n in 0..50 {
            let id = proxy.call("echo", json!({"mark": n.to_string()}));
            proxy.answer(id);
        }
        if manner != Some(Manner::Hangs) {
            let told = "does not take them, they are lost until it does";
            until_true("the outage is told", || proxy.stderr().contains(told));
            for signal in ["spans", "metrics"] {
                let line = format!("the collector of {signal} {told}");
                until_true("each is told", || proxy.stderr().contains(&line));
            }
            let id = proxy.call("echo", json!({"mark": "last"}));
            proxy.answer(id);
            for signal in ["spans", "metrics"] {
                let line = format!("the collector of {signal} {told}");
                assert_eq!(proxy.stderr().matches(&line).count(), 1, "{manner:?}");
            }
        }
        if manner == Some(Manner::Refuses) {
            collector.behaves(Manner::Takes);
            until_true("it is told that it is over", || {
                proxy.stderr().contains("takes them again")
            });
        }
        proxy.finish();
    }
}

#[test]
fn what_waits_is_sent_at_the_end() {
    let collector = Collector::start(Manner::Takes);
    let server = ScriptedServer::new("tool echo");
    let mut proxy = Proxy::wrap(&server)
        .settings(&format!("telemetry.endpoint = \"{}\"", collector.url()))
        .start();
    proxy.initialize();
    let id = proxy.call("echo", json!({}));
    proxy.answer(id);
    assert_eq!(collector.exports().len(), 0);
    proxy.finish();
    assert!(
        collector
            .spans()
            .iter()
            .any(|span| span.name.starts_with("tools/call"))
    );
    assert!(
        !collector
            .histogram("mcp.server.operation.duration")
            .is_empty()
    );
}

#[test]
fn transparent_leaves_messages_as_they_are() {
    let collector = Collector::start(Manner::Takes);
    let server = ScriptedServer::new("tool echo");
    let mut proxy =
        with_collector(Proxy::wrap(&server).options("--transparent"), &collector).start();
    proxy.initialize();
    let line = format!(
        r#"{{"jsonrpc":"2.0","id": 900,"method":"tools/call","params":{{"name":"echo","arguments":{{ }},"_meta":{{"traceparent":"{}"}}}}}}"#,
        parent()
    );
    proxy.send_request_line("900", &line);
    proxy.answer(900);
    let received = server.received();
    assert!(received.iter().any(|(_, got)| *got == line), "{received:?}");
    collector.span("the call", |span| {
        span.kind == SpanKind::Server as i32 && of_trace(span)
    });
}

#[test]
fn standard_variables_are_enough_and_secrets_stay_secret() {
    let collector = Collector::start(Manner::Takes);
    let server = ScriptedServer::new("tool echo");
    let mut proxy = Proxy::wrap(&server)
        .options("--log-level trace")
        .environment(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary-header-value"),
            ("OTEL_SERVICE_NAME", "tools-of-ann"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=p1"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ])
        .start();
    proxy.initialize();
    let export = until("metrics", || collector.exports().into_iter().next());
    assert_eq!(export.path, "/v1/metrics");
    let key = export.headers.iter().find(|(name, _)| name == "api-key");
    assert_eq!(
        key.map(|(_, value)| value.as_str()),
        Some("canary-header-value")
    );
    let body = String::from_utf8_lossy(&export.body).into_owned();
    assert!(
        body.contains("tools-of-ann") && body.contains("k8s.pod.name"),
        "{body}"
    );
    let id = proxy.call("echo", json!({}));
    proxy.answer(id);
    // Servers are told that nobody records this.
    let received = server.wait_received("tools/call", 1);
    let context = received[0]["params"]["_meta"]["traceparent"].as_str();
    assert!(
        context.is_some_and(|text| text.ends_with("-00")),
        "{received:?}"
    );
    let log = proxy.stderr();
    proxy.finish();
    assert_eq!(collector.spans().len(), 0);
    assert!(!log.contains("canary-header-value"), "{log}");
}

#[test]
fn a_collector_behind_tls_is_believed_by_its_authority_only() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, authority: &Authority| {
        let path = folder.path().join(name);
        std::fs::write(&path, authority.pem()).expect("a file");
        path.display().to_string()
    };
    let (ours_pem, foreign_pem) = (file("ours.pem", &ours), file("foreign.pem", &foreign));
    let server = ScriptedServer::new("tool echo");
    // By the standard variables, and by settings of ours.
    for is_by_variable in [true, false] {
        let collector = Collector::behind_tls(&ours.leaf(None));
        let start = |ca: Option<&str>| {
            let proxy = Proxy::wrap(&server).environment(&[
                ("OTEL_BSP_SCHEDULE_DELAY", "20"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
            ]);
            let url = collector.url();
            let mut proxy = match (is_by_variable, ca) {
                (true, Some(ca)) => proxy.environment(&[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
                    ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca),
                ]),
                (true, None) => proxy.environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]),
                (false, ca) => {
                    let ca = ca.map(|ca| format!("tls.ca_file = [{ca:?}]\n"));
                    let ca = ca.unwrap_or_default();
                    proxy.settings(&format!("{ca}telemetry.endpoint = {url:?}"))
                }
            }
            .start();
            proxy.initialize();
            proxy
        };
        for stranger in [None, Some(foreign_pem.as_str())] {
            let mut proxy = start(stranger);
            proxy.ask_call(
                "echo",
                json!({"mark": format!("{is_by_variable} {stranger:?}")}),
            );
            let told = "the collector of spans does not take them";
            until_true("the stranger is told of", || proxy.stderr().contains(told));
            proxy.finish();
        }
        assert!(collector.exports().is_empty(), "a stranger got telemetry");
        let mut proxy = start(Some(&ours_pem));
        proxy.ask_call("echo", json!({"mark": is_by_variable.to_string()}));
        collector.span("the call", |span| is(span, SpanKind::Server, "tools/call"));
        until_true("the numbers are there", || !collector.metrics().is_empty());
        proxy.finish();
    }
    // What cannot be used is said, and nothing else changes.
    let mut proxy = Proxy::wrap(&server)
        .environment(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ])
        .start();
    proxy.initialize();
    let said = proxy.stderr();
    assert!(
        said.contains("OTEL_EXPORTER_OTLP_CERTIFICATE") && said.contains("cannot be read"),
        "{said}"
    );
    proxy.finish();
}

#[test]
fn a_collector_that_speaks_something_else_is_said() {
    let server = ScriptedServer::new("tool echo");
    let mut proxy = Proxy::wrap(&server)
        .environment(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ])
        .start();
    proxy.initialize();
    let log = proxy.stderr();
    assert!(
        log.contains("the protocol `grpc` is not spoken, only `http/protobuf`"),
        "{log}"
    );
    let id = proxy.call("echo", json!({}));
    proxy.answer(id);
    let received = server.wait_received("tools/call", 1);
    assert_eq!(received[0]["params"].get("_meta"), None);
}
