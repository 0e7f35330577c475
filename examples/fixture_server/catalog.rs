//! The definitions clients list: tools, prompts, resources and templates.
//!
//! Order is fixed. Names and shapes of `test_*`, `greet`, `slow_compute`, `failing_job`,
//! `protocol_error_job`, `confirm_delete`, `multi_input` and `json_schema_2020_12_tool` are
//! the ones the official conformance suite asks for.

use rmcp::model::{ErrorData, Tool};
use serde_json::{Map, Value, json};

use crate::{content::typed, state::Shared};

/// The resource that `notify_resource` changes.
pub(crate) const WATCHED: &str = "test://watched-resource";

/// All tools at this moment, those added at run time last.
pub(crate) fn tools(shared: &Shared) -> Result<Vec<Tool>, ErrorData> {
    let mut values = suite_tools();
    values.extend(input_tools());
    values.extend(task_tools());
    values.extend(trigger_tools(shared));
    values.extend(probe_tools());
    let mut tools: Vec<Tool> = typed(Value::Array(values))?;
    tools.extend(shared.added_tools().iter().cloned());
    Ok(tools)
}

/// A definition; `properties` is the JSON Schema of each argument.
pub(crate) fn tool(name: &str, description: &str, properties: Value, required: &[&str]) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), properties);
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    json!({ "name": name, "description": description, "inputSchema": schema })
}

fn plain(name: &str, description: &str) -> Value {
    tool(name, description, json!({}), &[])
}

fn suite_tools() -> Vec<Value> {
    vec![
        // The suite's header checks call the first tool without arguments.
        plain("test_simple_text", "Returns one block of text."),
        plain("test_image_content", "Returns one image."),
        plain("test_audio_content", "Returns one audio clip."),
        plain("test_embedded_resource", "Returns one embedded resource."),
        plain(
            "test_multiple_content_types",
            "Returns text, an image and an embedded resource.",
        ),
        plain(
            "test_tool_with_logging",
            "Sends three log messages while it runs.",
        ),
        plain("test_error_handling", "Always reports a tool error."),
        plain(
            "test_tool_with_progress",
            "Reports progress 0, 50 and 100 of 100 while it runs.",
        ),
        tool(
            "test_sampling",
            "Asks the client's model to continue a prompt.",
            json!({ "prompt": { "type": "string", "description": "The prompt for the model" } }),
            &["prompt"],
        ),
        tool(
            "test_elicitation",
            "Asks the user for a user name and an e-mail address.",
            json!({ "message": { "type": "string", "description": "The message for the user" } }),
            &["message"],
        ),
        plain(
            "test_elicitation_sep1034_defaults",
            "Asks the user through a form whose fields have defaults.",
        ),
        plain(
            "test_elicitation_sep1330_enums",
            "Asks the user through a form with every kind of choice.",
        ),
        plain(
            "test_reconnection",
            "Closes its response stream before it answers; the answer is there after a reconnect.",
        ),
        json!({
            "name": "json_schema_2020_12_tool",
            "description": "Its input schema uses the vocabulary of JSON Schema 2020-12.",
            "inputSchema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "$defs": {
                    "address": {
                        "$anchor": "addressDef",
                        "type": "object",
                        "properties": {
                            "street": { "type": "string" },
                            "city": { "type": "string" },
                        },
                    },
                },
                "properties": {
                    "name": { "type": "string" },
                    "address": { "$ref": "#/$defs/address" },
                    "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                    "phone": { "type": "string" },
                    "email": { "type": "string" },
                },
                "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
                "if": {
                    "properties": { "contactMethod": { "const": "phone" } },
                    "required": ["contactMethod"],
                },
                "then": { "required": ["phone"] },
                "else": { "required": ["email"] },
                "additionalProperties": false,
            },
        }),
        tool(
            "test_x_mcp_header",
            "Its arguments are mirrored into Mcp-Param-* request headers.",
            json!({
                "region": {
                    "type": "string",
                    "description": "Region of the request",
                    "x-mcp-header": "Region",
                },
                "shard": { "type": "integer", "x-mcp-header": "Shard" },
                "dry_run": { "type": "boolean", "x-mcp-header": "Dry-Run" },
                "note": { "type": "string", "description": "Stays in the body" },
            }),
            &["region"],
        ),
        plain(
            "test_missing_capability",
            "Needs sampling and says so when the client did not declare it.",
        ),
        plain(
            "test_streaming_elicitation",
            "Needs the user's confirmation and reports progress before it asks.",
        ),
        plain(
            "test_logging_tool",
            "Logs only what the request's log level lets through.",
        ),
    ]
}

fn input_tools() -> Vec<Value> {
    [
        ("elicitation", "Asks the user for a name."),
        ("sampling", "Asks the client's model a question."),
        ("list_roots", "Asks the client for its roots."),
        (
            "request_state",
            "Asks for a confirmation and checks the state that comes back.",
        ),
        (
            "multiple_inputs",
            "Asks the user, the model and for roots at once.",
        ),
        ("multi_round", "Asks twice, one question after the other."),
        (
            "tampered_state",
            "Refuses a state that was changed on the way.",
        ),
        ("capabilities", "Asks only for what the client declared."),
    ]
    .map(|(suffix, description)| {
        plain(&format!("test_input_required_result_{suffix}"), description)
    })
    .into()
}

fn task_tools() -> Vec<Value> {
    vec![
        tool(
            "greet",
            "Greets somebody; never becomes a task.",
            json!({ "name": { "type": "string" } }),
            &["name"],
        ),
        tool(
            "slow_compute",
            "Sleeps for some seconds; becomes a task where the client supports tasks.",
            json!({
                "seconds": { "type": "integer", "minimum": 0 },
                "label": { "type": "string" },
            }),
            &[],
        ),
        plain("failing_job", "A task that ends with a tool error."),
        plain(
            "protocol_error_job",
            "A task that ends with a protocol error.",
        ),
        tool(
            "confirm_delete",
            "A task that asks the user before it pretends to delete a file.",
            json!({ "filename": { "type": "string" } }),
            &[],
        ),
        plain(
            "multi_input",
            "A task that asks two questions at the same time.",
        ),
        plain(
            "test_tool_with_task",
            "Asks for a name first and becomes a task after the answer.",
        ),
    ]
}

/// Their descriptions carry a revision, so that a change of a list is a real one.
fn trigger_tools(shared: &Shared) -> Vec<Value> {
    vec![
        plain(
            "test_trigger_tool_change",
            &format!(
                "Changes the list of tools (revision {}).",
                shared.tools_revision.value()
            ),
        ),
        plain("test_trigger_prompt_change", "Changes the list of prompts."),
    ]
}

fn probe_tools() -> Vec<Value> {
    let mut counter = plain(
        "counter",
        "Counts its calls in this process and returns the count.",
    );
    counter["outputSchema"] = json!({
        "type": "object",
        "properties": { "value": { "type": "integer", "minimum": 1 } },
        "required": ["value"],
    });
    counter["annotations"] = json!({ "idempotentHint": false, "destructiveHint": false });
    let mut echo = plain(
        "echo",
        "Returns its arguments and the request's _meta as JSON text.",
    );
    echo["title"] = json!("Echo");
    echo["annotations"] = json!({ "readOnlyHint": true, "openWorldHint": false });
    echo["icons"] = json!([{ "src": "https://example.com/echo.svg", "mimeType": "image/svg+xml" }]);
    echo["_meta"] =
        json!({ "com.example/origin": "fixture", "ui": { "resourceUri": "ui://echo" } });
    let mut cancelled = plain(
        "cancelled_count",
        "Returns how many running calls of this process were cancelled.",
    );
    cancelled["outputSchema"] = json!({
        "type": "object",
        "properties": {
            "calls": { "type": "integer" },
            "notifications": { "type": "integer" },
        },
        "required": ["calls", "notifications"],
    });
    vec![
        tool(
            "slow",
            "Sleeps; reports progress once when it starts; notices when the call is cancelled.",
            json!({ "ms": { "type": "integer", "minimum": 0, "description": "Milliseconds" } }),
            &["ms"],
        ),
        counter,
        cancelled,
        echo,
        tool(
            "big",
            "Returns text of a given length.",
            json!({ "bytes": { "type": "integer", "minimum": 0, "maximum": 67_108_864 } }),
            &["bytes"],
        ),
        tool(
            "crash",
            "Ends the server process during the call.",
            json!({ "code": { "type": "integer", "minimum": 0, "maximum": 255 } }),
            &[],
        ),
        plain("roots", "Asks the client for its roots and returns them."),
        tool(
            "ask_sampling",
            "Asks the client's model and returns the client's answer as JSON.",
            json!({ "prompt": { "type": "string" } }),
            &[],
        ),
        tool(
            "ask_elicitation",
            "Asks the user for a name and returns the client's answer as JSON.",
            json!({ "message": { "type": "string" } }),
            &[],
        ),
        tool(
            "notify_resource",
            "Changes a resource and tells those who subscribed to it.",
            json!({ "uri": { "type": "string", "description": format!("Default: {WATCHED}") } }),
            &[],
        ),
        tool(
            "add_tool",
            "Adds a tool that returns its own name, and tells clients that the list changed.",
            json!({
                "name": { "type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$" },
                "description": { "type": "string" },
            }),
            &[],
        ),
        tool(
            "stderr_flood",
            "Writes to standard error; blocks while nobody reads it.",
            json!({ "bytes": { "type": "integer", "minimum": 0, "maximum": 67_108_864 } }),
            &[],
        ),
        plain(
            "http_headers",
            "Returns the HTTP headers of this call as JSON text; null without HTTP.",
        ),
    ]
}

/// The prompts, in wire form.
pub(crate) fn prompts(shared: &Shared) -> Value {
    let argument = |name: &str, description: &str| json!({ "name": name, "description": description, "required": true });
    json!([
        {
            "name": "test_simple_prompt",
            "description": format!(
                "A prompt without arguments (revision {}).",
                shared.prompts_revision.value()
            ),
        },
        {
            "name": "test_prompt_with_arguments",
            "description": "A prompt with two arguments.",
            "arguments": [argument("arg1", "First argument"), argument("arg2", "Second argument")],
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "description": "A prompt that embeds a resource.",
            "arguments": [argument("resourceUri", "URI of the resource to embed")],
        },
        { "name": "test_prompt_with_image", "description": "A prompt with an image." },
        {
            "name": "test_input_required_result_prompt",
            "description": "A prompt that asks the user for its context first.",
        },
    ])
}

/// The resources, in wire form.
pub(crate) fn resources() -> Value {
    json!([
        {
            "uri": "test://static-text",
            "name": "static-text",
            "description": "A text that never changes.",
            "mimeType": "text/plain",
        },
        {
            "uri": "test://static-binary",
            "name": "static-binary",
            "description": "An image that never changes.",
            "mimeType": "image/png",
        },
        {
            "uri": WATCHED,
            "name": "watched-resource",
            "description": "A text that the tool notify_resource changes.",
            "mimeType": "text/plain",
        },
    ])
}

/// The resource templates, in wire form.
pub(crate) fn templates() -> Value {
    json!([
        {
            "uriTemplate": "test://template/{id}/data",
            "name": "template-data",
            "description": "A JSON document about one id.",
            "mimeType": "application/json",
        },
    ])
}
