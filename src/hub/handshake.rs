//! Answers `initialize` and `server/discover`: from the one server, from a snapshot, or merged.

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS, INVALID_REQUEST};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::capabilities;
use crate::mcp::header;
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::result;
use crate::mcp::version::{self, Era};
use crate::result::link::Links;
use crate::session::{LegacyClient, Link};
use crate::upstream::{Handshake, State, UpstreamId};

use super::Hub;
use super::action::Action;
use super::exchange::{ExchangeId, Plan};
use super::forward::{error_object, object_of};
use super::moved::joined;
use super::rescue::Trouble;
use super::timers::TimerKey;
use super::verbatim;

impl Hub {
    pub(super) fn start_handshake(&mut self, now: Instant, id: ExchangeId) {
        let exchange = &self.exchanges[&id];
        let session = exchange.session;
        if exchange.request.method() == method::INITIALIZE {
            let params = exchange.request.params().map(Bytes::copy_from_slice);
            let Some(params) = params.filter(|params| params.starts_with(b"{")) else {
                let error = ErrorObject::new(INVALID_PARAMS, "`initialize` needs `params`");
                return self.fail(now, id, &error);
            };
            let requested = members::get_text(&params, "protocolVersion").unwrap_or_default();
            if self
                .sessions
                .get(&session)
                .is_some_and(|record| record.legacy.is_some())
            {
                let error = ErrorObject::new(
                    INVALID_REQUEST,
                    "this session is initialized already; open a new one",
                );
                return self.fail(now, id, &error);
            }
            if let Some(record) = self.sessions.get_mut(&session) {
                record.is_inner |= members::get(&params, "_meta")
                    .is_some_and(|meta_value| members::get(meta_value, meta::HOP).is_some());
                record.legacy = Some(LegacyClient {
                    version: version::negotiate(&requested).to_owned(),
                    capabilities: members::get(&params, "capabilities")
                        .map_or(Bytes::from_static(b"{}"), Bytes::copy_from_slice),
                    params,
                    initialized: None,
                    log_level: None,
                });
            }
        }
        let waiting = self.set_upstreams(session);
        if waiting.is_empty() {
            let error = Trouble::Unavailable {
                detail: "no server is configured".into(),
            };
            return self.fail_with(now, id, &error);
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.plan = Plan::Handshake {
                waiting: waiting.clone(),
            };
            if let [one] = waiting.as_slice() {
                exchange.upstream = Some(*one);
            }
        }
        if waiting.len() > 1
            && let Some(at) = now.checked_add(self.settings.timeouts.merge)
        {
            self.timers.set(TimerKey::Merge(id), at);
        }
        for upstream in waiting {
            self.wake(now, upstream, Some(id));
            if self.is_handshake_settled(upstream) {
                self.settle_handshakes(now, upstream, None);
            }
        }
    }

    /// Tells whether nothing more is to be waited for: it is ready, remembered, or gone.
    pub(super) fn is_handshake_settled(&self, upstream: UpstreamId) -> bool {
        // A server that is left alone may have been answered for, and its connection be gone.
        let Some(record) = self.upstreams.get(&upstream) else {
            return true;
        };
        match record.state {
            State::Ready | State::Parked(_) | State::Stopping => true,
            State::Backoff(_) => record.is_unusable || record.remembered.is_some(),
            _ => record.remembered.is_some(),
        }
    }

    /// A server became ready or failed: goes on with the handshakes that waited for it.
    pub(super) fn settle_handshakes(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        refusal: Option<&Message>,
    ) {
        let mut complete = Vec::new();
        for exchange in self.exchanges.values_mut() {
            if let Plan::Handshake { waiting } = &mut exchange.plan
                && waiting.contains(&upstream)
            {
                waiting.retain(|one| *one != upstream);
                if waiting.is_empty() {
                    complete.push(exchange.id);
                }
            }
        }
        for id in complete {
            self.finish_handshake(now, id, refusal);
        }
    }

    /// Answers with what is known now.
    pub(super) fn finish_handshake(
        &mut self,
        now: Instant,
        id: ExchangeId,
        refusal: Option<&Message>,
    ) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let (session, era) = (exchange.session, exchange.era);
        let request_id = exchange.request_id.clone();
        let stream = exchange.stream;
        let upstreams = self.set_upstreams(session);
        if let [one] = upstreams.as_slice() {
            let Some(known) = self.upstreams[one].known().cloned() else {
                if let Some(record) = self.sessions.get_mut(&session) {
                    // The client may try the handshake again.
                    record.legacy = None;
                }
                match refusal {
                    Some(refusal) => self.fail(now, id, &error_object(refusal)),
                    None => self.fail_unavailable(now, id, *one),
                }
                // A client over HTTP was not told the session's id, so nobody can come back to it.
                if era == Era::Legacy
                    && let Some(record) = self.sessions.get(&session)
                    && matches!(record.link, Link::HttpSession(_))
                {
                    self.close_session(now, session);
                }
                return;
            };
            if era == Era::Legacy
                && known.era == Era::Legacy
                && let Some(record) = self.sessions.get_mut(&session)
                && let Some(legacy) = &mut record.legacy
            {
                legacy.version.clone_from(&known.version);
            }
            self.name_session(session, stream);
            let result = self.single_result(era, session, &known);
            let result = self.cleaned_handshake(session, result);
            let result = self.with_shared(session, *one, result);
            let result = self.with_own_resources(session, era, result);
            let message = verbatim::answer(&known, result, &request_id);
            return self.answer(now, id, message, 200);
        }
        self.name_session(session, stream);
        let result = self.merged_result(era, session, &upstreams);
        let message = write::response(&request_id, Bytes::from(result.to_string()).into());
        self.answer(now, id, message, 200);
    }

    /// Gives an HTTP client the id of its session, now that the handshake succeeded.
    fn name_session(&mut self, session: u64, stream: u64) {
        if let Some(Link::HttpSession(key)) = self.sessions.get(&session).map(|s| &s.link)
            && self.streams.contains_key(&stream)
        {
            let value = key.clone();
            self.actions.push_back(Action::Header {
                stream,
                name: header::SESSION,
                value,
            });
        }
    }

    /// The one server's own words, translated only where the eras differ.
    fn single_result(&self, era: Era, session: u64, known: &Handshake) -> Bytes {
        if era == known.era {
            return known.result.clone();
        }
        let name = self
            .settings
            .servers
            .first()
            .map_or("server", |server| server.name.as_str());
        let raw = &known.result;
        match era {
            Era::Legacy => {
                let version = self
                    .sessions
                    .get(&session)
                    .map_or(version::NEWEST_LEGACY, |record| record.version());
                let info = members::get(raw, "_meta")
                    .and_then(|meta_value| members::get(meta_value, meta::SERVER_INFO))
                    .map_or_else(
                        || Bytes::from(json!({"name": name, "version": "0"}).to_string()),
                        Bytes::copy_from_slice,
                    );
                let set = [
                    ("protocolVersion", Bytes::from(text::to_string(version))),
                    (
                        "capabilities",
                        capabilities::server_to_legacy(&known.capabilities)
                            .to_string()
                            .into(),
                    ),
                    ("serverInfo", info),
                ];
                write::splice(raw, result::discovery_to_legacy(raw, &set)).to_bytes()
            }
            Era::Modern => {
                let mut capabilities = capabilities::server_to_modern(&known.capabilities);
                mark_changes(&mut capabilities);
                let info = members::get(raw, "serverInfo")
                    .map_or_else(|| Bytes::from_static(b"null"), Bytes::copy_from_slice);
                let mut set: Vec<(&str, Bytes)> = Vec::new();
                for (member, value) in discover_members() {
                    set.push((member, value.to_string().into()));
                }
                set.push(("capabilities", capabilities.to_string().into()));
                let mut edits = Vec::new();
                match members::member(raw, "_meta") {
                    Some(span) if raw[span.clone()].starts_with(b"{") => {
                        edits.extend(write::edit_object(
                            raw,
                            span,
                            &[],
                            &[(meta::SERVER_INFO, info)],
                        ));
                    }
                    _ => set.push(("_meta", object_of(&[(meta::SERVER_INFO, info)]))),
                }
                let old = ["protocolVersion", "serverInfo"];
                edits.extend(write::edit_object(raw, 0..raw.len(), &old, &set));
                write::splice(raw, edits).to_bytes()
            }
        }
    }

    /// One server of ours in front of several.
    fn merged_result(&mut self, era: Era, session: u64, upstreams: &[UpstreamId]) -> Value {
        let mut all = Vec::new();
        let mut instructions = String::new();
        let mut is_incomplete = false;
        let mut moved = Vec::new();
        for upstream in upstreams {
            let record = &self.upstreams[upstream];
            let Some(known) = record.known() else {
                is_incomplete = true;
                continue;
            };
            all.push(match (era, known.era) {
                (Era::Legacy, Era::Modern) => capabilities::server_to_legacy(&known.capabilities),
                (Era::Modern, Era::Legacy) => capabilities::server_to_modern(&known.capabilities),
                _ => serde_json::from_slice(&known.capabilities).unwrap_or_else(|_| json!({})),
            });
            let own = members::get_text(&known.result, "instructions").unwrap_or_default();
            let own = self.cleaned_text(session, own);
            let shared = self.shared_for(session, *upstream, instructions.len() + own.len());
            let text = match &shared {
                Some(shared) => joined(&own, &shared.instructions()),
                None => own,
            };
            moved.extend(shared.map(|shared| (*upstream, shared)));
            if !text.trim().is_empty() {
                let name = &self.settings.servers[record.server].name;
                if !instructions.is_empty() {
                    instructions.push_str("\n\n");
                }
                instructions.push_str(&format!("## {name}\n\n{text}"));
            }
        }
        for (upstream, shared) in moved {
            self.remember_moved(session, upstream, shared);
        }
        let mut capabilities = capabilities::merge(&all);
        if let Value::Object(map) = &mut capabilities {
            // A server that is not there yet may bring any of these.
            if is_incomplete {
                for name in ["tools", "prompts", "resources", "completions", "logging"] {
                    map.entry(name).or_insert_with(|| json!({}));
                }
            }
            map.remove("tasks");
        }
        mark_changes(&mut capabilities);
        if self.links(session, era) != Links::Never
            && let Value::Object(map) = &mut capabilities
        {
            // Those that kept results are read as; there is no list of them that could change.
            map.entry("resources").or_insert_with(|| json!({}));
        }
        let info = json!({"name": "mcp-whittle", "version": self.settings.version});
        let mut result = match era {
            Era::Legacy => json!({
                "protocolVersion": self.sessions.get(&session).map_or(version::NEWEST_LEGACY, |record| record.version()),
                "capabilities": capabilities,
                "serverInfo": info,
            }),
            Era::Modern => {
                let mut result = discover_result(capabilities);
                result["_meta"] = json!({ meta::SERVER_INFO: info });
                result
            }
        };
        if !instructions.is_empty() {
            result["instructions"] = instructions.into();
        }
        result
    }
}

/// We tell clients of changed lists whatever the servers can: one may come late.
fn mark_changes(capabilities: &mut Value) {
    if let Value::Object(map) = capabilities {
        for name in ["tools", "prompts", "resources"] {
            if let Some(Value::Object(capability)) = map.get_mut(name) {
                capability.insert("listChanged".into(), true.into());
            }
        }
    }
}

fn discover_members() -> [(&'static str, Value); 4] {
    let mut versions = vec![version::MODERN];
    versions.extend(version::LEGACY);
    [
        ("resultType", "complete".into()),
        ("supportedVersions", json!(versions)),
        ("ttlMs", 0.into()),
        ("cacheScope", "private".into()),
    ]
}

fn discover_result(capabilities: Value) -> Value {
    let mut result = Map::new();
    for (member, value) in discover_members() {
        result.insert(member.into(), value);
    }
    result.insert("capabilities".into(), capabilities);
    Value::Object(result)
}
