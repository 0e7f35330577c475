//! What a plain server answers where the script says nothing.

use crate::json::{path, quote, text_at};
use crate::play::{Server, VERSION_KEY, lock};

impl Server {
    pub(super) fn answer_plainly(&self, method: &str, name: &str, line: &str, id: &str) {
        let is_modern = path(line, &["params", "_meta", VERSION_KEY]).is_some();
        let result = match method {
            "initialize" if self.script.is_modern => {
                let data = r#"{"supported":["2026-07-28"],"requested":"?"}"#;
                return self.line(&format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32022,"message":"Unsupported protocol version","data":{data}}}}}"#
                ));
            }
            "initialize" => format!(
                r#"{{"protocolVersion":{},"capabilities":{},"serverInfo":{{"name":"scripted","version":"1"}}}}"#,
                self.script.version.as_deref().map_or_else(
                    || path(line, &["params", "protocolVersion"])
                        .unwrap_or(r#""2025-11-25""#)
                        .to_owned(),
                    quote
                ),
                self.capabilities(),
            ),
            "server/discover" if self.script.is_modern => format!(
                r#"{{"supportedVersions":["2026-07-28"],"capabilities":{},"ttlMs":0,"cacheScope":"private"}}"#,
                self.capabilities(),
            ),
            "tools/list" => self.tool_page(line, is_modern),
            "tools/call" if self.has_tool(name) => {
                text_result(path(line, &["params", "arguments"]).unwrap_or("{}"))
            }
            "tools/call" => {
                return self.error(id, -32602, &format!("Unknown tool: {name}"));
            }
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                "{}".to_owned()
            }
            "prompts/list" => list("prompts", is_modern),
            "resources/list" => list("resources", is_modern),
            "resources/templates/list" => list("resourceTemplates", is_modern),
            _ => return self.error(id, -32601, &format!("Method not found: {method}")),
        };
        self.result(id, &result, is_modern);
    }

    fn capabilities(&self) -> &str {
        self.script.capabilities.as_deref().unwrap_or(
            r#"{"tools":{"listChanged":true},"logging":{},"resources":{"subscribe":true,"listChanged":true}}"#,
        )
    }

    fn has_tool(&self, name: &str) -> bool {
        lock(&self.tools)
            .iter()
            .any(|tool| text_at(tool, &["name"]).as_deref() == Some(name))
    }

    fn tool_page(&self, line: &str, is_modern: bool) -> String {
        let tools = lock(&self.tools);
        let from: usize = text_at(line, &["params", "cursor"])
            .and_then(|cursor| cursor.strip_prefix("after ")?.parse().ok())
            .unwrap_or(0);
        let size = if self.script.page == 0 {
            tools.len().max(1)
        } else {
            self.script.page
        };
        let page: Vec<&str> = tools
            .iter()
            .skip(from)
            .take(size)
            .map(String::as_str)
            .collect();
        let next = from + page.len();
        let cursor = if next < tools.len() {
            format!(r#","nextCursor":"after {next}""#)
        } else {
            String::new()
        };
        let freshness = if is_modern {
            r#","ttlMs":0,"cacheScope":"private""#
        } else {
            ""
        };
        format!(r#"{{"tools":[{}]{cursor}{freshness}}}"#, page.join(","))
    }
}

pub(super) fn response(id: &str, result: &str, is_modern: bool) -> String {
    let mark = if is_modern && !result.contains("\"resultType\"") {
        r#""resultType":"complete","#
    } else {
        ""
    };
    let inner = result.strip_prefix('{').unwrap_or(result);
    let mark = if inner.trim_start().starts_with('}') {
        mark.trim_end_matches(',')
    } else {
        mark
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{mark}{inner}}}"#)
}

pub(super) fn text_result(text: &str) -> String {
    format!(
        r#"{{"content":[{{"type":"text","text":{}}}]}}"#,
        quote(text)
    )
}

fn list(name: &str, is_modern: bool) -> String {
    let freshness = if is_modern {
        r#","ttlMs":0,"cacheScope":"private""#
    } else {
        ""
    };
    format!(r#"{{"{name}":[]{freshness}}}"#)
}
