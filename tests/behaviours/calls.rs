//! Rows on calls: arguments, results, errors, tasks, methods nobody knows, several at once.

use super::catalog;
use super::check::{Outcome, same};
use super::stage::Stage;
use super::wire::{at, method};

pub(crate) fn structured(stage: &Stage) -> Outcome {
    let result = stage.legacy()?.call("full", "{\"count\":1}")?;
    let got = at(&result, &["structuredContent"]);
    same("structuredContent", got, catalog::STRUCTURED)?;
    same(
        "content",
        at(&result, &["content", "0"]),
        catalog::CONTENT[0],
    )?;
    same("_meta", at(&result, &["_meta"]), catalog::META)
}

fn block(stage: &Stage, places: &[usize]) -> Outcome {
    let result = stage.legacy()?.call("content", "{}")?;
    for place in places {
        let got = at(&result, &["content", &place.to_string()]);
        same("content block", got, catalog::CONTENT[*place])?;
    }
    Ok(())
}

pub(crate) fn text_and_image(stage: &Stage) -> Outcome {
    block(stage, &[0, 1])
}

pub(crate) fn audio(stage: &Stage) -> Outcome {
    block(stage, &[2])
}

pub(crate) fn resource_link(stage: &Stage) -> Outcome {
    block(stage, &[3])
}

pub(crate) fn embedded_resource(stage: &Stage) -> Outcome {
    block(stage, &[4, 5])
}

pub(crate) fn unknown_content(stage: &Stage) -> Outcome {
    block(stage, &[6])
}

pub(crate) fn is_error(stage: &Stage) -> Outcome {
    let result = stage.legacy()?.call("fail", "{}")?;
    same("isError", at(&result, &["isError"]), "true")?;
    same(
        "content",
        at(&result, &["content", "0"]),
        catalog::CONTENT[0],
    )
}

pub(crate) fn custom_error(stage: &Stage) -> Outcome {
    let params = "\"name\":\"refuse\",\"arguments\":{}";
    let answer = stage.legacy()?.request("tools/call", params)?;
    same("code", at(&answer, &["error", "code"]), "4711")?;
    let wanted = "\"No \u{2014} not \\\"this\\\" way\"";
    same("message", at(&answer, &["error", "message"]), wanted)?;
    let wanted = r#"{"why":["a",null,2.50],"big":12345678901234567890123,"s":"\u00e9\/"}"#;
    same("data", at(&answer, &["error", "data"]), wanted)
}

pub(crate) fn request_meta(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let meta = r#""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","com.example/x":{"n":2.50,"big":12345678901234567890123,"none":null}"#;
    client.meta = meta.to_owned();
    let said = client.say("echo", "{}")?;
    same("_meta", at(&said, &["_meta"]), &format!("{{{meta}}}"))
}

pub(crate) fn null_argument(stage: &Stage) -> Outcome {
    let arguments = r#"{"a":null,"b":{"c":null},"d":[null],"e":2.50,"f":12345678901234567890123,"g":"\u00e9\/"}"#;
    let said = stage.legacy()?.say("echo", arguments)?;
    same("arguments", at(&said, &["arguments"]), arguments)
}

pub(crate) fn unknown_method(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let result = client.result(
        "com.example/compute",
        r#""n":2.50,"none":null,"s":"\u00e9\/""#,
    )?;
    let wanted = r#"{"n":2.50,"none":null,"s":"\u00e9\/"}"#;
    same("what reached the server", at(&result, &["got"]), wanted)?;
    let answer = client.request("com.example/nothing", "")?;
    same(
        "code of what the server does not know",
        at(&answer, &["error", "code"]),
        "-32601",
    )?;
    let got = at(&answer, &["error", "data"]);
    same(
        "data of the server's own error",
        got,
        "\"com.example/nothing\"",
    )
}

pub(crate) fn unknown_notification_up(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let params = r#"{"n":2.50,"none":null,"s":"\u00e9\/"}"#;
    client.notify("notifications/com.example/up", params)?;
    let line = client.seen_one("notifications/com.example/up")?;
    let wanted = format!(
        "{{\"method\":\"notifications/com.example/up\",\"params\": {params},\"jsonrpc\":\"2.0\"}}"
    );
    match stage.way {
        super::stage::Way::Broken(_) => same("params", at(&line, &["params"]), params),
        _ => same("line", Some(line), &wanted),
    }
}

/// One comes before the answer and one after it, in that order.
pub(crate) fn unknown_notification_down(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let id = client.start("tools/call", "\"name\":\"notify\",\"arguments\":{}")?;
    let before = client.next()?;
    same(
        "first line",
        Some(method(&before)),
        "notifications/com.example/hello",
    )?;
    let wanted = r#"{"n":2.50,"s":"\u00e9\/","_meta":{"com.example/x":1E+2}}"#;
    same("params", at(&before, &["params"]), wanted)?;
    same("second line", at(&client.next()?, &["id"]), &id)?;
    let after = client.next()?;
    same(
        "third line",
        Some(method(&after)),
        "notifications/com.example/bye",
    )?;
    same("params", at(&after, &["params"]), "[1E+2,null]")
}

/// The server holds the calls back until four run at once, and says how many it counted.
pub(crate) fn concurrency(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let params = "\"name\":\"meet\",\"arguments\":{\"parties\":4}";
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(client.start("tools/call", params)?);
    }
    for id in ids {
        let answer = client.answer_to(&id)?;
        let said = at(&answer, &["result", "content", "0", "text"]);
        same("calls at once", said, "\"4 at once\"")?;
    }
    Ok(())
}

pub(crate) fn tasks(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let made = client.result(
        "tools/call",
        "\"name\":\"job\",\"arguments\":{},\"task\":{\"ttl\":60000,\"x-vendor\":2.50}",
    )?;
    let got = at(&made, &["task", "asked"]);
    same(
        "`task` at the server",
        got,
        "{\"ttl\":60000,\"x-vendor\":2.50}",
    )?;
    let id = at(&made, &["task", "taskId"]).ok_or("no task was made")?;
    same("status", at(&made, &["task", "status"]), "\"working\"")?;
    let state = client.result("tasks/get", &format!("\"taskId\":{id}"))?;
    same("first look", at(&state, &["status"]), "\"working\"")?;
    let told = client.next()?;
    same("told", Some(method(&told)), "notifications/tasks/status")?;
    same(
        "told status",
        at(&told, &["params", "status"]),
        "\"completed\"",
    )?;
    let vendor = &catalog::VENDOR["\"x-vendor\":".len()..];
    same(
        "told vendor member",
        at(&told, &["params", "x-vendor"]),
        vendor,
    )?;
    let state = client.result("tasks/get", &format!("\"taskId\":{id}"))?;
    same("second look", at(&state, &["status"]), "\"completed\"")?;
    let result = client.result("tasks/result", &format!("\"taskId\":{id}"))?;
    same(
        "result",
        at(&result, &["content", "0"]),
        catalog::CONTENT[0],
    )?;
    let related = "io.modelcontextprotocol/related-task";
    let got = at(&result, &["_meta", related, "taskId"]);
    same("related task", got, &id)?;
    let all = client.result("tasks/list", "")?;
    same("list", at(&all, &["tasks", "0", "taskId"]), &id)?;
    let ended = client.result("tasks/cancel", &format!("\"taskId\":{id}"))?;
    same("cancelled", at(&ended, &["status"]), "\"cancelled\"")
}
