//! The event loop: owns the hub, tells it what happened, does what it wants. Shell.
//!
//! One task owns the hub; everything else (threads of stdio, tasks of children and HTTP) talks to it
//! through one bounded channel. Nothing here decides anything about the protocol.

mod backlog;
mod begin;
mod cache;
mod cgroup;
mod clients;
mod counting;
mod event;
mod guard;
mod hub_settings;
mod later;
mod ledger;
pub mod local;
mod memory;
mod reads;
mod reload;
mod results;
mod servers;
mod sleep;
mod slots;
mod spawn;
mod stores;
mod surfaces;
mod uses;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::config::{Mode, Settings, StateSettings, Tokenizer};
use crate::embeddings::Embeddings;
use crate::hub::Hub;
use crate::hub::action::{Action, Ended, Note, NoteLevel};
use crate::jsonrpc::write::Outgoing;
use crate::session::{STDIO, SessionId};
use crate::store::{self, Store};
use crate::telemetry::audit::AuditSink;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::one_line;
use crate::telemetry::otel::Otel;
use crate::token::{Encoding, TiktokenCounter, TokenCounter};
use crate::transport::admin::{AdminServer, AdminState};
use crate::transport::child::ChildEnd;
use crate::transport::http_server::HttpServer;
use crate::transport::{guard as guard_process, reaper, stderr};
use crate::upstream::UpstreamId;

use begin::{Begin, Signals};
use cache::Tier;
use clients::Clients;
use counting::{Counted, Counting};
use event::Event;
use reads::Reads;
use results::{Shaping, SharedRedactor};
use servers::Servers;
use stores::{open_results, open_store, with_state};

pub use cache::cache_access;
pub use hub_settings::{hub_settings, naming_settings};
pub use spawn::hops_before;

/// Events that may wait for the loop.
const EVENTS: usize = 1024;
/// Events handled before actions are done, so that bursts do not starve writers.
const BURST: usize = 64;
/// How often a client that does not read is looked at.
const STALL_CHECK: Duration = Duration::from_secs(1);

/// How long the audit log may take to be written at the end.
const AUDIT_GRACE: Duration = Duration::from_secs(1);
/// How long telemetry may take to be sent at the end.
const TELEMETRY_GRACE: Duration = Duration::from_secs(1);
/// How long snapshots may take to be written at the end.
const STORE_GRACE: Duration = Duration::from_secs(2);

/// Where the client is.
pub enum Downstream {
    /// On our stdin and stdout.
    Stdio,
    /// Inside this process: messages as JSON texts.
    Channel {
        /// What the client sends.
        from_client: mpsc::Receiver<Bytes>,
        /// What it is sent.
        to_client: mpsc::UnboundedSender<Outgoing>,
    },
    /// On HTTP.
    Http(Box<HttpServer>),
}

/// Reads the configuration again.
pub type Reload = Box<dyn Fn() -> Result<Settings, String> + Send>;

/// Everything the loop needs.
pub struct Setup {
    /// What to run with.
    pub settings: Settings,
    /// Where the client is.
    pub downstream: Downstream,
    /// Health endpoints.
    pub admin: Option<AdminServer>,
    /// Whether another hop of ours lies downstream.
    pub is_inner: bool,
    /// Whether one command is wrapped, whose exit code may become ours.
    pub wraps: bool,
    /// How the configuration is read again on SIGHUP.
    pub reload: Option<Reload>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code (DESIGN "Leaving").
    pub code: u8,
}

/// Runs until the client or a signal ends it. Not cancel safe: dropping it kills the children.
///
/// # Errors
/// When threads or signal handlers cannot be had.
pub async fn run(setup: Setup) -> std::io::Result<Outcome> {
    let begin = Begin::new(&setup.settings)?;
    let mut driver = Driver::new(setup, begin)?;
    driver.start()?;
    let outcome = driver.turn().await;
    stderr::flush(Duration::from_secs(1));
    outcome
}

struct Driver {
    settings: Settings,
    hub: Hub,
    clients: Clients,
    servers: Servers,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    store: Option<Store>,
    shaping: Shaping,
    counting: Counting,
    reads: Reads,
    tier: Tier,
    embeddings: Arc<Embeddings>,
    reload: Option<Reload>,
    admin: Option<AdminServer>,
    admin_state: Arc<AdminState>,
    metrics: Arc<Metrics>,
    kill: CancellationToken,
    drain: CancellationToken,
    is_inner: bool,
    wraps: bool,
    is_ending: bool,
    signals: Signals,
    signal: Option<u8>,
    child_ends: HashMap<usize, ChildEnd>,
    failed_after_end: Option<u8>,
    storing: JoinSet<()>,
    /// What no client waits for.
    later: later::Later,
    redactor: SharedRedactor,
    /// Findings in definitions that the operator knows.
    told: guard::Told,
    is_start_given_back: bool,
    is_rehearsed: bool,
    sleep: sleep::SleepWatch,
    /// Answers that clients had had at the last tick.
    answers_at_tick: u64,
    /// The memory limit that we have.
    memory_group: Option<cgroup::MemoryGroup>,
    /// Most sessions at a time since the heap was last given back.
    most_sessions: usize,
    /// Names this process in the state folder.
    process: String,
    /// Calls and answers that were kept there.
    uses_kept: ledger::Kept,
    /// Notes of the ledger that were kept there.
    notes_kept: ledger::Kept,
    /// What of the ledger's files is newest; held while one is written.
    ledger_written: ledger::Written,
    /// The audit log.
    audit: Option<AuditSink>,
    /// Where spans and measures go.
    otel: Option<Otel>,
    /// Whether it was read what calls have cost before.
    are_costs_read: Arc<AtomicBool>,
}

impl Driver {
    fn new(setup: Setup, begin: Begin) -> std::io::Result<Self> {
        let (sender, events) = mpsc::channel(EVENTS);
        let mut store = match &setup.settings.state {
            StateSettings::Dir(folder) if setup.settings.mode != Mode::Transparent => {
                open_store(folder)
            }
            _ => None,
        };
        let shared = cache::shared_secret(&setup.settings.cache);
        if let (Some(store), Some(shared)) = (&mut store, shared) {
            store.share_secret(shared);
        }
        let own = || store.as_ref().map(Store::secret);
        let secret = shared.or_else(own).unwrap_or_else(store::random_secret);
        let tier = Tier::open(&setup.settings, store.as_ref(), secret, sender.clone());
        // Ids must differ between processes that share a store.
        let run_secret = blake3::keyed_hash(&secret, &store::random_secret());
        let mut hub_settings = with_state(hub_settings(&setup.settings), store.as_ref(), &tier);
        let kill = CancellationToken::new();
        let drain = CancellationToken::new();
        let clients = Clients::new(
            setup.downstream,
            &setup.settings,
            &sender,
            &drain,
            &kill,
            secret,
        )?;
        let servers = Servers::new(
            begin.begun,
            sender.clone(),
            kill.clone(),
            clients.pressure(),
        );
        let embeddings = Arc::new(Embeddings::new(setup.settings.embeddings.clone()));
        let counter: Arc<dyn TokenCounter> =
            Arc::new(TiktokenCounter::new(encoding_of(setup.settings.tokenizer)));
        let results = open_results(store.as_ref(), &setup.settings);
        hub_settings.keeps_results = results.is_some();
        let redactor = SharedRedactor::new(&setup.settings);
        let reads = Reads::new(
            sender.clone(),
            Arc::clone(&counter),
            results.clone(),
            setup.settings.shaping.results.keeping.jq_timeout,
            redactor.clone(),
        );
        Ok(Self {
            reads,
            counting: Counting::new(Arc::clone(&counter)),
            shaping: Shaping::new(
                sender.clone(),
                counter,
                results,
                setup.settings.shaping.results.keeping.jq_timeout,
                redactor.clone(),
            ),
            redactor,
            embeddings,
            tier,
            hub: Hub::new(hub_settings, *run_secret.as_bytes()),
            clients,
            servers,
            events,
            sender,
            store,
            reload: setup.reload,
            admin: setup.admin,
            admin_state: Arc::new(AdminState::default()),
            metrics: Arc::default(),
            kill,
            drain,
            is_inner: setup.is_inner,
            wraps: setup.wraps,
            is_ending: false,
            signal: None,
            child_ends: HashMap::new(),
            failed_after_end: None,
            storing: JoinSet::new(),
            later: later::Later::default(),
            told: guard::Told::default(),
            is_start_given_back: false,
            is_rehearsed: false,
            sleep: sleep::SleepWatch::new(),
            answers_at_tick: 0,
            process: begin.process,
            most_sessions: 0,
            memory_group: cgroup::MemoryGroup::find(&setup.settings.memory_watch),
            uses_kept: ledger::Kept::default(),
            notes_kept: ledger::Kept::default(),
            ledger_written: ledger::Written::default(),
            are_costs_read: Arc::default(),
            audit: begin.audit,
            otel: begin.otel,
            signals: begin.signals,
            settings: setup.settings,
        })
    }

    fn start(&mut self) -> std::io::Result<()> {
        if let Some(admin) = self.admin.take() {
            let metrics = Arc::clone(&self.metrics);
            self.admin_state.set_metrics(Box::new(move || {
                if let Some(heap) = memory::heap() {
                    metrics.set_heap(&heap);
                }
                metrics.render()
            }));
            self.copy_numbers();
            tokio::spawn(admin.serve(Arc::clone(&self.admin_state), self.kill.clone()));
        }
        tokio::spawn(reaper::run());
        tokio::spawn(guard_process::keep());
        let now = Instant::now();
        self.tell_time(now);
        if !self.clients.is_http() {
            let session = self.hub.open_stdio(now, self.is_inner);
            self.clients.set_session(session);
        } else {
            self.start_spare(now);
        }
        if self.is_inner {
            tracing::info!("another mcp-whittle is between us and the client; originals are sent");
        }
        self.act(now);
        self.clients.listen(&self.sender)?;
        self.admin_state.set_started(true);
        self.admin_state.set_ready(true);
        Ok(())
    }

    async fn turn(&mut self) -> std::io::Result<Outcome> {
        let mut stall_check = tokio::time::interval(STALL_CHECK);
        loop {
            if self.is_ending && self.hub.is_drained() {
                break;
            }
            let deadline = self.hub.poll_timeout().map(tokio::time::Instant::from_std);
            tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => self.end_by_signal(15),
                _ = self.signals.interrupt.recv() => self.end_by_signal(2),
                event = self.events.recv() => {
                    let Some(event) = event else { break };
                    self.notice_pause();
                    self.handle(event);
                    for _ in 0..BURST {
                        match self.events.try_recv() {
                            Ok(event) => self.handle(event),
                            Err(_) => break,
                        }
                    }
                }
                () = async { sleep_until(deadline.expect("guarded")).await }, if deadline.is_some() => {
                    self.notice_pause();
                    self.hub.handle_timeout(Instant::now());
                }
                _ = self.signals.hang_up.recv() => self.read_settings_again(),
                _ = stall_check.tick() => {
                    self.notice_pause();
                    self.notice_sleep();
                    self.check_stall();
                    self.copy_numbers();
                    self.watch_memory();
                    let counted = self.counting.turn();
                    self.note_counted(counted);
                    self.keep_uses(ledger::KEPT_EVERY);
                    self.keep_ledger(ledger::KEPT_EVERY);
                    self.give_start_back();
                    self.give_load_back();
                }
            }
            self.act(Instant::now());
        }
        let counted = self.counting.finish().await;
        self.note_counted(counted);
        self.keep_uses(1);
        self.keep_ledger(1);
        self.clients
            .finish(self.settings.timeouts.shutdown_grace)
            .await;
        if let Some(audit) = self.audit.take() {
            audit.finish(AUDIT_GRACE);
        }
        if let Some(otel) = self.otel.take() {
            otel.copy(&self.hub.token_totals());
            otel.finish(TELEMETRY_GRACE).await;
        }
        // What was learned is kept, unless the disk takes too long.
        self.later.begin_all(&mut self.storing);
        let all = async { while self.storing.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STORE_GRACE, all).await;
        self.kill.cancel();
        Ok(Outcome {
            code: self.exit_code(),
        })
    }

    fn exit_code(&self) -> u8 {
        if let Some(signal) = self.signal
            && !self.clients.is_http()
        {
            return 128 + signal;
        }
        if self.wraps
            && self.hub.never_ready(0)
            && let Some(end) = self.child_ends.get(&0)
        {
            return end.code;
        }
        self.failed_after_end.filter(|_| self.wraps).unwrap_or(0)
    }

    fn end_by_signal(&mut self, number: u8) {
        if self.signal.is_some() {
            tracing::warn!("second signal: ending at once");
            self.kill.cancel();
            self.is_ending = true;
            self.hub.abandon_all();
            if self.clients.is_http() {
                // The orderly end was not waited for.
                self.clients.end_now();
            }
            return;
        }
        self.signal = Some(number);
        tracing::info!("signal {number}: finishing what is in flight");
        self.end();
    }

    fn end(&mut self) {
        self.is_ending = true;
        self.admin_state.set_ready(false);
        self.drain.cancel();
        self.hub.begin_drain(Instant::now());
    }

    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Client(event) => {
                if let Some(end) = self.clients.handle(now, &mut self.hub, event) {
                    match end {
                        clients::ClientEnd::InputEnded(session) => {
                            self.hub.handle_downstream_closed(now, session);
                        }
                        clients::ClientEnd::Gone(session) => {
                            self.hub.handle_downstream_gone(now, session);
                        }
                    }
                    self.end();
                }
            }
            Event::Server(upstream, generation, event) => {
                if let Some(end) =
                    self.servers
                        .handle(now, &mut self.hub, upstream, generation, event)
                {
                    self.note_child_end(upstream, end);
                }
            }
            Event::Costs(costs) => self.hub.handle_costs(costs),
            Event::Shaped(exchange, redaction, shaped) => {
                self.hub.handle_redacted(exchange, redaction);
                self.hub
                    .handle_shaped(now, exchange, shaped.map(|shaped| *shaped));
            }
            Event::Read(exchange, outcome) => {
                self.reads.forget(exchange);
                self.hub.handle_kept(now, exchange, *outcome);
            }
            Event::Cached(exchange, looked) => self.hub.handle_cached(now, exchange, looked),
            Event::Bumped(bump, is_done) => self.hub.handle_bumped(now, bump, is_done),
            Event::Surface(key, made, is_new) => {
                self.later.list_is_made();
                self.keep_surface(key, &made, is_new);
                self.hub.handle_surface(now, key, made);
            }
        }
    }

    fn note_counted(&mut self, counted: Vec<Counted>) {
        for (owed, tokens) in counted {
            self.hub.handle_counted(&owed, tokens);
        }
    }

    fn note_child_end(&mut self, upstream: UpstreamId, end: ChildEnd) {
        if self.is_ending && end.by_itself && end.code != 0 {
            self.failed_after_end.get_or_insert(end.code);
        }
        if let Some(server) = self.servers.server_of_ended(upstream) {
            self.child_ends.insert(server, end);
        }
    }

    fn check_stall(&mut self) {
        if let Some(session) = self.clients.stalled(self.settings.timeouts.stall) {
            tracing::error!("the client reads nothing any more; giving it up");
            self.hub.handle_downstream_gone(Instant::now(), session);
            self.end();
        }
    }

    /// Does everything the hub wants now.
    fn act(&mut self, now: Instant) {
        loop {
            let looking = self.act_on_all(now);
            if looking.is_empty() {
                break;
            }
            for upstream in looking {
                self.hub.handle_look(upstream);
            }
        }
        self.later.begin(now, &mut self.storing);
    }

    /// Does what the hub wants done, and returns the connections whose tools it wants to look at after that.
    fn act_on_all(&mut self, now: Instant) -> Vec<UpstreamId> {
        let mut looking = Vec::new();
        while let Some(action) = self.hub.poll_action() {
            match action {
                Action::Note(note) => log(&note),
                Action::Measured(measured) => {
                    self.metrics.record(&measured);
                    if let Some(otel) = &self.otel {
                        otel.record(&measured);
                    }
                }
                Action::Span(span) => {
                    if let Some(otel) = &self.otel {
                        otel.span(*span);
                    }
                }
                Action::Audit(record) => {
                    if let Some(audit) = &mut self.audit {
                        audit.write(*record);
                    }
                }
                Action::Send {
                    stream,
                    message,
                    is_final,
                    status,
                    is_droppable,
                } => {
                    if !self
                        .clients
                        .send(stream, message, is_final, status, is_droppable)
                    {
                        self.hub.handle_http_gone(now, stream);
                    }
                }
                Action::Status {
                    stream,
                    status,
                    body,
                } => self.clients.status(stream, status, body),
                Action::Header {
                    stream,
                    name,
                    value,
                } => self.clients.header(stream, name, &value),
                Action::StartStream { stream } => self.clients.start_stream(stream),
                Action::EndStream { stream } => self.clients.end_stream(stream),
                Action::Connect {
                    upstream,
                    server,
                    authorization,
                } => self.connect(now, upstream, server, authorization.as_ref()),
                Action::Authorize {
                    upstream,
                    authorization,
                } => self.servers.authorize(upstream, authorization.as_ref()),
                Action::SendUpstream {
                    upstream,
                    key,
                    message,
                    headers,
                } => self.servers.send(upstream, key, message, &headers),
                Action::Abort { upstream, key } => self.servers.abort(upstream, key),
                Action::ProtocolVersion { upstream, version } => {
                    self.servers.protocol_version(upstream, &version);
                }
                Action::ResetSession { upstream } => self.servers.reset_session(upstream),
                Action::OpenStream { upstream } => self.servers.open_stream(upstream),
                Action::FallBackToSse { upstream } => self.servers.fall_back(upstream),
                Action::Disconnect { upstream } => {
                    if !self.servers.disconnect(upstream) {
                        self.hub.handle_upstream_closed(
                            now,
                            upstream,
                            &Ended {
                                detail: "it was not running".into(),
                                stderr: Vec::new(),
                                is_unusable: false,
                            },
                        );
                    }
                }
                Action::LoadSnapshot { upstream, key } => {
                    let snapshot = self
                        .store
                        .as_ref()
                        .and_then(|store| store.load_snapshot(&key));
                    if snapshot.is_none() {
                        self.rehearse();
                    }
                    self.hub.handle_snapshot(now, upstream, snapshot);
                }
                Action::LoadPins { upstream, key } => {
                    let pins = guard::load_pins(self.store.as_ref(), &self.settings.guard, &key);
                    self.hub.handle_pins(upstream, pins);
                }
                Action::ObservePins(seen) => {
                    if let Some(store) = self.store.clone() {
                        let watched = self.settings.guard.clone();
                        self.later
                            .keep(move || guard::observe_pins(&store, &watched, &seen));
                    }
                }
                Action::LookAtTools { upstream } => looking.push(upstream),
                Action::ScanTools { about, tools } => {
                    let (told, watched) = (self.told.clone(), self.settings.guard.clone());
                    self.later
                        .look(move || guard::scan_tools(&told, &watched, &about, &tools));
                }
                Action::StoreSnapshot { key, snapshot } => self.store_snapshot(key, snapshot),
                Action::ShapeResult { exchange, job } => self.shaping.start(exchange, job),
                Action::CountResult(job) => {
                    if let Some(owed) = self.counting.take(*job) {
                        self.hub.handle_counted(&owed, None);
                    }
                }
                Action::ReadResult { exchange, job } => self.reads.start(exchange, job),
                Action::AbortRead { exchange } => self.reads.abort(exchange),
                Action::MakeSurface {
                    key,
                    parts,
                    settings,
                } => {
                    self.later.list_begins(now);
                    self.make_surface(key, parts, settings);
                }
                Action::CacheLookup {
                    exchange,
                    key,
                    scopes,
                    wants_answer,
                } => self.tier.look(exchange, key, scopes, wants_answer),
                Action::CacheStore {
                    key,
                    answer,
                    ttl,
                    stale_if_error,
                    scopes,
                } => self.tier.store(key, answer, ttl, stale_if_error, scopes),
                Action::CacheBump { bump, scopes } => self.tier.bump(bump, scopes),
            }
        }
        looking
    }

    fn connect(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        server: usize,
        authorization: Option<&SecretString>,
    ) {
        let known = self.hub.server_settings_name(server);
        let settings = self
            .settings
            .servers
            .iter()
            .find(|settings| Some(settings.name.as_str()) == known.as_deref());
        let Some(settings) = settings else {
            return self.hub.handle_upstream_closed(
                now,
                upstream,
                &Ended {
                    detail: "it is no longer configured".into(),
                    stderr: Vec::new(),
                    is_unusable: true,
                },
            );
        };
        match self
            .servers
            .connect(upstream, server, authorization, settings, &self.settings)
        {
            Ok(()) => self.hub.handle_upstream_connected(now, upstream),
            Err(error) => {
                self.child_ends.insert(
                    server,
                    ChildEnd {
                        detail: error.detail.clone(),
                        stderr: Vec::new(),
                        code: error.code,
                        by_itself: true,
                    },
                );
                let ended = Ended {
                    detail: error.detail,
                    stderr: Vec::new(),
                    is_unusable: true,
                };
                self.hub.handle_upstream_closed(now, upstream, &ended);
            }
        }
    }

    fn store_snapshot(&mut self, key: String, snapshot: Box<crate::hub::action::Snapshot>) {
        let Some(store) = self.store.clone() else {
            return;
        };
        self.later.keep(move || {
            if let Err(error) = store.store_snapshot(&key, &snapshot) {
                tracing::warn!(%error, "a snapshot could not be kept");
            }
        });
    }

    /// Gives the memory of the start back once, when a client has had its first answers and was quiet for a
    /// tick: calls that follow at once would bring it back.
    fn give_start_back(&mut self) {
        let answers = self.hub.counters().answers;
        let is_quiet = answers > 0 && answers == self.answers_at_tick && self.hub.in_flight() == 0;
        self.answers_at_tick = answers;
        if !self.is_start_given_back && is_quiet {
            self.is_start_given_back = true;
            memory::give_back();
        }
    }
}

fn encoding_of(tokenizer: Tokenizer) -> Encoding {
    match tokenizer {
        Tokenizer::O200kBase => Encoding::O200kBase,
        Tokenizer::Cl100kBase => Encoding::Cl100kBase,
    }
}

fn log(note: &Note) {
    let message = one_line(&note.message);
    let server = note.server.as_str();
    macro_rules! say {
        ($level:ident) => {
            if server.is_empty() {
                tracing::$level!("{message}")
            } else {
                tracing::$level!(server, "{message}")
            }
        };
    }
    match note.level {
        NoteLevel::Error => say!(error),
        NoteLevel::Warn => say!(warn),
        NoteLevel::Info => say!(info),
        NoteLevel::Debug => say!(debug),
    }
}

/// The session and stream of a client on pipes.
fn stdio_stream(session: Option<SessionId>) -> Option<(SessionId, u64)> {
    session.map(|session| (session, STDIO))
}
