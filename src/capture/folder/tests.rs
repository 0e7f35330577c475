use std::fs;

use super::*;

fn page(n: usize, member: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{n},\"result\":{{\"{member}\":[{{\"name\":\"t{n}\"}}]}}}}"
    )
}

fn whole() -> Recording {
    let mut recording = Recording::new(Meta::new("2026-01-02"));
    recording
        .set_handshake(r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"n","version":"1"}}}"#)
        .unwrap();
    for kind in ListKind::ALL {
        recording
            .set_list(kind, [page(1, kind.member()), page(2, kind.member())])
            .unwrap();
    }
    let step = |from, text: &'static str| Step {
        from,
        message: Bytes::from_static(text.as_bytes()),
    };
    for (era, response) in [(Era::Legacy, Some(page(7, "content"))), (Era::Modern, None)] {
        recording
            .add_exchange(Exchange {
                method: "tools/call".to_owned(),
                params: Some(Bytes::from_static(
                    br#"{"name":"t1", "arguments":{"n":1.0}}"#,
                )),
                era,
                messages: vec![
                    step(Side::Server, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
                    step(Side::Client, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
                ],
                response: response.map(Bytes::from),
            })
            .unwrap();
    }
    recording
}

#[test]
fn what_was_written_is_read() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    let recording = whole();
    write_folder(&recording, &folder).unwrap();
    let mut read = read_folder(&folder).unwrap();
    assert_eq!(read.meta.counts.get("tools"), Some(&2));
    assert_eq!(read.meta.counts.get("messages"), Some(&4));
    read.meta.counts.clear();
    assert_eq!(read, recording);
    // Again over itself: the same bytes, and what people wrote stays.
    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    let before: Vec<Vec<u8>> = files(&recording)
        .iter()
        .map(|(name, _)| bytes(name))
        .collect();
    fs::write(folder.join(SOURCE_FILE), "from there").unwrap();
    write_folder(&recording, &folder).unwrap();
    let after: Vec<Vec<u8>> = files(&recording)
        .iter()
        .map(|(name, _)| bytes(name))
        .collect();
    assert_eq!(before, after);
    assert_eq!(bytes(SOURCE_FILE), b"from there");
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn other_folders_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let check = |expected: &str| {
        let error = write_folder(&whole(), folder.path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    fs::write(folder.path().join("tools.json"), "mine").unwrap();
    check("`tools.json`");
    assert_eq!(fs::read(folder.path().join("tools.json")).unwrap(), b"mine");
    fs::write(folder.path().join(META_FILE), "{}").unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    check("`notes.txt`");
    let file = folder.path().join("notes.txt");
    assert!(matches!(
        write_folder(&whole(), &file).unwrap_err(),
        FolderError::Write { .. }
    ));
}

#[test]
fn older_captures_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/servers");
    for entry in fs::read_dir(root).unwrap() {
        let recording = read_folder(&entry.unwrap().path()).unwrap();
        assert!(!recording.items(ListKind::Tools).is_empty());
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("initialize.json"),
        whole().handshake().unwrap(),
    )
    .unwrap();
    fs::write(
        folder.path().join("tools.json"),
        "{\n \"tools\": [\n {\"name\":\"t\"} ]\n}",
    )
    .unwrap();
    let recording = read_folder(folder.path()).unwrap();
    assert_eq!(recording.meta.server_name.as_deref(), Some("n"));
    assert_eq!(recording.items(ListKind::Tools), ["{\"name\":\"t\"}"]);
}

#[test]
fn errors_have_file_and_line() {
    #[track_caller]
    fn check(name: &str, text: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let error = read_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}{expected}")), "{error}");
    }
    let good = page(1, "tools");
    check(
        "tools.json",
        &format!("{good}\n\n{{\"x\":1}}\n"),
        ":3: page 1 of `tools/list` is no JSON-RPC",
    );
    check(
        "tools.json",
        &format!("{good}\n{{\"x\":"),
        ":2: not the JSON expected",
    );
    check(
        "calls.jsonl",
        "{\"method\":\"x\"}\n{\"method\":1}",
        ":2: not an exchange",
    );
    check(
        "calls.jsonl",
        "{\"method\":\"x\",\"params\":{\"a\":1,\"a\":1}}",
        ":1: the params",
    );
    check(
        "calls.jsonl",
        "{\"method\":\"x\",\"era\":\"stone\"}",
        ":1: not an exchange",
    );
    check("handshake.json", "\n", ":1: there is no response");
    check(
        "handshake.json",
        &format!("{good}\n{good}"),
        ": more than one response",
    );
    check("capture.json", "{\"format\":99}", ": format 99 is newer");
    check("capture.json", "[", ":1: not the JSON expected");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        read_folder(empty.path()).unwrap_err(),
        FolderError::Empty { .. }
    ));
    let missing = empty.path().join("no");
    assert!(matches!(
        read_folder(&missing).unwrap_err(),
        FolderError::Read { .. }
    ));
}
