//! Lists as surfaces, and the calls that a surface makes possible: tools of our own, and arguments checked
//! where we did not show the schema.
//!
//! A surface is made away from the loop and kept by what it was made of. Each set of connections
//! remembers the one its clients saw; under a set budget it stays until the set ends, and changes wait.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::catalog::risk::RiskClass;
use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{self, Edit};
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::session::SessionId;
use crate::surface::ladder::Rung;
use crate::surface::made::Made;
use crate::surface::meta_tools::{
    MetaCall, MetaTool, parse_call, unknown_tool_text, wrong_caller_text,
};
use crate::surface::plan::{Budget, Part};
use crate::surface::validate::{
    Fault, Limits, Validator, Verdict, help_for_server_error, tool_error_text,
};
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::{Action, NoteLevel};
use super::exchange::{ExchangeId, Plan};
use super::forward::error_code;
use super::naming::NameKind;

/// Surfaces that are kept; beyond this those that no client sees any more go.
const SURFACES: usize = 64;
/// Tools whose calls are counted.
const USES: usize = 10_000;
/// Compiled schemas that are kept.
const VALIDATORS: usize = 512;

/// What the clients of a set saw.
#[derive(Debug, Clone)]
pub(super) struct SeenSurface {
    made: Arc<Made>,
    /// Whether every server was in it.
    is_complete: bool,
}

impl Hub {
    pub(super) fn set_plan(&mut self, id: ExchangeId, plan: Plan) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.plan = plan;
        }
    }

    /// Tells whether an exchange is a call of a tool.
    pub(super) fn is_call(&self, id: ExchangeId) -> bool {
        self.exchanges
            .get(&id)
            .is_some_and(|exchange| exchange.request.method() == method::TOOLS_CALL)
    }

    /// Returns what is listed of these tools, named as clients see them; none while it is being made.
    pub(super) fn surface_items(
        &mut self,
        id: ExchangeId,
        parts: &[(UpstreamId, Vec<Bytes>)],
        is_complete: bool,
    ) -> Option<Vec<Bytes>> {
        let session = self.exchanges.get(&id)?.session;
        let settings = self.settings.surface.clone()?;
        if let Some(frozen) = self.frozen(session) {
            return Some(items_of(&frozen));
        }
        let parts: Vec<Part> = parts
            .iter()
            .map(|(upstream, tools)| Part {
                server: self.server_name(*upstream),
                tools: tools.clone(),
            })
            .collect();
        let key = key_of(&parts, &format!("{settings:?}"));
        let made = match self.surfaces.get(&key) {
            Some(Some(made)) => Arc::clone(made),
            waiting => {
                let is_new = waiting.is_none();
                if is_new {
                    self.forget_surfaces();
                    self.surfaces.insert(key, None);
                    self.actions.push_back(Action::MakeSurface {
                        key,
                        parts,
                        settings: Arc::new(settings),
                    });
                }
                self.surface_waiting.insert(id);
                return None;
            }
        };
        if self.settings.is_shadow {
            return Some(parts.into_iter().flat_map(|part| part.tools).collect());
        }
        let items = items_of(&made);
        let set = self.sessions.get(&session).map(|record| record.set);
        if let Some(set) = set.and_then(|set| self.sets.get_mut(&set)) {
            set.surface = Some(SeenSurface { made, is_complete });
        }
        Some(items)
    }

    /// Takes a surface that was made.
    pub fn handle_surface(&mut self, now: Instant, key: [u8; 32], made: Arc<Made>) {
        self.tell_surface(&made);
        self.surfaces.insert(key, Some(made));
        for id in std::mem::take(&mut self.surface_waiting) {
            self.finish_list(now, id);
        }
    }

    fn tell_surface(&mut self, made: &Made) {
        let surface = &made.surface;
        if let Some(shortfall) = &surface.shortfall {
            self.note(NoteLevel::Warn, "", shortfall.to_string());
        }
        let counts: Vec<String> = surface
            .histogram()
            .into_iter()
            .map(|(rung, n)| format!("{n} {rung}"))
            .collect();
        let tokens = surface.cost.map_or_else(String::new, |cost| {
            format!(
                "; {} of {} tokens (o200k_base, measured)",
                cost.shown, cost.bare
            )
        });
        let shadow = if self.settings.is_shadow {
            " would be"
        } else {
            ""
        };
        let text = format!("tools{shadow} shown: {}{tokens}", counts.join(", "));
        self.note(NoteLevel::Info, "", text);
    }

    fn forget_surfaces(&mut self) {
        if self.surfaces.len() >= SURFACES {
            self.surfaces
                .retain(|_, made| made.as_ref().is_none_or(|made| Arc::strong_count(made) > 1));
        }
    }

    /// The surface that the clients of a session saw.
    fn seen_surface(&self, session: SessionId) -> Option<&SeenSurface> {
        let set = self.sets.get(&self.sessions.get(&session)?.set)?;
        set.surface.as_ref()
    }

    /// The surface that may not change: under a set budget, once it was complete.
    fn frozen(&self, session: SessionId) -> Option<Arc<Made>> {
        let is_set = self
            .settings
            .surface
            .as_ref()
            .is_some_and(|settings| matches!(settings.budget, Budget::Tokens(_)));
        let seen = self.seen_surface(session)?;
        (is_set && seen.is_complete).then(|| Arc::clone(&seen.made))
    }

    /// Tells whether a change of a server's tools waits for the next epoch.
    pub(super) fn is_staged(&mut self, upstream: UpstreamId) -> bool {
        let Some(record) = self.upstreams.get(&upstream) else {
            return false;
        };
        let user = self
            .sets
            .get(&record.set)
            .and_then(|set| set.users.first().copied());
        let is_staged = user.is_some_and(|user| self.frozen(user).is_some());
        if is_staged {
            let name = self.server_name(upstream);
            self.note(
                NoteLevel::Info,
                &name,
                "its tools changed; under a set budget the list stays as it is until the next start",
            );
        }
        is_staged
    }

    /// Starts a call where it is for one of our own tools; tells whether it was.
    pub(super) fn start_meta_call(&mut self, now: Instant, id: ExchangeId, name: &str) -> bool {
        if !self.shapes(id, ListKind::Tools) || self.settings.is_shadow {
            return false;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let Some(seen) = self.seen_surface(exchange.session) else {
            if exchange.asked_for_surface {
                return false;
            }
            // A client may remember our tools from before a restart. What they reach has to be known
            // first.
            let is_ours = MetaTool::ALL
                .iter()
                .any(|tool| name.starts_with(tool.usual_name()));
            if is_ours {
                if let Some(exchange) = self.exchanges.get_mut(&id) {
                    exchange.asked_for_surface = true;
                }
                self.start_list(now, id, ListKind::Tools);
            }
            return is_ours;
        };
        let made = Arc::clone(&seen.made);
        let Some(meta_tool) = made.meta_tool(name) else {
            return false;
        };
        let arguments = exchange.request.body("arguments").unwrap_or(b"{}");
        let names = &made.surface.names;
        match parse_call(meta_tool, arguments, names, &*made) {
            Ok(MetaCall::Search {
                queries,
                server,
                limit,
            }) => match made.search(&queries, server.as_deref(), limit) {
                Ok(text) => self.answer_tool_text(now, id, &text, false),
                Err(unknown) => {
                    let text = format!("{unknown}; there are: {}", made.servers().join(", "));
                    self.answer_tool_text(now, id, &text, true);
                }
            },
            Ok(MetaCall::Describe { names }) => {
                let text = made.describe(&names);
                self.answer_tool_text(now, id, &text, false);
            }
            Ok(MetaCall::Call {
                risk,
                tool,
                arguments,
                ..
            }) => self.start_inner_call(now, id, &made, risk, &tool, arguments.into()),
            Err(error) => {
                let text = error.text(meta_tool, names);
                self.answer_tool_text(now, id, &text, true);
            }
        }
        true
    }

    /// A call of a tool through one of ours.
    fn start_inner_call(
        &mut self,
        now: Instant,
        id: ExchangeId,
        made: &Made,
        risk: RiskClass,
        name: &str,
        arguments: Bytes,
    ) {
        let session = self.exchanges[&id].session;
        let names = &made.surface.names;
        let target = match self.only_upstream(session) {
            Some(only) if made.tool(name).is_some() => Some((only, name.to_owned())),
            Some(_) => None,
            None => self.resolve(session, NameKind::Tool, name),
        };
        let target = target
            .filter(|(upstream, real)| self.is_allowed(id, *upstream, real, Some(&arguments)));
        let Some((upstream, real)) = target else {
            let text = unknown_tool_text(names, name, made.did_you_mean(name));
            return self.answer_tool_text(now, id, &text, true);
        };
        // Live definitions decide; the one that was shown stands in until they are known.
        let definition = self
            .original_tool(upstream, &real)
            .or_else(|| made.tool(name).map(|tool| tool.definition.clone()));
        let is = definition.as_ref().map_or(RiskClass::Destructive, |raw| {
            let annotations = members::get(raw, "annotations");
            RiskClass::of_annotations(annotations.and_then(|raw| std::str::from_utf8(raw).ok()))
        });
        if is != risk {
            let text = wrong_caller_text(names, name, risk, is);
            return self.answer_tool_text(now, id, &text, true);
        }
        if let Some((faults, definition)) = self.faults(upstream, &real, Some(&arguments)) {
            let text = tool_error_text(name, &faults, &definition);
            return self.answer_tool_text(now, id, &text, true);
        }
        self.count_use(name);
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.real_name = Some(real);
            exchange.extra_params.retain(|(key, _)| *key != "arguments");
            exchange.extra_params.push(("arguments", arguments));
        }
        self.forward(now, id, upstream);
    }

    /// Counts a call, for the weights of a later epoch.
    pub(super) fn count_use(&mut self, name: &str) {
        if let Some(calls) = self.uses.get_mut(name) {
            *calls += 1;
        } else if self.uses.len() < USES {
            self.uses.insert(name.to_owned(), 1);
        }
    }

    /// Answers a call whose arguments do not fit, where the client was not shown the schema; tells whether
    /// it did.
    pub(super) fn refuse_arguments(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        name: &str,
        real: &str,
    ) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let was_hidden = self
            .seen_surface(exchange.session)
            .and_then(|seen| seen.made.tool(name))
            .is_some_and(|tool| tool.rung >= Rung::Dense);
        if !was_hidden || !self.shapes(id, ListKind::Tools) {
            return false;
        }
        let arguments = exchange
            .request
            .body("arguments")
            .map(Bytes::copy_from_slice);
        let Some((faults, definition)) = self.faults(upstream, real, arguments.as_ref()) else {
            return false;
        };
        let text = tool_error_text(name, &faults, &definition);
        self.answer_tool_text(now, id, &text, true);
        true
    }

    /// Returns an edit that adds our help to a server's own error, where the arguments may be the reason.
    pub(super) fn help_edit(
        &mut self,
        upstream: UpstreamId,
        id: ExchangeId,
        message: &Message,
    ) -> Option<Edit> {
        let exchange = self.exchanges.get(&id)?;
        let is_tool_error = message.body("isError") == Some(b"true");
        let is_refused = error_code(message) == Some(INVALID_PARAMS);
        if !(is_tool_error || is_refused)
            || !self.is_call(id)
            || !self.shapes(id, ListKind::Tools)
            || self.settings.is_shadow
        {
            return None;
        }
        let shown = exchange.request.body_text("name")?;
        let real = exchange.real_name.clone().unwrap_or_else(|| shown.clone());
        let arguments = exchange
            .extra_params
            .iter()
            .find(|(key, _)| *key == "arguments")
            .map(|(_, arguments)| arguments.clone())
            .or_else(|| {
                exchange
                    .request
                    .body("arguments")
                    .map(Bytes::copy_from_slice)
            });
        let (faults, definition) = self.faults(upstream, &real, arguments.as_ref())?;
        let help = help_for_server_error(&real, &faults, &definition)?;
        if is_refused {
            let span = message.body_span("message")?;
            let said = text::string_value(&message.raw()[span.clone()])?;
            return Some(Edit {
                range: span,
                with: text::to_string(&format!("{said}\n{help}")).into(),
            });
        }
        let span = message.body_span("content")?;
        let content = &message.raw()[span.clone()];
        if content.first() != Some(&b'[') {
            return None;
        }
        let mut block = Vec::new();
        if !members::elements(content).is_empty() {
            block.push(b',');
        }
        block.extend_from_slice(b"{\"type\":\"text\",\"text\":");
        text::push_string(&mut block, &help);
        block.push(b'}');
        Some(Edit {
            range: span.end - 1..span.end - 1,
            with: block.into(),
        })
    }

    /// Returns what is wrong with arguments by the tool's original schema, and the tool; none where they
    /// are right or nobody can tell.
    fn faults(
        &mut self,
        upstream: UpstreamId,
        real: &str,
        arguments: Option<&Bytes>,
    ) -> Option<(Vec<Fault>, String)> {
        let definition = self.original_tool(upstream, real)?;
        let schema = members::get(&definition, "inputSchema")?;
        let key = *blake3::hash(schema).as_bytes();
        if !self.validators.contains_key(&key) {
            if self.validators.len() >= VALIDATORS {
                self.validators.clear();
            }
            let compiled = std::str::from_utf8(schema)
                .ok()
                .and_then(|schema| Validator::compile(schema, &Limits::default()).ok());
            self.validators.insert(key, compiled);
        }
        let validator = self.validators.get(&key)?.as_ref()?;
        let arguments = arguments.map_or(&b"{}"[..], |arguments| arguments);
        match validator.check(arguments) {
            Verdict::Faulty(faults) => {
                Some((faults, String::from_utf8_lossy(&definition).into_owned()))
            }
            Verdict::Valid | Verdict::NotChecked(_) => None,
        }
    }

    /// Answers a tool call with a text that the model reads.
    pub(super) fn answer_tool_text(
        &mut self,
        now: Instant,
        id: ExchangeId,
        sentence: &str,
        is_error: bool,
    ) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let mut body = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
        text::push_string(&mut body, sentence);
        body.extend_from_slice(b"}]");
        if is_error {
            body.extend_from_slice(b",\"isError\":true");
        }
        if exchange.era == Era::Modern {
            body.extend_from_slice(b",\"resultType\":\"complete\"");
        }
        body.push(b'}');
        let message = write::response(&exchange.request_id, body.into());
        self.answer(now, id, message, 200);
    }

    /// A call of a tool that nobody has.
    pub(super) fn unknown_tool(&mut self, now: Instant, id: ExchangeId, name: &str) {
        let session = self.exchanges[&id].session;
        let near = self
            .seen_surface(session)
            .and_then(|seen| seen.made.did_you_mean(name))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        let error = ErrorObject::new(INVALID_PARAMS, format!("Unknown tool: {name}{near}"));
        self.fail(now, id, &error);
    }
}

/// Ours first: what a server adds later is appended and moves nothing.
fn items_of(made: &Made) -> Vec<Bytes> {
    let surface = &made.surface;
    let shown = surface.tools.iter().flatten();
    surface
        .meta_tools
        .iter()
        .chain(shown.filter_map(|tool| tool.text.as_ref()))
        .cloned()
        .collect()
}

fn key_of(parts: &[Part], settings: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    // Another version may render differently.
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(settings.as_bytes());
    for part in parts {
        add(part.server.as_bytes());
        add(&(part.tools.len() as u64).to_le_bytes());
        for tool in &part.tools {
            add(tool);
        }
    }
    *hasher.finalize().as_bytes()
}
