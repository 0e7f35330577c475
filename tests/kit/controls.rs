//! Controls: the client of the kit against the server of the kit, with nothing between them.

use serde_json::json;

use super::{Proxy, ScriptedServer};

#[test]
fn the_scripted_server_is_a_server() {
    let server = ScriptedServer::new("tool a\ntool b\ntool c\npage 2");
    let mut client = Proxy::bare(&server).start();
    let answer = client.initialize();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    let page = client.ask("tools/list", json!({}))["result"].clone();
    assert_eq!(page["tools"][1]["name"], "b");
    let page = client.ask("tools/list", json!({"cursor": page["nextCursor"]}))["result"].clone();
    assert_eq!(
        (&page["tools"][0]["name"], page.get("nextCursor")),
        (&json!("c"), None)
    );
    assert_eq!(
        client.text_of_call("a", json!({"t": "ä\"\n"})),
        json!({"t": "ä\"\n"}).to_string()
    );
    assert_eq!(client.ask_call("gone", json!({}))["error"]["code"], -32602);
    assert_eq!(
        client.ask("no/such/method", json!({}))["error"]["code"],
        -32601
    );
    assert_eq!(server.received_of("tools/call").len(), 2);
    assert_eq!(server.starts().len(), 1);
    client.finish();
    server.assert_gone();
}

#[test]
fn the_scripted_server_follows_its_script() {
    let server = ScriptedServer::new(
        "tool ask\non tools/call ask\n ask elicitation/create {\"message\":\"?\"}\n reply $answer\n\
         tool late\non tools/call late\n wait-cancel\n signal cancelled\n\
         tool steps\non tools/call steps nth=1\n progress 2\n split 1\n bytes e30K\n reply ä\non tools/call steps\n error 7 second\n\
         tool die\non tools/call die\n text {\"half\n exit 3",
    );
    let mut client = Proxy::bare(&server).start();
    client.initialize();
    let call = client.call("ask", json!({}));
    let question = client.wait_request("elicitation/create");
    client.respond(&question, json!({"action": "decline"}));
    let answer = client.answer(call);
    let text = answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(text.contains("decline"), "{answer}");

    let call = client.call("late", json!({}));
    server.wait_received("tools/call", 2);
    client.cancel(call);
    server.wait_signal("cancelled");

    let params =
        json!({"name": "steps", "arguments": {"mark": "once"}, "_meta": {"progressToken": 5}});
    let call = client.request("tools/call", params);
    assert_eq!(client.answer(call)["result"]["content"][0]["text"], "ä");
    assert_eq!(client.count_of("notifications/progress"), 2);
    assert_eq!(client.ask_call("steps", json!({}))["error"]["code"], 7);
    assert_eq!(server.marks(), ["once"]);

    let call = client.call("die", json!({}));
    assert_eq!(client.wait_exit().code(), Some(3));
    client.wait_end_of_output();
    // What the oracle says of such a peer: bytes that are no message, twice, and an open call.
    client.oracle(|oracle| {
        assert_eq!(
            oracle.faults_at_end().len(),
            3,
            "{:?}",
            oracle.faults_at_end()
        );
        *oracle = Default::default();
        oracle.may_stay_open(&call.to_string());
    });
}

#[test]
fn the_scripted_server_is_deaf_if_told_so() {
    let server = ScriptedServer::new("ignore-eof\nignore-term\non start\n grandchild");
    let mut client = Proxy::bare(&server).start();
    client.initialize();
    client.close_stdin();
    client.terminate();
    super::until_true("both are there", || server.survivors().len() == 2);
    // Both answer to nothing but SIGKILL, which the kit sends when a test ends.
    assert_eq!(server.survivors().len(), 2);
}
