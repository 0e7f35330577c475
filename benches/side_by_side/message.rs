//! Messages of the bench: what is asked, and whether what comes is an answer to it.

use std::io;

use serde_json::{Value, json};

/// The first message of a session.
pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
/// What follows its answer.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Only so much at both ends of an answer is looked at, so that looking costs nothing.
const NEAR: usize = 4096;

/// How a hop wants the server's one tool to be called.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Under this name.
    Plain(String),
    /// Through a tool of the hop, which takes the real name and the arguments in these members.
    Wrapped {
        tool: String,
        name: &'static str,
        arguments: &'static str,
        /// The server's name, where the hop wants it, and the member it goes into.
        server: Option<(&'static str, String)>,
    },
}

impl Form {
    /// Finds out from the list that a hop shows.
    pub(crate) fn of_list(list: &Value) -> Option<Self> {
        let names: Vec<&str> = list["tools"]
            .as_array()?
            .iter()
            .filter_map(|tool| tool["name"].as_str())
            .collect();
        let ends_with = |end: &str| names.iter().find(|name| name.ends_with(end));
        if let Some(name) = names
            .iter()
            .find(|name| **name == "echo" || name.ends_with("_echo"))
        {
            return Some(Self::Plain((*name).to_owned()));
        }
        // mcp-compressor
        if let Some(name) = ends_with("invoke_tool") {
            return Some(Self::Wrapped {
                tool: (*name).to_owned(),
                name: "tool_name",
                arguments: "tool_input",
                server: None,
            });
        }
        // lazy-mcp
        let name = ends_with("invoke_command")?;
        Some(Self::Wrapped {
            tool: (*name).to_owned(),
            name: "command_name",
            arguments: "parameters",
            server: Some(("server", "echo".to_owned())),
        })
    }

    /// Writes a call with these arguments, a JSON object.
    pub(crate) fn call(&self, id: u64, arguments: &str) -> Vec<u8> {
        let params = match self {
            Self::Plain(tool) => format!("{{\"name\":\"{tool}\",\"arguments\":{arguments}}}"),
            Self::Wrapped {
                tool,
                name,
                arguments: member,
                server,
            } => {
                let server = server.as_ref().map_or_else(String::new, |(member, value)| {
                    format!("\"{member}\":{},", json!(value))
                });
                format!(
                    "{{\"name\":\"{tool}\",\"arguments\":{{{server}\"{name}\":\"echo\",\"{member}\":{arguments}}}}}"
                )
            }
        };
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{params}}}")
            .into_bytes()
    }
}

/// Writes a request for the list, from a cursor.
pub(crate) fn list(id: u64, cursor: Option<&str>) -> String {
    let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": params}).to_string()
}

/// Returns the number after `"id":` near the begin or the end of a message. `None` for notifications, and
/// for requests of the server.
pub(crate) fn id_of(message: &[u8]) -> Option<u64> {
    let head = &message[..message.len().min(200)];
    if memchr::memmem::find(head, b"\"method\"").is_some() {
        return None;
    }
    let tail = &message[message.len().saturating_sub(100)..];
    number_after(head, memchr::memmem::find(head, b"\"id\""))
        .or_else(|| number_after(tail, memchr::memmem::rfind(tail, b"\"id\"")))
}

fn number_after(text: &[u8], at: Option<usize>) -> Option<u64> {
    let rest = text.get(at? + 4..)?;
    let digits: Vec<u8> = rest
        .iter()
        .copied()
        .skip_while(|byte| matches!(byte, b' ' | b':'))
        .take_while(u8::is_ascii_digit)
        .collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Fails unless a message is a good answer to a call, so that errors are never measured as answers.
///
/// # Errors
/// With what came instead.
pub(crate) fn check(answer: &[u8]) -> io::Result<()> {
    let head = &answer[..answer.len().min(NEAR)];
    let tail = &answer[answer.len().saturating_sub(NEAR)..];
    let has = |text: &[u8]| {
        memchr::memmem::find(head, text).is_some() || memchr::memmem::find(tail, text).is_some()
    };
    let is_refused = has(b"\"isError\":true") || has(b"\"isError\": true");
    if is_refused || has(b"\"error\":{") || has(b"\"error\": {") || !has(b"\"content\"") {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        return Err(io::Error::other(format!("no result: {shown}")));
    }
    Ok(())
}

/// Reads the result of an answer.
///
/// # Errors
/// When it is none.
pub(crate) fn result(answer: &[u8]) -> io::Result<Value> {
    let mut answer: Value = serde_json::from_slice(answer)?;
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(io::Error::other(format!(
            "an error: {}",
            answer["error"]
                .to_string()
                .chars()
                .take(200)
                .collect::<String>()
        ))),
    }
}
