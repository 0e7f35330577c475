//! A client over the pipes of one way: a handshake, then one call after another.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::serve::TOOL;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running way.
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    n_sent: u64,
    /// The tool to call: that of the server, or the one that a way put in its place.
    tool: String,
}

impl Client {
    /// Starts a way with the server behind it, and shakes hands.
    pub(crate) fn start(
        command: &[String],
        server: &[&OsStr],
        state: &Path,
    ) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("an empty command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .args(server)
            .env("XDG_STATE_HOME", state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start `{program}`"))?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut client = Self {
            child,
            stdin,
            lines,
            n_sent: 0,
            tool: String::new(),
        };
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "side-by-side", "version": "1"},
        });
        client.request("initialize", &hello)?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        let list = client.request("tools/list", &json!({}))?;
        client.tool = list["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tool| tool["name"].as_str())
            .find(|name| name.ends_with(TOOL) || name.ends_with("invoke_tool"))
            .context("the tool is not in the list")?
            .to_owned();
        Ok(client)
    }

    /// Asks for one captured result; returns the text that came.
    pub(crate) fn call(&mut self, file: &str) -> anyhow::Result<String> {
        let arguments = json!({"file": file});
        let arguments = if self.tool.ends_with("invoke_tool") {
            json!({"tool_name": TOOL, "tool_input": arguments})
        } else {
            arguments
        };
        let call = json!({"name": self.tool, "arguments": arguments});
        let result = self.request("tools/call", &call)?;
        let texts: Vec<&str> = result["content"]
            .as_array()
            .context("no content")?
            .iter()
            .filter_map(|block| block["text"].as_str())
            .collect();
        let text = texts.join("\n");
        if result["isError"] == true {
            bail!("{text}");
        }
        Ok(text)
    }

    fn request(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.n_sent += 1;
        let id = self.n_sent;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let line = self.lines.recv_timeout(PATIENCE).context("no answer")?;
            let mut message: Value = serde_json::from_str(&line)?;
            if message["id"] != id || message.get("method").is_some() {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("{error}");
            }
            return Ok(message["result"].take());
        }
    }

    fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        writeln!(self.stdin, "{message}")?;
        self.stdin.flush()?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
