//! Rows on protocol 2026-07-28: its clients and servers, alone and with those of the other era.

use super::catalog;
use super::check::{Outcome, holds, same};
use super::client::Client;
use super::offers::{list, names, offered};
use super::stage::Stage;
use super::wire::{at, members, method, text};

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What every pairing has to give: offers, a call with its arguments, structure, bytes, errors.
fn serves(client: &mut Client) -> Outcome {
    let is_modern = client.is_modern;
    let tools = list(client, "tools/list", "tools")?;
    holds(
        &format!("tools: {:?}", names(&tools)),
        names(&tools) == names(&offered()),
    )?;
    let original = catalog::TOOLS[0][0];
    for member in [
        "annotations",
        "_meta",
        "inputSchema",
        "outputSchema",
        "x-vendor",
    ] {
        let wanted = at(original, &[member]).unwrap_or_default();
        same(member, at(&tools[0], &[member]), &wanted)?;
    }
    let page = client.result("prompts/list", "")?;
    for (member, is_there) in [
        ("resultType", is_modern),
        ("ttlMs", is_modern),
        ("cacheScope", is_modern),
    ] {
        holds(
            &format!("`{member}` of a list: {page}"),
            at(&page, &[member]).is_some() == is_there,
        )?;
    }
    let arguments = r#"{"a":null,"n":2.50,"big":12345678901234567890123,"s":"\u00e9\/"}"#;
    client.meta = "\"com.example/x\":2.50".to_owned();
    let said = client.say("echo", arguments)?;
    client.meta = String::new();
    same("arguments", at(&said, &["arguments"]), arguments)?;
    same("_meta", at(&said, &["_meta", "com.example/x"]), "2.50")?;
    let result = client.call("full", "{\"count\":1}")?;
    let got = at(&result, &["structuredContent"]);
    same("structuredContent", got, catalog::STRUCTURED)?;
    holds(
        &format!("`resultType` of a call: {result}"),
        at(&result, &["resultType"]).is_some() == is_modern,
    )?;
    let result = client.result("resources/read", "\"uri\":\"test://blob\"")?;
    same(
        "blob",
        at(&result, &["contents", "0", "blob"]),
        "\"AP8Q/+8=\"",
    )?;
    let answer = client.request("tools/call", "\"name\":\"refuse\",\"arguments\":{}")?;
    same("error code", at(&answer, &["error", "code"]), "4711")?;
    let got = at(&answer, &["error", "data", "big"]);
    same("error data", got, "12345678901234567890123")
}

/// Progress in order before the answer, and a cancellation that the server counts.
fn reports_and_cancels(client: &mut Client) -> Outcome {
    client.meta = "\"progressToken\":\"t\"".to_owned();
    let id = client.start("tools/call", "\"name\":\"work\",\"arguments\":{}")?;
    for progress in ["1", "2.50", "4E+0"] {
        let line = client.next()?;
        same("progress", at(&line, &["params", "progress"]), progress)?;
        same("token", at(&line, &["params", "progressToken"]), "\"t\"")?;
    }
    same("the answer after it", at(&client.next()?, &["id"]), &id)?;
    client.meta = String::new();
    let id = client.start("tools/call", "\"name\":\"wait\",\"arguments\":{}")?;
    client.notify(
        "notifications/cancelled",
        &format!("{{\"requestId\":{id},\"reason\":\"enough\"}}"),
    )?;
    let said = client.say("cancelled", "{}")?;
    same(
        "cancelled at the server",
        at(&said, &["0", "reason"]),
        "\"enough\"",
    )
}

fn discovered(client: &mut Client) -> Outcome {
    let result = client.result("server/discover", "")?;
    let offer = format!("{{{}}}", catalog::DISCOVER);
    let wanted = at(&offer, &["instructions"]).unwrap_or_default();
    let got = at(&result, &["instructions"]).map(|raw| text(&raw));
    same("instructions", got, &text(&wanted))?;
    let got = at(
        &result,
        &["_meta", "io.modelcontextprotocol/serverInfo", "name"],
    );
    same(
        "server name",
        got.map(|raw| text(&raw)),
        "raw-server \u{2014} ü",
    )?;
    let versions = at(&result, &["supportedVersions"]).unwrap_or_default();
    holds(
        &format!("versions: {versions}"),
        versions.contains("\"2026-07-28\""),
    )?;
    holds(
        "no tools offered",
        at(&result, &["capabilities", "tools"]).is_some(),
    )
}

pub(crate) fn modern_client_dual_server(stage: &Stage) -> Outcome {
    let mut client = stage.modern()?;
    discovered(&mut client)?;
    serves(&mut client)?;
    reports_and_cancels(&mut client)
}

pub(crate) fn modern_client_modern_server(stage: &Stage) -> Outcome {
    let mut client = stage.modern()?;
    discovered(&mut client)?;
    serves(&mut client)?;
    reports_and_cancels(&mut client)?;
    let calls = client.seen("tools/call")?;
    let line = calls.first().ok_or("no call reached the server")?;
    let key = "io.modelcontextprotocol/clientCapabilities";
    let got = at(line, &["params", "_meta", key]);
    same(
        "capabilities at the server",
        got,
        super::client::CAPABILITIES,
    )
}

/// The control is a server of the client's own era: bare, this pair has no common protocol.
pub(crate) fn modern_client_legacy_server(stage: &Stage) -> Outcome {
    let mut client = stage.modern()?;
    discovered(&mut client)?;
    serves(&mut client)?;
    reports_and_cancels(&mut client)?;
    let answer = client.request("resources/read", "\"uri\":\"test://none\"")?;
    same(
        "missing resource",
        at(&answer, &["error", "code"]),
        "-32602",
    )?;
    let got = at(&answer, &["error", "data", "uri"]);
    same("its data", got, "\"test://none\"")?;
    is_asked(&mut client)
}

/// Calls a tool that asks, answers in the client's era, and claims that the answer reached the server.
fn is_asked(client: &mut Client) -> Outcome {
    let answer = r#"{"action":"accept","content":{"name":"Zo\u00eb","age":4E+1}}"#;
    let params = "\"name\":\"ask\",\"arguments\":{\"what\":\"elicitation\"}";
    let mut was_asked = false;
    let mut more = String::new();
    for _ in 0..5 {
        let id = client.start("tools/call", &format!("{params}{more}"))?;
        let line = loop {
            let line = client.next()?;
            if at(&line, &["method"]).is_none() {
                same("answered", at(&line, &["id"]), &id)?;
                break line;
            }
            let (said, is_elicitation) = spoken(&method(&line), answer);
            if is_elicitation {
                was_asked = true;
                let got = at(&line, &["params", "message"]);
                same("question", got, r#""Who \u2014 are you?""#)?;
            }
            let question = at(&line, &["id"]).ok_or("a question without id")?;
            client.send(&format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{question},\"result\":{said}}}"
            ))?;
        };
        if at(&line, &["result", "resultType"]).as_deref() != Some("\"input_required\"") {
            holds("the client was not asked", was_asked)?;
            holds(
                &format!("no result: {line}"),
                at(&line, &["result", "content"]).is_some(),
            )?;
            return client.claim_reached(answer);
        }
        let mut answers = Vec::new();
        for (key, question) in members(&at(&line, &["result", "inputRequests"]).unwrap_or_default())
        {
            let (said, is_elicitation) = spoken(&method(&question), answer);
            if is_elicitation {
                was_asked = true;
                let got = at(&question, &["params", "message"]);
                same("question", got, r#""Who \u2014 are you?""#)?;
            }
            answers.push(format!("{}:{said}", serde_json::Value::from(key)));
        }
        let state = at(&line, &["result", "requestState"]).ok_or("no requestState")?;
        more = format!(
            ",\"inputResponses\":{{{}}},\"requestState\":{state}",
            answers.join(",")
        );
    }
    Err("asked without end".to_owned())
}

/// What this client says to a question, and whether that is an elicitation.
fn spoken<'a>(question: &str, elicited: &'a str) -> (&'a str, bool) {
    match question {
        "elicitation/create" => (elicited, true),
        "roots/list" => (r#"{"roots":[]}"#, false),
        _ => (
            r#"{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"}"#,
            false,
        ),
    }
}

/// The control is a server of the client's own era: bare, this pair has no common protocol.
pub(crate) fn legacy_client_modern_server(stage: &Stage) -> Outcome {
    let mut client = stage.connect()?;
    let answer = client.initialize("2025-11-25")?;
    let got = at(&answer, &["result", "protocolVersion"]);
    same("version", got, "\"2025-11-25\"")?;
    let got = at(&answer, &["result", "instructions"]).map(|raw| text(&raw));
    same(
        "instructions",
        got,
        "First look,\nthen \"leap\" \u{2014} always.",
    )?;
    let got = at(&answer, &["result", "serverInfo", "name"]).map(|raw| text(&raw));
    same("server name", got, "raw-server \u{2014} ü")?;
    serves(&mut client)?;
    reports_and_cancels(&mut client)?;
    is_asked(&mut client)?;
    client.result("resources/subscribe", "\"uri\":\"test://watched\"")?;
    client.take_aside();
    client.say("touch", "{\"uri\":\"test://watched\"}")?;
    let told = client.told("notifications/resources/updated")?;
    same("uri", at(&told, &["params", "uri"]), "\"test://watched\"")?;
    holds(
        "a mark of the other era is left",
        !told.contains(SUBSCRIPTION_ID),
    )?;
    client.say("add_tool", "{}")?;
    client.told("notifications/tools/list_changed")?;
    let tools = list(&mut client, "tools/list", "tools")?;
    same("the last tool", tools.last().cloned(), catalog::ADDED)?;
    same("its answer", Some(client.say("added", "{}")?), "called")
}

/// Two rounds with questions of all three kinds; states and answers reach the server as written.
pub(crate) fn input_required(stage: &Stage) -> Outcome {
    let mut client = stage.modern()?;
    let params = "\"name\":\"ask\",\"arguments\":{\"what\":null,\"n\":2.50}";
    let first = client.result("tools/call", params)?;
    same(
        "resultType",
        at(&first, &["resultType"]),
        "\"input_required\"",
    )?;
    let wanted = r#"{"who \u2014 ü":{"method":"elicitation/create","params":{"mode":"form","message":"Who \u2014 are you?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}},"x-vendor":2.50}}}"#;
    same("questions", at(&first, &["inputRequests"]), wanted)?;
    let state = at(&first, &["requestState"]);
    same("state", state, r#""st\u00e4te\/1""#)?;
    same("vendor member", at(&first, &["x-vendor"]), "null")?;
    let answers = r#"{"who \u2014 ü":{"action":"accept","content":{"name":"Zo\u00eb","n":4E+1}}}"#;
    let second = client.result(
        "tools/call",
        &format!("{params},\"inputResponses\":{answers},\"requestState\":\"st\\u00e4te\\/1\""),
    )?;
    let wanted = r#"{"a":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1E+2}},"b":{"method":"roots/list"}}"#;
    same("questions", at(&second, &["inputRequests"]), wanted)?;
    same("state", at(&second, &["requestState"]), "\"state 2\"")?;
    same(
        "_meta",
        at(&second, &["_meta"]),
        r#"{"com.example/m":[2.50]}"#,
    )?;
    let answers = r#"{"b":{"roots":[]},"a":{"role":"assistant","content":{"type":"text","text":"\/"},"model":"m","x-vendor":2.50}}"#;
    let last = format!("{params},\"inputResponses\":{answers},\"requestState\":\"state 2\"");
    let said = client.say_with(&last)?;
    same(
        "answers at the server",
        at(&said, &["inputResponses"]),
        answers,
    )?;
    same(
        "state at the server",
        at(&said, &["requestState"]),
        "\"state 2\"",
    )?;
    same(
        "arguments",
        at(&said, &["arguments"]),
        "{\"what\":null,\"n\":2.50}",
    )
}

/// The acknowledgement comes first; changes carry the id of the request; both ends are told.
pub(crate) fn listen(stage: &Stage) -> Outcome {
    let mut client = stage.modern()?;
    let filter = r#"{"toolsListChanged":true,"resourceSubscriptions":["test://watched"],"com.example/f":2.50}"#;
    let id = client.start(
        "subscriptions/listen",
        &format!("\"notifications\":{filter}"),
    )?;
    let told = client.told("notifications/subscriptions/acknowledged")?;
    same("accepted", at(&told, &["params", "notifications"]), filter)?;
    same(
        "its mark",
        at(&told, &["params", "_meta", SUBSCRIPTION_ID]),
        &id,
    )?;
    list(&mut client, "tools/list", "tools")?;
    client.say("add_tool", "{}")?;
    client.say("touch", "{\"uri\":\"test://watched\"}")?;
    client.say("touch", "{\"uri\":\"test://text\"}")?;
    for wanted in [
        "notifications/tools/list_changed",
        "notifications/resources/updated",
    ] {
        let told = client.told(wanted)?;
        same(
            "its mark",
            at(&told, &["params", "_meta", SUBSCRIPTION_ID]),
            &id,
        )?;
        let got = at(&told, &["params", "_meta", "com.example/change"]);
        same("its vendor member", got, "2.50")?;
    }
    let tools = list(&mut client, "tools/list", "tools")?;
    same("the last tool", tools.last().cloned(), catalog::ADDED)?;
    same("its answer", Some(client.say("added", "{}")?), "called")?;
    let aside = client.take_aside();
    holds(&format!("more was told: {aside:?}"), aside.is_empty())?;
    client.say("end_listens", "{}")?;
    let end = client.next()?;
    same("the end", at(&end, &["id"]), &id)?;
    same(
        "its mark",
        at(&end, &["result", "_meta", SUBSCRIPTION_ID]),
        &id,
    )?;
    let id = client.start(
        "subscriptions/listen",
        &format!("\"notifications\":{filter}"),
    )?;
    same(
        "second stream",
        Some(method(&client.next()?)),
        "notifications/subscriptions/acknowledged",
    )?;
    client.notify(
        "notifications/cancelled",
        &format!("{{\"requestId\":{id}}}"),
    )?;
    // A hop may have given the request another id; its end has to name the same.
    let opened = client.seen("subscriptions/listen")?.pop();
    let id = opened.and_then(|line| at(&line, &["id"]));
    let id = id.ok_or("the second stream did not reach the server")?;
    let ended = client.seen("notifications/cancelled")?.pop();
    let ended = ended.and_then(|line| at(&line, &["params", "requestId"]));
    same("ended by the client", ended, &id)?;
    client.say("touch", "{\"uri\":\"test://watched\"}")?;
    let aside = client.take_aside();
    holds(&format!("told after the end: {aside:?}"), aside.is_empty())
}
