//! Bounds on what comes from outside and how long things may take, with their defaults. Part of the
//! settings: plain values.

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Bounds on what comes from outside. All are at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest frame in bytes, on every transport.
    pub frame_bytes: u64,
    /// Deepest nesting of arrays and objects in a frame.
    pub json_depth: u32,
    /// Most object members and array elements in a request from the client.
    pub request_members: u64,
    /// Longest request id in bytes of JSON.
    pub id_bytes: u64,
    /// Most pages of one list of one server.
    pub pages: u32,
    /// Most tools of one server.
    pub tools_per_server: u32,
    /// Most bytes of one list of one server, all pages together.
    pub list_bytes: u64,
    /// Most requests of one session that wait for an answer.
    pub in_flight_per_session: u32,
    /// Most sessions of the HTTP listener.
    pub sessions: u32,
    /// Most bytes queued towards one peer before its sources are no longer read.
    pub queue_bytes: u64,
    /// Most frames queued towards one peer before its sources are no longer read.
    pub queue_frames: u32,
    /// Most lines of a server's stderr that are kept for error messages.
    pub stderr_lines: u32,
    /// What clients of a service may have under way.
    pub service: ServiceBounds,
    /// When HTTP servers that fail are left alone.
    pub breaker: BreakerBounds,
}

/// What clients may have under way, and how often they may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceBounds {
    /// Most requests of all clients that wait for an answer.
    pub in_flight: u32,
    /// Most requests of one principal that wait for an answer, over all of its sessions.
    pub in_flight_per_principal: u32,
    /// Most requests of one principal in a second, in the long run; 0 = as many as it likes.
    pub requests_per_second: u32,
    /// Most requests of one principal at once after a pause, where there is a rate.
    pub request_burst: u32,
    /// Most requests that one connection to a server has and has not answered.
    pub waiting_per_upstream: u32,
    /// Most bytes of requests and waiting messages of one HTTP session.
    pub session_bytes: u64,
}

impl Default for ServiceBounds {
    fn default() -> Self {
        Self {
            in_flight: 20_000,
            in_flight_per_principal: 10_000,
            requests_per_second: 0,
            request_burst: 100,
            waiting_per_upstream: 4_096,
            session_bytes: 16 * MIB,
        }
    }
}

/// When an HTTP server that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerBounds {
    /// Failures in a row; 0 = never.
    pub failures: u32,
    /// For how long the first time; doubles with each trial that fails.
    pub open: Duration,
    /// The longest; not below `open`.
    pub max_open: Duration,
}

impl Default for BreakerBounds {
    fn default() -> Self {
        Self {
            failures: 5,
            open: Duration::from_secs(5),
            max_open: Duration::from_secs(60),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 256 * MIB,
            json_depth: 512,
            request_members: 100_000,
            id_bytes: KIB,
            pages: 100,
            tools_per_server: 10_000,
            list_bytes: 64 * MIB,
            in_flight_per_session: 1_000,
            sessions: 10_000,
            queue_bytes: 16 * MIB,
            queue_frames: 1_024,
            stderr_lines: 20,
            service: ServiceBounds::default(),
            breaker: BreakerBounds::default(),
        }
    }
}

/// How long things may take. All are more than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start of a server to its first answered handshake. Package runners download first.
    pub start: Duration,
    /// How long a server may take to answer `server/discover` before it counts as legacy.
    pub probe: Duration,
    /// How long a merged list waits for a slow server before it is answered without it.
    pub list_deadline: Duration,
    /// How long a request may go without an answer or progress; `None` leaves it to the client.
    pub request: Option<Duration>,
    /// How long a request may take in all, whatever progress it reports.
    pub request_cap: Duration,
    /// How long requests in flight may take to end after stdin's end or SIGTERM.
    pub shutdown_grace: Duration,
    /// How long a child may take to end after its stdin was closed, before SIGTERM.
    pub term_grace: Duration,
    /// How long a child may take to end after SIGTERM, before SIGKILL.
    pub kill_grace: Duration,
    /// How long a session of the HTTP listener may be unused before it is ended.
    pub session_idle: Duration,
    /// How long a peer may read nothing while its queue is full before it is given up.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(60),
            probe: Duration::from_secs(10),
            list_deadline: Duration::from_secs(5),
            request: None,
            request_cap: Duration::from_secs(24 * 60 * 60),
            shutdown_grace: Duration::from_secs(5),
            term_grace: Duration::from_secs(2),
            kill_grace: Duration::from_secs(2),
            session_idle: Duration::from_secs(30 * 60),
            stall: Duration::from_secs(60),
        }
    }
}

/// When a crashed server is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Wait before the first restart; doubles with each one that follows.
    pub initial_backoff: Duration,
    /// Longest wait between two restarts; not below `initial_backoff`.
    pub max_backoff: Duration,
    /// Share of the wait that is random, in percent: 0 to 100.
    pub jitter_percent: u32,
    /// After how many failures in a row a server is parked and only a new request starts it.
    pub park_after: u32,
    /// After how long without a failure the count starts again.
    pub reset_after: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            initial_backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(30),
            jitter_percent: 25,
            park_after: 8,
            reset_after: Duration::from_secs(60),
        }
    }
}

/// Bounds on requests to the HTTP listener. All are at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Longest request body in bytes; also bounded by [`Limits::frame_bytes`].
    pub body_bytes: u64,
    /// Longest request head in bytes.
    pub header_bytes: u64,
    /// Most headers of a request.
    pub headers: u32,
    /// How long the request head may take.
    pub header_timeout: Duration,
    /// How long a connection is kept on which nothing is asked any more: longer than the 90 s for which common
    /// client libraries keep theirs.
    pub idle_timeout: Duration,
    /// How long the request body may take.
    pub body_timeout: Duration,
    /// Most connections at a time.
    pub connections: u32,
    /// Most bytes that wait for all clients together before nothing new is taken; never more than eight
    /// queues of [`Limits::queue_bytes`]. The same for the requests of all clients.
    pub queued_bytes: u64,
    /// Most streams (GET or `subscriptions/listen`) of one session at a time.
    pub streams_per_session: u32,
    /// How often a comment keeps an idle stream alive.
    pub keep_alive: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes: 16 * MIB,
            header_bytes: 64 * KIB,
            headers: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(30),
            connections: 10_000,
            queued_bytes: 128 * MIB,
            streams_per_session: 16,
            keep_alive: Duration::from_secs(15),
        }
    }
}
