//! What holds for any recording and any line.

use proptest::prelude::*;

use super::*;

/// A call's arguments and its answer's text.
fn calls() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof![
        "[0-9]{1,3}",
        "\"[ -!#-\\[\\]-~]{0,8}\"",
        Just("{\"b\":null,\"a\":[1.0]}".to_owned())
    ]
    .prop_filter("numbers have no leading zero", |v| {
        serde_json::from_str::<Value>(v).is_ok()
    });
    prop::collection::vec((value, "[a-z]{0,5}"), 1..8)
}

fn recorded(calls: &[(String, String)]) -> Recording {
    recording(calls.iter().map(|(value, text)| {
        let params = format!("{{ \"name\":\"t\",\"arguments\":{{\"z\":{value} , \"a\":1}}}}");
        exchange(Era::Legacy, "tools/call", &params, &[], &answer_of(text))
    }))
}

/// Makes each call once more in its order, spelled differently; every answer must be the recorded one.
fn answers_alike(recording: &Recording, calls: &[(String, String)]) -> Result<(), String> {
    let mut peer = Peer::legacy(recording);
    for (value, text) in calls {
        let answers = peer.say(&call(
            4,
            &format!("\"arguments\":{{\"a\":1,\"z\":{value}}},\"name\":\"\\u0074\""),
        ));
        if answers != [answer_of(text).replace("99", "4")] {
            return Err(format!("{value}: {answers:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_recorded_written_and_read_is_answered(calls in calls()) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("r");
        crate::capture::write_folder(&recorded(&calls), &folder).unwrap();
        let read = crate::capture::read_folder(&folder).unwrap();
        prop_assert_eq!(answers_alike(&read, &calls), Ok(()));
    }

    // A backslash stands before ASCII only: before anything else the shared unescaping panics.
    #[test]
    fn lines_of_any_kind_are_survived(lines in prop::collection::vec(line(), 0..12)) {
        let mut peer = Peer::legacy(&recording([asking()]));
        for line in &lines {
            for answer in peer.say(line) {
                prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
            }
        }
        prop_assert_eq!(peer.say(r#"{"jsonrpc":"2.0","id":"end","method":"ping"}"#).len(), 1);
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "([^\\\\\n]|\\\\[ -~]){0,40}",
        ("[0-9]", "(tools/call|tools/list|initialize|server/discover|subscriptions/listen|x)", "(|\"name\":\"a\"|\"cursor\":\"\"|\"requestState\":null|\"_meta\":1|\"arguments\":\\[\\])")
            .prop_map(|(id, method, params)| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{{params}}}}}")),
        ("[0-9]", "(tools/call|tools/list)").prop_map(|(id, method)| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{\"name\":\"a\",\"arguments\":{{\"x\":1,\"y\":\"a\"}},{META}}}}}")),
        "[0-9]".prop_map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":\"replay-{id}\",\"result\":{{}}}}")),
        "[0-9]".prop_map(|id| format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}")),
        Just("[{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"ping\"},1,[]]".to_owned()),
    ]
}

/// The broken variant: recordings of one call are told apart by their method alone.
#[test]
fn the_property_catches_calls_that_are_mixed_up() {
    let calls = [("1", "a"), ("2", "b"), ("1", "c")].map(|(v, t)| (v.to_owned(), t.to_owned()));
    assert_eq!(answers_alike(&recorded(&calls), &calls), Ok(()));
    let mixed: Vec<(String, String)> = calls
        .iter()
        .map(|(_, text)| ("1".to_owned(), text.clone()))
        .collect();
    assert!(answers_alike(&recorded(&mixed), &calls).is_err());
}
