//! Short texts from outside: names, headers, ids, sizes, times. What is read is written the same again, and
//! what takes secrets out leaves none of them.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use mcp_whittle::config::{listen, text};
use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::canonical::canonical;
use mcp_whittle::jsonrpc::id::RequestId;
use mcp_whittle::jsonrpc::{strict, text as json_text};
use mcp_whittle::kube::inject::quantity;
use mcp_whittle::mcp::trace::TraceContext;
use mcp_whittle::mcp::{capabilities, header, level, version};
use mcp_whittle::policy::pattern::Pattern;
use mcp_whittle::policy::redact::Redactor;
use mcp_whittle::policy::{audit, hidden};
use mcp_whittle::result::handle::Handle;
use mcp_whittle::session::Principal;
use mcp_whittle::token::Tokens;

/// What must never be seen where it was named as a secret.
const SECRET: &str = "hunter2-hunter2";

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, header::encode);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    names(text);
    values(text);
    json(text);
    secrets(text);
}

/// The property for what writes a value into a header.
pub fn check(data: &[u8], encode: impl Fn(&str) -> String) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let header = encode(text);
    assert!(
        header.bytes().all(|b| (0x20..=0x7e).contains(&b)),
        "no header value: {header:?}"
    );
    assert_eq!(header::decode(&header).as_deref(), Some(text));
    let _ = header::decode(text);
}

fn names(text: &str) {
    if let Ok(handle) = text.parse::<Handle>() {
        assert_eq!(handle.to_string(), text);
    }
    if let Some(principal) = Principal::of_key(text) {
        let key = principal.key();
        assert_eq!(Principal::of_key(&key), Some(principal), "{key}");
    }
    if let Some(context) = TraceContext::parse(text) {
        assert_eq!(context.trace_text().len(), 32);
        assert!(text.contains(&context.trace_text()));
    }
    assert!(audit::name(text).chars().count() <= 4096);
    let _ = (
        version::era_of(text),
        version::negotiate(text),
        level::severity(text),
    );
    let (pattern, name) = text.split_once(' ').unwrap_or((text, text));
    if let Ok(pattern) = Pattern::new(pattern)
        && pattern.fits(name)
    {
        assert!(pattern.may_fit(name), "it fits and may not");
        assert!(pattern.covers(&pattern));
    }
    assert!(hidden::decode_tags(text).is_ascii());
}

fn values(text: &str) {
    if let Ok(tokens) = text.parse::<Tokens>() {
        assert_eq!(tokens.to_string().parse(), Ok(tokens));
    }
    let _ = (text::parse_bytes(text), text::parse_duration(text));
    let _ = (text::budget(text), text::result_cap(text));
    let _ = (text::image_tokens(text), text::log_filter(text));
    let _ = (text::separator(text), text::profile(text));
    if let Ok(address) = listen::parse(text) {
        assert_eq!(listen::parse(&address.to_string()), Ok(address));
    }
    let value = Value::from(text);
    if let (Some(thousandths), Some(bytes)) =
        (quantity::thousandths(&value), quantity::bytes(&value))
    {
        assert_eq!(u128::from(bytes), thousandths.div_ceil(1000));
    }
}

fn json(text: &str) {
    let limits = Limits::default();
    let quoted = json_text::to_string(text);
    assert_eq!(
        json_text::string_value(quoted.as_bytes()).as_deref(),
        Some(text)
    );
    assert_eq!(
        serde_json::from_str::<String>(&quoted).ok().as_deref(),
        Some(text)
    );
    if let Some(id) = RequestId::parse(Bytes::copy_from_slice(text.as_bytes())) {
        assert_eq!(id.raw().as_ref(), text.as_bytes());
        // By its grammar: numbers that no type holds are JSON too.
        assert!(
            serde_json::from_str::<IgnoredAny>(text).is_ok(),
            "an id that is no JSON"
        );
    }
    let raw = text.as_bytes();
    if strict::check(text, &limits).is_ok()
        && let Some(one) = canonical(raw, &limits)
    {
        assert_eq!(
            canonical(&one, &limits).as_ref(),
            Some(&one),
            "canonical twice"
        );
    }
    let _ = capabilities::client_to_modern(raw, "2025-11-25");
    let _ = capabilities::client_to_legacy(raw);
    let _ = capabilities::server_to_legacy(raw);
    let _ = capabilities::server_to_modern(raw);
}

fn secrets(text: &str) {
    let half = text.len() / 2;
    let at = (0..=half)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let holder = format!("{}{SECRET}{}", &text[..at], &text[at..]);
    for redactor in [
        Redactor::of_logs().with_secret(SECRET),
        Redactor::of_results().with_secret(SECRET),
        Redactor::default().with_secret(SECRET),
    ] {
        assert!(!redactor.text(&holder).contains(SECRET), "{holder:?}");
        assert!(!redactor.url(&holder).contains(SECRET), "{holder:?}");
        let message = Bytes::from(Value::from(holder.as_str()).to_string());
        let (shown, _) = redactor.value(&message);
        let shown: Value = serde_json::from_slice(&shown).expect("redacted JSON is JSON");
        assert!(!shown.to_string().contains(SECRET), "{shown}");
        // Any text that is JSON stays JSON.
        let raw = Bytes::copy_from_slice(text.as_bytes());
        let (shown, _) = redactor.message(&raw);
        if serde_json::from_str::<Value>(text).is_ok() {
            assert!(serde_json::from_slice::<Value>(&shown).is_ok(), "{shown:?}");
        }
    }
}
