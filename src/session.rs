//! One downstream: legacy (long) or modern (one request after another, each on its own). Pure.
//!
//! A session knows who speaks, what the client said of itself, which of its requests are in flight and
//! which questions of servers wait for its answer. It decides nothing: [`crate::hub`] does.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::id::{IdKey, RequestId};
use crate::jsonrpc::message::Message;
use crate::jsonrpc::write::Outgoing;
use crate::mcp::version::Era;
use crate::surface::shared_text::Shared;
use crate::upstream::UpstreamId;

/// Names a session.
pub type SessionId = u64;
/// Names one stream towards a client: stdout, or the response to one HTTP request.
pub type StreamId = u64;
/// The stream of a stdio client.
pub const STDIO: StreamId = 0;

/// Whose data a session sees. In every key under which anything is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The user whose process we are (stdio).
    OsUser,
    /// A client on the loopback interface without a token.
    Loopback,
    /// Somebody whose token or certificate was checked: `token:NAME`, `jwt:ISSUER#SUBJECT`, `cert:NAME`.
    Verified(Arc<str>),
    /// An unverified bearer: the keyed hash of its token.
    Bearer([u8; 16]),
    /// No token, not on loopback: that session alone.
    Session(u64),
}

impl Principal {
    /// Returns the text under which it enters keys.
    pub fn key(&self) -> String {
        match self {
            Self::OsUser => "user".into(),
            Self::Loopback => "loopback".into(),
            Self::Verified(name) => name.to_string(),
            Self::Bearer(hash) => hash
                .iter()
                .fold("bearer-".into(), |out, b| format!("{out}{b:02x}")),
            Self::Session(id) => format!("session-{id}"),
        }
    }

    /// Reads what [`Self::key`] made; none where it is no key of this version.
    pub fn of_key(key: &str) -> Option<Self> {
        if let Some(hex) = key.strip_prefix("bearer-") {
            let mut hash = [0; 16];
            if hex.len() != 32 || !hex.is_ascii() {
                return None;
            }
            for (at, byte) in hash.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
            }
            return Some(Self::Bearer(hash));
        }
        if let Some(number) = key.strip_prefix("session-") {
            return number.parse().ok().map(Self::Session);
        }
        match key {
            "user" => Some(Self::OsUser),
            "loopback" => Some(Self::Loopback),
            _ if ["token:", "jwt:", "cert:"]
                .iter()
                .any(|kind| key.starts_with(kind)) =>
            {
                Some(Self::Verified(key.into()))
            }
            _ => None,
        }
    }
}

/// How a client is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Newline-delimited messages on one pair of pipes (or channels inside the process).
    Stdio,
    /// A legacy HTTP session with its `Mcp-Session-Id`.
    HttpSession(String),
    /// Modern HTTP requests of one principal; they share this record, not a conversation.
    HttpRequests,
}

/// What a legacy client said of itself.
#[derive(Debug, Clone)]
pub struct LegacyClient {
    /// The raw `params` of its `initialize`.
    pub params: Bytes,
    /// The version that was agreed on.
    pub version: String,
    /// Its raw capabilities.
    pub capabilities: Bytes,
    /// Its `notifications/initialized`, once it came.
    pub initialized: Option<Message>,
    /// The last level it set with `logging/setLevel`, raw.
    pub log_level: Option<Bytes>,
}

/// A server's question on its way to a client and back.
#[derive(Debug, Clone)]
pub struct Question {
    /// The connection that asked.
    pub upstream: u64,
    /// The id under which it asked.
    pub server_id: RequestId,
    /// The exchange it belongs to, where that is known.
    pub exchange: Option<u64>,
    /// The key under which a modern server wants the answer; then nothing is sent to `server_id`.
    pub input_key: Option<String>,
    /// The progress token of the question, raw.
    pub token: Option<Bytes>,
}

/// An open stream of change notifications of a modern client.
#[derive(Debug, Clone)]
pub struct ListenStream {
    /// Where it is sent.
    pub stream: StreamId,
    /// The id of the listen request, raw, as `subscriptionId` repeats it.
    pub request_id: RequestId,
    /// Accepted change notifications.
    pub kinds: HashSet<&'static str>,
    /// Accepted resource URIs.
    pub uris: HashSet<String>,
    /// The exchange that holds the request open.
    pub exchange: u64,
}

/// One downstream.
#[derive(Debug)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// How it is connected.
    pub link: Link,
    /// Whose data it sees.
    pub principal: Principal,
    /// The upstream connections it uses.
    pub set: u64,
    /// The profile that the URL path named; it belongs to the session as its id does.
    pub profile: Option<String>,
    /// What the handshake said in the instructions instead of in each tool, by server.
    pub moved: HashMap<UpstreamId, Arc<Shared>>,
    /// The legacy handshake, if it came.
    pub legacy: Option<LegacyClient>,
    /// Whether a hop of ours lies downstream, which shapes instead of us.
    pub is_inner: bool,
    /// How many hops of ours lie downstream, as far as requests told.
    pub hops: u32,
    /// Requests in flight.
    pub in_flight: HashMap<(StreamId, RequestId), u64>,
    /// Servers' questions that wait for an answer, by the id we gave them.
    pub questions: HashMap<IdKey, Question>,
    /// Number of the next id of ours towards this client.
    pub next_question: i64,
    /// The GET stream of an HTTP session.
    pub get_stream: Option<StreamId>,
    /// Messages for a GET stream that is not open.
    pub waiting: VecDeque<Outgoing>,
    /// Listen streams of modern clients.
    pub listens: Vec<ListenStream>,
    /// Resources subscribed by a legacy client.
    pub subscriptions: HashSet<String>,
    /// Lists that were answered, so that a difference is told.
    pub served_incomplete: bool,
    /// Bytes of the messages in `waiting`.
    pub waiting_bytes: usize,
    /// Bytes of its requests in flight.
    pub request_bytes: usize,
    /// When it was opened.
    pub opened: Instant,
    /// When it was last heard of.
    pub last_seen: Instant,
    /// Whether its input ended: nothing new is accepted.
    pub is_closing: bool,
}

/// Messages kept for a GET stream that is not open, at most; older ones go first.
const WAITING_MESSAGES: usize = 256;

impl Session {
    /// Makes a session.
    pub fn new(id: SessionId, link: Link, principal: Principal, set: u64, now: Instant) -> Self {
        Self {
            id,
            link,
            principal,
            set,
            profile: None,
            moved: HashMap::new(),
            legacy: None,
            is_inner: false,
            hops: 0,
            in_flight: HashMap::new(),
            questions: HashMap::new(),
            next_question: 1,
            get_stream: None,
            waiting: VecDeque::new(),
            listens: Vec::new(),
            subscriptions: HashSet::new(),
            served_incomplete: false,
            waiting_bytes: 0,
            request_bytes: 0,
            opened: now,
            last_seen: now,
            is_closing: false,
        }
    }

    /// Keeps a message for a stream that is not open, within a number and `max_bytes`; the oldest go first.
    pub fn keep_waiting(&mut self, message: Outgoing, max_bytes: usize) {
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
        while self.waiting.len() > WAITING_MESSAGES
            || (self.waiting_bytes > max_bytes && self.waiting.len() > 1)
        {
            let Some(oldest) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= oldest.len();
        }
    }

    /// Takes what waits for a stream.
    pub fn take_waiting(&mut self) -> VecDeque<Outgoing> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Tells whether nobody can come back to it: a modern client that we cannot tell from others (no token,
    /// not on loopback) is a new one with each request.
    pub fn is_of_one_request(&self) -> bool {
        self.link == Link::HttpRequests && matches!(self.principal, Principal::Session(_))
    }

    /// Returns the era of a message that has no metadata of its own.
    pub fn era(&self) -> Era {
        if self.link == Link::HttpRequests {
            Era::Modern
        } else {
            Era::Legacy
        }
    }

    /// Returns the negotiated legacy version.
    pub fn version(&self) -> &str {
        self.legacy
            .as_ref()
            .map_or(crate::mcp::version::NEWEST_LEGACY, |legacy| &legacy.version)
    }

    /// Returns an id for a question: the server's own where no other question has it.
    pub fn question_id(&mut self, wanted: &RequestId) -> RequestId {
        if wanted.is_plain() && !self.questions.contains_key(&wanted.key()) {
            return wanted.clone();
        }
        loop {
            let id = RequestId::from_text(&format!("whittle-{}", self.next_question));
            self.next_question += 1;
            if !self.questions.contains_key(&id.key()) {
                return id;
            }
        }
    }
}
