//! Reading kept results: calls of `read_result`, and `resources/read` of our own URIs. What is asked is
//! worked out here; the store is read and searched away from the loop.
//!
//! Whose results a session may read is decided here and nowhere else: by its principal, which also named
//! them when they were kept.

use std::time::Instant;

use crate::jsonrpc::error::{ErrorObject, INVALID_PARAMS};
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::mcp::error::RESOURCE_NOT_FOUND;
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::version::Era;
use crate::result::handle::Handle;
use crate::result::options::Cap;
use crate::result::query::{self, Query, URI_PREFIX};
use crate::session::{Link, Principal, SessionId};
use crate::surface::meta_tools::MetaTool;
use crate::surface::plan::ReadsResults;

use super::Hub;
use super::action::Action;
use super::exchange::{ExchangeId, Plan};
use super::ledger::Noted;
use crate::token::Tokens;
use crate::token::ledger::Basis;

/// Something to read.
#[derive(Debug, Clone)]
pub struct ReadJob {
    /// Whose results may be read, as in the keys of stores.
    pub principal: String,
    /// What.
    pub what: ReadWhat,
}

/// What is read of a kept result.
#[derive(Debug, Clone)]
pub enum ReadWhat {
    /// A part, for a model.
    Part {
        /// Which.
        query: Box<Query>,
        /// The name under which the client sees `read_result`.
        tool: String,
        /// How much may be sent; none = all of it.
        cap: Option<Cap>,
    },
    /// All of it, or one block, as a resource.
    Resource {
        /// The URI as it was sent.
        uri: String,
        /// Of which result.
        handle: Handle,
        /// Which block.
        block: Option<usize>,
    },
}

/// Of which answer something was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The configured name of its server.
    pub server: String,
    /// The tool's name as its server has it.
    pub tool: String,
    /// Tokens that were read.
    pub tokens: Tokens,
}

/// Which call a kept result came of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The configured name of its server; empty where that was not kept.
    pub server: String,
    /// The tool's name as its server has it; empty where that is not known.
    pub tool: String,
    /// The raw arguments; none where they were not kept.
    pub arguments: Option<String>,
}

/// What was read, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it came from; none where nothing was found.
    pub of: Option<Origin>,
    /// What is answered, if that may be read.
    pub outcome: ReadOutcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Texts for the model, each a block, and what is noted of them.
    Texts(Vec<String>, Option<Fetched>),
    /// A raw block of `content`.
    Block(String),
    /// What was wrong, for the model.
    Wrong(String),
    /// The raw `contents` of a resource.
    Contents(String),
    /// There is no such resource.
    NotFound,
}

impl Hub {
    /// Returns under which name a session's results are kept. A number of a session means nothing in
    /// another process, so it is told apart by this process's secret.
    pub(super) fn principal_key(&self, session: SessionId) -> Option<String> {
        let principal = &self.sessions.get(&session)?.principal;
        let Principal::Session(number) = principal else {
            return Some(principal.key());
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"principal of a session");
        hasher.update(&number.to_le_bytes());
        Some(format!("session-{}", &hasher.finalize().to_hex()[..32]))
    }

    /// Tells whether results of a session may be shown in part: they can be kept, and whoever got one can be
    /// known again.
    pub(super) fn reads_results(&self, session: SessionId) -> ReadsResults {
        let comes_back = self.sessions.get(&session).is_some_and(|record| {
            !matches!(record.principal, Principal::Session(_))
                || matches!(record.link, Link::HttpSession(_))
        });
        if !self.settings.keeps_results || !comes_back {
            return ReadsResults::Never;
        }
        self.result_form(session)
            .map_or(ReadsResults::Never, |form| form.lists_read_result)
    }

    /// The name under which clients of a session see `read_result`; none where it is not listed.
    pub(super) fn read_result_name(&self, session: SessionId, era: Era) -> Option<String> {
        let surface = &self.seen_surface(session, era)?.made.surface;
        surface.read_result.as_ref()?;
        Some(surface.names.of(MetaTool::Read).to_owned())
    }

    /// Starts a call of `read_result`.
    pub(super) fn start_read(&mut self, now: Instant, id: ExchangeId, name: &str, arguments: &str) {
        let session = self.exchanges[&id].session;
        let query = match query::parse(arguments) {
            Ok(query) => query,
            Err(error) => return self.answer_tool_text(now, id, &error.text(name), true),
        };
        let cap = self.result_form(session).map_or_else(
            || Some(Cap::default()),
            // That a tool's own answers are capped and others are not says nothing of what is read back.
            |form| form.cap_of(name).or_else(|| Some(Cap::default())),
        );
        let what = ReadWhat::Part {
            query: Box::new(query),
            tool: name.to_owned(),
            cap,
        };
        self.read(now, id, what);
    }

    /// Starts the read of a URI, if it is one of ours; tells whether it was.
    pub(super) fn start_read_uri(&mut self, now: Instant, id: ExchangeId, uri: &str) -> bool {
        let exchange = &self.exchanges[&id];
        let Some(rest) = uri.strip_prefix(URI_PREFIX) else {
            let is_known = !self.is_nobodys_resource(id);
            if !is_known {
                self.no_resource(now, id, uri);
            }
            return !is_known;
        };
        let is_inner = self
            .sessions
            .get(&exchange.session)
            .is_some_and(|session| session.is_inner)
            || exchange.request.meta(meta::HOP).is_some();
        if exchange.request.method() != method::RESOURCES_READ
            || is_inner
            || self.settings.is_transparent
            || !self.settings.keeps_results
        {
            return false;
        }
        let (handle, block) = match rest.split_once("/blocks/") {
            None => (rest, Some(None)),
            Some((handle, block)) => (handle, block.parse().ok().map(Some)),
        };
        match (handle.parse(), block) {
            (Ok(handle), Some(block)) => {
                let uri = uri.to_owned();
                self.read(now, id, ReadWhat::Resource { uri, handle, block });
            }
            _ => self.no_resource(now, id, uri),
        }
        true
    }

    fn read(&mut self, now: Instant, id: ExchangeId, what: ReadWhat) {
        let session = self.exchanges[&id].session;
        let Some(principal) = self.principal_key(session) else {
            return self.handle_read(now, id, ReadOutcome::NotFound);
        };
        self.set_plan(id, Plan::Read);
        let job = Box::new(ReadJob { principal, what });
        self.actions
            .push_back(Action::ReadResult { exchange: id, job });
    }

    /// Takes what was read, and asks the policy of now whether it may be given out.
    pub fn handle_kept(&mut self, now: Instant, id: ExchangeId, kept: Kept) {
        if !self
            .exchanges
            .get(&id)
            .is_some_and(|exchange| matches!(exchange.plan, Plan::Read))
        {
            return;
        }
        // Nothing is left to be stopped.
        self.set_plan(id, Plan::Forward);
        if let Some(origin) = &kept.of
            && self.refuse_kept(now, id, origin)
        {
            return;
        }
        self.handle_read(now, id, kept.outcome);
    }

    /// Answers with what was read.
    pub(super) fn handle_read(&mut self, now: Instant, id: ExchangeId, outcome: ReadOutcome) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let (era, request_id) = (exchange.era, exchange.request_id.clone());
        let session = exchange.session;
        let uri = exchange.request.body_text("uri");
        self.set_plan(id, Plan::Forward);
        match outcome {
            ReadOutcome::Texts(texts, fetched) => {
                if let Some(fetched) = fetched {
                    let noted = Noted {
                        session,
                        server: &fetched.server,
                        tool: &fetched.tool,
                        basis: Basis::Measured,
                    };
                    self.note_fetched(now, noted, fetched.tokens);
                }
                let blocks: Vec<String> = texts
                    .iter()
                    .map(|text| format!("{{\"type\":\"text\",\"text\":{}}}", text::to_string(text)))
                    .collect();
                self.answer_tool_content(now, id, &blocks.join(","), false);
            }
            ReadOutcome::Block(block) => self.answer_tool_content(now, id, &block, false),
            ReadOutcome::Wrong(text) => self.answer_tool_text(now, id, &text, true),
            ReadOutcome::Contents(contents) => {
                let kind = match era {
                    Era::Modern => {
                        ",\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\""
                    }
                    Era::Legacy => "",
                };
                let body = format!("{{\"contents\":{contents}{kind}}}");
                let body = bytes::Bytes::from(body);
                let message = write::response(&request_id, body.into());
                self.audit_outcome(id, "ok", None);
                self.answer(now, id, message, 200);
            }
            ReadOutcome::NotFound => {
                self.no_resource(now, id, &uri.unwrap_or_default());
            }
        }
    }

    /// Unknown, expired and somebody else's look the same.
    fn no_resource(&mut self, now: Instant, id: ExchangeId, uri: &str) {
        let code = match self.exchanges[&id].era {
            Era::Legacy => RESOURCE_NOT_FOUND,
            Era::Modern => INVALID_PARAMS,
        };
        let error = ErrorObject::new(code, "Resource not found: it is not known or expired")
            .with_data(&serde_json::json!({"uri": uri}));
        self.fail(now, id, &error);
    }
}
