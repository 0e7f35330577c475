//! Kept results: what becomes of them when the disk, the version, the store or the reader is not what it was.

use std::path::Path;

use serde_json::{Value, json};

use mcp_whittle::result::handle::Handle;
use mcp_whittle::store::Store;
use mcp_whittle::store::results::{Meta, ResultOptions, ResultStore};

use crate::kit::{Proxy, ScriptedServer};

const GONE: &str = "this result is not known or expired; call the tool that gave it again";
const RESULT: &str = r#"{"content":[{"type":"text","text":"kept"}]}"#;

fn store(state: &Path) -> ResultStore {
    let store = Store::open(state).expect("a state folder");
    ResultStore::open(Some(&store), ResultOptions::default()).expect("a folder for results")
}

fn keep(state: &Path, principal: &str) -> Handle {
    let kept = store(state).put(principal, RESULT.as_bytes(), &Meta::default());
    kept.expect("the result is kept")
}

fn proxy(server: &ScriptedServer, state: &Path) -> Proxy {
    let mut proxy = Proxy::wrap(server)
        .state(state)
        .options("--result-cap 500")
        .start();
    proxy.initialize();
    proxy
}

/// Text and whether it is an error.
fn read(proxy: &mut Proxy, handle: &str) -> (String, bool) {
    let result = proxy.ask_call("read_result", json!({"handle": handle}));
    let result = result.get("result").unwrap_or(&result).clone();
    (
        result["content"][0]["text"]
            .as_str()
            .expect("a text")
            .to_owned(),
        result["isError"] == json!(true),
    )
}

/// A folder that takes no more stands for a disk that does: the result comes whole, with a word in the log.
#[test]
fn f69_disk_full() {
    let text: Vec<String> = (0..4000).map(|n| format!("{{\\\"row\\\":{n}}}")).collect();
    let script = format!(
        "tool many\non tools/call many\n result {{\"content\":[{{\"type\":\"text\",\"text\":\"[{}]\"}}]}}",
        text.join(",")
    );
    let server = ScriptedServer::new(&script);
    let state = tempfile::tempdir().expect("a state folder");
    let mut proxy = proxy(&server, state.path());
    proxy.ask("tools/list", json!({}));
    let results = state.path().join("v1/results");
    std::fs::remove_dir_all(&results).expect("the folder was made");
    std::fs::write(&results, "in the way").expect("the state folder is ours");
    let whole = proxy.text_of_call("many", json!({}));
    assert!(
        whole.contains("3999") && whole.contains("1777"),
        "a part only"
    );
    proxy.wait_stderr("could not be kept");
    let (text, is_error) = read(&mut proxy, &Handle::of(&[0; 32], "user", b"").to_string());
    assert!(is_error && text.contains(GONE), "{text}");
    proxy.finish();
}

#[test]
fn f70_state_written_by_an_older_build() {
    let server = ScriptedServer::new("tool t");
    let state = tempfile::tempdir().expect("a state folder");
    let handle = keep(state.path(), "user").to_string();
    let path = state.path().join("v1/results").join(&handle);
    let file = std::fs::read_to_string(&path).expect("the file of the result");
    let older = file.replace("\"format\":1", "\"format\":0");
    assert_ne!(older, file);
    std::fs::write(&path, older).expect("the file is ours");
    let mut proxy = proxy(&server, state.path());
    let (text, is_error) = read(&mut proxy, &handle);
    assert!(is_error && text.contains(GONE), "{text}");
    // Kept again by this build it is there.
    keep(state.path(), "user");
    assert_eq!(read(&mut proxy, &handle), ("kept".to_owned(), false));
    proxy.finish();
}

/// Results are in files of their own, which no cache evicts; where they are taken away all the same, the
/// answer says what to do.
#[test]
fn f76_what_is_kept_vanishes_while_a_handle_is_alive() {
    let server = ScriptedServer::new("tool t");
    let state = tempfile::tempdir().expect("a state folder");
    let handle = keep(state.path(), "user").to_string();
    let mut proxy = proxy(&server, state.path());
    assert_eq!(read(&mut proxy, &handle), ("kept".to_owned(), false));
    store(state.path()).purge().expect("the folder is ours");
    let (text, is_error) = read(&mut proxy, &handle);
    assert!(is_error && text.contains(GONE), "{text}");
    proxy.finish();
}

#[test]
fn f92_handle_expired_or_of_another_principal() {
    let server = ScriptedServer::new("tool t");
    let state = tempfile::tempdir().expect("a state folder");
    let ours = keep(state.path(), "user").to_string();
    let foreign = keep(state.path(), "loopback").to_string();
    let expired = {
        let store = Store::open(state.path()).expect("a state folder");
        let options = ResultOptions {
            ttl: std::time::Duration::ZERO,
            ..ResultOptions::default()
        };
        let results = ResultStore::open(Some(&store), options).expect("a folder for results");
        let other = br#"{"content":[{"type":"text","text":"old"}]}"#;
        let kept = results.put("user", other, &Meta::default());
        kept.expect("the result is kept").to_string()
    };
    let unknown = Handle::of(&[0; 32], "user", b"").to_string();
    let mut proxy = proxy(&server, state.path());
    assert_eq!(read(&mut proxy, &ours), ("kept".to_owned(), false));
    let answers: Vec<(String, bool)> = [&foreign, &expired, &unknown]
        .into_iter()
        .map(|handle| read(&mut proxy, handle))
        .collect();
    assert!(answers[0].1 && answers[0].0.contains(GONE), "{answers:?}");
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    // The same as a resource, but for its URI.
    let mut errors = Vec::new();
    for handle in [&foreign, &expired, &unknown] {
        let uri = format!("whittle://results/{handle}");
        let error: Value = proxy.ask("resources/read", json!({"uri": uri}));
        let error = error.get("error").unwrap_or(&error);
        errors.push(error.to_string().replace(handle.as_str(), "HANDLE"));
    }
    assert!(errors[0].contains("-32002"), "{errors:?}");
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    proxy.finish();
}
