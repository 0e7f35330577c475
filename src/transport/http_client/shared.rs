//! What all tasks of one upstream share: client, headers, session, and who is in flight.
//! Owns the one way to make a request (`exchange`); what a response means is said elsewhere.

use super::HttpEvent;
use super::config::{HttpClientLimits, HttpConfigError, HttpUpstreamConfig};
use super::connect::{self, Connector};
use super::failure::{self, FailureKind, HttpFailure, HttpOperation, Outcome, Peer};
use super::legacy_sse::Endpoint;
use super::target::Target;
use crate::transport::http_body::{self as body, Segments};
use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const JSON: &str = "application/json";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

pub(super) struct Shared {
    pub(super) target: Target,
    pub(super) peer: Peer,
    pub(super) limits: HttpClientLimits,
    /// Configured headers and credentials; every request to the origin carries them.
    headers: HeaderMap,
    client: Client<Connector, Segments>,
    events: mpsc::Sender<HttpEvent>,
    cancel: CancellationToken,
    /// Ends all tasks at `Close`, without touching the caller's token.
    stop: CancellationToken,
    tasks: TaskTracker,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    session: Option<HeaderValue>,
    protocol_version: Option<HeaderValue>,
    posts: HashMap<u64, (u64, AbortHandle)>,
    next_post: u64,
    listen: Option<AbortHandle>,
    legacy: Option<(watch::Receiver<Endpoint>, AbortHandle)>,
    /// Done once the last notification sent so far was accepted.
    last_notification: Option<CancellationToken>,
    closing: bool,
}

/// One request to make.
pub(super) struct Call<'a> {
    pub(super) operation: HttpOperation,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: &'a [Bytes],
    /// For the response's head.
    pub(super) timeout: Option<Duration>,
}

impl Shared {
    pub(super) fn new(
        config: HttpUpstreamConfig,
        events: mpsc::Sender<HttpEvent>,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, HttpConfigError> {
        let target = Target::parse(&config.url)?;
        let plan = connect::plan(&config, &target)?;
        let headers = request_headers(&config, &target, plan.proxy_authorization)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(config.limits.idle_connection_timeout)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(plan.connector);
        let peer = Peer {
            origin: target.origin(),
            proxy: plan.proxy,
        };
        Ok(Arc::new(Self {
            target,
            peer,
            limits: config.limits,
            headers,
            client,
            events,
            stop: cancel.child_token(),
            cancel,
            tasks: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
            state: Mutex::new(State::default()),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock; if something did, the state is still whole.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs `task` until it ends or the upstream stops.
    fn run(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let stop = self.stop.clone();
        let task = async move {
            stop.run_until_cancelled(task).await;
        };
        self.tasks.spawn_on(task, &self.runtime).abort_handle()
    }

    /// Hands an event to the caller, waiting while its queue is full.
    pub(super) async fn emit(&self, event: HttpEvent) {
        // The caller dropped its end: nobody is left to tell, and its token ends the tasks.
        let _ = self.events.send(event).await;
    }

    pub(super) async fn fail(&self, key: Option<u64>, failure: Box<HttpFailure>) {
        tracing::debug!(origin = %self.peer.origin, kind = ?failure.kind, status = ?failure.status, "request failed");
        self.emit(HttpEvent::Failed { key, failure }).await;
    }

    // --- in flight -------------------------------------------------------------------------

    /// Starts the task of a POST. `task` gets the token to wait for and the one to complete.
    pub(super) fn start_post<F>(
        self: &Arc<Self>,
        key: Option<u64>,
        task: impl FnOnce(Option<CancellationToken>, Option<CancellationToken>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.state();
        let before = state
            .last_notification
            .clone()
            .filter(|done| !done.is_cancelled());
        let done = key.is_none().then(CancellationToken::new);
        if done.is_some() {
            state.last_notification = done.clone();
        }
        let serial = state.next_post;
        state.next_post += 1;
        let work = task(before, done);
        let shared = Arc::clone(self);
        let abort = self.run(async move {
            work.await;
            if let Some(key) = key {
                shared.forget_post(key, serial);
            }
        });
        if let Some(key) = key {
            state.posts.insert(key, (serial, abort));
        }
    }

    fn forget_post(&self, key: u64, serial: u64) {
        let mut state = self.state();
        if state
            .posts
            .get(&key)
            .is_some_and(|(current, _)| *current == serial)
        {
            state.posts.remove(&key);
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state().posts.len()
    }

    /// Dropping the task drops its response, which closes the connection.
    pub(super) fn abort(&self, key: u64) {
        if let Some((_, abort)) = self.state().posts.remove(&key) {
            abort.abort();
        }
    }

    /// Starts the listen stream unless it runs or HTTP+SSE is in use.
    pub(super) fn start_listen(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        let running = state
            .listen
            .as_ref()
            .is_some_and(|task| !task.is_finished());
        if !running && state.legacy.is_none() && !state.closing {
            state.listen = Some(self.run(task));
        }
    }

    /// Starts the HTTP+SSE stream, in place of a former one.
    pub(super) fn start_legacy(
        self: &Arc<Self>,
        endpoint: watch::Receiver<Endpoint>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut state = self.state();
        if state.closing {
            return;
        }
        state.session = None;
        if let Some(listen) = state.listen.take() {
            listen.abort();
        }
        if let Some((_, former)) = state.legacy.take() {
            former.abort();
        }
        state.legacy = Some((endpoint, self.run(task)));
    }

    pub(super) fn legacy_endpoint(&self) -> Option<watch::Receiver<Endpoint>> {
        self.state()
            .legacy
            .as_ref()
            .map(|(endpoint, _)| endpoint.clone())
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state().closing
    }

    // --- session ---------------------------------------------------------------------------

    pub(super) fn set_protocol_version(&self, version: Option<HeaderValue>) {
        self.state().protocol_version = version;
    }

    pub(super) fn reset_session(&self) {
        let mut state = self.state();
        state.session = None;
        if let Some(listen) = state.listen.take() {
            listen.abort();
        }
    }

    /// Keeps the session id of a successful response, the first one only.
    pub(super) async fn note_session(&self, headers: &HeaderMap) {
        let Some(id) = headers.get(SESSION_ID).filter(|id| !id.is_empty()) else {
            return;
        };
        {
            let mut state = self.state();
            if state.session.is_some() || state.legacy.is_some() {
                return;
            }
            let mut id = id.clone();
            id.set_sensitive(true);
            state.session = Some(id);
        }
        self.emit(HttpEvent::SessionStarted).await;
    }

    /// Reports the loss of `used`, the session id a request carried, unless that was done before.
    pub(super) async fn note_lost_session(&self, used: Option<&HeaderValue>) {
        let Some(used) = used else { return };
        let listen = {
            let mut state = self.state();
            if state.session.as_ref() != Some(used) {
                return;
            }
            state.session = None;
            state.listen.take()
        };
        self.emit(HttpEvent::SessionLost).await;
        // Last, because the listen stream itself may be what learned it.
        if let Some(listen) = listen {
            listen.abort();
        }
    }

    // --- requests --------------------------------------------------------------------------

    /// The headers of one request; `own` go over the configured ones of the same name.
    pub(super) fn headers(&self, own: &[(HeaderName, HeaderValue)]) -> HeaderMap {
        let mut headers = self.headers.clone();
        for (name, _) in own {
            headers.remove(name);
        }
        for (name, value) in own.iter().filter(|(name, _)| !is_reserved(name)) {
            headers.append(name.clone(), value.clone());
        }
        let state = self.state();
        if let Some(version) = &state.protocol_version {
            headers
                .entry(PROTOCOL_VERSION)
                .or_insert_with(|| version.clone());
        }
        if let Some(session) = &state.session {
            headers.insert(SESSION_ID, session.clone());
        }
        headers
    }

    /// Makes a request, following redirects within the origin.
    pub(super) async fn exchange(
        &self,
        call: Call<'_>,
    ) -> Result<Response<Incoming>, Box<HttpFailure>> {
        let mut uri = call.uri;
        let mut redirects = 0;
        loop {
            let mut request = Request::new(Segments::new(call.body));
            *request.method_mut() = call.method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = call.headers.clone();
            let response = self.client.request(request);
            let response = match call.timeout {
                None => response.await,
                Some(limit) => match tokio::time::timeout(limit, response).await {
                    Ok(response) => response,
                    Err(_) => return Err(self.no_head(call.operation, limit)),
                },
            };
            let mut response = response
                .map_err(|error| failure::of_client_error(&error, call.operation, &self.peer))?;
            let location = response.headers().get(header::LOCATION);
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                return Ok(response);
            };
            uri = self.redirect(&call.method, call.operation, &uri, &response, location)?;
            redirects += 1;
            if redirects > self.limits.max_redirects {
                let message = format!("`{}` redirects in circles", self.peer.origin);
                return Err(self.refused_redirect(call.operation, response.status(), message));
            }
            self.discard(response.body_mut()).await;
        }
    }

    fn redirect(
        &self,
        method: &Method,
        operation: HttpOperation,
        from: &Uri,
        response: &Response<Incoming>,
        location: &HeaderValue,
    ) -> Result<Uri, Box<HttpFailure>> {
        let status = response.status();
        let origin = &self.peer.origin;
        let keeps_method = matches!(
            status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        ) || *method == Method::GET;
        let refuse = |message: String| Err(self.refused_redirect(operation, status, message));
        let reference = String::from_utf8_lossy(location.as_bytes());
        match self.target.resolve(from, &reference) {
            Ok(uri) if keeps_method => Ok(uri),
            Ok(_) => refuse(format!(
                "`{origin}` answered {status}, which would turn the message into a GET\nhint: configure the URL it redirects to (often the same with or without a final `/`)"
            )),
            Err(error) => refuse(format!(
                "`{origin}` answered {status} and its redirect {error}; credentials stay with their origin, so it is not followed\nhint: configure that URL itself if you trust it"
            )),
        }
    }

    fn refused_redirect(
        &self,
        operation: HttpOperation,
        status: StatusCode,
        message: String,
    ) -> Box<HttpFailure> {
        let mut failure =
            HttpFailure::new(FailureKind::Redirect, operation, Outcome::NotSent, message);
        failure.status = Some(status);
        failure
    }

    fn no_head(&self, operation: HttpOperation, limit: Duration) -> Box<HttpFailure> {
        let message = format!("`{}` did not answer within {limit:?}", self.peer.origin);
        HttpFailure::new(
            FailureKind::Timeout,
            operation,
            Outcome::MaybeExecuted,
            message,
        )
    }

    /// Reads a body nobody needs, so that its connection can be used again.
    pub(super) async fn discard(&self, body: &mut Incoming) {
        let reading = body::collect_start(body, self.limits.max_error_body_bytes, None);
        let _ = tokio::time::timeout(self.limits.error_body_timeout, reading).await;
    }

    /// The failure for a response whose status is no success, with what its body says.
    pub(super) async fn status_failure(
        &self,
        response: Response<Incoming>,
        operation: HttpOperation,
    ) -> Box<HttpFailure> {
        let (head, mut body) = response.into_parts();
        let status = head.status;
        let reading = body::collect_start(&mut body, self.limits.max_error_body_bytes, None);
        let (bytes, is_whole) = tokio::time::timeout(self.limits.error_body_timeout, reading)
            .await
            .unwrap_or_default();
        let text = |name: HeaderName| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let origin = &self.peer.origin;
        let hint = status_hint(status, operation);
        let mut failure = HttpFailure::new(
            FailureKind::Status,
            operation,
            status_outcome(status),
            format!("`{origin}` answered {status}{hint}"),
        );
        failure.status = Some(status);
        failure.retry_after = text(header::RETRY_AFTER)
            .and_then(|value| value.trim().parse().ok())
            .map(Duration::from_secs);
        failure.www_authenticate = text(header::WWW_AUTHENTICATE);
        if !bytes.is_empty() && is_plain(&head.headers) {
            let is_json = content_type(&head.headers).as_deref() == Some(JSON);
            failure.body_excerpt = Some(self.excerpt(&bytes));
            failure.body = (is_json && is_whole).then_some(bytes);
        }
        failure
    }

    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        let mut secrets: Vec<String> = Vec::new();
        let session = self.state().session.clone();
        let own = self.headers.values().filter(|value| value.is_sensitive());
        for value in own.chain(session.iter()) {
            if let Ok(text) = value.to_str() {
                // A server may show the token without its scheme.
                let token = text.rsplit(' ').next().unwrap_or(text);
                secrets.extend(
                    [text, token]
                        .iter()
                        .filter(|s| s.len() >= 4)
                        .map(|s| s.to_string()),
                );
            }
        }
        failure::excerpt(body, &secrets)
    }

    // --- the end ---------------------------------------------------------------------------

    pub(super) fn close(self: &Arc<Self>) {
        let (session, version) = {
            let mut state = self.state();
            if state.closing {
                return;
            }
            state.closing = true;
            state.posts.clear();
            (state.session.clone(), state.protocol_version.clone())
        };
        self.stop.cancel();
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            if session.is_some() {
                let own: Vec<_> = version
                    .map(|value| (PROTOCOL_VERSION, value))
                    .into_iter()
                    .collect();
                let limit = shared.limits.close_timeout;
                let ending = shared.exchange(Call {
                    operation: HttpOperation::Post,
                    method: Method::DELETE,
                    uri: shared.target.uri.clone(),
                    headers: shared.headers(&own),
                    body: &[],
                    timeout: Some(limit),
                });
                // 405 says the server ends sessions by itself; any other trouble changes nothing.
                let ending = tokio::time::timeout(limit, ending);
                let _ = shared.cancel.run_until_cancelled(ending).await;
            }
            shared.tasks.close();
            shared.tasks.wait().await;
            shared.emit(HttpEvent::Closed).await;
        });
    }

    /// Reports `Closed` after the caller's token was cancelled.
    pub(super) fn report_cancellation(self: &Arc<Self>) {
        // Holds no strong reference, so that dropping the last handle frees the connections.
        let shared = Arc::downgrade(self);
        let (cancel, stop) = (self.cancel.clone(), self.stop.clone());
        self.runtime.spawn(async move {
            stop.cancelled().await;
            let Some(shared) = shared.upgrade().filter(|_| cancel.is_cancelled()) else {
                return;
            };
            if std::mem::replace(&mut shared.state().closing, true) {
                return;
            }
            shared.tasks.close();
            shared.tasks.wait().await;
            shared.emit(HttpEvent::Closed).await;
        });
    }
}

fn request_headers(
    config: &HttpUpstreamConfig,
    target: &Target,
    proxy_authorization: Option<HeaderValue>,
) -> Result<HeaderMap, HttpConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        if is_reserved(name) {
            return Err(HttpConfigError::ReservedHeader { name: name.clone() });
        }
        headers.append(name.clone(), value.clone());
    }
    if let Some(credentials) = &target.credentials {
        headers
            .entry(header::AUTHORIZATION)
            .or_insert_with(|| credentials.clone());
    }
    if let Some(mut value) = proxy_authorization {
        value.set_sensitive(true);
        headers.insert(header::PROXY_AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Headers that say how the message travels; only the transport may set them.
fn is_reserved(name: &HeaderName) -> bool {
    [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        SESSION_ID,
        LAST_EVENT_ID,
    ]
    .contains(name)
}

/// The media type without parameters, in lower case.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    Some(essence.to_ascii_lowercase())
}

/// Whether the body is as it stands, not compressed.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|value| {
            value
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"identity")
        })
}

/// Statuses with which a server says that it did not act.
fn status_outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        400..=406 | 411 | 413..=415 | 421 | 426 | 429 | 431 => Outcome::NotSent,
        _ => Outcome::MaybeExecuted,
    }
}

fn status_hint(status: StatusCode, operation: HttpOperation) -> &'static str {
    match status.as_u16() {
        401 => "\nhint: it wants credentials; configure an authorization header",
        403 => "\nhint: the credentials are not allowed to do this",
        404 if operation == HttpOperation::Post => "\nhint: is the path of the URL right?",
        413 => "\nhint: the message is larger than the server takes",
        429 => "\nhint: too many requests; try again later",
        502..=504 => "\nhint: the server behind this address is down or slow",
        _ => "",
    }
}
