//! The listen streams of modern clients (MCP 2026-07-28 basic/patterns/subscriptions).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::write::{Outgoing, edit_object, notification, splice};
use crate::mcp::{meta, method};

use super::book::{Key, Scene};
use super::{Caller, ReplayServer};

/// A client that listens.
#[derive(Debug)]
pub(super) struct Listener {
    id: RequestId,
    /// What was asked for and is offered: the filter as it was acknowledged.
    filter: Map<String, Value>,
}

impl Listener {
    /// Returns the id of the request that opened the stream.
    pub(super) fn id(&self) -> &RequestId {
        &self.id
    }

    fn wants(&self, message: &Message) -> bool {
        let flag = match message.method() {
            method::TOOLS_CHANGED => "toolsListChanged",
            method::PROMPTS_CHANGED => "promptsListChanged",
            method::RESOURCES_CHANGED => "resourcesListChanged",
            _ => {
                let uri = message.body_text("uri").map(Value::String);
                let uris = self.filter.get("resourceSubscriptions");
                return uris
                    .and_then(Value::as_array)
                    .is_some_and(|uris| uri.is_some_and(|uri| uris.contains(&uri)));
            }
        };
        self.filter.get(flag) == Some(&Value::Bool(true))
    }
}

impl ReplayServer {
    /// Opens a stream, acknowledges it, and sends what a recorded stream with this filter sent.
    pub(super) fn listen(&mut self, message: &Message, caller: &Caller) -> Result<(), ErrorObject> {
        let asked: Option<Map<String, Value>> = message
            .body("notifications")
            .and_then(|raw| serde_json::from_slice(raw).ok());
        let Some(mut filter) = asked else {
            return Err(ErrorObject::new(
                INVALID_PARAMS,
                "`subscriptions/listen` has no `notifications` object",
            ));
        };
        filter.retain(|name, _| match name.as_str() {
            "toolsListChanged" => self.offers(&["tools", "listChanged"]),
            "promptsListChanged" => self.offers(&["prompts", "listChanged"]),
            "resourcesListChanged" => self.offers(&["resources", "listChanged"]),
            "resourceSubscriptions" => self.offers(&["resources", "subscribe"]),
            _ => false,
        });
        // Spelled from the raw id, whose type the stream's messages keep.
        let id: Value = serde_json::from_slice(caller.id.raw()).unwrap_or_default();
        let params = json!({"_meta": {meta::SUBSCRIPTION_ID: id}, "notifications": filter});
        let text = notification(method::ACKNOWLEDGED, Some(params.to_string().as_bytes()));
        self.outgoing.push_back(Outgoing::from(text));
        let listener = Listener {
            id: caller.id.clone(),
            filter,
        };
        let recorded = Key::of(method::LISTEN, message.params())
            .and_then(|key| self.next_in_turn(&key))
            .map_or(&[][..], |play| &self.book.plays[play].scenes);
        for scene in recorded {
            if let Scene::Notify(message) = scene
                && message.method() != method::ACKNOWLEDGED
                && listener.wants(message)
            {
                self.outgoing.push_back(on_stream(message, &listener.id));
            }
        }
        self.listeners.push(listener);
        Ok(())
    }

    /// Sends a change to those who listen for it.
    pub(super) fn publish(&mut self, message: &Message) {
        for listener in &self.listeners {
            if listener.wants(message) {
                self.outgoing.push_back(on_stream(message, &listener.id));
            }
        }
    }
}

/// Returns a notification with the id of the stream that it is sent on.
fn on_stream(message: &Message, id: &RequestId) -> Outgoing {
    let raw = message.raw();
    let subscription = [(meta::SUBSCRIPTION_ID, id.raw().clone())];
    let inner = |meta: &[u8]| {
        let meta = Bytes::copy_from_slice(meta);
        let edits = edit_object(&meta, 0..meta.len(), &[], &subscription);
        splice(&meta, edits).to_bytes()
    };
    let tagged = inner(message.body("_meta").unwrap_or(b"{}"));
    let edits = match message.span(EnvelopeKey::Params) {
        Some(at) => edit_object(raw, at, &[], &[("_meta", tagged)]),
        None => {
            let mut params = b"{\"_meta\":".to_vec();
            params.extend_from_slice(&tagged);
            params.push(b'}');
            edit_object(raw, 0..raw.len(), &[], &[("params", params.into())])
        }
    };
    splice(raw, edits)
}
