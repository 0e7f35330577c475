//! A stdio MCP server that does what a script says, also what no server should do.
//!
//! `scripted_server DIR` reads `DIR/script` and leaves in `DIR` what tests look at: `starts` (a process
//! id for each life), `received` (each line that came, after the number of the life and a tab), `marks`
//! (the `mark` argument of each call that ran) and `children` (process ids of grandchildren).
//! `scripted_server sleep DIR` sleeps for ever, as a process that somebody forgot.
//!
//! A test peer for the tests in `tests/`: it does not guard against its script.

mod json;
mod plain;
mod play;
mod script;

use std::io::{BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use play::Server;
use script::Script;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some("sleep") {
        loop {
            std::thread::park();
        }
    }
    let directory = PathBuf::from(arguments.first().ok_or("usage: scripted_server DIR")?);
    let text = std::fs::read_to_string(directory.join("script")).map_err(|e| e.to_string())?;
    let script = Script::parse(&text)?;
    if script.ignores_term && arguments.get(1).map(String::as_str) != Some("deaf") {
        return Err(become_deaf(&directory));
    }
    append(&directory, "starts", &std::process::id().to_string());
    let life = std::fs::read_to_string(directory.join("starts"))
        .map_or(1, |starts| starts.lines().count());
    let server = Arc::new(Server::new(script, directory, life));
    server.happened("start");
    read(&server);
    server.happened("eof");
    if server.script.ignores_eof {
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

/// Starts this program again with SIGTERM, SIGINT and SIGHUP ignored, which a shell can do without
/// unsafe code and `exec` keeps.
fn become_deaf(directory: &Path) -> String {
    let program = std::env::current_exe().expect("this program has a path");
    Command::new("sh")
        .args(["-c", r#"trap "" TERM INT HUP; exec "$@""#, "sh"])
        .arg(program)
        .arg(directory)
        .arg("deaf")
        .exec()
        .to_string()
}

fn read(server: &Arc<Server>) {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match input.by_ref().read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line)
            .trim_end_matches(['\r', '\n'])
            .to_owned();
        append(
            &server.directory,
            "received",
            &format!("{}\t{line}", server.life),
        );
        if server.script.is_serial {
            server.handle(&line);
        } else if !server.noted(&line) {
            let server = Arc::clone(server);
            std::thread::spawn(move || server.handle(&line));
        }
    }
}

/// Adds a line to a file of the directory, in one write.
pub(crate) fn append(directory: &Path, name: &str, line: &str) {
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(directory.join(name));
    if let Ok(mut file) = file {
        // A test that looks for the line fails by itself if it is not there.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}
