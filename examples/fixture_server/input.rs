//! Asking the client: input requests of 2026-07-28, and the same questions to older clients.
//!
//! Every tool is written as a multi round-trip (MCP 2026-07-28 basic/patterns/mrtr): it
//! returns what it needs and is called again with the answers. For a legacy client this
//! module asks the questions as server-to-client requests and makes the second call itself.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rmcp::{
    RoleServer,
    model::{
        CallToolResponse, ClientCapabilities, ErrorData, InputRequest, InputRequiredResult,
        ServerRequest,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    arguments::Call,
    content::{ToolOutcome, failure, text, typed},
};

/// More rounds than any tool here needs.
pub(crate) const MAXIMUM_ROUNDS: usize = 8;

/// Whether the request is of 2026-07-28 or later.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| !version.has_initialize())
}

/// A result that asks these questions, keyed, and hands over a state to bring back.
pub(crate) fn required(
    requests: Value,
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    Ok(InputRequiredResult::new(typed(requests)?, state))
}

fn need(requests: Value, state: Option<String>) -> ToolOutcome {
    Ok(CallToolResponse::InputRequired(required(requests, state)?))
}

/// `elicitation/create` with a form of these fields, all required.
pub(crate) fn elicitation(message: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties
        .as_object()
        .map(|map| map.keys().collect())
        .unwrap_or_default();
    json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": message,
            "requestedSchema": { "type": "object", "required": required, "properties": properties },
        },
    })
}

pub(crate) fn sampling(prompt: &str) -> Value {
    json!({
        "method": "sampling/createMessage",
        "params": {
            "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
            "maxTokens": 100,
        },
    })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// What the client would have to declare for these questions and did not.
pub(crate) fn missing_capabilities(
    declared: Option<&ClientCapabilities>,
    required: &InputRequiredResult,
) -> Result<Option<ClientCapabilities>, ErrorData> {
    let has = |present: fn(&ClientCapabilities) -> bool| declared.is_some_and(present);
    let mut missing = json!({});
    for request in required
        .input_requests
        .iter()
        .flatten()
        .map(|(_, request)| request)
    {
        match request {
            InputRequest::CreateMessage(_) if !has(|client| client.sampling.is_some()) => {
                missing["sampling"] = json!({});
            }
            InputRequest::Elicitation(_) if !has(|client| client.elicitation.is_some()) => {
                missing["elicitation"] = json!({});
            }
            InputRequest::ListRoots(_) if !has(|client| client.roots.is_some()) => {
                missing["roots"] = json!({});
            }
            _ => {}
        }
    }
    if missing == json!({}) {
        Ok(None)
    } else {
        typed(missing).map(Some)
    }
}

/// Asks a legacy client every question, in the order of the keys.
///
/// The error is the client's own message, for the model.
pub(crate) async fn ask_legacy(
    context: &RequestContext<RoleServer>,
    required: InputRequiredResult,
) -> Result<BTreeMap<String, Value>, String> {
    let mut answers = BTreeMap::new();
    for (key, request) in required.input_requests.unwrap_or_default() {
        let request = match request {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => return Err(format!("input request {key} is of an unknown kind")),
        };
        let answer = context
            .peer
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let answer = serde_json::to_value(answer).map_err(|error| error.to_string())?;
        answers.insert(key, answer);
    }
    Ok(answers)
}

/// The content of an accepted form, or nothing where it was declined or is no such answer.
fn accepted<'a>(answer: &'a Value, field: &str) -> Option<&'a Value> {
    if answer["action"] == "accept" {
        answer["content"].get(field)
    } else {
        None
    }
}

/// The tools that ask the client, or nothing where the name is none of them.
pub(crate) fn call(
    call: &Call<'_>,
    context: &RequestContext<RoleServer>,
    key: &[u8; 32],
) -> Option<ToolOutcome> {
    let outcome = match call.name() {
        "test_input_required_result_elicitation" => ask_name(call),
        "test_input_required_result_sampling" => show(
            call,
            "capital_question",
            sampling("What is the capital of France?"),
        ),
        "test_input_required_result_list_roots" | "roots" => show(call, "client_roots", roots()),
        "test_input_required_result_request_state" => confirm_with_state(call, key),
        "test_input_required_result_tampered_state" => confirm_with_state(call, key),
        "test_input_required_result_multiple_inputs" => ask_everything(call, key),
        "test_input_required_result_multi_round" => ask_twice(call, key),
        "test_input_required_result_capabilities" => ask_declared(call, context),
        "test_missing_capability" => show(call, "sample", sampling("Say hello.")),
        "test_streaming_elicitation" => show(
            call,
            "confirmation",
            elicitation("Continue?", json!({ "ok": { "type": "boolean" } })),
        ),
        "ask_sampling" => call
            .text("prompt", "Say hello.")
            .and_then(|prompt| show(call, "sample", sampling(prompt))),
        "ask_elicitation" => call
            .text("message", "What is your name?")
            .and_then(|message| {
                show(
                    call,
                    "form",
                    elicitation(message, json!({ "name": { "type": "string" } })),
                )
            }),
        "test_sampling" => sample(call),
        "test_elicitation" => call
            .text("message", "Please provide your information")
            .and_then(|message| {
                let fields = json!({
                    "username": { "type": "string", "description": "User's response" },
                    "email": { "type": "string", "description": "User's email address" },
                });
                describe(call, "User response", elicitation(message, fields))
            }),
        "test_elicitation_sep1034_defaults" => {
            describe(call, "Elicitation completed", form_with_defaults())
        }
        "test_elicitation_sep1330_enums" => {
            describe(call, "Elicitation completed", form_with_choices())
        }
        _ => return None,
    };
    Some(outcome)
}

/// Asks one question and returns the client's answer as JSON text.
fn show(call: &Call<'_>, key: &str, request: Value) -> ToolOutcome {
    match call.answer(key) {
        Some(answer) if answer.is_object() => text(answer.to_string()),
        _ => need(json!({ key: request }), None),
    }
}

fn sample(call: &Call<'_>) -> ToolOutcome {
    let prompt = call.text("prompt", "Hello")?;
    let Some(answer) = call.answer("sample") else {
        return need(json!({ "sample": sampling(prompt) }), None);
    };
    // One block or, since 2025-11-25, an array of blocks.
    let block = answer["content"].get(0).unwrap_or(&answer["content"]);
    text(format!(
        "LLM response: {}",
        block["text"].as_str().unwrap_or("no text")
    ))
}

fn describe(call: &Call<'_>, prefix: &str, request: Value) -> ToolOutcome {
    let Some(answer) = call.answer("form") else {
        return need(json!({ "form": request }), None);
    };
    let action = answer["action"].as_str().unwrap_or("unknown");
    text(format!(
        "{prefix}: action={action}, content={}",
        answer["content"]
    ))
}

fn ask_name(call: &Call<'_>) -> ToolOutcome {
    let name = call
        .answer("user_name")
        .and_then(|answer| accepted(answer, "name"))
        .and_then(Value::as_str);
    match name {
        Some(name) => text(format!("Hello, {name}!")),
        None => need(json!({ "user_name": name_form() }), None),
    }
}

pub(crate) fn name_form() -> Value {
    elicitation(
        "What is your name?",
        json!({ "name": { "type": "string" } }),
    )
}

fn confirm_with_state(call: &Call<'_>, key: &[u8; 32]) -> ToolOutcome {
    let Some(answer) = call.answer("confirm") else {
        let form = json!({
            "confirm": elicitation("Please confirm", json!({ "ok": { "type": "boolean" } })),
        });
        return need(form, Some(seal(key, call.name(), "confirm")));
    };
    open(key, call)?;
    match accepted(answer, "ok") {
        Some(Value::Bool(true)) => text("state-ok: confirmed"),
        _ => text("state-ok: not confirmed"),
    }
}

fn ask_everything(call: &Call<'_>, key: &[u8; 32]) -> ToolOutcome {
    let questions = ["user_name", "greeting", "client_roots"];
    let [Some(name), Some(greeting), Some(roots)] = questions.map(|question| call.answer(question))
    else {
        let requests = json!({
            "user_name": name_form(),
            "greeting": sampling("Generate a greeting"),
            "client_roots": roots(),
        });
        return need(requests, Some(seal(key, call.name(), "asked")));
    };
    open(key, call)?;
    text(json!({ "name": name, "greeting": greeting, "roots": roots }).to_string())
}

fn ask_twice(call: &Call<'_>, key: &[u8; 32]) -> ToolOutcome {
    if let Some(answer) = call.answer("step2") {
        let name = open(key, call)?;
        let color = accepted(answer, "color").and_then(Value::as_str);
        return text(format!("{name} likes {}", color.unwrap_or("no color")));
    }
    if let Some(answer) = call.answer("step1") {
        open(key, call)?;
        let name = accepted(answer, "name").and_then(Value::as_str);
        let color = json!({ "color": { "type": "string" } });
        let form = json!({
            "step2": elicitation("Step 2: What is your favorite color?", color),
        });
        return need(
            form,
            Some(seal(key, call.name(), name.unwrap_or("Somebody"))),
        );
    }
    let name = json!({ "name": { "type": "string" } });
    let form = json!({ "step1": elicitation("Step 1: What is your name?", name) });
    need(form, Some(seal(key, call.name(), "")))
}

fn ask_declared(call: &Call<'_>, context: &RequestContext<RoleServer>) -> ToolOutcome {
    if let Some(answers) = &call.0.input_responses {
        return text(json!(answers).to_string());
    }
    let declared = context.client_capabilities().unwrap_or_default();
    let mut requests = json!({});
    if declared.sampling.is_some() {
        requests["capital_question"] = sampling("What is the capital of France?");
    }
    if declared.elicitation.is_some() {
        requests["user_name"] = name_form();
    }
    if declared.roots.is_some() {
        requests["client_roots"] = roots();
    }
    if requests == json!({}) {
        return failure("The client declared nothing that could be asked of it.");
    }
    need(requests, None)
}

fn form_with_defaults() -> Value {
    json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": "Please review the defaults",
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "name": { "type": "string", "description": "User name", "default": "John Doe" },
                    "age": { "type": "integer", "description": "User age", "default": 30 },
                    "score": { "type": "number", "description": "User score", "default": 95.5 },
                    "status": {
                        "type": "string",
                        "description": "User status",
                        "enum": ["active", "inactive", "pending"],
                        "default": "active",
                    },
                    "verified": { "type": "boolean", "description": "Verified", "default": true },
                },
                "required": [],
            },
        },
    })
}

fn form_with_choices() -> Value {
    let titled = |word: &str| {
        json!([
            { "const": "value1", "title": format!("First {word}") },
            { "const": "value2", "title": format!("Second {word}") },
            { "const": "value3", "title": format!("Third {word}") },
        ])
    };
    let untitled = json!(["option1", "option2", "option3"]);
    json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": "Please choose",
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "untitledSingle": { "type": "string", "enum": untitled },
                    "titledSingle": { "type": "string", "oneOf": titled("Option") },
                    "legacyEnum": {
                        "type": "string",
                        "enum": ["opt1", "opt2", "opt3"],
                        "enumNames": ["Option One", "Option Two", "Option Three"],
                    },
                    "untitledMulti": {
                        "type": "array",
                        "items": { "type": "string", "enum": untitled },
                    },
                    "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
                },
                "required": [],
            },
        },
    })
}

/// A `requestState` that cannot be changed unnoticed or brought to another tool: the payload
/// and a keyed hash of it.
pub(crate) fn seal(key: &[u8; 32], tool: &str, payload: &str) -> String {
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
    let hash = blake3::keyed_hash(key, format!("{tool}.{payload}").as_bytes());
    format!("{payload}.{hash}")
}

/// The payload of the state this call brings back.
fn open(key: &[u8; 32], call: &Call<'_>) -> Result<String, ErrorData> {
    let refused = || ErrorData::invalid_params("requestState failed its integrity check", None);
    let state = call.0.request_state.as_deref().ok_or_else(refused)?;
    let payload = state.split('.').next().ok_or_else(refused)?;
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(payload)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(refused)?;
    if seal(key, call.name(), &payload) == state {
        Ok(payload)
    } else {
        Err(refused())
    }
}
