//! What is watched in definitions: they are compared with their pins, hidden characters are taken out of what
//! is shown, and the driver is asked to scan what is new. Off with `--transparent`. Decides on definitions as
//! they were sent.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{Edit, splice};
use crate::mcp::meta;
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;
use crate::policy::guard::{Guard, HiddenMode};
use crate::policy::hidden::{self, clean_definition};
use crate::policy::pins::{Drift, Mode, Pins};
use crate::policy::scan::visible;
use crate::session::{Principal, SessionId};
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::{Action, NoteLevel, PinnedList};
use super::exchange::{Exchange, ExchangeId};
use super::naming::NameKind;
use super::policy::Ruling;
use super::rescue::Trouble;
use super::timers::TimerKey;

/// Characters of a name that are repeated.
const SHOWN: usize = 128;
/// Names that one line of the log has.
const NAMES: usize = 8;
/// Pins that are in memory; beyond this those that no connection uses go.
const PINS: usize = 1024;
/// Scanned sets of lists that are remembered.
const SCANNED: usize = 1024;

impl Hub {
    /// What is watched; nothing where nothing is changed.
    fn guard(&self) -> Option<&Guard> {
        (!self.settings.is_transparent).then_some(&self.settings.guard)
    }

    fn enforces_pins(&self) -> bool {
        self.guard()
            .is_some_and(|guard| guard.pins == Mode::Enforce)
    }

    /// Tells whether tools can be left out of lists or stand in them otherwise than their server sent them, by
    /// more than their prose.
    pub(super) fn guard_edits_lists(&self) -> bool {
        self.enforces_pins()
            || self
                .guard()
                .is_some_and(|guard| guard.hidden == HiddenMode::Withhold)
    }

    /// Tells whether hidden characters are taken out of what a session sees. An inner hop sends originals.
    fn cleans(&self, session: SessionId) -> bool {
        let is_inner = self
            .sessions
            .get(&session)
            .is_some_and(|record| record.is_inner);
        !is_inner
            && self
                .guard()
                .is_some_and(|guard| guard.hidden != HiddenMode::Off)
    }

    /// The version of the rules by which hidden characters are taken out of a session's lists, for their key.
    pub(super) fn removes_hidden(&self, session: SessionId) -> u64 {
        match self.cleans(session) {
            true => hidden::VERSION,
            false => 0,
        }
    }

    /// Asks for the pins of a connection. Their key has the server, the principal and the era: what servers
    /// offer differs by these for good reasons. All who cannot be told apart share one.
    pub(super) fn ask_pins(&mut self, upstream: UpstreamId) {
        if self.guard().is_none_or(|guard| guard.pins == Mode::Off) {
            return;
        }
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let Some(whose) = self
            .whose_pins(upstream)
            .filter(|_| record.pin_key.is_none())
        else {
            return;
        };
        let mut hasher = blake3::Hasher::new();
        for part in [
            "pins",
            &self.settings.servers[record.server].pin_identity,
            &whose,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let key = hasher.finalize().to_hex()[..32].to_owned();
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.pin_key = Some(key.clone());
        }
        if !self.pins.contains_key(&key) {
            self.actions.push_back(Action::LoadPins { upstream, key });
        }
    }

    /// Takes the pins of a connection's server, or the word that there are none.
    pub fn handle_pins(&mut self, upstream: UpstreamId, pins: Option<Pins>) {
        let key = self
            .upstreams
            .get(&upstream)
            .and_then(|record| record.pin_key.clone());
        let (Some(key), Some(pins)) = (key, pins) else {
            return;
        };
        if self.pins.len() >= PINS {
            let used: Vec<&String> = self
                .upstreams
                .values()
                .filter_map(|record| record.pin_key.as_ref())
                .collect();
            self.pins.retain(|key, _| used.contains(&key));
        }
        // Texts are needed only where they are shown in place of others.
        let pins = match self.enforces_pins() {
            true => pins,
            false => pins.without_definitions(),
        };
        self.pins.insert(key, pins);
    }

    /// Looks at a server's whole list of tools: compares it with the pins, and has it scanned. At once where pins
    /// decide what is listed, else when the list is on its way.
    pub(super) fn look_at_tools(&mut self, upstream: UpstreamId) {
        if self.enforces_pins() {
            return self.handle_look(upstream);
        }
        self.actions.push_back(Action::LookAtTools { upstream });
    }

    /// Does what [`Action::LookAtTools`] asked for. A connection that is gone has nothing to look at.
    pub fn handle_look(&mut self, upstream: UpstreamId) {
        self.observe_pins(upstream);
        self.ask_scan(upstream);
    }

    fn observe_pins(&mut self, upstream: UpstreamId) {
        let Some(guard) = self.guard().filter(|guard| guard.pins != Mode::Off) else {
            return;
        };
        let (mode, volatile) = (guard.pins, guard.volatile.clone());
        let Some(record) = self.upstreams.get(&upstream) else {
            return;
        };
        let (Some(key), Some(list)) = (&record.pin_key, &record.list(ListKind::Tools).live) else {
            return;
        };
        let (tools, digest) = (list.items.clone(), list.fingerprint);
        // A list that was cut short says nothing of the tools that are missing, and something of the others.
        let pins = self.pins.entry(key.clone()).or_default();
        if pins.is_known && pins.list == Some(digest) {
            return;
        }
        let observed = pins.observe(&tools, digest, &volatile, mode);
        if mode != Mode::Enforce {
            *pins = std::mem::take(pins).without_definitions();
        }
        let key = key.clone();
        let server = self.server_name(upstream);
        let of = |drift: Drift| {
            let names = observed.drifted.iter().filter(|(_, is)| *is == drift);
            listed(names.map(|(name, _)| name))
        };
        if let Some(names) = of(Drift::Changed) {
            let then = match mode {
                Mode::Enforce => {
                    "calls of what changed are refused, and the pinned definition stays listed"
                }
                _ => "calls are made",
            };
            self.note(
                NoteLevel::Warn,
                &server,
                format!("the server changed the definition of {names} since it was pinned; {then}\nhint: `mcp-whittle pins diff` shows the change, `mcp-whittle pins approve` trusts it"),
            );
        }
        if let Some(names) = of(Drift::New) {
            self.note(
                NoteLevel::Warn,
                &server,
                format!("{names} came after the server was pinned and is not approved; it is not listed, and calls are refused\nhint: `mcp-whittle pins diff` shows it, `mcp-whittle pins approve` trusts it"),
            );
        }
        if let Some(names) = listed(observed.added.iter()) {
            self.note(NoteLevel::Info, &server, format!("new and pinned: {names}"));
        }
        if observed.is_changed {
            let whose = self.whose_pins(upstream).unwrap_or_default();
            let kept = PinnedList {
                key,
                server,
                whose,
                tools,
                list: digest,
            };
            self.actions.push_back(Action::ObservePins(Box::new(kept)));
        }
    }

    /// Whose pins a connection uses; none while its client is not known.
    fn whose_pins(&self, upstream: UpstreamId) -> Option<String> {
        let set = self.upstreams.get(&upstream)?.set;
        let is_legacy = self
            .users_of(set)
            .any(|session| self.sessions[&session].legacy.is_some());
        let set = self.sets.get(&set)?;
        let era = match (is_legacy, &set.modern) {
            (true, _) => Era::Legacy,
            (false, Some(_)) => Era::Modern,
            (false, None) => return None,
        };
        Some(whose(&set.principal, era))
    }

    /// Has the tools of a connection's set scanned, once for the same lists.
    fn ask_scan(&mut self, upstream: UpstreamId) {
        let is_wanted = self
            .guard()
            .is_some_and(|guard| guard.warns || guard.hidden != HiddenMode::Off);
        let Some(record) = self.upstreams.get(&upstream).filter(|_| is_wanted) else {
            return;
        };
        let Some(set) = self.sets.get(&record.set) else {
            return;
        };
        let mut hasher = blake3::Hasher::new();
        let mut tools = Vec::new();
        for other in &set.upstreams {
            let Some(list) = self.shown_list(*other, ListKind::Tools) else {
                continue;
            };
            let name = self.server_name(*other);
            hasher.update(name.as_bytes());
            hasher.update(&list.fingerprint);
            tools.push((name, list.items.clone()));
        }
        if self.scanned.len() >= SCANNED {
            self.scanned.clear();
        }
        if !self.scanned.insert(*hasher.finalize().as_bytes()) {
            return;
        }
        let about = self.server_name(upstream);
        self.actions.push_back(Action::ScanTools { about, tools });
    }

    /// Answers a call of a tool whose definition is not what an operator trusts; tells whether it did, or
    /// whether the call waits for that definition.
    pub(super) fn refuse_guarded(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        real: &str,
    ) -> bool {
        self.refuse_unlocked(now, id, upstream, shown, real)
            || self.refuse_drifted(now, id, upstream, shown, real)
            || self.refuse_hidden(now, id, upstream, shown, real)
    }

    fn refuse_drifted(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        real: &str,
    ) -> bool {
        if !self.enforces_pins() {
            return false;
        }
        if self.waits_for_list(now, id, upstream) {
            return true;
        }
        let Some(record) = self.upstreams.get(&upstream) else {
            return false;
        };
        let state = record.list(ListKind::Tools);
        let Some(live) = state.live.as_ref().filter(|_| state.is_confirmed) else {
            let why = "its definition is not known, so it cannot be compared with its pin";
            return self.not_called(
                now,
                id,
                upstream,
                shown,
                why,
                "call again when the server lists its tools",
            );
        };
        let pins = record.pin_key.as_ref().and_then(|key| self.pins.get(key));
        let drift = match pins {
            Some(pins)
                if pins.is_all_trusted(&live.fingerprint) && pins.tools.contains_key(real) =>
            {
                None
            }
            Some(pins) => pins.drift_of(real, &live.items, &self.settings.guard.volatile),
            None => Some(Drift::New),
        };
        let why = match drift {
            None => return false,
            // What its server does not list is its server's to refuse.
            Some(_) if live.named(real).is_none() => return false,
            Some(Drift::Changed) => "its server changed its definition since it was pinned",
            Some(Drift::New) => "it came after its server was pinned, and nobody approved it",
        };
        // An operator may have approved it meanwhile: the next call sees that.
        if let Some(key) = record.pin_key.clone() {
            self.actions.push_back(Action::LoadPins { upstream, key });
        }
        let hint = "an operator has to review it: `mcp-whittle pins diff` shows it, `mcp-whittle pins approve` trusts it; then call again";
        self.not_called(now, id, upstream, shown, why, hint)
    }

    /// Lets a call wait until its server's tools are known as they are now. `false` where they are, where the server
    /// is not there and nothing can run (what was known last judges then), and where it did not tell when asked.
    pub(super) fn waits_for_list(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
    ) -> bool {
        let is_confirmed = self
            .upstreams
            .get(&upstream)
            .is_some_and(|record| record.list(ListKind::Tools).is_confirmed);
        if is_confirmed {
            return false;
        }
        self.wake(now, upstream, Some(id));
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return true;
        };
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return false;
        };
        if record.is_down() {
            return false;
        }
        if record.is_ready() {
            let is_asked = std::mem::replace(&mut exchange.waited_for_definition, true);
            let fetch = record.list(ListKind::Tools).fetch.as_ref();
            let is_late = fetch.is_some_and(|fetch| fetch.is_late);
            if is_asked || is_late || !record.may_have(&["tools"]) {
                return false;
            }
        }
        exchange.upstream = Some(upstream);
        record.list_mut(ListKind::Tools).held.push(id);
        let server = &self.settings.servers[record.server];
        if let Some(at) = now.checked_add(server.start_timeout) {
            self.timers.set(TimerKey::Exchange(id), at);
        }
        self.fetch_list(now, upstream, ListKind::Tools);
        true
    }

    /// A call waited long enough for what its server lists, as that is busy or its answer was lost: it and all that
    /// wait with it go on by what is known. Tells whether it was such a call.
    pub(super) fn held_timeout(&mut self, now: Instant, id: ExchangeId) -> bool {
        let upstream = self.exchanges.get(&id).and_then(|one| one.upstream);
        let Some(record) = upstream.and_then(|upstream| self.upstreams.get_mut(&upstream)) else {
            return false;
        };
        let is_ready = record.is_ready();
        let state = record.list_mut(ListKind::Tools);
        if !is_ready || !state.held.contains(&id) {
            return false;
        }
        if let Some(fetch) = &mut state.fetch {
            fetch.is_late = true;
        }
        self.release_held(now, upstream.unwrap_or_default(), ListKind::Tools);
        true
    }

    /// A call that did not run is about to be sent to a server that may not be the one it was judged for: tells
    /// whether it may still run, and answers it if not. The tools were read anew.
    pub(super) fn may_still_run(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
    ) -> bool {
        if !self.is_judged_by_definition(id) {
            return true;
        }
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let shown = exchange.request.body_text("name").unwrap_or_default();
        let real = exchange.real_name.clone().unwrap_or_else(|| shown.clone());
        if exchange.is_through_caller {
            let detail = "its tools were read anew; call again".to_owned();
            self.fail_with(now, id, &Trouble::Unavailable { detail });
            return false;
        }
        if self.refuse_guarded(now, id, upstream, &shown, &real) {
            return false;
        }
        let arguments = self.exchanges.get(&id).and_then(Exchange::sent_arguments);
        let decision = self.decide(id, upstream, &real, arguments.as_deref());
        match self.rule_on(now, id, upstream, &shown, &decision) {
            Ruling::Pass | Ruling::Ask(_) => true,
            Ruling::Unknown => {
                self.unknown_tool(now, id, &shown);
                false
            }
            Ruling::Answered => false,
        }
    }

    /// Tells whether an operator lets calls run by their tool's definition, and this is one.
    pub(super) fn is_judged_by_definition(&self, id: ExchangeId) -> bool {
        let withholds = self
            .guard()
            .is_some_and(|guard| guard.hidden == HiddenMode::Withhold);
        let is_locked = self.settings.locked.is_some() && !self.settings.is_transparent;
        self.is_call(id)
            && (is_locked
                || withholds
                || self.enforces_pins()
                || self.settings.policy.reads_definitions())
    }

    /// Goes on with calls that waited for their server's tools, once those are known or cannot be.
    pub(super) fn release_held(&mut self, now: Instant, upstream: UpstreamId, kind: ListKind) {
        if kind != ListKind::Tools {
            return;
        }
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        for id in std::mem::take(&mut record.list_mut(ListKind::Tools).held) {
            if self.exchanges.contains_key(&id) {
                self.timers.clear(TimerKey::Exchange(id));
                self.start_named(now, id, NameKind::Tool);
            }
        }
    }

    fn refuse_hidden(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        real: &str,
    ) -> bool {
        let withholds = self
            .guard()
            .is_some_and(|guard| guard.hidden == HiddenMode::Withhold);
        if !withholds {
            return false;
        }
        if self.waits_for_list(now, id, upstream) {
            return true;
        }
        // The definition is looked for in the whole list, which is long for every call of a long one.
        let is_refused = self
            .confirmed_tool(upstream, real)
            .is_some_and(|tool| !clean_definition(&tool).kept.is_empty());
        if !is_refused {
            return false;
        }
        let why = "its definition has characters that people do not see in names or values";
        self.not_called(
            now,
            id,
            upstream,
            shown,
            why,
            "an operator has to review it: `mcp-whittle scan` shows where",
        )
    }

    /// Answers a call that is not made, and tells the operator; true, for who asks whether it was answered.
    pub(super) fn not_called(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        why: &str,
        hint: &str,
    ) -> bool {
        let name: String = visible(shown).chars().take(SHOWN).collect();
        let server = self.server_name(upstream);
        self.note(
            NoteLevel::Warn,
            &server,
            format!("a call of `{name}` was refused: {why}"),
        );
        let text = format!("Not called: `{name}`: {why}.\nhint: {hint}");
        self.answer_tool_text(now, id, &text, true);
        true
    }

    /// What is shown in place of an item of a list: the trusted definition, without hidden characters; none
    /// where it is left out.
    pub(super) fn guarded_item(
        &self,
        session: SessionId,
        upstream: UpstreamId,
        kind: ListKind,
        raw: &Bytes,
    ) -> Option<Bytes> {
        let trusted = match kind {
            ListKind::Tools => self.trusted_item(upstream, raw)?,
            _ => raw.clone(),
        };
        if !self.cleans(session) {
            return Some(trusted);
        }
        let cleaned = clean_definition(&trusted);
        let withholds = self.settings.guard.hidden == HiddenMode::Withhold;
        if kind == ListKind::Tools && withholds && !cleaned.kept.is_empty() {
            return None;
        }
        Some(spliced(&trusted, cleaned.edits))
    }

    /// The definition that is trusted in place of one; none for a tool that nobody approved.
    fn trusted_item(&self, upstream: UpstreamId, raw: &Bytes) -> Option<Bytes> {
        let record = self
            .upstreams
            .get(&upstream)
            .filter(|_| self.enforces_pins());
        let Some(record) = record else {
            return Some(raw.clone());
        };
        let pins = record.pin_key.as_ref().and_then(|key| self.pins.get(key));
        // Before its first list a server has no pins, and what it says is trusted.
        let Some(pins) = pins.filter(|pins| pins.is_known) else {
            return Some(raw.clone());
        };
        let name = members::get_text(raw, "name")?;
        let same = std::slice::from_ref(raw);
        match pins.drift_of(&name, same, &self.settings.guard.volatile) {
            None => Some(raw.clone()),
            Some(Drift::New) => None,
            Some(Drift::Changed) => pins.trusted_definition(&name),
        }
    }

    /// An item without hidden characters, if this session is shown it so.
    pub(super) fn cleaned(&self, session: SessionId, raw: &Bytes) -> Bytes {
        match self.cleans(session) {
            true => spliced(raw, clean_definition(raw).edits),
            false => raw.clone(),
        }
    }

    /// A definition as it is quoted in texts of ours.
    pub(super) fn cleaned_definition(&self, raw: &Bytes) -> Bytes {
        let cleans = self
            .guard()
            .is_some_and(|guard| guard.hidden != HiddenMode::Off);
        match cleans {
            true => spliced(raw, clean_definition(raw).edits),
            false => raw.clone(),
        }
    }

    /// A text of a handshake without hidden characters.
    pub(super) fn cleaned_text(&self, session: SessionId, text: String) -> String {
        match self.cleans(session) {
            true => hidden::clean(&text).into_owned(),
            false => text,
        }
    }

    /// The raw result of a handshake without hidden characters in its instructions.
    pub(super) fn cleaned_handshake(&self, session: SessionId, result: Bytes) -> Bytes {
        let Some(span) = members::member(&result, "instructions").filter(|_| self.cleans(session))
        else {
            return result;
        };
        let Some(said) = hidden::read_leniently(&result[span.clone()]) else {
            return result;
        };
        let cleaned = hidden::clean(&said.text);
        if cleaned == said.text && said.halves.is_empty() {
            return result;
        }
        let edit = Edit {
            range: span,
            with: text::to_string(&cleaned).into(),
        };
        spliced(&result, vec![edit])
    }

    /// A page that passes through, without hidden characters in its items.
    pub(super) fn cleaned_page(&self, id: ExchangeId, kind: ListKind, message: Message) -> Message {
        let is_ours = self.exchanges.get(&id).is_some_and(|exchange| {
            self.cleans(exchange.session) && exchange.request.meta(meta::HOP).is_none()
        });
        let result = message
            .span(EnvelopeKey::Result)
            .filter(|span| is_ours && message.raw()[span.start] == b'{');
        let Some(result) = result else {
            return message;
        };
        let raw = &message.raw()[result.clone()];
        let Some(array) = members::member(raw, kind.member()) else {
            return message;
        };
        let start = result.start + array.start;
        let mut edits = Vec::new();
        for item in members::elements(&raw[array.clone()]) {
            let at = start + item.start;
            let cleaned = clean_definition(&raw[array.start + item.start..array.start + item.end]);
            edits.extend(cleaned.edits.into_iter().map(|edit| Edit {
                range: at + edit.range.start..at + edit.range.end,
                with: edit.with,
            }));
        }
        if edits.is_empty() {
            return message;
        }
        let raw = spliced(message.raw(), edits);
        Message::parse_single(raw, self.settings.limits.message).unwrap_or(message)
    }
}

fn spliced(raw: &Bytes, edits: Vec<Edit>) -> Bytes {
    match edits.is_empty() {
        true => raw.clone(),
        false => splice(raw, edits).to_bytes(),
    }
}

/// `a`, `b` and 3 more; none of none.
fn listed<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    let all: Vec<String> = names
        .map(|name| {
            let name: String = visible(name).chars().take(SHOWN).collect();
            format!("`{name}`")
        })
        .collect();
    if all.len() > NAMES {
        let more = all.len() - NAMES;
        return Some(format!("{} and {more} more", all[..NAMES].join(", ")));
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whose pins they are. Sessions without a token cannot be told apart over time, so they share theirs.
fn whose(principal: &Principal, era: Era) -> String {
    let principal = match principal {
        Principal::Session(_) => "anonymous".to_owned(),
        other => other.key(),
    };
    let era = match era {
        Era::Legacy => "legacy",
        Era::Modern => "modern",
    };
    format!("{principal}, {era}")
}
