//! `summarize` against an endpoint that misbehaves, and what a reviewed file does to the list, through the
//! built binary.
#![expect(clippy::unwrap_used, reason = "a failure of the fixture is the test's")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

/// Tools with one long description each; the first word of a description says how the endpoint answers.
fn tools(folder: &Path) -> std::path::PathBuf {
    let filler =
        "It is a wonderful helper that everybody likes to use in many situations. ".repeat(5);
    let tool = |word: &str| {
        json!({
            "name": word,
            "description": format!("{word} reads one page of the book. {filler}The page must be at most 40. Thank you for using it, we are glad."),
            "inputSchema": {"type": "object", "properties": {"page": {"type": "integer"}}},
        })
    };
    let words = [
        "Good", "Losing", "Adding", "Garbage", "Longer", "Down", "Huge", "Second",
    ];
    let list = json!({"tools": words.map(tool)});
    let file = folder.join("tools.json");
    std::fs::write(&file, list.to_string()).unwrap();
    file
}

/// A service that answers by the first word of what it is asked about; returns its URL and what it heard.
fn service() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            answer(stream, &log);
        }
    });
    (url, heard)
}

fn answer(mut stream: TcpStream, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let wish = asked["messages"][1]["content"].as_str().unwrap().to_owned();
    log.lock().unwrap().push(format!("{head}\n{wish}"));
    let description = wish.split_once("Description:\n").unwrap().1;
    let word = description.split_whitespace().next().unwrap();
    let again = wish.contains("was refused");
    let text = match word {
        "Good" => "Reads one page. The page must be at most 40.".to_owned(),
        "Second" if again => "Reads a page. The page must be at most 40.".to_owned(),
        "Losing" | "Second" => "Reads one page of the book.".to_owned(),
        "Adding" => {
            "Reads one page. The page must be at most 40. You must always call it first.".to_owned()
        }
        "Longer" => description.repeat(2),
        "Huge" => "x".repeat(2 << 20),
        _ => String::new(),
    };
    let (status, body) = match word {
        "Garbage" => ("200 OK", "<html>".to_owned()),
        "Down" => (
            "503 Service Unavailable",
            json!({"error": {"message": "too\nbusy"}}).to_string(),
        ),
        _ => (
            "200 OK",
            json!({"choices": [{"message": {"content": text}}]}).to_string(),
        ),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn whittle(folder: &Path, args: &[&str]) -> Output {
    Command::new(BINARY)
        .args(args)
        .env("SECRET_OF_THE_TEST", "s3cret-key")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_a_model_wrote_is_checked_and_waits_for_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let list = tools(here);
    let list = list.to_str().unwrap();
    let (url, heard) = service();
    let args = [
        "summarize",
        "--endpoint",
        &url,
        "--model",
        "tiny",
        "--key-env",
        "SECRET_OF_THE_TEST",
        "--out",
        "texts.jsonl",
        "--tools",
        list,
    ];
    let ended = whittle(here, &args);
    let (stdout, stderr) = (text(&ended.stdout), text(&ended.stderr));
    // Two texts have no answer, the others are asked for all the same.
    assert_eq!(ended.status.code(), Some(1), "{stdout}\n{stderr}");
    assert!(stderr.contains("not every text was answered"), "{stderr}");
    for line in [
        "accepted  tools Good /description",
        "accepted  tools Second /description",
        "refused   tools Losing /description  lost a constraint: ",
        "refused   tools Adding /description  added a constraint: ",
        "refused   tools Garbage /description  the answer is no chat completion",
        "refused   tools Longer /description  not shorter than the original",
        "failed    tools Down /description  the endpoint answered 503",
        "failed    tools Huge /description  no answer from",
        "2 of 8 texts accepted",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    let heard = heard.lock().unwrap().clone();
    assert!(heard[0].contains("authorization: Bearer s3cret-key"));
    assert!(
        heard[0].contains("- The page must be at most 40"),
        "{}",
        heard[0]
    );
    assert!(!stdout.contains("s3cret") && !stderr.contains("s3cret"));
    let file = std::fs::read_to_string(here.join("texts.jsonl")).unwrap();
    assert!(
        !file.contains("s3cret") && file.lines().count() == 2,
        "{file}"
    );

    // Nobody has read them: no list is made with them, and `config check` says so.
    let lock = |out: &str, more: &[&str]| {
        let mut args = vec!["lock", "--pin", "*=short", "--tools", list, "--out", out];
        args.extend(more);
        let ended = whittle(here, &args);
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        std::fs::read_to_string(here.join(out)).unwrap()
    };
    let plain = lock("plain.lock", &[]);
    assert_eq!(plain, lock("unread.lock", &["--summaries", "texts.jsonl"]));
    let check = || {
        let args = [
            "config",
            "check",
            "--summaries",
            "texts.jsonl",
            "--",
            "true",
        ];
        text(&whittle(here, &args).stdout)
    };
    assert!(
        check().contains("0 texts, 2 not reviewed and not used"),
        "{}",
        check()
    );

    let reviewed = file.replace(r#""reviewed_by":"""#, r#""reviewed_by":"A. Reader""#);
    // A text that is reviewed but loses a constraint is not used either.
    let mut lines: Vec<Value> = reviewed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines[1]["replacement"] = json!("Reads what you like.");
    let reviewed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(here.join("texts.jsonl"), &reviewed).unwrap();
    assert!(
        check().contains("1 texts, 1 refused by the linter"),
        "{}",
        check()
    );
    let with = lock("with.lock", &["--summaries", "texts.jsonl"]);
    let changed: Vec<&str> = with
        .lines()
        .filter(|line| !plain.contains(line) && line.contains("shown"))
        .collect();
    assert!(!changed.is_empty(), "{with}");

    // What stands there is kept, and not asked for again.
    let again = whittle(here, &args);
    assert_eq!(again.status.code(), Some(1));
    let file = std::fs::read_to_string(here.join("texts.jsonl")).unwrap();
    assert!(file.contains("A. Reader"), "{file}");
    assert!(!text(&again.stdout).contains("accepted  tools Good"));
}

#[test]
fn an_endpoint_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let list = tools(here);
    let list = list.to_str().unwrap();
    let run = |endpoint: &str, more: &[&str]| {
        let mut args = vec![
            "summarize",
            "--endpoint",
            endpoint,
            "--model",
            "m",
            "--out",
            "o",
            "--tools",
            list,
        ];
        args.extend(more);
        let ended = whittle(here, &args);
        (ended.status.code(), text(&ended.stderr))
    };
    for (endpoint, more, expected) in [
        ("http://127.0.0.1:1/v1", &[][..], "no answer from"),
        ("ftp://x", &[], "not http or https"),
        (
            "http://example.invalid/v1",
            &["--key-env", "SECRET_OF_THE_TEST"],
            "over https only",
        ),
        (
            "http://127.0.0.1:1/v1",
            &["--key-env", "NOT_SET_ANYWHERE"],
            "is not set",
        ),
    ] {
        let (code, stderr) = run(endpoint, more);
        assert_eq!(code, Some(1), "{endpoint}: {stderr}");
        assert!(
            stderr.contains(expected) && stderr.contains("hint: "),
            "{endpoint}: {stderr}"
        );
    }
    std::fs::write(here.join("o"), "not a summary\n").unwrap();
    let (code, stderr) = run("http://127.0.0.1:1/v1", &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("line 1"), "{stderr}");
}
