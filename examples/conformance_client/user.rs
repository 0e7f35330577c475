//! What stands for the user, the model and the file system of the client.

#![expect(deprecated, reason = "servers still ask for sampling and roots")]

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
        ElicitResult, ElicitationAction, ListRootsResult, ProtocolVersion,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A user who accepts every form, with its defaults where it has any.
pub(crate) struct User {
    pub(crate) version: ProtocolVersion,
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("client content: {error}"), None))
}

/// A value that fits a JSON Schema as far as its type and its first choice go.
pub(crate) fn example(schema: &Value) -> Value {
    if let Some(value) = schema.get("default").or_else(|| schema.get("const")) {
        return value.clone();
    }
    for choices in ["enum", "oneOf", "anyOf"] {
        if let Some(first) = schema.get(choices).and_then(|choices| choices.get(0)) {
            return match choices {
                "enum" => first.clone(),
                _ => example(first),
            };
        }
    }
    match schema["type"].as_str() {
        Some("string") => json!("example"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([example(&schema["items"])]),
        Some("object") => Value::Object(examples(&schema["properties"])),
        _ => Value::Null,
    }
}

/// An example for each property.
pub(crate) fn examples(properties: &Value) -> Map<String, Value> {
    let properties = properties.as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| (name.clone(), example(schema)))
        .collect()
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        typed(json!({
            "protocolVersion": self.version,
            "capabilities": { "roots": {}, "sampling": {}, "elicitation": { "form": {} } },
            "clientInfo": { "name": "conformance-client", "version": env!("CARGO_PKG_VERSION") },
        }))
        .expect("the client's own description has the SDK's shape")
    }

    async fn create_message(
        &self,
        _request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        typed(json!({
            "role": "assistant",
            "content": { "type": "text", "text": "An answer of no model." },
            "model": "none",
            "stopReason": "endTurn",
        }))
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        typed(json!({ "roots": [{ "uri": "file:///workspace", "name": "workspace" }] }))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let form = serde_json::to_value(request)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let content = examples(&form["requestedSchema"]["properties"]);
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)))
    }
}
