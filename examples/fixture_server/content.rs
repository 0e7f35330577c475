//! Results in the shape they have on the wire.

use rmcp::model::{CallToolResponse, CallToolResult, ErrorData};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A red PNG of one pixel.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// A WAV file without samples.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// What a tool handler returns.
pub(crate) type ToolOutcome = Result<CallToolResponse, ErrorData>;

/// Turns wire JSON into the SDK's type. The JSON is written in this program, so a failure is
/// an internal error of the fixture.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("fixture content: {error}"), None))
}

/// A finished call with these content blocks.
pub(crate) fn blocks(content: Value) -> ToolOutcome {
    result(json!({ "content": content }))
}

/// A finished call with one block of text.
pub(crate) fn text(text: impl Into<String>) -> ToolOutcome {
    blocks(json!([{ "type": "text", "text": text.into() }]))
}

/// A finished call that failed, with the reason for the model.
pub(crate) fn failure(text: impl Into<String>) -> ToolOutcome {
    result(json!({ "content": [{ "type": "text", "text": text.into() }], "isError": true }))
}

/// A finished call with a structured value and, as the specification advises, the same value
/// as text.
pub(crate) fn structured(value: Value) -> ToolOutcome {
    result(json!({
        "content": [{ "type": "text", "text": value.to_string() }],
        "structuredContent": value,
    }))
}

fn result(mut value: Value) -> ToolOutcome {
    // The SDK takes it away again for peers older than 2026-07-28.
    value["resultType"] = json!("complete");
    typed::<CallToolResult>(value).map(CallToolResponse::Complete)
}
