//! Lists as surfaces, and the calls that a surface makes possible: tools of our own, and arguments checked
//! where we did not show the schema.
//!
//! A surface is made away from the loop and kept by what it was made of. Each set of connections
//! remembers the one its clients saw, by era; under a set budget it stays until the set ends, and changes
//! wait. What takes too long or fails is shown as it came.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::catalog::app::is_for_model;
use crate::catalog::risk::RiskClass;
use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::policy::scan::visible;
use crate::surface::epoch::EpochKey;
use crate::surface::ladder::Rung;
use crate::surface::made::{Live, Made};
use crate::surface::meta_tools::{
    MetaCall, MetaTool, no_caller_text, parse_call, unknown_tool_text, wrong_caller_text,
};
use crate::surface::plan::Part;
use crate::surface::validate::tool_error_text;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::{Action, NoteLevel};
use super::exchange::{ExchangeId, Plan};
use super::naming::{NameKind, is_taken_by_all};
use super::policy::Ruling;
use super::seen::guarded;
use super::timers::TimerKey;

/// Surfaces that are kept; beyond this those that no client sees any more go.
const SURFACES: usize = 64;
/// Tools whose calls are counted.
const USES: usize = 10_000;
/// Characters of a name that are repeated to the operator.
const ODD_NAME: usize = 80;
/// How long a list waits for its surface; then it is shown as it came, and stays so.
pub(super) const MAKING: Duration = Duration::from_secs(20);

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
        now: Instant,
        id: ExchangeId,
        parts: &[(UpstreamId, Vec<Bytes>)],
        is_complete: bool,
    ) -> Option<Vec<Bytes>> {
        let exchange = self.exchanges.get(&id)?;
        let (session, era) = (exchange.session, exchange.era);
        let settings = self.plan_settings(session)?;
        let came = parts.iter().flat_map(|(_, tools)| tools).map(Bytes::len);
        let came: usize = came.sum();
        if let Some(frozen) = self.frozen(session, era) {
            let items = items_of(&frozen);
            self.note_list(now, id, &frozen, came, &items);
            return Some(items);
        }
        let upstreams: Vec<UpstreamId> = parts.iter().map(|(upstream, _)| *upstream).collect();
        let parts: Vec<Part> = parts
            .iter()
            .map(|(upstream, tools)| Part {
                server: self.server_name(*upstream),
                tools: self.without_shared(session, *upstream, tools),
            })
            .collect();
        let policy = self.settings.policy.fingerprint();
        let key = EpochKey {
            policy: &policy,
            removes_hidden: self.removes_hidden(session),
            ..EpochKey::new(&settings, self.profile_name(session))
        }
        .of(&parts);
        let known = self.surfaces.get(&key).cloned();
        if known.is_none() {
            self.forget_surfaces();
            self.surfaces.insert(key, None);
            self.actions.push_back(Action::MakeSurface {
                key,
                parts: parts.clone(),
                settings: Arc::new(settings),
            });
        }
        if self.settings.is_shadow {
            // It is made for the account only; what is not changed is not held up.
            return Some(parts.into_iter().flat_map(|part| part.tools).collect());
        }
        let made = match known.flatten() {
            Some(made) => made,
            None if self.waits_for_surface(now, id) => return None,
            None => {
                self.note(
                    NoteLevel::Error,
                    "",
                    format!("the tools could not be shortened within {MAKING:?}; they are shown as they came"),
                );
                let made = Arc::new(Made::untouched(&parts));
                self.surfaces.insert(key, Some(Arc::clone(&made)));
                made
            }
        };
        let items = items_of(&made);
        self.note_list(now, id, &made, came, &items);
        self.remember_seen(session, era, made, &upstreams, is_complete);
        Some(items)
    }

    /// Lets a list wait for its surface; `false` once it waited long enough.
    fn waits_for_surface(&mut self, now: Instant, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return true;
        };
        let until = *exchange.surface_by.get_or_insert(now + MAKING);
        if now >= until {
            return false;
        }
        self.timers.set(TimerKey::Merge(id), until);
        self.surface_waiting.insert(id);
        true
    }

    /// Takes a surface that was made.
    pub fn handle_surface(&mut self, now: Instant, key: [u8; 32], made: Arc<Made>) {
        // What clients were shown because it came too late stays.
        if !matches!(self.surfaces.get(&key), Some(Some(_))) {
            self.tell_surface(&made);
            self.surfaces.insert(key, Some(made));
        }
        for id in std::mem::take(&mut self.surface_waiting) {
            self.finish_list(now, id);
        }
    }

    fn tell_surface(&mut self, made: &Made) {
        let surface = &made.surface;
        if let Some(shortfall) = &surface.shortfall {
            self.note(NoteLevel::Warn, "", shortfall.to_string());
        }
        self.tell_names(made);
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

    /// Names that a client may refuse stay, because most take them; the operator is told.
    fn tell_names(&mut self, made: &Made) {
        let mut odd = made.listed_names().filter(|name| !is_taken_by_all(name));
        let Some(first) = odd.next() else {
            return;
        };
        let first: String = visible(first).chars().take(ODD_NAME).collect();
        let more = match odd.count() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let text = format!(
            "some clients refuse tools that are called like `{first}`{more}: safe are 1 to 64 letters, digits, `_` and `-`; they are listed as they are\nhint: --pin 'NAME=hidden' leaves one out; it can still be searched and called through tools of ours"
        );
        self.note(NoteLevel::Warn, "", text);
    }

    fn forget_surfaces(&mut self) {
        if self.surfaces.len() >= SURFACES {
            self.surfaces
                .retain(|_, made| made.as_ref().is_none_or(|made| Arc::strong_count(made) > 1));
        }
    }

    /// Starts a call where it is for one of our own tools; tells whether it was.
    pub(super) fn start_meta_call(&mut self, now: Instant, id: ExchangeId, name: &str) -> bool {
        if !self.shapes(id, ListKind::Tools) || self.settings.is_shadow {
            return false;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let Some(seen) = self.seen_surface(exchange.session, exchange.era) else {
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
        let (seen, session) = (seen.clone(), exchange.session);
        let made = &seen.made;
        let Some(meta_tool) = made.meta_tool(name) else {
            return false;
        };
        let live = |name: &str| self.live(session, &seen, name);
        let cost = |name: &str| self.call_cost(session, name);
        let arguments = exchange.request.body("arguments").unwrap_or(b"{}");
        let names = &made.surface.names;
        match parse_call(meta_tool, arguments, names, &**made) {
            Ok(MetaCall::Search {
                queries,
                server,
                limit,
            }) => {
                let found = guarded(|| {
                    made.search_with_costs(&queries, server.as_deref(), limit, &live, &cost)
                });
                let (text, is_error) = match found {
                    Some(Ok(text)) => (text, false),
                    Some(Err(unknown)) => {
                        let servers = made.servers().join(", ");
                        (format!("{unknown}; there are: {servers}"), true)
                    }
                    None => (
                        "The search failed. Tools can still be described and called by name."
                            .to_owned(),
                        true,
                    ),
                };
                self.answer_tool_text(now, id, &text, is_error);
            }
            Ok(MetaCall::Describe {
                names,
                output_schema,
            }) => {
                let shape = |name: &str, definition: &str| {
                    self.shape_of(session, name, definition.as_bytes())
                };
                let text = made.describe_with_shapes(&names, output_schema, &live, &shape);
                self.answer_tool_text(now, id, &text, false);
            }
            Ok(MetaCall::Call {
                risk,
                tool,
                arguments,
                ..
            }) => self.start_inner_call(now, id, made, risk, &tool, arguments.into()),
            Ok(MetaCall::Read { arguments }) => self.start_read(now, id, name, &arguments),
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
            Some(only) => Some((only, name.to_owned())),
            None => self.resolve(session, NameKind::Tool, name),
        };
        // Known is what was shown, and what came since; a name that only looks like one is neither.
        let target = target.filter(|(upstream, real)| {
            made.tool(name).is_some() || self.original_tool(*upstream, real).is_some()
        });
        let mut asks_by = None;
        let target = match target {
            Some((upstream, real)) => {
                let decision = self.decide(id, upstream, &real, Some(&arguments));
                self.audit_call(id, upstream, &real, &decision, Some(&arguments));
                match self.rule_on(now, id, upstream, name, &decision) {
                    Ruling::Pass => Some((upstream, real)),
                    Ruling::Ask(reason) => {
                        asks_by = Some(reason);
                        Some((upstream, real))
                    }
                    Ruling::Unknown => None,
                    Ruling::Answered => return,
                }
            }
            None => None,
        };
        let Some((upstream, real)) = target else {
            let near = self.near_name(id, name);
            let text = unknown_tool_text(names, name, near.as_deref());
            return self.answer_tool_text(now, id, &text, true);
        };
        if self.refuse_guarded(now, id, upstream, name, &real) {
            return;
        }
        // Live definitions decide; the one that was shown stands in where the server does not tell.
        if self.waits_for_list(now, id, upstream) {
            return;
        }
        let definition = self
            .original_tool(upstream, &real)
            .or_else(|| made.tool(name).map(|tool| tool.definition.clone()));
        // A tool that only an App may use is none for a model.
        if definition.as_ref().is_some_and(|raw| !is_for_model(raw)) {
            let near = self.near_name(id, name);
            let text = unknown_tool_text(names, name, near.as_deref());
            return self.answer_tool_text(now, id, &text, true);
        }
        let is = definition
            .as_ref()
            .map_or(RiskClass::Destructive, |raw| RiskClass::of_definition(raw));
        if is != risk {
            let text = match made.lists_caller(is) {
                true => wrong_caller_text(names, name, risk, is),
                false => no_caller_text(names, name, risk, is),
            };
            return self.answer_tool_text(now, id, &text, true);
        }
        let decided_on = arguments.clone();
        let arguments = self
            .take_projection(id, definition.as_ref(), name, Some(&arguments))
            .unwrap_or(arguments);
        if let Some((faults, definition)) = self.faults(upstream, &real, Some(&arguments)) {
            let text = tool_error_text(name, &faults, &definition, Rung::Hidden);
            return self.answer_tool_text(now, id, &text, true);
        }
        if let Some(reason) = asks_by {
            if self.hold(now, id, upstream, (name, &real), &reason, Some(&decided_on)) {
                return;
            }
            self.remember_approval(id, upstream, &real);
        }
        self.count_use(id, name);
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.real_name = Some(real);
            exchange.is_through_caller = true;
            exchange.extra_params.retain(|(key, _)| *key != "arguments");
            exchange.extra_params.push(("arguments", arguments));
        }
        self.forward(now, id, upstream);
    }

    /// Counts a call, for the weights of a later epoch and for what its answer costs.
    pub(super) fn count_use(&mut self, id: ExchangeId, name: &str) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.counted_as = Some(name.to_owned());
        }
        if let Some(calls) = self.uses.get_mut(name) {
            *calls += 1;
        } else if self.uses.len() < USES {
            self.uses.insert(name.to_owned(), 1);
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
        let block = format!(
            "{{\"type\":\"text\",\"text\":{}}}",
            text::to_string(sentence)
        );
        self.answer_tool_content(now, id, &block, is_error);
    }

    /// Answers a tool call with raw blocks of content.
    pub(super) fn answer_tool_content(
        &mut self,
        now: Instant,
        id: ExchangeId,
        blocks: &str,
        is_error: bool,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let mut body = format!("{{\"content\":[{blocks}]").into_bytes();
        if is_error {
            exchange.measure.ends_as(super::measure::Outcome::ToolError);
            body.extend_from_slice(b",\"isError\":true");
        }
        if exchange.era == Era::Modern {
            body.extend_from_slice(b",\"resultType\":\"complete\"");
        }
        body.push(b'}');
        let message = write::response(&exchange.request_id, body.into());
        self.audit_outcome(id, if is_error { "toolError" } else { "ok" }, None);
        self.answer(now, id, message, 200);
    }

    /// Returns the tool that a client may have meant, if it may know of that one and it is still there.
    fn near_name(&self, id: ExchangeId, name: &str) -> Option<String> {
        let exchange = self.exchanges.get(&id)?;
        let seen = self.seen_surface(exchange.session, exchange.era)?;
        let near = seen.made.did_you_mean(name)?;
        let is_there = !matches!(self.live(exchange.session, seen, near), Live::Gone);
        is_there.then(|| near.to_owned())
    }

    /// A call of a tool that nobody has.
    pub(super) fn unknown_tool(&mut self, now: Instant, id: ExchangeId, name: &str) {
        let near = self
            .near_name(id, name)
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
        .chain(&surface.read_result)
        .chain(shown.filter_map(|tool| tool.text.as_ref()))
        .cloned()
        .collect()
}
