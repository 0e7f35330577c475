//! The tools.

use super::catalog;
use super::raw::{quoted, text};
use super::{Request, Server, severity};

const PROGRESS_TOKEN: &str = "progressToken";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

impl Server {
    /// Every line that arrived, as a JSON array.
    pub(crate) fn seen(&self) -> String {
        let lines: Vec<String> = self.received.iter().map(|line| quoted(line)).collect();
        format!("[{}]", lines.join(","))
    }

    pub(crate) fn call(&mut self, request: Request) {
        let name = request.params.get("name").map(|raw| text(raw));
        match name.as_deref().unwrap_or_default() {
            "full" | "reducible" => self.result(
                &request,
                &format!(
                    "\"content\":[{}],\"structuredContent\":{},\"_meta\":{},{}",
                    catalog::CONTENT[0],
                    catalog::STRUCTURED,
                    catalog::META,
                    catalog::VENDOR
                ),
            ),
            "echo" => self.text(&request, &request.raw_params),
            "seen" => self.text(&request, &self.seen()),
            "content" => self.content(&request, &catalog::CONTENT.join(",")),
            "fail" => self.result(
                &request,
                &format!(
                    "\"isError\":true,\"content\":[{}],{}",
                    catalog::CONTENT[0],
                    catalog::VENDOR
                ),
            ),
            "refuse" => self.fail(
                &request,
                4711,
                "No \u{2014} not \"this\" way",
                r#"{"why":["a",null,2.50],"big":12345678901234567890123,"s":"\u00e9\/"}"#,
            ),
            "meet" => self.meet(request),
            "work" => self.work(&request),
            "wait" => {
                self.waiting.insert(request.id.clone(), request);
            }
            "cancelled" => {
                self.text(&request, &format!("[{}]", self.cancelled.join(",")));
            }
            "ask" => self.ask_something(request),
            "log" => self.log(&request),
            "touch" => self.touch(&request),
            "add_tool" => {
                self.is_tool_added = true;
                if request.is_modern {
                    self.tell_listeners(
                        "notifications/tools/list_changed",
                        "toolsListChanged",
                        None,
                    );
                } else {
                    self.notify(
                        "notifications/tools/list_changed",
                        r#"{"_meta":{"com.example/change":2.50}}"#,
                    );
                }
                self.text(&request, "added");
            }
            "added" if self.is_tool_added => self.text(&request, "called"),
            "notify" => {
                self.notify(
                    "notifications/com.example/hello",
                    r#"{"n":2.50,"s":"\u00e9\/","_meta":{"com.example/x":1E+2}}"#,
                );
                self.text(&request, "between");
                self.notify("notifications/com.example/bye", "[1E+2,null]");
            }
            "job" => self.job(&request),
            "end_listens" => self.end_listens(&request),
            name => {
                let message = format!("Unknown tool: {name}");
                self.fail(&request, -32602, &message, "null");
            }
        }
    }

    /// Holds calls back until as many run at once as the last of them wants; each answer says how many.
    fn meet(&mut self, request: Request) {
        let parties = request.argument("parties").and_then(|raw| raw.parse().ok());
        self.meeting.push(request);
        let present = self.meeting.len();
        if parties.is_none_or(|parties| present >= parties) {
            // The last comes first: answers need not come in the order of the questions.
            for request in std::mem::take(&mut self.meeting).iter().rev() {
                self.text(request, &format!("{present} at once"));
            }
        }
    }

    fn work(&self, request: &Request) {
        let Some(token) = request.meta.get(PROGRESS_TOKEN) else {
            return self.text(request, "nobody asked for progress");
        };
        for (progress, message) in [
            ("1", "caf\\u00e9"),
            ("2.50", "half\\/way"),
            ("4E+0", "done"),
        ] {
            self.notify(
                "notifications/progress",
                &format!(
                    "{{\"progressToken\":{token},\"progress\":{progress},\"total\":4.0,\"message\":\"{message}\",\"x-vendor\":null}}"
                ),
            );
        }
        self.text(request, "worked");
    }

    fn ask_something(&mut self, request: Request) {
        let what = request.argument("what").map(|raw| text(&raw));
        if request.is_modern {
            return self.ask_by_result(&request);
        }
        let (method, params) = match what.as_deref().unwrap_or_default() {
            "sampling" => (
                "sampling/createMessage",
                r#"{"messages":[{"role":"user","content":{"type":"text","text":"caf\u00e9?"}}],"systemPrompt":"Be \u2014 brief","temperature":0.50,"maxTokens":100,"stopSequences":["."],"modelPreferences":{"hints":[{"name":"any"}],"costPriority":1.0},"metadata":{"x":null},"_meta":{"com.example/q":2.50},"x-vendor":1E+2}"#,
            ),
            "elicitation" => (
                "elicitation/create",
                r#"{"mode":"form","message":"Who \u2014 are you?","requestedSchema":{"type":"object","properties":{"name":{"type":"string","title":"Name","minLength":1},"age":{"type":"integer","maximum":1E+2}},"required":["name"]},"_meta":{"com.example/q":2.50},"x-vendor":1E+2}"#,
            ),
            "roots" => ("roots/list", r#"{"_meta":{"com.example/q":2.50}}"#),
            _ => (
                "com.example/question",
                r#"{"n":2.50,"s":"\u00e9\/","none":null}"#,
            ),
        };
        self.ask(request, method, params);
    }

    /// Two rounds of questions (MCP 2026-07-28 basic/patterns/mrtr), then what the last retry brought.
    fn ask_by_result(&self, request: &Request) {
        let state = request.params.get("requestState").map(|raw| text(raw));
        let body = match state.as_deref() {
            None => {
                r#""resultType":"input_required","inputRequests":{"who \u2014 ü":{"method":"elicitation/create","params":{"mode":"form","message":"Who \u2014 are you?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}},"x-vendor":2.50}}},"requestState":"st\u00e4te\/1","x-vendor":null"#
            }
            Some("stäte/1") => {
                r#""resultType":"input_required","inputRequests":{"a":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1E+2}},"b":{"method":"roots/list"}},"requestState":"state 2","_meta":{"com.example/m":[2.50]}"#
            }
            Some(_) => return self.text(request, &request.raw_params),
        };
        super::print_line(&format!(
            "{{\"result\": {{{body}}},\"jsonrpc\":\"2.0\",\"id\":{}}}",
            request.id
        ));
    }

    fn log(&self, request: &Request) {
        let lowest = if request.is_modern {
            request.meta.get(LOG_LEVEL).map(|raw| severity(&text(raw)))
        } else {
            Some(self.level)
        };
        for level in ["debug", "info", "notice", "warning", "error"] {
            if lowest.is_some_and(|lowest| severity(level) >= lowest) {
                self.notify(
                    "notifications/message",
                    &format!(
                        "{{\"level\":\"{level}\",\"logger\":\"r\\u00e4w\",\"data\":{{\"n\":2.50,\"none\":null}},\"_meta\":{{\"com.example/l\":1E+2}},\"x-vendor\":1}}"
                    ),
                );
            }
        }
        self.text(request, "logged");
    }

    fn touch(&self, request: &Request) {
        let uri = request.argument("uri").map(|raw| text(&raw));
        let uri = uri.unwrap_or_default();
        let method = "notifications/resources/updated";
        if request.is_modern {
            self.tell_listeners(method, "", Some(&uri));
        } else if self.subscribed.contains(&uri) {
            self.notify(
                method,
                &format!(
                    "{{\"uri\":{},\"title\":\"caf\\u00e9\",\"_meta\":{{\"com.example/u\":2.50}}}}",
                    quoted(&uri)
                ),
            );
        }
        let subscribed: Vec<&str> = self.subscribed.iter().map(String::as_str).collect();
        self.text(request, &subscribed.join(" "));
    }

    fn job(&mut self, request: &Request) {
        let Some(task) = request.params.get("task").filter(|_| !request.is_modern) else {
            return self.fail(request, -32601, "this tool runs as a task only", "null");
        };
        self.n_tasks += 1;
        let state = Self::task_state(&format!("\"task-{}\"", self.n_tasks), "working");
        self.result(
            request,
            &format!(
                "\"task\":{{{state},\"asked\":{task}}},\"_meta\":{}",
                catalog::META
            ),
        );
    }

    /// Ends every stream with its result (MCP 2026-07-28 basic/patterns/subscriptions).
    fn end_listens(&mut self, request: &Request) {
        for id in std::mem::take(&mut self.listens).into_keys() {
            super::print_line(&format!(
                "{{\"result\": {{\"resultType\":\"complete\",\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}},\"x-vendor\":2.50}},\"jsonrpc\":\"2.0\",\"id\":{id}}}"
            ));
        }
        self.text(request, "ended");
    }
}
