//! Relays that lose something on purpose, as hops built on typed models do. They show that the checks
//! would notice. They live in the client's process, so a run needs no further program.

use serde_json::{Map, Value, json};

/// What a relay does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: shows that the relay itself breaks no row.
    None,
    /// Reads into a model and writes it again: numbers become doubles, unknown members and nulls go.
    Remodels,
    /// Shakes hands for itself, on both sides.
    OwnHandshake,
    /// Leaves out `_meta` everywhere.
    DropsMeta,
    /// Knows some methods and notifications only.
    DropsUnknown,
    /// Gives on no notification of the server.
    Mute,
    /// Gives on no notification of the client but `initialized`.
    Deaf,
    /// Answers the server's questions itself.
    AnswersItself,
    /// Shows names and descriptions only, of the first page.
    NamesOnly,
    /// Puts its own name before those of tools.
    Renames,
    /// Has one code for all errors.
    OneError,
    /// Gives on text content only, and bytes as text.
    TextOnly,
    /// Sends progress after the answer.
    LateProgress,
    /// Sends the next request when the last was answered.
    OneAtATime,
    /// Knows no protocol newer than 2025-11-25, and no tasks.
    OldOnly,
    /// Speaks of the levels and subscriptions that it likes.
    SwallowsSettings,
}

/// What goes on after a line arrived.
#[derive(Default)]
pub(crate) struct Onward {
    pub(crate) to_client: Vec<String>,
    pub(crate) to_server: Vec<String>,
}

impl Onward {
    /// Gives a line on: as it came if nothing in it was changed, so that a fault shows in its own rows only.
    fn on(line: &str, value: &Value) -> String {
        let is_same = serde_json::from_str::<Value>(line).is_ok_and(|before| before == *value);
        if is_same {
            line.to_owned()
        } else {
            value.to_string()
        }
    }

    fn up(value: &Value) -> Self {
        Self {
            to_server: vec![value.to_string()],
            ..Self::default()
        }
    }

    fn down(value: &Value) -> Self {
        Self {
            to_client: vec![value.to_string()],
            ..Self::default()
        }
    }
}

/// One relay.
pub(crate) struct Relay {
    fault: Fault,
    held: Vec<String>,
    is_busy: bool,
}

const KNOWN: [&str; 21] = [
    "initialize",
    "notifications/initialized",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "notifications/tools/list_changed",
];

fn refusal(message: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
}

/// Applies a change to every object inside.
fn every_object(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object
                .values_mut()
                .for_each(|inner| every_object(inner, change));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|inner| every_object(inner, change)),
        _ => {}
    }
}

fn remodel(message: &mut Value) {
    every_object(message, &|object| {
        let no_field = |name: &String| name.starts_with("x-vendor") || name == "execution";
        object.retain(|name, value| !value.is_null() && !no_field(name));
    });
}

impl Relay {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            held: Vec::new(),
            is_busy: false,
        }
    }

    pub(crate) fn take_from_client(&mut self, line: &str) -> Onward {
        let mut message: Value = serde_json::from_str(line).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let is_request = !method.is_empty() && message.get("id").is_some();
        match self.fault {
            Fault::None => {
                return Onward {
                    to_server: vec![line.to_owned()],
                    ..Onward::default()
                };
            }
            Fault::Remodels => {
                remodel(&mut message);
                return Onward::up(&message);
            }
            Fault::OwnHandshake if method == "initialize" => {
                message["params"] = json!({"protocolVersion": "2024-10-07", "capabilities": {}, "clientInfo": {"name": "relay", "version": "1"}});
            }
            Fault::DropsMeta => every_object(&mut message, &|object| {
                object.remove("_meta");
            }),
            Fault::DropsUnknown if !method.is_empty() && !KNOWN.contains(&method.as_str()) => {
                return if is_request {
                    Onward::down(&refusal(&message))
                } else {
                    Onward::default()
                };
            }
            Fault::Deaf if !is_request && !method.is_empty() && method != KNOWN[1] => {
                return Onward::default();
            }
            Fault::OldOnly => {
                let is_modern = line.contains("io.modelcontextprotocol/protocolVersion");
                if is_request && (is_modern || method.starts_with("tasks/")) {
                    return Onward::down(&refusal(&message));
                }
                let params = message.get_mut("params");
                if let Some(params) = params.and_then(Value::as_object_mut) {
                    params.remove("task");
                }
            }
            Fault::SwallowsSettings
                if method == "logging/setLevel" || method.starts_with("resources/subscribe") =>
            {
                return Onward::down(&json!({"jsonrpc": "2.0", "id": message["id"], "result": {}}));
            }
            Fault::OneAtATime if is_request => {
                if self.is_busy {
                    self.held.push(line.to_owned());
                    return Onward::default();
                }
                self.is_busy = true;
            }
            _ => {}
        }
        Onward {
            to_server: vec![Onward::on(line, &message)],
            ..Onward::default()
        }
    }

    pub(crate) fn take_from_server(&mut self, line: &str) -> Onward {
        let mut message: Value = serde_json::from_str(line).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let is_request = !method.is_empty() && message.get("id").is_some();
        let is_answer = method.is_empty();
        match self.fault {
            Fault::None => {
                return Onward {
                    to_client: vec![line.to_owned()],
                    ..Onward::default()
                };
            }
            Fault::Remodels => {
                remodel(&mut message);
                return Onward::down(&message);
            }
            Fault::OwnHandshake if message["result"].get("capabilities").is_some() => {
                message["result"]["serverInfo"] = json!({"name": "relay", "version": "1"});
                message["result"]["instructions"] = json!("Ask the relay.");
                message["result"]["capabilities"] = json!({"tools": {}});
            }
            Fault::DropsMeta => every_object(&mut message, &|object| {
                object.remove("_meta");
            }),
            Fault::DropsUnknown if !is_answer && !KNOWN.contains(&method.as_str()) => {
                return if is_request {
                    Onward::up(&refusal(&message))
                } else {
                    Onward::default()
                };
            }
            Fault::Mute if !is_answer && !is_request => return Onward::default(),
            Fault::AnswersItself if is_request => {
                let result = json!({"action": "decline", "roots": []});
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                return Onward::up(&answer);
            }
            Fault::NamesOnly => {
                if let Some(result) = message.get_mut("result") {
                    names_only(result);
                }
            }
            Fault::Renames => {
                let tools = message.pointer_mut("/result/tools");
                if let Some(tools) = tools.and_then(Value::as_array_mut) {
                    for tool in tools {
                        let name = tool["name"].as_str().unwrap_or_default();
                        tool["name"] = format!("relay_{name}").into();
                    }
                }
            }
            Fault::OneError if message.get("error").is_some() => {
                message["error"] = json!({"code": -32603, "message": "Internal error"});
            }
            Fault::TextOnly => {
                if let Some(result) = message.get_mut("result") {
                    text_only(result);
                }
            }
            Fault::LateProgress if method == "notifications/progress" => {
                self.held.push(line.to_owned());
                return Onward::default();
            }
            Fault::LateProgress if is_answer => {
                let mut onward = Onward {
                    to_client: vec![line.to_owned()],
                    ..Onward::default()
                };
                onward.to_client.append(&mut self.held);
                return onward;
            }
            Fault::OneAtATime if is_answer => {
                let mut onward = Onward {
                    to_client: vec![line.to_owned()],
                    ..Onward::default()
                };
                self.is_busy = !self.held.is_empty();
                if self.is_busy {
                    onward.to_server.push(self.held.remove(0));
                }
                return onward;
            }
            _ => {}
        }
        Onward {
            to_client: vec![Onward::on(line, &message)],
            ..Onward::default()
        }
    }
}

fn names_only(result: &mut Value) {
    let Some(result) = result.as_object_mut() else {
        return;
    };
    result.remove("nextCursor");
    result.retain(|name, _| name != "resourceTemplates");
    for (member, kept) in [("tools", "name"), ("prompts", "name"), ("resources", "uri")] {
        if let Some(items) = result.get_mut(member).and_then(Value::as_array_mut) {
            for item in items {
                *item = json!({kept: item[kept], "inputSchema": {"type": "object"}});
            }
        }
    }
}

fn text_only(result: &mut Value) {
    let Some(result) = result.as_object_mut() else {
        return;
    };
    for member in [
        "structuredContent",
        "isError",
        "completion",
        "inputRequests",
    ] {
        result.remove(member);
    }
    if let Some(blocks) = result.get_mut("content").and_then(Value::as_array_mut) {
        for block in blocks.iter_mut().filter(|block| block["type"] != "text") {
            *block = json!({"type": "text", "text": block.to_string()});
        }
    }
    if let Some(contents) = result.get_mut("contents").and_then(Value::as_array_mut) {
        for content in contents {
            *content = json!({"uri": "", "mimeType": "text/plain", "text": content.to_string()});
        }
    }
    if let Some(messages) = result.get_mut("messages").and_then(Value::as_array_mut) {
        messages.truncate(1);
    }
}
