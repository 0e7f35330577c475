//! Spans of the hub as values of the official SDK.

use std::str::FromStr;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::hub::trace::{Side, Span};
use crate::mcp::trace::TraceContext;

use super::attributes::{self, Attribute, Carriers, Value};

/// Makes the value that is exported.
pub(super) fn data(span: &Span, carriers: &Carriers, scope: &InstrumentationScope) -> SpanData {
    // What is not valid is left out, as the specification says; the span is worth more.
    let state = span.state.as_deref().map(TraceState::from_str);
    let state = state.and_then(Result::ok).unwrap_or_default();
    let mut links = SpanLinks::default();
    if let Some(link) = span.link {
        let context = context(link, true, TraceState::default());
        links.links.push(Link::new(context, Vec::new(), 0));
    }
    let is_error = !span.outcome.error_type().is_empty();
    SpanData {
        span_context: context(span.context, false, state),
        parent_span_id: span
            .parent
            .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id)),
        parent_span_is_remote: span.side == Side::Server && span.parent.is_some(),
        span_kind: match span.side {
            Side::Server => SpanKind::Server,
            Side::Client => SpanKind::Client,
        },
        name: attributes::span_name(span).into(),
        start_time: wall_clock(span.began),
        end_time: wall_clock(span.ended),
        attributes: key_values(attributes::of_span(span, carriers)),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        // The error's message stays out: it may quote what was asked.
        status: if is_error {
            Status::error("")
        } else {
            Status::Unset
        },
        instrumentation_scope: scope.clone(),
    }
}

fn context(context: TraceContext, is_remote: bool, state: TraceState) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id),
        SpanId::from_bytes(context.span_id),
        TraceFlags::new(context.flags()),
        is_remote,
        state,
    )
}

fn wall_clock(at: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(at.elapsed()).unwrap_or(now)
}

/// Turns names and values into those of the SDK.
pub(super) fn key_values(attributes: Vec<Attribute>) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .map(|(name, value)| match value {
            Value::Word(word) => KeyValue::new(name, word),
            Value::Text(text) => KeyValue::new(name, text),
            Value::Number(number) => KeyValue::new(name, number),
            Value::Flag(flag) => KeyValue::new(name, flag),
        })
        .collect()
}
