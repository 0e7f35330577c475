//! Connections to servers: children and HTTP clients behind the names that the hub gives them.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{ServerSettings, ServerTransport, Settings};
use crate::hub::Hub;
use crate::hub::action::{Ended, TransportFailure};
use crate::jsonrpc::Limits;
use crate::jsonrpc::frame::Framed;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::write::Outgoing;
use crate::mcp::header;
use crate::transport::child::{self, ChildConfig, ChildEnd, ChildEvent, ChildHandle};
use crate::transport::http_client::{
    self, EventSink, FailureKind, HttpClientLimits, HttpCommand, HttpEvent, HttpFailure,
    HttpOperation, HttpSite, HttpUpstreamConfig, HttpUpstreamHandle, Outcome, ProxySettings,
    SharedTls, TlsSettings,
};
use crate::transport::stderr;
use crate::upstream::UpstreamId;

use super::clients::Pressure;
use super::event::{Event, ServerEvent};
use super::hub_settings::message_limits;
use super::spawn;

enum Link {
    Child(ChildHandle),
    Http(HttpUpstreamHandle),
}

struct Connection {
    link: Link,
    generation: u64,
    server: usize,
    /// How it uses HTTP+SSE, whatever is learned or forgotten of its server meanwhile.
    sse: Sse,
}

/// How a connection uses the transport of 2024-11-05.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sse {
    /// Not at all.
    No,
    /// Its stream has named no endpoint yet.
    Opening,
    /// Its stream named an endpoint.
    Open,
}

/// Why a connection could not be made.
pub(super) struct ConnectError {
    pub(super) detail: String,
    pub(super) code: u8,
}

/// All connections.
pub(super) struct Servers {
    connections: HashMap<UpstreamId, Connection>,
    servers: HashMap<UpstreamId, usize>,
    /// Servers that speak HTTP+SSE, as a stream that named an endpoint or the settings say.
    sse: HashSet<usize>,
    /// Certificates that all connections trust, as they were when they were first needed.
    tls: SharedTls,
    /// What connections to one HTTP server share, by the server.
    sites: HashMap<usize, HttpSite>,
    generation: u64,
    begun: Begun,
    events: mpsc::Sender<Event>,
    kill: CancellationToken,
    pressure: Arc<Pressure>,
}

/// Processes that nobody attends yet, by the server.
pub(super) struct Begun(HashMap<usize, Result<child::Begun, ConnectError>>);

impl Begun {
    /// Starts all servers on pipes, so that they come up while the rest of this process does. Each is taken by the
    /// first connection to its server.
    pub(super) fn all(settings: &Settings) -> Self {
        let servers = settings.servers.iter().enumerate();
        let on_pipes =
            servers.filter(|(_, server)| matches!(server.transport, ServerTransport::Stdio { .. }));
        Self(
            on_pipes
                .map(|(index, server)| (index, begin(server, settings)))
                .collect(),
        )
    }
}

impl Servers {
    pub(super) fn new(
        begun: Begun,
        events: mpsc::Sender<Event>,
        kill: CancellationToken,
        pressure: Arc<Pressure>,
    ) -> Self {
        Self {
            begun,
            connections: HashMap::new(),
            servers: HashMap::new(),
            sse: HashSet::new(),
            tls: SharedTls::default(),
            sites: HashMap::new(),
            generation: 0,
            events,
            kill,
            pressure,
        }
    }

    /// Returns the server of a connection whose process ended, and forgets it unless another one runs.
    pub(super) fn server_of_ended(&mut self, upstream: UpstreamId) -> Option<usize> {
        if self.connections.contains_key(&upstream) {
            self.servers.get(&upstream).copied()
        } else {
            self.servers.remove(&upstream)
        }
    }

    /// New settings: what was learned of old servers no longer counts.
    pub(super) fn forget_settings(&mut self) {
        self.begun.0.clear();
        self.sse.clear();
        self.tls = SharedTls::default();
        self.sites.clear();
    }

    pub(super) fn connect(
        &mut self,
        upstream: UpstreamId,
        server: usize,
        authorization: Option<&SecretString>,
        settings: &ServerSettings,
        all: &Settings,
    ) -> Result<(), ConnectError> {
        self.generation += 1;
        let generation = self.generation;
        let mut sse = Sse::No;
        let link = match &settings.transport {
            ServerTransport::Stdio { .. } => {
                let begun = match self.begun.0.remove(&server) {
                    Some(begun) => begun,
                    None => begin(settings, all),
                };
                self.attend(upstream, generation, begun?)
            }
            ServerTransport::Http { prefer_sse, .. } => {
                if *prefer_sse {
                    self.sse.insert(server);
                }
                let site = match self.sites.get(&server) {
                    Some(site) => site.clone(),
                    None => {
                        let site = self.http_site(settings, all)?;
                        self.sites.insert(server, site.clone());
                        site
                    }
                };
                let sink = Relay {
                    to: self.events.clone(),
                    pressure: Arc::clone(&self.pressure),
                    upstream,
                    generation,
                    limits: message_limits(all),
                };
                let handle = http_client::connect(&site, Arc::new(sink), self.kill.clone());
                // Before anything is sent.
                handle.send(HttpCommand::SetAuthorization(header_of(authorization)));
                if self.sse.contains(&server) {
                    handle.send(HttpCommand::FallBackToSse);
                    sse = Sse::Opening;
                }
                Link::Http(handle)
            }
        };
        self.servers.insert(upstream, server);
        self.connections.insert(
            upstream,
            Connection {
                link,
                generation,
                server,
                sse,
            },
        );
        Ok(())
    }

    fn attend(&self, upstream: UpstreamId, generation: u64, begun: child::Begun) -> Link {
        let (events, pressure) = (self.events.clone(), Arc::clone(&self.pressure));
        let deliver = move |event: ChildEvent| {
            let (events, pressure) = (events.clone(), Arc::clone(&pressure));
            async move {
                // A client that reads slowly slows its servers down, not the loop. An end brings it nothing, and we
                // may have to wait for just that.
                if !matches!(event, ChildEvent::Ended(_)) {
                    pressure.wait().await;
                }
                let event = Event::Server(upstream, generation, ServerEvent::Child(event));
                let _ = events.send(event).await;
            }
        };
        Link::Child(child::attend(begun, deliver, self.kill.clone()))
    }

    fn http_site(
        &self,
        settings: &ServerSettings,
        all: &Settings,
    ) -> Result<HttpSite, ConnectError> {
        let ServerTransport::Http { url, headers, .. } = &settings.transport else {
            unreachable!("called for HTTP servers only");
        };
        let wrong = |detail: String| ConnectError { detail, code: 2 };
        let mut config = HttpUpstreamConfig::new(url.clone());
        for (name, value) in headers {
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| wrong(format!("the header name `{name}` is not valid")))?;
            let mut secret = HeaderValue::try_from(value.expose_secret())
                .map_err(|_| wrong(format!("the value of the header `{name}` is not valid")))?;
            secret.set_sensitive(true);
            config.headers.push((header, secret));
        }
        let expose = |value: &Option<secrecy::SecretString>| {
            value.as_ref().map(|value| value.expose_secret().to_owned())
        };
        config.tls = TlsSettings {
            system: all.tls.system,
            bundled: all.tls.bundled,
            extra_ca_files: all.tls.ca_files.clone(),
        };
        config.shared_tls = self.tls.clone();
        config.proxy = ProxySettings {
            https: expose(&all.proxy.https_proxy),
            http: expose(&all.proxy.http_proxy),
            no: all.proxy.no_proxy.clone(),
        };
        let limits = message_limits(all);
        config.limits = HttpClientLimits {
            max_body_bytes: limits.frame_bytes,
            max_event_bytes: limits.frame_bytes,
            ..HttpClientLimits::default()
        };
        HttpSite::new(config).map_err(|error| wrong(format!("{:#}", anyhow::Error::from(error))))
    }

    pub(super) fn send(
        &self,
        upstream: UpstreamId,
        key: Option<u64>,
        message: Outgoing,
        headers: &[(String, String)],
    ) {
        let Some(connection) = self.connections.get(&upstream) else {
            return;
        };
        match &connection.link {
            Link::Child(child) => child.send(message),
            Link::Http(http) => {
                // Only requests of 2026-07-28 have headers of their own, and their streams do not go on.
                let resumable = headers
                    .iter()
                    .all(|(name, _)| header::TRACE.contains(&name.as_str()));
                let headers = headers
                    .iter()
                    .filter_map(|(name, value)| {
                        Some((
                            HeaderName::try_from(name.as_str()).ok()?,
                            HeaderValue::try_from(value.as_str()).ok()?,
                        ))
                    })
                    .collect();
                http.send(HttpCommand::Send {
                    key,
                    body: message.into_pieces(),
                    headers,
                    resumable,
                });
            }
        }
    }

    fn http(&self, upstream: UpstreamId, command: HttpCommand) {
        if let Some(Connection {
            link: Link::Http(http),
            ..
        }) = self.connections.get(&upstream)
        {
            http.send(command);
        }
    }

    fn is_sse(&self, upstream: UpstreamId) -> bool {
        self.connections
            .get(&upstream)
            .is_some_and(|connection| connection.sse != Sse::No)
    }

    /// A stream named its endpoint: later connections to its server begin with HTTP+SSE.
    fn sse_opened(&mut self, upstream: UpstreamId) {
        if let Some(connection) = self.connections.get_mut(&upstream)
            && connection.sse == Sse::Opening
        {
            connection.sse = Sse::Open;
            self.sse.insert(connection.server);
        }
    }

    /// A connection ends. If its stream never named an endpoint, the next one begins with streamable HTTP: what had us
    /// try HTTP+SSE may have been a trouble that passed.
    fn sse_failed(&mut self, upstream: UpstreamId) {
        if let Some(connection) = self.connections.get(&upstream)
            && connection.sse == Sse::Opening
        {
            self.sse.remove(&connection.server);
        }
    }

    pub(super) fn abort(&self, upstream: UpstreamId, key: u64) {
        self.http(upstream, HttpCommand::Abort { key });
    }

    pub(super) fn open_stream(&self, upstream: UpstreamId) {
        self.http(upstream, HttpCommand::OpenStream);
    }

    pub(super) fn reset_session(&self, upstream: UpstreamId) {
        self.http(upstream, HttpCommand::ResetSession);
    }

    pub(super) fn protocol_version(&self, upstream: UpstreamId, version: &str) {
        self.http(
            upstream,
            HttpCommand::SetProtocolVersion(HeaderValue::try_from(version).ok()),
        );
    }

    /// Gives the connection its clients' credentials. What cannot be a header is not sent.
    pub(super) fn authorize(&self, upstream: UpstreamId, authorization: Option<&SecretString>) {
        self.http(
            upstream,
            HttpCommand::SetAuthorization(header_of(authorization)),
        );
    }

    pub(super) fn fall_back(&mut self, upstream: UpstreamId) {
        if let Some(connection) = self.connections.get_mut(&upstream) {
            connection.sse = Sse::Opening;
        }
        self.http(upstream, HttpCommand::FallBackToSse);
    }

    /// Begins the orderly end; `false` where nothing runs.
    pub(super) fn disconnect(&mut self, upstream: UpstreamId) -> bool {
        self.sse_failed(upstream);
        match self.connections.get(&upstream).map(|c| &c.link) {
            Some(Link::Child(child)) => {
                child.stop();
                true
            }
            Some(Link::Http(http)) => {
                http.send(HttpCommand::Close);
                true
            }
            None => false,
        }
    }

    /// Gives a server's event to the hub. Returns how a child ended.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        upstream: UpstreamId,
        generation: u64,
        event: ServerEvent,
    ) -> Option<ChildEnd> {
        let is_current = self
            .connections
            .get(&upstream)
            .is_some_and(|connection| connection.generation == generation);
        match event {
            ServerEvent::Child(ChildEvent::Frame(framed)) if is_current => {
                let parsed = match framed {
                    Framed::Parsed(parsed) => Ok(parsed),
                    Framed::Malformed { malformed, excerpt } => Err((malformed, excerpt)),
                };
                hub.handle_upstream_frame(now, upstream, None, parsed);
            }
            ServerEvent::Child(ChildEvent::Ended(end)) => {
                if is_current {
                    self.connections.remove(&upstream);
                    hub.handle_upstream_closed(
                        now,
                        upstream,
                        &Ended {
                            detail: end.detail.clone(),
                            stderr: end
                                .stderr
                                .iter()
                                .map(|line| stderr::published(line))
                                .collect(),
                            is_unusable: false,
                        },
                    );
                }
                return Some(end);
            }
            ServerEvent::Http(event, parsed) if is_current => {
                self.http_event(now, hub, upstream, event, parsed);
            }
            _ => {}
        }
        None
    }

    fn http_event(
        &mut self,
        now: Instant,
        hub: &mut Hub,
        upstream: UpstreamId,
        event: HttpEvent,
        parsed: Option<Result<crate::jsonrpc::message::Parsed, crate::jsonrpc::message::Malformed>>,
    ) {
        match event {
            HttpEvent::Message { key, message } => {
                if let Some(parsed) = parsed {
                    let excerpt = message.slice(..message.len().min(200));
                    // The client is told what it began with, and the hub knows no secrets of ours.
                    let parsed = parsed.map_err(|malformed| {
                        let clean = stderr::redacted(&excerpt).into_owned();
                        (malformed, Bytes::from(clean))
                    });
                    hub.handle_upstream_frame(now, upstream, key, parsed);
                }
            }
            HttpEvent::Failed { key, failure } => {
                let is_stream = failure.operation == HttpOperation::LegacyStream && key.is_none();
                if is_stream {
                    self.sse_failed(upstream);
                    self.connections.remove(&upstream);
                    self.servers.remove(&upstream);
                    hub.handle_upstream_closed(
                        now,
                        upstream,
                        &Ended {
                            detail: failure.message.clone(),
                            stderr: Vec::new(),
                            is_unusable: false,
                        },
                    );
                } else {
                    hub.handle_upstream_failed(now, upstream, key, &transport_failure(&failure));
                }
            }
            HttpEvent::StreamEnded { key: Some(key) } => {
                hub.handle_upstream_failed(now, upstream, Some(key), &without_answer(false));
            }
            HttpEvent::StreamEnded { key: None } => hub.handle_stream_ended(upstream),
            HttpEvent::StreamOpened { again: true }
            | HttpEvent::StreamUnavailable { was_open: true, .. } => {
                hub.handle_stream_gap(now, upstream);
            }
            HttpEvent::StreamOpened { again: false } => self.sse_opened(upstream),
            HttpEvent::SessionLost => hub.handle_session_lost(now, upstream),
            HttpEvent::Closed => {
                self.connections.remove(&upstream);
                self.servers.remove(&upstream);
                hub.handle_upstream_closed(
                    now,
                    upstream,
                    &Ended {
                        detail: "the connection was closed".into(),
                        stderr: Vec::new(),
                        is_unusable: false,
                    },
                );
            }
            HttpEvent::Accepted { key } => {
                if !self.is_sse(upstream) {
                    hub.handle_upstream_failed(now, upstream, Some(key), &without_answer(true));
                }
            }
            HttpEvent::SessionStarted | HttpEvent::StreamUnavailable { .. } => {}
        }
    }
}

/// Starts the process of a server on pipes.
fn begin(server: &ServerSettings, all: &Settings) -> Result<child::Begun, ConnectError> {
    let ServerTransport::Stdio {
        command,
        args,
        env,
        cwd,
        inherit_env,
    } = &server.transport
    else {
        unreachable!("called for servers on pipes only");
    };
    let config = ChildConfig {
        label: if all.naming.prefix || all.servers.len() > 1 {
            server.name.as_str().to_owned()
        } else {
            String::new()
        },
        command: command.clone(),
        args: args.clone(),
        env: spawn::environment(*inherit_env, env),
        cwd: cwd.clone(),
        limits: message_limits(all),
        term_grace: all.timeouts.term_grace,
        kill_grace: all.timeouts.kill_grace,
        stderr_lines: all.limits.stderr_lines as usize,
    };
    child::begin(config).map_err(|error| ConnectError {
        code: error.code,
        detail: error.to_string(),
    })
}

fn header_of(authorization: Option<&SecretString>) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(authorization?.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A request that the server took but does not answer.
fn without_answer(is_accepted: bool) -> TransportFailure {
    let message = if is_accepted {
        "it answered a request with 202, which is for messages that want no answer"
    } else {
        "the response ended without an answer"
    };
    TransportFailure {
        message: message.into(),
        status: None,
        body: None,
        excerpt: None,
        may_have_run: true,
        is_too_large: false,
        is_protocol: is_accepted,
        retry_after: None,
        www_authenticate: None,
    }
}

fn transport_failure(failure: &HttpFailure) -> TransportFailure {
    TransportFailure {
        excerpt: failure.body_excerpt.as_deref().map(stderr::published),
        message: failure.message.clone(),
        status: failure.status.map(|status| status.as_u16()),
        body: failure.body.clone(),
        may_have_run: failure.outcome == Outcome::MaybeExecuted,
        is_too_large: failure.kind == FailureKind::TooLarge,
        is_protocol: matches!(failure.kind, FailureKind::Protocol | FailureKind::Redirect),
        retry_after: failure.retry_after,
        www_authenticate: failure.www_authenticate.clone(),
    }
}

/// Parses messages off the loop and passes everything on.
struct Relay {
    to: mpsc::Sender<Event>,
    pressure: Arc<Pressure>,
    upstream: UpstreamId,
    generation: u64,
    limits: Limits,
}

impl EventSink for Relay {
    fn take(&self, event: HttpEvent) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // As with children: that everything has stopped brings the client nothing.
            if !matches!(event, HttpEvent::Closed) {
                self.pressure.wait().await;
            }
            let parsed = match &event {
                HttpEvent::Message { message, .. } => {
                    Some(Message::parse(trimmed(message), self.limits))
                }
                _ => None,
            };
            let event = ServerEvent::Http(event, parsed);
            let event = Event::Server(self.upstream, self.generation, event);
            // Without a loop nobody is left to tell.
            let _ = self.to.send(event).await;
        })
    }
}

fn trimmed(message: &Bytes) -> Bytes {
    message.slice_ref(message.trim_ascii())
}
