//! What people read when something is wrong: one line in the log, and a hint that says what to do.

use std::process::{Command, Stdio};

/// Runs the program with an `initialize` on stdin; returns its exit code and stderr.
fn told(args: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(args)
        .env("MCP_WHITTLE_NO_STATE", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let initialize = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
"#;
    // A command that reads nothing may be over already.
    let _ = std::io::Write::write_all(&mut child.stdin.take().expect("piped"), initialize);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stderr).expect("logs are UTF-8");
    (output.status.code(), text)
}

#[track_caller]
fn check(args: &[&str], code: i32, expected: &[&str]) {
    let (got, text) = told(args);
    assert_eq!(got, Some(code), "{args:?}: {text}");
    for line in expected {
        assert!(text.lines().any(|told| told == *line), "{line}\n{text}");
    }
    // Only a command's last word, which is no record of the log, has its hint on a line of its own.
    for (number, line) in text.lines().enumerate() {
        let is_whole = ["mcp-whittle: ", "error: "]
            .iter()
            .any(|start| line.starts_with(start));
        let is_hint = number + 1 == text.lines().count() || line.starts_with("  hint: ");
        assert!(is_whole || is_hint, "line {}: {text}", number + 1);
    }
}

#[test]
fn a_command_that_ends_before_its_handshake() {
    let line = "mcp-whittle: ERROR connection lost: the process exited with code 1; hint: run the command by itself; what it wrote to stderr is above server=\"false\"";
    check(&["--", "false"], 1, &[line]);
    let said = "hint: run the command by itself to see what it says";
    check(&["count", "--", "false"], 1, &[line, said]);
}

#[test]
fn a_url_where_nobody_listens() {
    // The port of a socket that was closed again.
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let origin = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let lost = format!(
        "mcp-whittle: ERROR connection lost: cannot connect to `{origin}`: Connection refused (os error 111); hint: is the server running and the URL right? server=\"127.0.0.1\""
    );
    let refused = format!(
        "mcp-whittle: ERROR `initialize` failed: the server `127.0.0.1` is not available: cannot connect to `{origin}`: Connection refused (os error 111); the request was not sent; hint: is the server running and the URL right? server=\"127.0.0.1\""
    );
    let hint = "hint: check that the URL is the MCP endpoint of a server that speaks streamable HTTP, and its credentials (--header)";
    let url = format!("{origin}/mcp");
    check(&["count", "--url", &url], 1, &[&lost, &refused, hint]);
}

#[test]
fn files_that_are_not_there() {
    let hint = "hint: check the path; a relative one starts at the current folder";
    let line = "error: cannot read `/nowhere/x`: No such file or directory (os error 2)";
    check(&["count", "--tools", "/nowhere/x"], 1, &[line, hint]);
    check(&["replay", "/nowhere/x"], 1, &[line, hint]);
}

#[test]
fn files_with_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, text: &str, problem: &str, hint: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let first = format!("error: {path}:{problem}");
        let second = format!("  hint: {hint}");
        check(
            &["config", "check", "--config", path],
            2,
            &[&first, &second],
        );
    };
    check(
        "settings.toml",
        "[limits]\nmax_frame = 3\n",
        "2: key `limits.max_frame`: unknown key",
        "`mcp-whittle config check -- COMMAND` lists every key, docs/configuration.md explains them",
    );
    check(
        "servers.json",
        "{\"mcpServers\": {\n  \"a\": {\"command\": }}}",
        "2: not valid JSON at column 20: unexpected close brace",
        "put keys and texts into double quotes and commas between entries; comments are allowed",
    );
    check(
        "broken.toml",
        "[limits\n",
        "1: not valid TOML at column 8: unclosed table, expected `]`",
        "texts stand in quotes, sections in `[…]`; docs/configuration.md has examples",
    );
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_build_without_telemetry_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    std::fs::write(&file, "[telemetry]\nendpoint = \"http://127.0.0.1:4318\"\n").unwrap();
    let file = file.display().to_string();
    let (code, text) = told(&["--config", &file, "--", "true"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("key `telemetry.endpoint`: this build exports no telemetry"),
        "{text}"
    );
    assert!(text.contains("--features otel"), "{text}");
}
