//! A server for tests of the cache: it has a state that can be written, counts every call in a file, and
//! can be slow, fail, hang or die. Legacy stdio, one thread a request, standard library and `serde_json`.
//!
//! `counting_server FOLDER`: `FOLDER/calls` gets a line for each call (tool, a blank, raw arguments),
//! `FOLDER/value` holds the value; while `FOLDER/announce` exists `list_changed` is sent and the file
//! removed; while `FOLDER/dead` exists it ends at once.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::exit,
    reason = "a test peer that speaks on stdout and dies of what it does not expect"
)]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

type Out = Arc<Mutex<std::io::Stdout>>;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    if folder.join("dead").exists() {
        std::process::exit(3);
    }
    let out: Out = Arc::new(Mutex::new(std::io::stdout()));
    let (announcer, announced) = (Arc::clone(&out), folder.clone());
    std::thread::spawn(move || {
        loop {
            if fs::remove_file(announced.join("announce")).is_ok() {
                let notice =
                    json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
                say(&announcer, &notice);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let (out, folder) = (Arc::clone(&out), folder.clone());
        std::thread::spawn(move || answer(&out, &folder, &message));
    }
}

fn say(out: &Out, message: &Value) {
    let mut out = out.lock().unwrap();
    let _ = writeln!(out, "{message}");
    let _ = out.flush();
}

fn answer(out: &Out, folder: &Path, message: &Value) {
    let Some(id) = message.get("id") else { return };
    let params = &message["params"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "counting", "version": "1"},
        }),
        "tools/list" => {
            let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
            json!({"tools": [tool("read"), tool("write"), tool("fail")]})
        }
        "tools/call" => match call(folder, params) {
            Some(result) => result,
            None => return,
        },
        _ => json!({}),
    };
    say(out, &json!({"jsonrpc": "2.0", "id": id, "result": result}));
}

fn call(folder: &Path, params: &Value) -> Option<Value> {
    let tool = params["name"].as_str().unwrap_or_default();
    let arguments = &params["arguments"];
    let mut calls = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("calls"))
        .unwrap();
    calls
        .write_all(format!("{tool} {arguments}\n").as_bytes())
        .unwrap();
    let path = folder.join("value");
    let value = || fs::read_to_string(&path).unwrap_or_else(|_| "0".to_owned());
    let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
    match tool {
        "write" => {
            let next = value().parse::<u64>().unwrap() + 1;
            fs::write(&path, next.to_string()).unwrap();
            match arguments["then"].as_str() {
                Some("hang") => return None,
                Some("die") => std::process::exit(9),
                Some("fail") => {
                    return Some(json!({"content": [], "isError": true}));
                }
                _ => {}
            }
            Some(text(format!("wrote {next}")))
        }
        "fail" => {
            std::thread::sleep(Duration::from_millis(
                arguments["delay_ms"].as_u64().unwrap_or_default(),
            ));
            Some(json!({"content": [{"type": "text", "text": "no"}], "isError": true}))
        }
        _ => {
            let value = value();
            std::thread::sleep(Duration::from_millis(
                arguments["delay_ms"].as_u64().unwrap_or_default(),
            ));
            Some(text(format!("value {value}")))
        }
    }
}
