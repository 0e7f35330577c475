//! What the clients and servers of the hub's worlds say: plausible texts, by number.

use std::sync::LazyLock;

/// One tool so long that it pays to hide it.
static TOOLS: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"{{"tools":[{{"name":"echo","description":"{}","inputSchema":{{"type":"object","title":"Echo","properties":{{"x":{{"type":"integer"}}}}}}}}],"resultType":"complete"}}"#,
        "Says what it is told. ".repeat(200)
    )
});

/// What a client asks, by number.
pub(super) const CALLS: [(&str, &str); 17] = [
    ("tools/list", ""),
    ("tools/call", r#""name":"echo","arguments":{}"#),
    ("tools/call", r#""name":"a__echo","arguments":{"x":1}"#),
    ("prompts/list", ""),
    ("prompts/get", r#""name":"p""#),
    ("resources/list", ""),
    ("resources/templates/list", ""),
    ("resources/read", r#""uri":"file:///a""#),
    ("resources/subscribe", r#""uri":"file:///a""#),
    ("ping", ""),
    ("logging/setLevel", r#""level":"debug""#),
    ("server/discover", ""),
    (
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true}"#,
    ),
    ("vendor/anything", r#""x":[1]"#),
    (
        "tools/call",
        r#""name":"search_tools","arguments":{"queries":["echo"]}"#,
    ),
    (
        "tools/call",
        r#""name":"call_destructive_tool","arguments":{"name":"echo","arguments":{"x":1}}"#,
    ),
    (
        "tools/call",
        r#""name":"call_read_tool","arguments":{"name":"a__echo"}"#,
    ),
];
/// What servers answer, by number; the first fits the method.
pub(super) const RESULTS: [&str; 5] = [
    "",
    "{}",
    r#"{"content":[],"resultType":"complete"}"#,
    r#"{"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"}},"requestState":"s"}"#,
    r#"{"tools":[{"name":"echo","inputSchema":{}}],"nextCursor":"c"}"#,
];
/// What servers say unasked.
pub(super) const NOTES: [&str; 5] = [
    r#""method":"notifications/tools/list_changed""#,
    r#""method":"notifications/message","params":{"level":"info","data":1}"#,
    r#""method":"notifications/progress","params":{"progressToken":1,"progress":1}"#,
    r#""method":"notifications/cancelled","params":{"requestId":1}"#,
    r#""method":"notifications/resources/updated","params":{"uri":"file:///a"}"#,
];
/// What servers ask.
pub(super) const QUESTIONS: [&str; 4] = [
    r#""method":"ping""#,
    r#""method":"roots/list""#,
    r#""method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}"#,
    r#""method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{}}}"#,
];

/// What a legacy client says of itself, without the version.
pub(super) const INTRODUCTION: &str = r#""capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}},"clientInfo":{"name":"f","version":"1"}"#;
/// Versions that legacy clients name; one is unknown.
pub(super) const VERSIONS: [&str; 4] = ["2025-11-25", "2025-03-26", "2024-11-05", "1999-01-01"];
/// The `_meta` of a modern request.
pub(super) const MODERN_META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"io.modelcontextprotocol/clientInfo":{"name":"f","version":"1"}}"#;
/// What clients answer to questions.
pub(super) const ANSWERS: [&str; 3] = [
    r#""result":{"roots":[]}"#,
    r#""result":{"action":"accept","content":{}}"#,
    r#""error":{"code":-1,"message":"no"}"#,
];

/// Returns a result that fits a method.
pub(super) fn fitting(method: &str) -> &'static str {
    match method {
        "initialize" => {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"s","version":"1"}}"#
        }
        "server/discover" => {
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}}"#
        }
        "tools/list" => &TOOLS,
        "prompts/list" => r#"{"prompts":[{"name":"p"}],"resultType":"complete"}"#,
        "resources/list" => {
            r#"{"resources":[{"name":"r","uri":"file:///a"}],"resultType":"complete"}"#
        }
        "resources/templates/list" => r#"{"resourceTemplates":[],"resultType":"complete"}"#,
        _ => r#"{"content":[],"resultType":"complete"}"#,
    }
}
