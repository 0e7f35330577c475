//! Unmodified official clients that trace (SEP-414), in both eras.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::collector::{Collector, Manner, hex};
use super::{SPAN, TRACE, parent};
use crate::kit::ScriptedServer;
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{PROXY, driver};

#[test]
fn spans_hang_below_those_of_an_official_client() {
    let proof = proof("otel::sdk::spans_hang_below_those_of_an_official_client");
    for era in ["legacy", "modern"] {
        let collector = Collector::start(Manner::Takes);
        let server = ScriptedServer::new("tool echo");
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = driver("client-py2");
        command
            .env("DRIVER_TRACEPARENT", parent())
            .env("MCP_WHITTLE_TELEMETRY_ENDPOINT", collector.url())
            .args(["--era", era, "--steps", "list,call", "--stdio", "--", PROXY])
            .arg("--state-dir")
            .arg(folder.path())
            .arg("--")
            .args(server.command());
        let ended = run(&mut command, Duration::from_secs(60));
        assert_eq!(ended.code, Some(0), "{era}: {ended:#?}");
        let calls: Vec<_> = collector
            .spans()
            .into_iter()
            .filter(|span| span.name == "tools/call echo")
            .collect();
        let [sent, asked] = calls.as_slice() else {
            panic!("{era}: {calls:#?}");
        };
        assert_eq!(asked.kind, SpanKind::Server as i32);
        assert_eq!(
            (hex(&asked.trace_id), hex(&asked.parent_span_id)),
            (TRACE.into(), SPAN.into())
        );
        assert_eq!(sent.parent_span_id, asked.span_id);
        let received = server.received_of("tools/call");
        let context = received[0]["params"]["_meta"]["traceparent"].as_str();
        let expected = format!("00-{TRACE}-{}-01", hex(&sent.span_id));
        assert_eq!(context, Some(expected.as_str()), "{era}");
        assert!(
            !collector
                .histogram("mcp.server.operation.duration")
                .is_empty()
        );
        proof.ran("py-sdk-v2", 1);
    }
    proof.close();
}
