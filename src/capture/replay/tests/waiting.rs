//! Delays, batches, and what a notification starts.

use serde_json::Value;

use super::*;

#[test]
fn delays_hold_up_nobody_else_and_can_be_cancelled() {
    let options = ReplayOptions {
        delay: Duration::from_millis(50),
        ..ReplayOptions::default()
    };
    let mut peer = Peer::new(&recording([]), options);
    let ping = |id: u32| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"server/discover\",\"params\":{{{META}}}}}"
        )
    };
    assert!(peer.say(&ping(1)).is_empty());
    assert!(peer.wait(20).is_empty());
    assert!(peer.say(&ping(2)).is_empty());
    assert!(peer.say(&ping(3)).is_empty());
    assert!(
        peer.say(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#
        )
        .is_empty()
    );
    assert_eq!(peer.server.next_timeout(), Some(Duration::from_millis(50)));
    assert!(peer.wait(30)[0].starts_with(r#"{"jsonrpc":"2.0","id":1,"#));
    let rest = peer.wait(20);
    assert!(
        rest.len() == 1 && rest[0].starts_with(r#"{"jsonrpc":"2.0","id":3,"#),
        "{rest:?}"
    );
    assert_eq!(peer.server.next_timeout(), None);
}

#[test]
fn batches_are_answered_together_where_they_are_allowed() {
    let mut peer = Peer::legacy(&recording([asking()]));
    let wait = call(2, r#""arguments":{"y":"a","x":1},"name":"a""#);
    let batch = format!(
        r#"[{{"jsonrpc":"2.0","id":1,"method":"ping"}},{wait},{{"jsonrpc":"2.0","method":"notifications/x"}},{{"id":3}}]"#
    );
    let said = peer.say(&batch);
    assert!(
        said.last().unwrap().contains("elicitation/create"),
        "{said:?}"
    );
    let said = peer.say(r#"{"jsonrpc":"2.0","id":"replay-1","result":{}}"#);
    let answers: Vec<Value> = serde_json::from_str(&said[1]).unwrap();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [1, 3, 2]);
    assert!(
        peer.say(r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#)
            .is_empty()
    );
    assert_eq!(code(&peer.say("[]")).0, -32600);
    let mut other = Peer::dual(&recording([]));
    assert_eq!(
        code(&other.say(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#)).0,
        -32600
    );
}

#[test]
fn what_a_notification_started_is_played_after_it() {
    let start = Exchange {
        params: None,
        response: None,
        ..exchange(
            Era::Legacy,
            "notifications/initialized",
            "{}",
            &[(Side::Server, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)],
            "",
        )
    };
    let mut peer = Peer::legacy(&recording([start]));
    assert_eq!(
        peer.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        [r#"{"jsonrpc":"2.0","id":"replay-1","method":"ping"}"#]
    );
    assert!(
        peer.say(r#"{"jsonrpc":"2.0","id":"replay-1","result":{}}"#)
            .is_empty()
    );
}
