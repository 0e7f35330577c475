//! Spans of requests, and what servers see of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::hub::measure::Outcome;
use crate::hub::trace::{Sampler, Side, Span, TraceSettings};
use crate::mcp::trace::TraceContext;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn traced(propagates: bool) -> World {
    let mut settings = settings(&["a"], EraChoice::Legacy);
    settings.trace = Some(TraceSettings {
        sampler: Sampler::default(),
        propagates,
    });
    World::of(settings, None)
}

fn call(meta: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"seven","method":"tools/call","params":{{"name":"t","arguments":{{"b": 1.50}},"_meta":{meta}}}}}"#
    )
}

/// Shakes hands, calls, and returns what the server got.
fn sent_by(world: &mut World, line: &str) -> (UpstreamId, String) {
    let upstream = world.legacy();
    world.spans.clear();
    world.client(line);
    let (_, sent) = world.sent_one();
    (upstream, sent)
}

fn context_in(line: &str) -> TraceContext {
    let message: Value = serde_json::from_str(line).unwrap();
    let text = message["params"]["_meta"]["traceparent"].as_str().unwrap();
    TraceContext::parse(text).unwrap()
}

fn answer(world: &mut World, upstream: UpstreamId) -> Vec<Span> {
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":"seven","result":{"content":[]}}"#,
    );
    std::mem::take(&mut world.spans)
}

#[test]
fn a_call_is_two_spans_below_its_caller() {
    let mut world = traced(true);
    let meta = format!(r#"{{"x": 1,"traceparent":"{PARENT}","tracestate":"a=b","baggage":"k=v"}}"#);
    let (upstream, sent) = sent_by(&mut world, &call(&meta));
    let context = context_in(&sent);
    assert_eq!(sent, call(&meta).replace(PARENT, &context.to_string()));
    let spans = answer(&mut world, upstream);
    let [client, server] = spans.as_slice() else {
        panic!("{spans:?}");
    };
    let parent = TraceContext::parse(PARENT).unwrap();
    assert_eq!((server.side, client.side), (Side::Server, Side::Client));
    assert_eq!(server.parent, Some(parent));
    assert_eq!(client.parent, Some(server.context));
    assert_eq!(client.context, context);
    assert_eq!(server.context.trace_id, parent.trace_id);
    assert_eq!(server.state.as_deref(), Some("a=b"));
    assert_eq!(server.request_id, "seven");
    assert_eq!(
        (server.method, server.version),
        ("tools/call", "2025-11-25")
    );
    assert_eq!(
        (server.outcome, client.outcome),
        (Outcome::Success, Outcome::Success)
    );
    // No list names it, so only the client does.
    assert_eq!((&server.tool, &client.tool), (&None, &None));
}

#[test]
fn nothing_is_touched_where_no_traces_are_wanted() {
    let meta = format!(r#"{{"traceparent":"{PARENT}","tracestate":"a=b"}}"#);
    let mut world = World::new(&["a"], EraChoice::Legacy);
    let (upstream, sent) = sent_by(&mut world, &call(&meta));
    assert_eq!(sent, call(&meta));
    assert_eq!(answer(&mut world, upstream), []);
    // Nor where servers are not to be told.
    let mut world = traced(false);
    let (upstream, sent) = sent_by(&mut world, &call(&meta));
    assert_eq!(sent, call(&meta));
    assert_eq!(answer(&mut world, upstream).len(), 2);
}

#[test]
fn a_caller_that_is_not_recorded_is_followed() {
    let mut world = traced(true);
    let (upstream, sent) = sent_by(
        &mut world,
        &call(&format!(r#"{{"traceparent":"{UNSAMPLED}"}}"#)),
    );
    let context = context_in(&sent);
    assert!(!context.is_sampled());
    assert_eq!(
        context.trace_id,
        TraceContext::parse(UNSAMPLED).unwrap().trace_id
    );
    assert_eq!(answer(&mut world, upstream), []);
}

#[test]
fn a_context_that_is_not_valid_begins_a_trace() {
    for wrong in [r#""00-xyz""#, "7", "null", r#"{"a":1}"#] {
        let mut world = traced(true);
        let meta = format!(r#"{{"traceparent":{wrong},"tracestate":"a=b","k":1}}"#);
        let (upstream, sent) = sent_by(&mut world, &call(&meta));
        assert!(context_in(&sent).is_sampled());
        let message: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(message["params"]["_meta"].get("tracestate"), None, "{sent}");
        assert_eq!(message["params"]["_meta"]["k"], 1);
        let spans = answer(&mut world, upstream);
        assert_eq!(spans[1].parent, None);
    }
}

#[test]
fn odd_parameters_are_not_ours_to_mend() {
    for params in [
        r#""params":[1]"#,
        r#""params":{"_meta":"x"}"#,
        r#""params":{"_meta":null}"#,
    ] {
        let mut world = traced(true);
        let line = format!(r#"{{"jsonrpc":"2.0","id":"seven","method":"x/y",{params}}}"#);
        let (upstream, sent) = sent_by(&mut world, &line);
        assert_eq!(sent, line);
        assert_eq!(answer(&mut world, upstream).len(), 2);
    }
}

#[test]
fn a_request_without_parameters_gets_a_place_for_it() {
    let mut world = traced(true);
    let (_, sent) = sent_by(
        &mut world,
        r#"{"jsonrpc":"2.0","id":"seven","method":"x/y"}"#,
    );
    let context = context_in(&sent);
    let expected = format!(
        r#"{{"jsonrpc":"2.0","id":"seven","method":"x/y","params":{{"_meta":{{"traceparent":"{context}"}}}}}}"#
    );
    assert_eq!(sent, expected);
}

#[test]
fn a_crash_ends_both_spans() {
    let mut world = traced(true);
    let (upstream, _) = sent_by(&mut world, &call("{}"));
    world.pass(Duration::from_millis(300));
    world.crash(upstream);
    let lost = Outcome::Error(-31002);
    let ended: Vec<(Side, Outcome)> = world.spans.iter().map(|s| (s.side, s.outcome)).collect();
    assert_eq!(ended, [(Side::Client, lost), (Side::Server, lost)]);
    let took = world.spans[1].ended.duration_since(world.spans[1].began);
    assert_eq!(took, Duration::from_millis(300));
}

#[test]
fn a_call_that_is_given_up_ends_both_spans() {
    let mut world = traced(true);
    sent_by(&mut world, &call("{}"));
    world.client(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"seven"}}"#,
    );
    let ended: Vec<(Side, Outcome)> = world.spans.iter().map(|s| (s.side, s.outcome)).collect();
    let cancelled = Outcome::Cancelled;
    assert_eq!(
        ended,
        [(Side::Client, cancelled), (Side::Server, cancelled)]
    );
}

#[test]
fn our_own_handshake_is_a_trace() {
    let mut world = traced(true);
    world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"},"_meta":{"k":1}}}"#);
    let (upstream, sent) = world.sent_one();
    let context = context_in(&sent);
    world.server(upstream, INITIALIZED);
    let own = world.spans.iter().find(|span| span.side == Side::Client);
    let own = own.expect("a span of ours");
    assert_eq!((own.context, own.parent), (context, None));
    assert_eq!((own.method, own.outcome), ("initialize", Outcome::Success));
    let of_client = world.spans.iter().find(|span| span.side == Side::Server);
    assert_eq!(of_client.expect("the client's").method, "initialize");
}

/// Whether nothing but the context differs.
fn is_same_but_for_context(before: &str, after: &str) -> bool {
    let without = |line: &str| {
        let mut message: Value = serde_json::from_str(line).ok()?;
        let meta = message["params"]["_meta"].as_object_mut()?;
        let context = meta.remove("traceparent");
        // Members that were there keep their order: compared as text.
        Some((message.to_string(), context.is_some()))
    };
    let (Some((before, _)), Some((after, has_context))) = (without(before), without(after)) else {
        return false;
    };
    before == after && has_context
}

/// The mistake that the property is there for: `_meta` is made anew.
fn made_anew(line: &str) -> String {
    let mut message: Value = serde_json::from_str(line).unwrap();
    message["params"]["_meta"] = json!({"traceparent": PARENT});
    message.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_but_the_context_changes(
        keys in proptest::collection::btree_map("[a-z/.]{1,8}", "\\PC{0,12}", 1..6),
        has_parent in any::<bool>(),
    ) {
        let mut meta = serde_json::Map::new();
        for (key, value) in &keys {
            meta.insert(key.clone(), json!(value));
        }
        if has_parent {
            meta.insert("traceparent".to_owned(), json!(PARENT));
        }
        meta.remove("progressToken");
        let line = call(&Value::Object(meta).to_string());
        let mut world = traced(true);
        let (_, sent) = sent_by(&mut world, &line);
        prop_assert!(is_same_but_for_context(&line, &sent), "{line}\n{sent}");
        prop_assert!(!is_same_but_for_context(&line, &made_anew(&line)));
    }
}
