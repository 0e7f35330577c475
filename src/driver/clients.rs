//! Clients: pipes, a channel inside the process, or HTTP streams.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::hub::Hub;
use crate::hub::action::HttpHead;
use crate::jsonrpc::Limits;
use crate::jsonrpc::frame::Framed;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::write::Outgoing;
use crate::mcp::header;
use crate::session::{SessionId, StreamId};
use crate::transport::http_server::{HttpServer, HttpServerEvent, Reply, ReplyError, RequestHead};
use crate::transport::stdio::{self, StdinEvent, StdoutWriter};

use super::Downstream;
use super::backlog::Backlog;
use super::event::{ClientEvent, Event};
use super::hub_settings::message_limits;
use super::stdio_stream;

/// A client that takes nothing of a full queue for so long has its requests refused.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of progress and log messages that may wait; beyond this they are dropped.
const DROPPABLE_BYTES: usize = 1 << 20;

/// Holds readers of servers back while a client's queue is full.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    writer: Option<StdoutWriter>,
    max_bytes: usize,
    changed: Notify,
    blocked: (Mutex<()>, Condvar),
    /// How often something of the queue was written.
    n_written: AtomicU64,
    /// Whether the client was given up: nobody waits for it any more.
    is_given_up: AtomicBool,
}

impl Pressure {
    /// Waits until the client's queue has room. Cancel safe.
    pub(super) async fn wait(&self) {
        self.wait_for(1).await;
    }

    /// The same for requests, with twice the room: answers to requests are small. Cancel safe.
    async fn wait_for_requests(&self) {
        self.wait_for(2).await;
    }

    async fn wait_for(&self, times: usize) {
        while self.is_full(times) {
            let changed = self.changed.notified();
            if !self.is_full(times) {
                return;
            }
            changed.await;
        }
    }

    fn is_full(&self, times: usize) -> bool {
        let most = self.max_bytes.saturating_mul(times);
        !self.is_given_up.load(Ordering::Relaxed)
            && self
                .writer
                .as_ref()
                .is_some_and(|writer| writer.queued_bytes() > most)
    }

    /// Tells when what may be dropped is dropped: before readers of servers are held back, so that answers
    /// behind a flood of progress or log messages still come through.
    fn has_flood(&self) -> bool {
        self.writer
            .as_ref()
            .is_some_and(|writer| writer.queued_bytes() > DROPPABLE_BYTES.min(self.max_bytes / 2))
    }

    /// The same for the thread of stdin.
    fn block(&self) {
        let mut guard = self
            .blocked
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while self.is_full(2) {
            guard = self
                .blocked
                .1
                .wait_timeout(guard, Duration::from_millis(100))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Tells whether the queue is full and has been for `limit` without anything of it being taken. While something is,
    /// requests go on: servers are held back until there is room, so their answers make the queue no longer.
    fn stands(&self, backlog: &mut Backlog, now: Instant, limit: Duration) -> bool {
        let n_written = self.n_written.load(Ordering::Relaxed);
        backlog.stands_for(limit, now, self.is_full(1), n_written)
    }

    fn drained(&self) {
        self.n_written.fetch_add(1, Ordering::Relaxed);
        if !self.is_full(1) {
            self.changed.notify_waiters();
        }
        self.blocked.1.notify_all();
    }

    /// Lets everybody go on who waits for room: there will be none, and what servers still say is for nobody.
    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
        if let Some(writer) = &self.writer {
            writer.give_up();
        }
        self.changed.notify_waiters();
        self.blocked.1.notify_all();
    }
}

/// A client that is over.
pub(super) enum ClientEnd {
    /// It sends nothing more; answers may still be read.
    InputEnded(SessionId),
    /// It is gone.
    Gone(SessionId),
}

enum Link {
    Stdio(StdoutWriter),
    Channel(mpsc::UnboundedSender<Outgoing>),
    Http(HashMap<StreamId, HttpStream>),
}

struct HttpStream {
    reply: Reply,
    is_started: bool,
}

/// All clients.
pub(super) struct Clients {
    link: Link,
    /// Taken when listening starts.
    source: Option<Source>,
    session: Option<SessionId>,
    limits: Limits,
    pressure: Arc<Pressure>,
    drain: CancellationToken,
    kill: CancellationToken,
    /// The HTTP server, once it listens.
    serving: Option<JoinHandle<()>>,
    secret: [u8; 32],
    /// What decides whether requests are refused.
    refusal: Backlog,
    /// What decides whether the client is given up.
    stall: Backlog,
    is_over: bool,
}

enum Source {
    Stdin,
    Channel(mpsc::Receiver<Bytes>),
    Http(Box<HttpServer>),
}

impl Clients {
    pub(super) fn new(
        downstream: Downstream,
        settings: &Settings,
        events: &mpsc::Sender<Event>,
        drain: &CancellationToken,
        kill: &CancellationToken,
        secret: [u8; 32],
    ) -> io::Result<Self> {
        let max_bytes = usize::try_from(settings.limits.queue_bytes).unwrap_or(usize::MAX);
        let mut pressure = Pressure {
            max_bytes,
            ..Pressure::default()
        };
        let (link, source, pressure) = match downstream {
            Downstream::Stdio => {
                let events = events.clone();
                let shared: Arc<std::sync::OnceLock<Arc<Pressure>>> = Arc::default();
                let for_thread = Arc::clone(&shared);
                let writer = StdoutWriter::new(
                    move || {
                        let _ = events.blocking_send(Event::Client(ClientEvent::StdoutBroken));
                    },
                    move || {
                        if let Some(pressure) = for_thread.get() {
                            pressure.drained();
                        }
                    },
                );
                pressure.writer = Some(writer.clone());
                let pressure = Arc::new(pressure);
                let _ = shared.set(Arc::clone(&pressure));
                (Link::Stdio(writer), Source::Stdin, pressure)
            }
            Downstream::Channel {
                from_client,
                to_client,
            } => (
                Link::Channel(to_client),
                Source::Channel(from_client),
                Arc::new(pressure),
            ),
            Downstream::Http(server) => (
                Link::Http(HashMap::new()),
                Source::Http(server),
                Arc::new(pressure),
            ),
        };
        Ok(Self {
            link,
            source: Some(source),
            session: None,
            limits: message_limits(settings),
            pressure,
            drain: drain.clone(),
            kill: kill.clone(),
            serving: None,
            secret,
            refusal: Backlog::default(),
            stall: Backlog::default(),
            is_over: false,
        })
    }

    pub(super) fn pressure(&self) -> Arc<Pressure> {
        Arc::clone(&self.pressure)
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.link, Link::Http(_))
    }

    pub(super) fn set_session(&mut self, session: SessionId) {
        self.session = Some(session);
    }

    /// Starts to take what clients send.
    pub(super) fn listen(&mut self, events: &mpsc::Sender<Event>) -> io::Result<()> {
        let events = events.clone();
        match self.source.take() {
            Some(Source::Stdin) => {
                let pressure = Arc::clone(&self.pressure);
                if let Some(pipe) = stdio::stdin_pipe() {
                    tokio::spawn(stdio::read_pipe(pipe, self.limits, move |event| {
                        let (events, pressure) = (events.clone(), Arc::clone(&pressure));
                        async move {
                            pressure.wait_for_requests().await;
                            let event = Event::Client(ClientEvent::Stdin(event));
                            events.send(event).await.is_ok()
                        }
                    }));
                    return Ok(());
                }
                stdio::read_stdin(self.limits, move |event| {
                    pressure.block();
                    events
                        .blocking_send(Event::Client(ClientEvent::Stdin(event)))
                        .is_ok()
                })
            }
            Some(Source::Channel(mut from)) => {
                tokio::spawn(async move {
                    loop {
                        let text = from.recv().await;
                        let is_end = text.is_none();
                        let event = Event::Client(ClientEvent::Channel(text));
                        if events.send(event).await.is_err() || is_end {
                            return;
                        }
                    }
                });
                Ok(())
            }
            Some(Source::Http(server)) => {
                let (sender, receiver) = mpsc::channel(256);
                let serving = server.serve(sender, self.drain.clone(), self.kill.clone());
                self.serving = Some(tokio::spawn(serving));
                tokio::spawn(relay_http(receiver, events, self.limits));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives a client's event to the hub; tells when the one client of pipes is over.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        event: ClientEvent,
    ) -> Option<ClientEnd> {
        match event {
            ClientEvent::Stdin(StdinEvent::Frame(framed)) => {
                let (session, stream) = stdio_stream(self.session)?;
                let parsed = match framed {
                    Framed::Parsed(parsed) => Ok(parsed),
                    Framed::Malformed { malformed, .. } => Err(malformed),
                };
                hub.set_overloaded(self.pressure.stands(&mut self.refusal, now, PATIENCE));
                hub.handle_frame(now, session, stream, parsed);
                None
            }
            ClientEvent::Stdin(StdinEvent::Closed) | ClientEvent::Channel(None) => {
                self.end(ClientEnd::InputEnded)
            }
            ClientEvent::StdoutBroken => {
                self.pressure.give_up();
                self.end(ClientEnd::Gone)
            }
            ClientEvent::Channel(Some(text)) => {
                let (session, stream) = stdio_stream(self.session)?;
                hub.handle_frame(now, session, stream, Message::parse(text, self.limits));
                None
            }
            ClientEvent::Http(event, parsed) => {
                self.http_event(now, hub, *event, parsed);
                None
            }
        }
    }

    fn end(&mut self, how: fn(SessionId) -> ClientEnd) -> Option<ClientEnd> {
        let session = self.session?;
        let end = how(session);
        // Stdout may break after stdin ended; the second word counts only if it is worse.
        if std::mem::replace(&mut self.is_over, true) && matches!(end, ClientEnd::InputEnded(_)) {
            return None;
        }
        Some(end)
    }

    fn http_event(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        event: HttpServerEvent,
        parsed: Option<Result<crate::jsonrpc::message::Parsed, crate::jsonrpc::message::Malformed>>,
    ) {
        let secret = self.secret;
        let Link::Http(streams) = &mut self.link else {
            return;
        };
        let mut keep = |stream: StreamId, reply| {
            streams.insert(
                stream,
                HttpStream {
                    reply,
                    is_started: false,
                },
            );
        };
        // Stream 0 is that of pipes.
        match event {
            HttpServerEvent::Post {
                stream,
                request,
                reply,
                ..
            } => {
                keep(stream.0 + 1, reply);
                if let Some(parsed) = parsed {
                    hub.handle_http_post(now, stream.0 + 1, &head(&request, &secret), parsed);
                }
            }
            HttpServerEvent::Get {
                stream,
                request,
                reply,
                ..
            } => {
                keep(stream.0 + 1, reply);
                hub.handle_http_get(now, stream.0 + 1, &head(&request, &secret));
            }
            HttpServerEvent::Delete {
                stream,
                request,
                reply,
            } => {
                keep(stream.0 + 1, reply);
                hub.handle_http_delete(now, stream.0 + 1, &head(&request, &secret));
            }
            HttpServerEvent::Gone { stream } => {
                streams.remove(&(stream.0 + 1));
                hub.handle_http_gone(now, stream.0 + 1);
            }
        }
    }

    /// Sends a message; `false` where its stream was broken off instead, which the hub has to hear: nothing else tells.
    pub(super) fn send(
        &mut self,
        stream: StreamId,
        message: Outgoing,
        is_final: bool,
        status: u16,
        is_droppable: bool,
    ) -> bool {
        match &mut self.link {
            Link::Stdio(writer) => {
                if !(is_droppable && self.pressure.has_flood()) {
                    writer.send(message);
                }
            }
            Link::Channel(sender) => {
                let _ = sender.send(message);
            }
            Link::Http(streams) => {
                let Some(open) = streams.get_mut(&stream) else {
                    return true;
                };
                let pieces = message.into_pieces();
                let sent = if !is_final {
                    open.is_started = true;
                    open.reply.event(&pieces, None)
                } else if open.is_started {
                    open.reply.last_event(&pieces, None)
                } else {
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                    open.reply.start_json(status, Vec::new(), pieces)
                };
                match sent {
                    Ok(()) => {}
                    Err(ReplyError::Full { .. }) if is_droppable => {}
                    Err(ReplyError::Full { .. }) => {
                        tracing::warn!("a client reads its stream too slowly; the stream is ended");
                        open.reply.abort();
                        streams.remove(&stream);
                        return false;
                    }
                    Err(ReplyError::Gone | ReplyError::AlreadyGiven) => {}
                }
                if is_final {
                    streams.remove(&stream);
                }
            }
        }
        true
    }

    pub(super) fn status(&mut self, stream: StreamId, status: u16, body: Option<Outgoing>) {
        if let Link::Http(streams) = &mut self.link
            && let Some(open) = streams.remove(&stream)
        {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut headers = Vec::new();
            if status == StatusCode::METHOD_NOT_ALLOWED {
                headers.push((http::header::ALLOW, HeaderValue::from_static("POST")));
            }
            let _ = open
                .reply
                .status(status, headers, body.map(|body| body.to_bytes()));
        }
    }

    pub(super) fn header(&mut self, stream: StreamId, name: &'static str, value: &str) {
        if let Link::Http(streams) = &mut self.link
            && let Some(open) = streams.get(&stream)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            let _ = open.reply.set_header(HeaderName::from_static(name), value);
        }
    }

    pub(super) fn start_stream(&mut self, stream: StreamId) {
        if let Link::Http(streams) = &mut self.link
            && let Some(open) = streams.get_mut(&stream)
        {
            open.is_started = true;
            let _ = open.reply.start_stream();
        }
    }

    pub(super) fn end_stream(&mut self, stream: StreamId) {
        if let Link::Http(streams) = &mut self.link
            && let Some(open) = streams.remove(&stream)
        {
            if !open.is_started {
                // A cancelled request gets no answer; its response still needs a head.
                let _ = open.reply.start_stream();
            }
            open.reply.end();
        }
    }

    /// Gives a client up whose queue is full and who read nothing for `limit`, and returns its session.
    pub(super) fn stalled(&mut self, limit: Duration) -> Option<SessionId> {
        let now = Instant::now();
        if !self.pressure.stands(&mut self.stall, now, limit) {
            return None;
        }
        self.pressure.give_up();
        self.session
    }

    /// Lets everything that waits be written, and connections and sockets be closed in order.
    pub(super) async fn finish(&mut self, grace: Duration) {
        if let Link::Stdio(writer) = &self.link {
            writer.finish(grace);
        }
        if let Some(serving) = self.serving.take() {
            self.drain.cancel();
            let stop = serving.abort_handle();
            if tokio::time::timeout(grace, serving).await.is_err() {
                tracing::warn!("clients did not read the last answers in time");
                stop.abort();
            }
        }
    }

    /// Drops every open stream.
    pub(super) fn end_now(&mut self) {
        if let Link::Http(streams) = &mut self.link {
            for (_, open) in streams.drain() {
                open.reply.abort();
            }
        }
    }
}

fn head(request: &RequestHead, secret: &[u8; 32]) -> HttpHead {
    let text = |name: &str| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    HttpHead {
        session: request.session.clone(),
        protocol_version: request.protocol_version.clone(),
        method: text(header::METHOD),
        name: text(header::NAME),
        params: request
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(header::PARAM_PREFIX))
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect(),
        trace: header::TRACE
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), text(name)?)))
            .filter(|(_, value)| value.len() <= header::TRACE_BYTES)
            .collect(),
        bearer: request.authorization.as_ref().map(|token| {
            let hash = blake3::keyed_hash(secret, token.expose_secret().as_bytes());
            let mut short = [0; 16];
            short.copy_from_slice(&hash.as_bytes()[..16]);
            short
        }),
        authorization: request.authorization.clone(),
        verified: request
            .verified
            .as_ref()
            .map(|verified| Arc::clone(&verified.principal)),
        is_token_verified: request
            .verified
            .as_ref()
            .is_some_and(|verified| verified.is_by_token),
        is_loopback: request.peer.ip().to_canonical().is_loopback(),
        profile: request.below.clone(),
    }
}

/// Parses bodies off the loop and passes everything on.
async fn relay_http(
    mut from: mpsc::Receiver<HttpServerEvent>,
    to: mpsc::Sender<Event>,
    limits: Limits,
) {
    while let Some(event) = from.recv().await {
        let parsed = match &event {
            HttpServerEvent::Post { body, .. } => {
                let body = body.slice_ref(body.trim_ascii());
                Some(Message::parse(body, limits))
            }
            _ => None,
        };
        if to
            .send(Event::Client(ClientEvent::Http(Box::new(event), parsed)))
            .await
            .is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a hang reaches it.
    const HANG: Duration = Duration::from_secs(60);

    /// Broken variants that this catches: who waits for room in the queue of a client that was given up waits on, or
    /// what waits for that client, or is sent to it later, is kept.
    #[tokio::test]
    async fn nobody_waits_for_a_client_that_was_given_up() {
        // Nothing writes what this one is sent.
        let writer = StdoutWriter::default();
        let pressure = Arc::new(Pressure {
            writer: Some(writer.clone()),
            max_bytes: 10,
            ..Pressure::default()
        });
        writer.send(vec![b'x'; 100].into());
        let (servers, requests) = (Arc::clone(&pressure), Arc::clone(&pressure));
        let of_servers = tokio::spawn(async move { servers.wait().await });
        let of_requests = tokio::spawn(async move { requests.wait_for_requests().await });
        let for_stdin = Arc::clone(&pressure);
        let of_stdin = std::thread::spawn(move || for_stdin.block());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!of_servers.is_finished() && !of_requests.is_finished());
        pressure.give_up();
        for waiting in [of_servers, of_requests] {
            let over = tokio::time::timeout(HANG, waiting).await;
            assert!(over.is_ok_and(|joined| joined.is_ok()), "it waits on");
        }
        let begun = Instant::now();
        while !of_stdin.is_finished() {
            assert!(begun.elapsed() < HANG, "stdin waits on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(writer.queued_bytes(), 0);
        writer.send(vec![b'x'; 100].into());
        assert_eq!(writer.queued_bytes(), 0);
    }
}
