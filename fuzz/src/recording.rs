//! Recordings of servers: any files in the folder are read or refused, what was read is written the same again,
//! and whatever is asked of the server that plays one is answered once.

use std::fs;
use std::time::Duration;

use bytes::Bytes;

use mcp_whittle::capture::replay::{ReplayOptions, ReplayServer};
use mcp_whittle::capture::{Recording, folder, read_folder};
use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::message::{Kind, Message, Parsed};

/// What is asked of every recording that can be read.
const ASKED: [&str; 5] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"f","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"a","arguments":{}}}"#,
    r#"{"jsonrpc":"2.0","id":4,"method":"resources/list","params":{"cursor":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
];

/// The property for one input: which file, then its content. Panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |recording, lines| {
        let mut server = ReplayServer::new(recording, ReplayOptions::default());
        let mut answers = Vec::new();
        for line in lines {
            match Message::parse(line.clone(), Limits::default()) {
                Ok(parsed @ (Parsed::Message(_) | Parsed::Batch(_))) => {
                    server.handle(parsed, Duration::ZERO);
                }
                Err(malformed) => server.handle_malformed(&malformed),
            }
            server.handle_timeout(Duration::ZERO);
            while let Some(outgoing) = server.poll_outgoing() {
                answers.push(outgoing.to_bytes());
            }
        }
        answers
    });
}

/// The property for what plays a recording: lines in, lines out.
pub fn check(data: &[u8], play: impl Fn(&Recording, &[Bytes]) -> Vec<Bytes>) {
    let Some((&choice, content)) = data.split_first() else {
        return;
    };
    const FILES: [&str; 7] = [
        folder::META_FILE,
        folder::HANDSHAKE_FILE,
        folder::CALLS_FILE,
        "tools.json",
        "prompts.json",
        "resources.json",
        "resource_templates.json",
    ];
    thread_local! {
        static PLACE: tempfile::TempDir = tempfile::tempdir().expect("a temporary folder");
    }
    let file = FILES[usize::from(choice) % FILES.len()];
    let read = PLACE.with(|place| {
        let path = place.path().join(file);
        fs::write(&path, content).expect("a file of ours");
        let read = read_folder(place.path());
        fs::remove_file(&path).expect("a file of ours");
        read
    });
    let recording = match read {
        Ok(recording) => recording,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for exchange in recording.exchanges() {
        let line = folder::render_exchange(exchange);
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok());
    }
    let lines: Vec<Bytes> = ASKED.map(|line| Bytes::from(line.as_bytes())).to_vec();
    let said = play(&recording, &lines);
    let mut n_answers = [0; ASKED.len()];
    for line in &said {
        let Ok(message) = Message::parse_single(line.clone(), Limits::default()) else {
            panic!("no message: {line:?}");
        };
        if let Kind::Response(_) | Kind::ErrorResponse(_) = message.kind()
            && let Some(id) = message.id()
            && let Ok(number) = String::from_utf8_lossy(id.raw()).parse::<usize>()
        {
            n_answers[number - 1] += 1;
        }
    }
    // A call whose recording asks the client first waits for its answer.
    assert!(
        n_answers.iter().all(|n| *n <= 1),
        "answered twice: {n_answers:?}"
    );
    assert_eq!(n_answers[0], 1, "no handshake");
    let is_asked_first = recording
        .exchanges()
        .iter()
        .any(|exchange| exchange.method == "tools/list" && !exchange.messages.is_empty());
    if !is_asked_first {
        assert_eq!((n_answers[1], n_answers[4]), (1, 1), "lists");
    }
}
