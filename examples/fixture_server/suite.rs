//! Tools, prompts and resources of the conformance suite that ask nothing of the client.

#![expect(
    deprecated,
    reason = "legacy clients and the suite still use logging and subscribe"
)]

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{ErrorData, GetPromptRequestParams, GetPromptResponse, LoggingLevel},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    arguments::Call,
    catalog::WATCHED,
    content::{PNG, ToolOutcome, WAV, blocks, failure, text, typed},
    http::{RECONNECT_AFTER, StreamCut},
    input::{self, is_modern},
    state::{Change, Shared},
};

/// Pause between two notifications of one call, so that they arrive one by one.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs a tool of this module, or says nothing where the name is none of them.
pub(crate) async fn call(
    call: &Call<'_>,
    context: &RequestContext<RoleServer>,
    shared: &Shared,
    session_level: LoggingLevel,
) -> Option<ToolOutcome> {
    let outcome = match call.name() {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => blocks(json!([image()])),
        "test_audio_content" => {
            blocks(json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]))
        }
        "test_embedded_resource" => blocks(json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )])),
        "test_multiple_content_types" => blocks(json!([
            { "type": "text", "text": "Multiple content types test:" },
            image(),
            resource(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#,
            ),
        ])),
        "test_error_handling" => failure("This tool intentionally returns an error for testing"),
        "test_tool_with_logging" | "test_logging_tool" => log(context, session_level).await,
        "test_tool_with_progress" => progress(context).await,
        "test_reconnection" => reconnection(context).await,
        "json_schema_2020_12_tool" | "test_x_mcp_header" => {
            text(json!(call.0.arguments).to_string())
        }
        "test_trigger_tool_change" => {
            shared.tools_revision.increment();
            shared.publish(Change::Tools);
            text("The list of tools changed.")
        }
        "test_trigger_prompt_change" => {
            shared.prompts_revision.increment();
            shared.publish(Change::Prompts);
            text("The list of prompts changed.")
        }
        _ => return None,
    };
    Some(outcome)
}

fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

fn resource(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({
        "type": "resource",
        "resource": { "uri": uri, "mimeType": mime_type, "text": text },
    })
}

/// Three messages at level info. A modern request gets them only if it named a level
/// (MCP 2026-07-28 server/utilities/logging), a legacy session by its own level.
async fn log(context: &RequestContext<RoleServer>, session_level: LoggingLevel) -> ToolOutcome {
    let level = if is_modern(context) {
        context.meta.log_level()
    } else {
        Some(session_level)
    };
    let is_wanted = level.is_some_and(|level| severity(level) <= severity(LoggingLevel::Info));
    let steps = [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ];
    for step in steps {
        if is_wanted {
            let message = typed(json!({ "level": "info", "logger": "fixture", "data": step }))?;
            // A client that went away is no error of the tool.
            let _ = context.peer.notify_logging_message(message).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    text("Logging is done.")
}

/// The position of a level, least severe first (RFC 5424).
fn severity(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}

async fn progress(context: &RequestContext<RoleServer>) -> ToolOutcome {
    let token = context.meta.get_progress_token();
    for (done, message) in [(0, "started"), (50, "halfway"), (100, "done")] {
        if let Some(token) = &token {
            let notification = typed(json!({
                "progressToken": token,
                "progress": done,
                "total": 100,
                "message": message,
            }))?;
            // A client that went away is no error of the tool.
            let _ = context.peer.notify_progress(notification).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    text("Progress is done.")
}

/// Closes the response stream first (SEP-1699); a legacy client finds the answer with
/// `Last-Event-ID`. Without HTTP there is no stream to close.
async fn reconnection(context: &RequestContext<RoleServer>) -> ToolOutcome {
    if !is_modern(context)
        && let Some(parts) = context.extensions.get::<http::request::Parts>()
        && let Some(cut) = parts.extensions.get::<StreamCut>()
    {
        // The priming event goes out before the stream ends.
        tokio::time::sleep(PAUSE).await;
        cut.0.cancel();
        // Longer than clients are told to wait: the SDK forgets an answer that nobody takes.
        tokio::time::sleep(RECONNECT_AFTER * 2).await;
    }
    text("The answer after the reconnect.")
}

/// The content of a resource, in wire form, or nothing where there is no such resource.
pub(crate) fn read_resource(uri: &str, shared: &Shared) -> Option<Value> {
    let of_text =
        |mime_type: &str, text: String| json!({ "uri": uri, "mimeType": mime_type, "text": text });
    if let Some(id) = uri
        .strip_prefix("test://template/")
        .and_then(|rest| rest.strip_suffix("/data"))
        .filter(|id| !id.is_empty() && !id.contains('/'))
    {
        let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
        return Some(of_text("application/json", data.to_string()));
    }
    match uri {
        "test://static-text" => Some(of_text(
            "text/plain",
            "This is the content of the static text resource.".into(),
        )),
        "test://static-binary" => Some(json!({ "uri": uri, "mimeType": "image/png", "blob": PNG })),
        WATCHED => Some(of_text(
            "text/plain",
            format!("Revision {}", shared.watched_revision.value()),
        )),
        _ => None,
    }
}

/// The messages of a prompt.
pub(crate) fn get_prompt(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        request
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get(name))
            .and_then(Value::as_str)
            .ok_or_else(|| ErrorData::invalid_params(format!("argument {name} is missing"), None))
    };
    let user = |content: Value| json!({ "role": "user", "content": content });
    let said = |text: String| user(json!({ "type": "text", "text": text }));
    let messages = match request.name.as_str() {
        "test_simple_prompt" => json!([said("This is a simple prompt for testing.".into())]),
        "test_prompt_with_arguments" => json!([said(format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1")?,
            argument("arg2")?
        ))]),
        "test_prompt_with_embedded_resource" => json!([
            user(resource(
                argument("resourceUri")?,
                "text/plain",
                "Embedded resource content for testing.",
            )),
            said("Please process the embedded resource above.".into()),
        ]),
        "test_prompt_with_image" => json!([
            user(image()),
            said("Please analyze the image above.".into()),
        ]),
        "test_input_required_result_prompt" => {
            let answers = request.input_responses.as_ref();
            match answers.and_then(|answers| answers.get("user_context")) {
                Some(answer) => json!([said(format!("Context: {}", answer["content"]))]),
                None => {
                    let context = json!({ "context": { "type": "string" } });
                    let form = input::elicitation("What context should the prompt use?", context);
                    let questions = json!({ "user_context": form });
                    return Ok(GetPromptResponse::InputRequired(input::required(
                        questions, None,
                    )?));
                }
            }
        }
        name => {
            return Err(ErrorData::invalid_params(
                format!("there is no prompt {name}"),
                None,
            ));
        }
    };
    Ok(GetPromptResponse::Complete(typed(json!({
        "resultType": "complete",
        "messages": messages,
    }))?))
}
