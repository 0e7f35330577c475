//! What all tasks of one upstream share: session, and who is in flight.
//! Makes no request itself (`exchange` does) and does not know what a response means.

use super::exchange::{Call, PROTOCOL_VERSION, SESSION_ID, is_reserved};
use super::failure::{HttpFailure, HttpOperation};
use super::legacy_sse::Endpoint;
use super::site::Site;
use super::{EventSink, HttpEvent};
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) struct Shared {
    site: Arc<Site>,
    events: Arc<dyn EventSink>,
    cancel: CancellationToken,
    /// Ends all tasks at `Close`, without touching the caller's token.
    stop: CancellationToken,
    tasks: TaskTracker,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
}

/// What is the server's is had through it.
impl std::ops::Deref for Shared {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

#[derive(Default)]
pub(super) struct State {
    session: Option<HeaderValue>,
    protocol_version: Option<HeaderValue>,
    authorization: Option<HeaderValue>,
    posts: HashMap<u64, (u64, AbortHandle)>,
    next_post: u64,
    listen: Option<AbortHandle>,
    legacy: Option<(watch::Receiver<Endpoint>, AbortHandle)>,
    /// Done once the last notification sent so far was accepted.
    last_notification: Option<CancellationToken>,
    closing: bool,
}

impl Shared {
    pub(super) fn new(
        site: Arc<Site>,
        events: Arc<dyn EventSink>,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            site,
            events,
            stop: cancel.child_token(),
            cancel,
            tasks: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
            state: Mutex::new(State::default()),
        })
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
        // Boxed here: what wraps a task would else have room for it twice.
        let task = Box::pin(task);
        let task = async move {
            stop.run_until_cancelled(task).await;
        };
        self.tasks.spawn_on(task, &self.runtime).abort_handle()
    }

    /// Hands an event to the caller, waiting while its queue is full.
    pub(super) async fn emit(&self, event: HttpEvent) {
        self.events.take(event).await;
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

    pub(super) fn set_authorization(&self, authorization: Option<HeaderValue>) {
        self.state().authorization = authorization;
    }

    /// Values that no message may show, besides the configured headers.
    pub(super) fn secrets(&self) -> Vec<HeaderValue> {
        let state = self.state();
        let secrets = [&state.session, &state.authorization];
        secrets.into_iter().flatten().cloned().collect()
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
            // A copy: a slice of what the connection read would hold all of that.
            let Ok(mut id) = HeaderValue::from_bytes(id.as_bytes()) else {
                return;
            };
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
        if let Some(authorization) = &state.authorization {
            headers
                .entry(header::AUTHORIZATION)
                .or_insert_with(|| authorization.clone());
        }
        if let Some(session) = &state.session {
            headers.insert(SESSION_ID, session.clone());
        }
        headers
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
