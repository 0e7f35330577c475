//! Rows on what a server offers: tools, prompts, resources, templates, completion.

use super::catalog;
use super::check::{Outcome, holds, same};
use super::client::Client;
use super::stage::{Stage, Way};
use super::wire::{at, elements, text};

/// Reads a list to its last page, without the proxy's own tool for results; of tools that are hidden, their
/// descriptions stand in for the list.
pub(crate) fn list(client: &mut Client, method: &str, member: &str) -> Result<Vec<String>, String> {
    let mut listed = pages(client, method, member)?;
    listed.retain(|item| at(item, &["name"]).as_deref() != Some("\"read_result\""));
    if !names(&listed).iter().any(|name| name == "describe_tools") {
        return Ok(listed);
    }
    let mut all = offered();
    all.push(catalog::ADDED.to_owned());
    client.described(&names(&all))
}

fn pages(client: &mut Client, method: &str, member: &str) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    let mut params = String::new();
    for _ in 0..10 {
        let result = client.page(method, &params)?;
        items.extend(elements(&at(&result, &[member]).unwrap_or_default()));
        match at(&result, &["nextCursor"]) {
            Some(cursor) => params = format!("\"cursor\":{cursor}"),
            None => return Ok(items),
        }
    }
    Err(format!("`{method}` does not end"))
}

pub(crate) fn names(items: &[String]) -> Vec<String> {
    let name = |item: &String| text(&at(item, &["name"]).unwrap_or_default());
    items.iter().map(name).collect()
}

/// The tools that the server has at first.
pub(crate) fn offered() -> Vec<String> {
    catalog::TOOLS
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect()
}

pub(crate) fn tool_names(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let got = names(&list(&mut client, "tools/list", "tools")?);
    let wanted = names(&offered());
    holds(&format!("expected {wanted:?}, got {got:?}"), got == wanted)?;
    let said = client.say("echo", "{}")?;
    same("called by its name", at(&said, &["name"]), "\"echo\"")
}

/// Claims that members of the tool that has all are what the server wrote.
fn tool_members(stage: &Stage, wanted: &[&str]) -> Outcome {
    let mut client = stage.legacy()?;
    let tools = list(&mut client, "tools/list", "tools")?;
    let tool = tools
        .iter()
        .find(|tool| at(tool, &["name"]).as_deref() == Some("\"full\""))
        .ok_or("the tool `full` is not listed")?;
    for member in wanted {
        let original = at(catalog::TOOLS[0][0], &[member]).ok_or("the catalog lacks it")?;
        same(member, at(tool, &[member]), &original)?;
    }
    Ok(())
}

pub(crate) fn tool_title(stage: &Stage) -> Outcome {
    tool_members(stage, &["title"])
}

pub(crate) fn tool_annotations(stage: &Stage) -> Outcome {
    tool_members(stage, &["annotations"])
}

pub(crate) fn tool_icons(stage: &Stage) -> Outcome {
    tool_members(stage, &["icons"])
}

pub(crate) fn tool_meta(stage: &Stage) -> Outcome {
    tool_members(stage, &["_meta"])
}

pub(crate) fn tool_execution(stage: &Stage) -> Outcome {
    tool_members(stage, &["execution"])
}

/// Besides the named ones: description, schema and a member that nobody knows; and what reduction makes
/// of a tool that can be said in less.
pub(crate) fn tool_rest(stage: &Stage) -> Outcome {
    tool_members(stage, &["description", "inputSchema", "x-vendor"])?;
    let mut client = stage.legacy()?;
    let tools = list(&mut client, "tools/list", "tools")?;
    let is_it = |tool: &&String| at(tool, &["name"]).as_deref() == Some("\"reducible\"");
    let tool = tools.iter().find(is_it);
    let tool = tool.ok_or("the tool `reducible` is not listed")?;
    let original = catalog::TOOLS[0][1];
    match stage.way {
        Way::Lean | Way::Shaped | Way::Audited | Way::Enforced => {
            holds("reduction is off", tool.len() < original.len())?;
            let wanted = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
            same("inputSchema, reduced", at(tool, &["inputSchema"]), wanted)
        }
        Way::Broken(_) => Ok(()),
        Way::Bare | Way::Hidden | Way::Transparent => {
            same("the tool", Some(tool.clone()), original)
        }
    }
}

pub(crate) fn output_schema(stage: &Stage) -> Outcome {
    tool_members(stage, &["outputSchema"])
}

/// Claims that a list is, over all its pages, what the server has.
fn listed(stage: &Stage, method: &str, member: &str, pages: &[&[&str]]) -> Outcome {
    let got = list(&mut stage.legacy()?, method, member)?;
    let wanted = pages.concat();
    holds(
        &format!(
            "`{method}`: expected {} items, got {}",
            wanted.len(),
            got.len()
        ),
        got.len() == wanted.len(),
    )?;
    for (got, wanted) in got.into_iter().zip(wanted) {
        same(method, Some(got), wanted)?;
    }
    Ok(())
}

pub(crate) fn pagination(stage: &Stage) -> Outcome {
    let got = names(&list(&mut stage.legacy()?, "tools/list", "tools")?);
    let last = names(&offered()).pop();
    holds(
        &format!("the last tool is {:?}", got.last()),
        got.last() == last.as_ref(),
    )?;
    let mut client = stage.legacy()?;
    let first = client.result("resources/list", "")?;
    let cursor = at(&first, &["nextCursor"]);
    same("cursor", cursor, r#""p\u00e4ge 2\/=""#)?;
    let answer = client.request("resources/list", "\"cursor\":\"never given\"")?;
    same("unknown cursor", at(&answer, &["error", "code"]), "-32602")
}

pub(crate) fn prompts_list(stage: &Stage) -> Outcome {
    let got = names(&list(&mut stage.legacy()?, "prompts/list", "prompts")?);
    holds(&format!("got {got:?}"), got == ["plain", "greet"])
}

pub(crate) fn prompt_arguments(stage: &Stage) -> Outcome {
    listed(stage, "prompts/list", "prompts", &catalog::PROMPTS)
}

pub(crate) fn prompt_get(stage: &Stage) -> Outcome {
    let arguments = r#"{"who":"Zo\u00eb","tone":"\/"}"#;
    let mut client = stage.legacy()?;
    let result = client.result(
        "prompts/get",
        &format!("\"name\":\"greet\",\"arguments\":{arguments}"),
    )?;
    let said = at(&result, &["messages", "0", "content", "text"]).unwrap_or_default();
    same("arguments at the server", Some(text(&said)), arguments)?;
    let got = at(&result, &["messages", "1", "content"]);
    same("second message", got, catalog::CONTENT[4])?;
    let got = at(&result, &["description"]);
    same("description", got, r#""Greets \u2014 politely.""#)
}

pub(crate) fn resources_list(stage: &Stage) -> Outcome {
    let got = names(&list(&mut stage.legacy()?, "resources/list", "resources")?);
    holds(&format!("got {got:?}"), got == ["text", "blob", "watched"])
}

pub(crate) fn resource_metadata(stage: &Stage) -> Outcome {
    listed(stage, "resources/list", "resources", &catalog::RESOURCES)
}

pub(crate) fn templates(stage: &Stage) -> Outcome {
    let method = "resources/templates/list";
    listed(stage, method, "resourceTemplates", &[&[catalog::TEMPLATE]])
}

pub(crate) fn templated_read(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let uri = r#""test://item/caf%C3%A9?part=2""#;
    let result = client.result("resources/read", &format!("\"uri\":{uri}"))?;
    same("uri", at(&result, &["contents", "0", "uri"]), uri)?;
    same("text", at(&result, &["contents", "0", "text"]), uri)
}

pub(crate) fn blob(stage: &Stage) -> Outcome {
    let mut client = stage.legacy()?;
    let result = client.result("resources/read", "\"uri\":\"test://blob\"")?;
    let wanted = r#"[{"uri":"test://blob","mimeType":"application/octet-stream","blob":"AP8Q/+8=","x-vendor":1E+2}]"#;
    same("contents", at(&result, &["contents"]), wanted)
}

pub(crate) fn not_found(stage: &Stage) -> Outcome {
    let answer = stage
        .legacy()?
        .request("resources/read", r#""uri":"test://n\u00f6""#)?;
    same("code", at(&answer, &["error", "code"]), "-32002")?;
    let wanted = r#"{"uri":"test://n\u00f6","near":["test://text",null,2.50]}"#;
    same("data", at(&answer, &["error", "data"]), wanted)
}

pub(crate) fn completion(stage: &Stage) -> Outcome {
    let asked = r#"{"ref":{"type":"ref/prompt","name":"greet","x-vendor":2.50},"argument":{"name":"who","value":"p\u00e4"},"context":{"arguments":{"tone":"\/"}}}"#;
    let members = &asked[1..asked.len() - 1];
    let result = stage.legacy()?.result("completion/complete", members)?;
    let wanted = r#"{"values":["paris","p\u00e4rk"],"total":12,"hasMore":true,"x-vendor":2.50}"#;
    same("completion", at(&result, &["completion"]), wanted)?;
    let got = at(&result, &["got"]).unwrap_or_default();
    same("what was asked", Some(got.replace(": {", ":{")), asked)
}
