//! What stands for the user, the model and the file system of the client, and what it heard.

#![expect(deprecated, reason = "servers still ask for sampling and roots")]

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
        ElicitResult, ElicitationAction, ListRootsResult, LoggingMessageNotificationParam,
        ProgressNotificationParam, ProtocolVersion, ResourceUpdatedNotificationParam,
    },
    service::{NotificationContext, RequestContext},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use crate::names::ANSWER;

/// A notification of the server, its params in wire form.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Progress(Value),
    Log(Value),
    Updated(Value),
}

/// What the server said unasked; a step watches before it acts.
#[derive(Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(1024).0)
    }
}

impl Events {
    pub(crate) fn watch(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    fn heard(&self, kind: fn(Value) -> Event, params: impl Serialize) {
        if let Ok(params) = serde_json::to_value(params) {
            // Between two steps nobody watches.
            let _ = self.0.send(kind(params));
        }
    }
}

/// A user who accepts every form and answers everything with the same word.
pub(crate) struct User {
    pub(crate) version: ProtocolVersion,
    /// Whether it declares no capabilities.
    pub(crate) is_plain: bool,
    pub(crate) events: Events,
}

/// The text of every sampled message.
pub(crate) fn sampled() -> String {
    format!("sampled {ANSWER}")
}

/// The only root.
pub(crate) fn root() -> String {
    format!("file:///{ANSWER}")
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("client content: {error}"), None))
}

/// A value for one field of a form, one that the tool's result can show.
fn fill(field: &Value) -> Value {
    if let Some(first) = field["enum"].get(0) {
        return first.clone();
    }
    if let Some(first) = field["oneOf"].get(0) {
        return first["const"].clone();
    }
    match field["type"].as_str() {
        Some("number" | "integer") => json!(42),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        _ => json!(ANSWER),
    }
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let capabilities = if self.is_plain {
            json!({})
        } else {
            json!({ "roots": {}, "sampling": {}, "elicitation": { "form": {} } })
        };
        typed(json!({
            "protocolVersion": self.version,
            "capabilities": capabilities,
            "clientInfo": { "name": "driver-rmcp", "version": "1.0.0" },
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
            "content": { "type": "text", "text": sampled() },
            "model": "driver",
        }))
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        typed(json!({ "roots": [{ "uri": root(), "name": ANSWER }] }))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let form = serde_json::to_value(request)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let fields = form["requestedSchema"]["properties"].as_object();
        let content: Map<String, Value> = fields
            .into_iter()
            .flatten()
            .map(|(name, field)| (name.clone(), fill(field)))
            .collect();
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.events.heard(Event::Progress, params);
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.events.heard(Event::Log, params);
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.events.heard(Event::Updated, params);
    }
}
