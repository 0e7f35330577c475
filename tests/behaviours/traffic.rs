//! Rows on messages besides calls: subscriptions, logs, progress, cancellation, questions of the server,
//! changed lists.

use super::catalog;
use super::check::{Outcome, holds, same};
use super::offers::{list, names};
use super::stage::{Stage, Way};
use super::wire::{at, method, text};

pub(crate) fn subscribe(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    client.result("resources/subscribe", "\"uri\":\"test://watched\"")?;
    let said = client.say("touch", "{\"uri\":\"test://text\"}")?;
    same("subscribed at the server", Some(said), "test://watched")?;
    client.result("resources/unsubscribe", "\"uri\":\"test://watched\"")?;
    let said = client.say("touch", "{\"uri\":\"test://watched\"}")?;
    same("subscribed after the end", Some(said), "")?;
    let aside = client.take_aside();
    holds(
        &format!("told without a subscription: {aside:?}"),
        aside.is_empty(),
    )
}

pub(crate) fn resource_updated(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    client.result("resources/subscribe", "\"uri\":\"test://watched\"")?;
    client.say("touch", "{\"uri\":\"test://watched\"}")?;
    let aside = client.take_aside();
    holds(
        &format!("expected one message before the answer: {aside:?}"),
        aside.len() == 1,
    )?;
    same(
        "method",
        Some(method(&aside[0])),
        "notifications/resources/updated",
    )?;
    let wanted = r#"{"uri":"test://watched","title":"caf\u00e9","_meta":{"com.example/u":2.50}}"#;
    same("params", at(&aside[0], &["params"]), wanted)
}

/// Logs, and returns the messages that came before the answer.
fn logged(stage: &Stage, level: &str) -> Result<Vec<String>, String> {
    let mut client = stage.legacy()?;
    let result = client.result("logging/setLevel", &format!("\"level\":\"{level}\""))?;
    let vendor = &catalog::VENDOR["\"x-vendor\":".len()..];
    same("answer to setLevel", at(&result, &["x-vendor"]), vendor)?;
    client.say("log", "{}")?;
    Ok(client.take_aside())
}

pub(crate) fn set_level(stage: &Stage) -> Outcome {
    for (level, wanted) in [("warning", 2), ("debug", 5), ("error", 1)] {
        let n = logged(stage, level)?.len();
        holds(
            &format!("{n} messages at {level}, expected {wanted}"),
            n == wanted,
        )?;
    }
    Ok(())
}

pub(crate) fn logs(stage: &Stage) -> Outcome {
    let lines = logged(stage, "notice")?;
    let got: Vec<String> = lines
        .iter()
        .filter_map(|line| at(line, &["params"]))
        .collect();
    let wanted = ["notice", "warning", "error"].map(|level| {
        format!(
            "{{\"level\":\"{level}\",\"logger\":\"r\\u00e4w\",\"data\":{{\"n\":2.50,\"none\":null}},\"_meta\":{{\"com.example/l\":1E+2}},\"x-vendor\":1}}"
        )
    });
    holds(&format!("expected {wanted:?}, got {got:?}"), got == wanted)
}

/// Progress comes before the answer, in order, under the client's token, text or number.
pub(crate) fn progress(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    for token in [r#""t\u00f6ken\/1""#, "7"] {
        client.meta = format!("\"progressToken\":{token},\"com.example/x\":null");
        let id = client.start("tools/call", "\"name\":\"work\",\"arguments\":{}")?;
        for (progress, message) in [
            ("1", "caf\\u00e9"),
            ("2.50", "half\\/way"),
            ("4E+0", "done"),
        ] {
            let wanted = format!(
                "{{\"progressToken\":{token},\"progress\":{progress},\"total\":4.0,\"message\":\"{message}\",\"x-vendor\":null}}"
            );
            same("progress", at(&client.next()?, &["params"]), &wanted)?;
        }
        same("the answer after it", at(&client.next()?, &["id"]), &id)?;
    }
    client.meta = String::new();
    let said = client.say("work", "{}")?;
    same("without a token", Some(said), "nobody asked for progress")
}

/// The server counts cancellations of calls it knows: its id, the client's reason.
pub(crate) fn cancellation(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let id = client.start("tools/call", "\"name\":\"wait\",\"arguments\":{}")?;
    let before = client.say("cancelled", "{}")?;
    same("cancelled before", Some(before), "[]")?;
    client.notify(
        "notifications/cancelled",
        &format!("{{\"requestId\":{id},\"reason\":\"caf\\u00e9\",\"x-vendor\":2.50}}"),
    )?;
    let after = client.say("cancelled", "{}")?;
    same("reason", at(&after, &["0", "reason"]), "\"caf\\u00e9\"")?;
    same("vendor member", at(&after, &["0", "x-vendor"]), "2.50")?;
    holds(
        &format!("more than one: {after}"),
        at(&after, &["1"]).is_none(),
    )?;
    let aside = client.take_aside();
    holds(
        &format!("the cancelled call was answered: {aside:?}"),
        aside.is_empty(),
    )
}

/// Has the server ask; claims what the question says, and that the answer reaches the server as it was
/// written.
fn asked(stage: &Stage, what: &str, wanted: (&str, &str), answer: &str) -> Outcome {
    let mut client = stage.legacy()?;
    let params = format!("\"name\":\"ask\",\"arguments\":{{\"what\":\"{what}\"}}");
    let id = client.start("tools/call", &params)?;
    let question = client.next()?;
    same("question", Some(method(&question)), wanted.0)?;
    same("its params", at(&question, &["params"]), wanted.1)?;
    let question_id = at(&question, &["id"]).ok_or("the question has no id")?;
    client.send(&format!(
        "{{{answer},\"id\":{question_id},\"jsonrpc\":\"2.0\"}}"
    ))?;
    let line = client.answer_to(&id)?;
    let said = at(&line, &["result", "content", "0", "text"]).unwrap_or_default();
    let reached = text(&said);
    let offered = format!("{{{answer}}}");
    for member in ["result", "error"] {
        let wanted = at(&offered, &[member]);
        let got = at(&reached, &[member]);
        holds(
            &format!("`{member}` at the server: expected {wanted:?}, got {got:?}"),
            got == wanted,
        )?;
    }
    Ok(())
}

pub(crate) fn sampling(stage: &Stage) -> Outcome {
    let params = r#"{"messages":[{"role":"user","content":{"type":"text","text":"caf\u00e9?"}}],"systemPrompt":"Be \u2014 brief","temperature":0.50,"maxTokens":100,"stopSequences":["."],"modelPreferences":{"hints":[{"name":"any"}],"costPriority":1.0},"metadata":{"x":null},"_meta":{"com.example/q":2.50},"x-vendor":1E+2}"#;
    let answer = r#""result": {"role":"assistant","content":{"type":"text","text":"\u00e9\/"},"model":"m-2.50","stopReason":"endTurn","_meta":{"com.example/a":2.50},"x-vendor":null}"#;
    asked(
        stage,
        "sampling",
        ("sampling/createMessage", params),
        answer,
    )?;
    let refusal = r#""error": {"code":-1,"message":"no \u2014","data":{"n":2.50,"none":null}}"#;
    asked(
        stage,
        "sampling",
        ("sampling/createMessage", params),
        refusal,
    )
}

pub(crate) fn elicitation(stage: &Stage) -> Outcome {
    let params = r#"{"mode":"form","message":"Who \u2014 are you?","requestedSchema":{"type":"object","properties":{"name":{"type":"string","title":"Name","minLength":1},"age":{"type":"integer","maximum":1E+2}},"required":["name"]},"_meta":{"com.example/q":2.50},"x-vendor":1E+2}"#;
    for answer in [
        r#""result": {"action":"accept","content":{"name":"Zo\u00eb","age":4E+1},"x-vendor":null}"#,
        r#""result": {"action":"decline","_meta":{"com.example/a":2.50}}"#,
        r#""result": {"action":"cancel"}"#,
    ] {
        asked(stage, "elicitation", ("elicitation/create", params), answer)?;
    }
    Ok(())
}

pub(crate) fn roots(stage: &Stage) -> Outcome {
    let params = r#"{"_meta":{"com.example/q":2.50}}"#;
    let answer = r#""result": {"roots":[{"uri":"file:///caf%C3%A9","name":"caf\u00e9","_meta":{"com.example/a":2.50},"x-vendor":null}]}"#;
    asked(stage, "roots", ("roots/list", params), answer)?;
    let mut client = stage.legacy()?;
    client.notify("notifications/roots/list_changed", "{\"x-vendor\":2.50}")?;
    let line = client.seen_one("notifications/roots/list_changed")?;
    let got = at(&line, &["params"]);
    same(
        "roots/list_changed at the server",
        got,
        "{\"x-vendor\":2.50}",
    )
}

pub(crate) fn unknown_question(stage: &Stage) -> Outcome {
    let params = r#"{"n":2.50,"s":"\u00e9\/","none":null}"#;
    let answer = r#""result": {"n":2.50,"none":null,"s":"\u00e9\/"}"#;
    asked(stage, "vendor", ("com.example/question", params), answer)
}

pub(crate) fn list_changed(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    list(&mut client, "tools/list", "tools")?;
    client.say("add_tool", "{}")?;
    let told = client.told("notifications/tools/list_changed")?;
    // With reduction on the list is read first, and the proxy tells of it in its own words.
    let is_relayed = matches!(stage.way, Way::Bare | Way::Broken(_) | Way::Transparent);
    if is_relayed {
        let wanted = r#"{"_meta":{"com.example/change":2.50}}"#;
        same("params", at(&told, &["params"]), wanted)?;
    }
    let got = list(&mut client, "tools/list", "tools")?;
    same("the last tool", got.last().cloned(), catalog::ADDED)?;
    let n = names(&got).iter().filter(|name| *name == "added").count();
    holds(&format!("the new tool is listed {n} times"), n == 1)?;
    let aside = client.take_aside();
    holds(&format!("more was told: {aside:?}"), aside.is_empty())
}

pub(crate) fn new_tool(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    list(&mut client, "tools/list", "tools")?;
    let params = "\"name\":\"added\",\"arguments\":{}";
    let answer = client.request("tools/call", params)?;
    same(
        "before it is there",
        at(&answer, &["error", "code"]),
        "-32602",
    )?;
    client.say("add_tool", "{}")?;
    let said = client.say("added", "{}")?;
    same("its answer", Some(said), "called")
}
