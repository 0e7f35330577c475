//! The server behind each way: one tool, which answers with the text blocks of one captured result.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;

use serde_json::{Value, json};

use super::corpus;

/// The name of the tool.
pub(crate) const TOOL: &str = "captured_result";

/// Answers requests on stdin until it closes.
pub(crate) fn run(folder: &Path) -> anyhow::Result<()> {
    for line in stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let Some(id) = request.get("id") else {
            continue;
        };
        let answer = match request["method"].as_str().unwrap_or_default() {
            "initialize" => Ok(json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "captured", "version": "1"},
            })),
            "tools/list" => Ok(json!({"tools": [{
                "name": TOOL,
                "description": "Returns one captured result.",
                "inputSchema": {
                    "type": "object",
                    "properties": {"file": {"type": "string"}},
                    "required": ["file"],
                },
            }]})),
            "tools/call" => call(folder, &request),
            "ping" => Ok(json!({})),
            other => Err(format!("unknown method `{other}`")),
        };
        let answer = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(message) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": message}})
            }
        };
        let mut out = stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn call(folder: &Path, request: &Value) -> Result<Value, String> {
    let file = request["params"]["arguments"]["file"]
        .as_str()
        .unwrap_or_default();
    let (_, blocks) = corpus::read(&folder.join(file))
        .map_err(|error| format!("{error:#}"))?
        .ok_or("no content")?;
    let content: Vec<Value> = blocks
        .iter()
        .map(|text| json!({"type": "text", "text": text}))
        .collect();
    Ok(json!({"content": content}))
}
