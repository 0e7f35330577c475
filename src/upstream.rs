//! One server connection: its state, its id map, its lists, what has to be replayed. Pure.
//!
//! The record and its small decisions; the flow between connections and clients is in
//! [`crate::hub`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::jsonrpc::id::{IdKey, RequestId};
use crate::jsonrpc::members;
use crate::jsonrpc::message::Message;
use crate::mcp::capabilities;
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;

/// Names a connection.
pub type UpstreamId = u64;

/// First id of ours on a connection: above what clients count up to, and inside 32 bits for servers
/// that keep ids there.
const FIRST_OWN_ID: i64 = 2_000_000_000;

/// How long a request that was cancelled holds its place at a server that does not answer it.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(600);

/// Where a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not started yet.
    Idle,
    /// The process or the HTTP client is being made.
    Connecting,
    /// It is there, but nothing was said yet.
    Connected,
    /// `server/discover` was sent to learn the era.
    Probing,
    /// `initialize` was sent.
    Initializing,
    /// Requests can be sent.
    Ready,
    /// Lost; a new attempt follows at the time given.
    Backoff(Instant),
    /// Lost too often in a row; only a new request tries again, after the time given.
    Parked(Instant),
    /// Being shut down.
    Stopping,
}

/// Why an upstream request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// For an exchange of a client.
    Exchange(u64),
    /// The probe.
    Discover,
    /// The handshake.
    Initialize,
    /// A page of a list.
    List(ListKind),
    /// Our stream of change notifications (modern server).
    Listen,
    /// A sign of life, asked of a server that missed a deadline.
    Probe,
    /// A replay whose answer matters to nobody.
    Replay(&'static str),
}

/// A request that waits for the server's answer.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// Why it was sent.
    pub purpose: Purpose,
    /// The key under which the transport knows it.
    pub key: u64,
    /// The progress token that was sent along, raw.
    pub token: Option<Bytes>,
    /// In which session of the connection it was sent.
    pub session: u64,
    /// When the client went away, since when only the slot remains.
    pub abandoned: Option<Instant>,
}

impl InFlight {
    /// Tells whether nobody waits for its answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.is_some()
    }

    /// Tells whether it was given up so long ago that no answer will come: whoever receives a cancellation need not
    /// answer what it was about (MCP basic/utilities/cancellation).
    pub fn is_given_up(&self, now: Instant) -> bool {
        self.abandoned
            .is_some_and(|since| now.saturating_duration_since(since) >= GIVEN_UP_AFTER)
    }
}

/// One list of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The items exactly as sent.
    pub items: Vec<Bytes>,
    /// The first page's raw result; its unknown members are kept.
    pub template: Bytes,
    /// Where the items array stands in the template.
    pub items_span: (usize, usize),
    /// Whether the pages were cut at a bound.
    pub is_truncated: bool,
    /// Hash of the items, which names the shaped form.
    pub fingerprint: [u8; 32],
    /// Pages that were merged.
    pub pages: usize,
    /// Where each name stands, once somebody asked.
    pub names: Names,
}

/// The first item of each name, by position. Follows from the items, so it makes no list different; what is copied
/// may be changed, so a copy begins without it.
#[derive(Debug, Default)]
pub struct Names(OnceLock<HashMap<Box<str>, usize>>);

impl Clone for Names {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Names {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Names {}

impl List {
    /// Returns the first item of a name. The list must be whole: names are read once, so that a call costs the same
    /// however long its server's list is.
    pub fn named(&self, name: &str) -> Option<&Bytes> {
        let names = self.names.0.get_or_init(|| {
            let mut names = HashMap::with_capacity(self.items.len());
            for (at, item) in self.items.iter().enumerate() {
                if let Some(name) = members::get_text(item, "name") {
                    names.entry(name.into()).or_insert(at);
                }
            }
            names
        });
        self.items.get(*names.get(name)?)
    }

    /// Returns the hash of the items.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for item in &self.items {
            hasher.update(&(item.len() as u64).to_le_bytes());
            hasher.update(item);
        }
        *hasher.finalize().as_bytes()
    }
}

/// A list on its way.
#[derive(Debug, Default)]
pub struct Fetch {
    /// What came so far.
    pub list: List,
    /// Cursors that were already used, to notice pages that never end.
    pub cursors: Vec<Bytes>,
    /// Whether a change came while fetching: fetch once more.
    pub again: bool,
    /// The least time that a page said it is fresh.
    pub ttl: Option<Duration>,
    /// Whether calls waited for it in vain: nothing more waits for it.
    pub is_late: bool,
}

/// What a connection holds of one kind of list.
#[derive(Debug, Default)]
pub struct ListState {
    /// The newest whole list from the live server.
    pub live: Option<Arc<List>>,
    /// Whether `live` was read since the last handshake and the last notice of a change: only then does it say
    /// what a call would run.
    pub is_confirmed: bool,
    /// The list the snapshot had, until the live one is served.
    pub snapshot: Option<Arc<List>>,
    /// Whether the snapshot's list was already shown to a client of this connection.
    pub snapshot_was_served: bool,
    /// The fetch under way.
    pub fetch: Option<Box<Fetch>>,
    /// The error that the last fetch ended with, raw.
    pub error: Option<Bytes>,
    /// Exchanges that wait for the fetch.
    pub waiting: Vec<u64>,
    /// Calls that are looked at again after the fetch: what they call has to be known first.
    pub held: Vec<u64>,
    /// Exchanges that are sent again after the fetch (their headers were refused).
    pub resend: Vec<u64>,
    /// How often in a row it was read again because it changed meanwhile.
    pub n_again: u32,
    /// Whether clients are told if the fetch brings a difference.
    pub tell: bool,
    /// The server's own notice of the change that clients are told of.
    pub notice: Option<Box<Message>>,
    /// Whether it came empty while the server warmed up, and is to be read again.
    pub came_empty: bool,
    /// Until when the server said that the live list is fresh.
    pub fresh_until: Option<Instant>,
    /// Pages that pass through to a client and are learned from.
    pub observed: Option<Box<List>>,
}

/// What a server said of itself.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Its era.
    pub era: Era,
    /// The negotiated version.
    pub version: String,
    /// The raw result of `initialize` or `server/discover`.
    pub result: Bytes,
    /// Its raw capabilities.
    pub capabilities: Bytes,
    /// The whole answer as it came; none where it was remembered.
    pub message: Option<Bytes>,
}

/// One server connection.
#[derive(Debug)]
pub struct Upstream {
    /// Its name.
    pub id: UpstreamId,
    /// Index of the server in the settings.
    pub server: usize,
    /// The set it belongs to.
    pub set: u64,
    /// Where it stands.
    pub state: State,
    /// What the server said of itself, from the live connection.
    pub handshake: Option<Handshake>,
    /// What the snapshot says it said.
    pub remembered: Option<Handshake>,
    /// The era that is tried first.
    pub era_first: Era,
    /// Whether `server/discover` was asked a second time, after a refusal that names our version.
    pub probed_again: bool,
    /// Requests in flight, by the id that was sent.
    pub in_flight: HashMap<IdKey, InFlight>,
    /// Whether requests were forgotten that may be answered yet: ids of clients, which come again, are not sent then.
    pub has_forgotten: bool,
    /// Exchanges that wait until requests can be sent.
    pub queue: VecDeque<u64>,
    /// Number of the next id of ours.
    pub next_id: i64,
    /// Number of the next transport key.
    pub next_key: u64,
    /// Progress tokens in use, raw, with their exchange.
    pub tokens: HashMap<Bytes, u64>,
    /// The four lists.
    pub lists: [ListState; 4],
    /// When the state we are in is given up.
    pub deadline: Option<Instant>,
    /// Attempts since it last was up for a while.
    pub attempts: u32,
    /// When it became ready.
    pub ready_since: Option<Instant>,
    /// Whether it ever became ready.
    pub was_ready: bool,
    /// Number of the session, which an HTTP server may forget.
    pub session: u64,
    /// Why it was lost last, for errors.
    pub last_failure: Option<String>,
    /// Last lines of the stderr of the process that was lost.
    pub last_stderr: Vec<String>,
    /// Whether the command could not be executed at all.
    pub is_unusable: bool,
    /// Subscribed resources with their number of subscribers.
    pub subscriptions: BTreeMap<String, usize>,
    /// Log level that was set, raw.
    pub log_level: Option<Bytes>,
    /// Whether `notifications/initialized` was sent on this connection.
    pub initialized_sent: bool,
    /// Whether the transport fell back to HTTP+SSE since the connection was made; the next one tries anew.
    pub fell_back: bool,
    /// The id of our open listen request on a modern server.
    pub listen_id: Option<RequestId>,
    /// How often in a row our listen stream broke soon after it was opened; it is not opened again for ever.
    pub listen_losses: u32,
    /// When our listen stream was acknowledged.
    pub listening_since: Option<Instant>,
    /// Subscribing exchanges that wait for an acknowledgement, with their URI.
    pub listen_waiting: Vec<(u64, String)>,
    /// The key the snapshot is kept under, once known.
    pub snapshot_key: Option<String>,
    /// The key that its pins are kept under, once known.
    pub pin_key: Option<String>,
    /// Whether the snapshot was asked for and has not come yet.
    pub snapshot_pending: bool,
    /// Lines that were no messages, to notice a degraded server.
    pub garbage_lines: u64,
}

impl Upstream {
    /// Makes a connection that is not started.
    pub fn new(id: UpstreamId, server: usize, set: u64, era_first: Era) -> Self {
        Self {
            id,
            server,
            set,
            state: State::Idle,
            handshake: None,
            remembered: None,
            era_first,
            probed_again: false,
            in_flight: HashMap::new(),
            has_forgotten: false,
            queue: VecDeque::new(),
            next_id: FIRST_OWN_ID,
            next_key: 1,
            tokens: HashMap::new(),
            lists: Default::default(),
            deadline: None,
            attempts: 0,
            ready_since: None,
            was_ready: false,
            session: 0,
            last_failure: None,
            last_stderr: Vec::new(),
            is_unusable: false,
            subscriptions: BTreeMap::new(),
            log_level: None,
            initialized_sent: false,
            fell_back: false,
            listen_id: None,
            listen_losses: 0,
            listening_since: None,
            listen_waiting: Vec::new(),
            snapshot_key: None,
            pin_key: None,
            snapshot_pending: false,
            garbage_lines: 0,
        }
    }

    /// Tells whether requests can be sent.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Tells whether nothing can run there now, and nobody is on the way to change that.
    pub fn is_down(&self) -> bool {
        match self.state {
            State::Parked(_) | State::Stopping => true,
            State::Backoff(_) => self.is_unusable,
            _ => false,
        }
    }

    /// Returns the era of the live server, or what is remembered or tried first.
    pub fn era(&self) -> Era {
        self.handshake
            .as_ref()
            .or(self.remembered.as_ref())
            .map_or(self.era_first, |handshake| handshake.era)
    }

    /// Returns what is known of the server, live or remembered.
    pub fn known(&self) -> Option<&Handshake> {
        self.handshake.as_ref().or(self.remembered.as_ref())
    }

    /// Tells whether the server declared a capability; `true` where nothing is known yet.
    pub fn may_have(&self, path: &[&str]) -> bool {
        self.known()
            .is_none_or(|handshake| capabilities::has(&handshake.capabilities, path))
    }

    /// Returns the state of a list.
    pub fn list(&self, kind: ListKind) -> &ListState {
        &self.lists[kind as usize]
    }

    /// Returns the state of a list.
    pub fn list_mut(&mut self, kind: ListKind) -> &mut ListState {
        &mut self.lists[kind as usize]
    }

    /// Returns an id for a request: the client's own where it is plain and free, else one of ours.
    pub fn request_id(&mut self, wanted: Option<&RequestId>) -> RequestId {
        if let Some(id) = wanted
            && id.is_plain()
            && !self.has_forgotten
            && !self.in_flight.contains_key(&id.key())
        {
            return id.clone();
        }
        loop {
            let id = RequestId::from_integer(self.next_id);
            self.next_id += 1;
            if !self.in_flight.contains_key(&id.key()) {
                return id;
            }
        }
    }

    /// Returns a key for the transport.
    pub fn request_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    /// Returns the request that the transport knows under a key.
    pub fn by_key(&self, key: u64) -> Option<(&IdKey, &InFlight)> {
        self.in_flight
            .iter()
            .find(|(_, in_flight)| in_flight.key == key)
    }
}

/// How often and how soon a lost server is started again.
#[derive(Debug, Clone, Copy)]
pub struct RestartPolicy {
    /// Wait before the first new attempt.
    pub initial_backoff: Duration,
    /// Longest wait.
    pub max_backoff: Duration,
    /// Share of the wait that chance may take away, 0 to 1.
    pub jitter: f64,
    /// Attempts in a row after which only new requests start it.
    pub park_after: u32,
    /// Uptime after which attempts are forgotten.
    pub reset_after: Duration,
}

impl RestartPolicy {
    /// Returns the wait before attempt `attempt` (from 1), doubling; `chance` in 0..1 takes up to the
    /// jitter's share of it away, so that many sidecars do not start in step.
    pub fn backoff(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = self.initial_backoff.saturating_mul(
            1u32.checked_shl(attempt.saturating_sub(1).min(20))
                .unwrap_or(1),
        );
        let capped = doubled.min(self.max_backoff);
        capped.mul_f64(1.0 - chance.clamp(0.0, 1.0) * self.jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_item_of_a_name_is_found_and_a_changed_copy_finds_its_own() {
        let item = |text: &'static str| Bytes::from_static(text.as_bytes());
        let mut list = List {
            items: vec![
                item(r#"{"name":"a","n":1}"#),
                item(r#"{"no":"name"}"#),
                item(r#"{"name":"a","n":2}"#),
                item(r#"{"name":"\u0062"}"#),
            ],
            ..List::default()
        };
        assert_eq!(list.named("a"), Some(&list.items[0]));
        assert_eq!(list.named("b"), Some(&list.items[3]));
        assert_eq!(list.named("c"), None);
        let before = list.clone();
        list = before.clone();
        list.items.remove(0);
        assert_eq!(list.named("a"), Some(&list.items[1]));
        assert_eq!(before, before.clone());
    }

    #[test]
    fn backoff_doubles_to_its_cap_and_jitter_only_shortens() {
        let policy = RestartPolicy {
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            jitter: 0.5,
            park_after: 5,
            reset_after: Duration::from_secs(60),
        };
        let millis = |attempt, jitter| policy.backoff(attempt, jitter).as_millis();
        assert_eq!(
            [1, 2, 3, 5, 6, 60].map(|n| millis(n, 0.0)),
            [100, 200, 400, 1600, 2000, 2000]
        );
        assert_eq!(millis(2, 1.0), 100);
    }

    #[test]
    fn plain_ids_pass_and_others_are_replaced() {
        let mut upstream = Upstream::new(1, 0, 1, Era::Legacy);
        let id = RequestId::from_integer(7);
        assert_eq!(upstream.request_id(Some(&id)), id);
        upstream.in_flight.insert(
            id.key(),
            InFlight {
                purpose: Purpose::Initialize,
                key: 1,
                token: None,
                session: 0,
                abandoned: None,
            },
        );
        let other = upstream.request_id(Some(&id));
        assert_ne!(other, id);
        assert!(other.is_plain());
        let odd = RequestId::parse(Bytes::from_static(b"1.0")).unwrap();
        assert_ne!(upstream.request_id(Some(&odd)), odd);
        // A late answer to what was forgotten must not meet the same id of another client.
        let free = RequestId::from_integer(8);
        assert_eq!(upstream.request_id(Some(&free)), free);
        upstream.has_forgotten = true;
        assert_ne!(upstream.request_id(Some(&free)), free);
    }
}
