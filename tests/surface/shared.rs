//! What all tools of a server repeat stands once in the instructions, from the second start on, and only
//! for clients that show instructions.

use serde_json::{Value, json};

use crate::kit::{Proxy, ScriptedServer, until};

const REPEATED: &str = "Every path has to be absolute and inside the project folder of the user.";

/// A tool that says the sentence, and one of its own.
fn tool(name: &str, repeated: &str) -> String {
    format!(
        r#"tool {name} "description":"Does {name}. {repeated} Never call {name} twice.","inputSchema":{{"type":"object","properties":{{"x":{{"type":"integer"}}}}}}"#
    )
}

/// Starts with a state folder, shakes hands and lists: the instructions, and the descriptions.
fn start(script: &str, state: &std::path::Path, options: &str) -> (String, Vec<String>) {
    let server = ScriptedServer::new(script);
    // One path, so that the command is the same at each start.
    let link = state.join("server");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(server.path(), &link).expect("a link");
    let command = [server.command()[0].clone(), link.display().to_string()];
    let mut proxy = Proxy::wrap_command(&command)
        .options(options)
        .state(state)
        .start();
    let shaken = proxy.initialize();
    let list = proxy.ask("tools/list", json!({}));
    proxy.finish();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tools = list["result"]["tools"].as_array().expect("a list");
    (
        text(&shaken["result"]["instructions"]),
        tools
            .iter()
            .map(|tool| text(&tool["description"]))
            .collect(),
    )
}

#[test]
fn what_every_tool_repeats_is_said_once() {
    let script: String = (0..6)
        .map(|n| tool(&format!("job_{n}"), REPEATED) + "\n")
        .collect();
    for (options, moves) in [
        ("--profile claude-code", true),
        ("--profile generic", false),
        ("--profile claude-code --surface lean", false),
        ("--profile claude-code --transparent", false),
    ] {
        let state = tempfile::tempdir().expect("a state folder");
        // Nothing is known yet when the first handshake is answered.
        let first = start(&script, state.path(), options);
        assert!(!first.0.contains(REPEATED), "{options}: {}", first.0);
        assert!(
            first.1.iter().all(|text| text.contains(REPEATED)),
            "{options}"
        );
        let second = start(&script, state.path(), options);
        // A list never lacks what the instructions did not say.
        assert_eq!(
            second
                .0
                .contains("All tools: Every path has to be absolute"),
            moves,
            "{options}: {}",
            second.0
        );
        for text in &second.1 {
            assert_eq!(!text.contains("absolute"), moves, "{options}: {text}");
            assert!(
                text.starts_with("Does job_") && text.contains("Never call"),
                "{text}"
            );
        }
        assert_eq!(
            start(&script, state.path(), options),
            second,
            "{options}: the same at each start"
        );
        // One tool stopped saying it: the handshake still goes by what was known, the list by what is.
        if moves {
            let changed = script.replacen(REPEATED, "Any path will do.", 1);
            // A list may come from what was known, and the server's own after it: until that was kept.
            let texts = until("a start that knows of the change", || {
                let (said, texts) = start(&changed, state.path(), options);
                assert!(texts.iter().all(|text| !text.is_empty()));
                (!said.contains("absolute")).then_some(texts)
            });
            assert_eq!(
                texts
                    .iter()
                    .filter(|text| text.contains("absolute"))
                    .count(),
                5
            );
        }
    }
}
