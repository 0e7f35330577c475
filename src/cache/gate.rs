//! Whether a request may be asked of the cache, and whether its answer may be kept.

use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::mcp::result::ResultType;
use crate::mcp::{error, meta, method};

/// What a request wants of the cache, by the member [`meta::CACHE`] of its `_meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// Nothing said.
    #[default]
    Any,
    /// The server has to be asked.
    Fresh,
    /// The server must not be asked.
    CachedOnly,
}

impl Wish {
    /// Reads the wish of a request; words that are not known say nothing.
    pub fn of(request: &Message) -> Self {
        match request.meta_text(meta::CACHE).as_deref() {
            Some("no-cache") => Self::Fresh,
            Some("only-if-cached") => Self::CachedOnly,
            _ => Self::Any,
        }
    }
}

/// Tells whether a request can have a kept answer at all: it wants no progress and no logs, belongs to no
/// dialogue and no task, and says nothing that is not in its key.
pub fn may_ask(request: &Message) -> bool {
    let known: &[&str] = match request.method() {
        method::TOOLS_CALL => &["name", "arguments", "_meta"],
        method::RESOURCES_READ => &["uri", "_meta"],
        name if method::ListKind::of_method(name).is_some() => &["cursor", "_meta"],
        _ => return false,
    };
    request.body_keys().all(|key| known.contains(&key))
        && request.meta_span(meta::PROGRESS_TOKEN).is_none()
        && request.meta_span(meta::LOG_LEVEL).is_none()
        && request.meta_span(TASK_OF_2025).is_none()
}

/// Ties a message to a task (MCP 2025-11-25 basic/utilities/tasks).
const TASK_OF_2025: &str = "io.modelcontextprotocol/related-task";
/// The veto of SEP-2419, which is still open.
const VETO: &str = "cache_hint";

/// What may be done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be kept, and those who wait for the same get it.
    Keep,
    /// A name that nothing has: it may be kept for seconds.
    KeepRefusal,
    /// Those who wait for the same get it, but it is not kept.
    Share,
    /// It is for the one who asked only: the others have to ask themselves.
    Alone,
}

/// Judges an answer.
///
/// Never kept are errors but a resource that is not there, `isError`, questions, tasks, results of types
/// that are not known, and what the server vetoes. `allows_links`: whether results may point to things
/// that live elsewhere. `max_bytes`: larger ones are not kept.
pub fn judge(request: &Message, answer: &Message, allows_links: bool, max_bytes: usize) -> Verdict {
    let Some(result) = answer.result() else {
        let code = code_of(answer);
        let is_missing = code == Some(error::RESOURCE_NOT_FOUND)
            && request.method() == method::RESOURCES_READ
            && answer.raw().len() <= max_bytes;
        return match is_missing {
            true => Verdict::KeepRefusal,
            false => Verdict::Share,
        };
    };
    if result.first() != Some(&b'{') {
        return Verdict::Share;
    }
    if ResultType::of(answer.body("resultType")) != ResultType::Complete
        || ["task", "taskId", "inputRequests", "requestState"]
            .iter()
            .any(|name| answer.body_span(name).is_some())
    {
        return Verdict::Alone;
    }
    // Kept only where it says plainly that it is no error.
    let is_error = answer
        .body("isError")
        .is_some_and(|raw| raw != b"false" && raw != b"null");
    let is_vetoed = answer.meta_span(VETO).is_some()
        || answer.meta_span(TASK_OF_2025).is_some()
        || answer.meta_text(meta::CACHE).as_deref() == Some("no-store");
    let has_twins = {
        let mut keys: Vec<&str> = answer.body_keys().collect();
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    };
    if is_error || is_vetoed || has_twins || result.len() > max_bytes {
        return Verdict::Share;
    }
    if !allows_links && request.method() == method::TOOLS_CALL && has_links(answer) {
        return Verdict::Share;
    }
    Verdict::Keep
}

fn has_links(answer: &Message) -> bool {
    let content = answer.body("content").unwrap_or_default();
    members::elements(content).into_iter().any(|block| {
        let kind = members::get_text(&content[block], "type");
        matches!(kind.as_deref(), Some("resource_link" | "resource"))
    })
}

/// Returns the code of an error response.
fn code_of(answer: &Message) -> Option<i64> {
    std::str::from_utf8(answer.body("code")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Limits;
    use bytes::Bytes;

    fn message(text: &str) -> Message {
        Message::parse_single(Bytes::copy_from_slice(text.as_bytes()), Limits::default()).unwrap()
    }

    fn request(method: &str, params: &str) -> Message {
        message(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#
        ))
    }

    #[test]
    fn only_plain_requests_are_asked_of_the_cache() {
        for (method, params, expected) in [
            ("tools/call", r#"{"name":"a"}"#, true),
            (
                "tools/call",
                r#"{"name":"a","arguments":{},"_meta":{"x":1}}"#,
                true,
            ),
            (
                "tools/call",
                r#"{"name":"a","_meta":{"progressToken":1}}"#,
                false,
            ),
            (
                "tools/call",
                r#"{"name":"a","_meta":{"io.modelcontextprotocol/logLevel":"debug"}}"#,
                false,
            ),
            ("tools/call", r#"{"name":"a","requestState":"s"}"#, false),
            ("tools/call", r#"{"name":"a","inputResponses":{}}"#, false),
            ("tools/call", r#"{"name":"a","task":{"ttl":1}}"#, false),
            ("tools/call", r#"{"name":"a","new":1}"#, false),
            ("resources/read", r#"{"uri":"a:b"}"#, true),
            (
                "resources/read",
                r#"{"uri":"a:b","requestState":"s"}"#,
                false,
            ),
            ("tools/list", r#"{"cursor":"x"}"#, true),
            ("prompts/get", r#"{"name":"a"}"#, false),
            ("completion/complete", "{}", false),
            ("x/y", "{}", false),
        ] {
            assert_eq!(may_ask(&request(method, params)), expected, "{params}");
        }
    }

    #[test]
    fn wishes_are_read() {
        let wish = |value: &str| {
            let meta = format!(r#"{{"name":"a","_meta":{{"dev.mcp-whittle/cache":{value}}}}}"#);
            Wish::of(&request("tools/call", &meta))
        };
        assert_eq!(wish(r#""no-cache""#), Wish::Fresh);
        assert_eq!(wish(r#""only-if-cached""#), Wish::CachedOnly);
        assert_eq!(wish(r#""other""#), Wish::Any);
        assert_eq!(wish("7"), Wish::Any);
    }

    #[test]
    fn what_is_no_plain_result_is_never_kept() {
        use Verdict::{Alone, Keep, KeepRefusal, Share};
        let call = request("tools/call", r#"{"name":"a"}"#);
        let read = request("resources/read", r#"{"uri":"a:b"}"#);
        let result =
            |text: &str| message(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{text}}}"#));
        for (text, expected) in [
            (r#"{"content":[]}"#, Keep),
            (r#"{"content":[],"isError":false}"#, Keep),
            (r#"{"content":[],"resultType":"complete"}"#, Keep),
            (r#"{"content":[],"isError":true}"#, Share),
            (r#"{"content":[],"isError":"yes"}"#, Share),
            (r#"{"content":[],"isError":false,"isError":true}"#, Share),
            (
                r#"{"resultType":"input_required","inputRequests":{}}"#,
                Alone,
            ),
            (r#"{"content":[],"requestState":"s"}"#, Alone),
            (r#"{"resultType":"task","taskId":"x"}"#, Alone),
            (r#"{"task":{"taskId":"x"}}"#, Alone),
            (r#"{"resultType":"new","content":[]}"#, Alone),
            (r#"{"content":[],"_meta":{"cache_hint":"no-cache"}}"#, Share),
            (
                r#"{"content":[],"_meta":{"dev.mcp-whittle/cache":"no-store"}}"#,
                Share,
            ),
            ("7", Share),
            ("null", Share),
        ] {
            assert_eq!(
                judge(&call, &result(text), true, 1 << 20),
                expected,
                "{text}"
            );
        }
        let link = result(r#"{"content":[{"type":"resource_link","uri":"a:b","name":"n"}]}"#);
        assert_eq!(judge(&call, &link, false, 1 << 20), Share);
        assert_eq!(judge(&call, &link, true, 1 << 20), Keep);
        assert_eq!(judge(&call, &link, true, 10), Share, "too large");
        let error = |code: i64| {
            message(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m"}}}}"#
            ))
        };
        assert_eq!(judge(&read, &error(-32002), true, 1 << 20), KeepRefusal);
        assert_eq!(judge(&call, &error(-32002), true, 1 << 20), Share);
        for code in [-32602, -32601, -32603, -32000, 401, -31002] {
            assert_eq!(judge(&read, &error(code), true, 1 << 20), Share, "{code}");
        }
    }
}
