//! One request of a client on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::Message;
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;
use crate::session::{SessionId, StreamId};
use crate::upstream::UpstreamId;

use super::results::Answered;
use crate::result::options::Projection;

/// Names an exchange.
pub type ExchangeId = u64;

/// A request in flight, from its arrival until its one answer.
#[derive(Debug)]
pub struct Exchange {
    /// Its name.
    pub id: ExchangeId,
    /// Whose request it is.
    pub session: SessionId,
    /// Where the answer goes.
    pub stream: StreamId,
    /// The request as it came.
    pub request: Message,
    /// Its id as the client spells it.
    pub request_id: RequestId,
    /// The era in which the client speaks here.
    pub era: Era,
    /// The version in which it speaks.
    pub version: String,
    /// The client's raw capabilities as declared for this request.
    pub capabilities: Bytes,
    /// What is being done for it.
    pub plan: Plan,
    /// The connection that it is being answered by.
    pub upstream: Option<UpstreamId>,
    /// The name or URI as the server knows it, where the client's differs.
    pub real_name: Option<String>,
    /// What is set in `params` when it is sent (again).
    pub extra_params: Vec<(&'static str, Bytes)>,
    /// What is taken out of `params` when it is sent.
    pub remove_params: Vec<&'static str>,
    /// `Mcp-Param-*` headers as the client sent them.
    pub head_params: Vec<(String, String)>,
    /// Headers of the trace that the client's request is part of.
    pub trace: Vec<(String, String)>,
    /// The client's progress token, raw.
    pub progress_token: Option<Bytes>,
    /// The last progress that the client saw, and what is added to the server's.
    pub progress: (f64, f64),
    /// The batch that it is part of.
    pub batch: Option<u64>,
    /// When it is given up whatever progress it reports.
    pub cap: Option<Instant>,
    /// Whether it was sent to a server at least once.
    pub was_sent: bool,
    /// Whether it was sent again because its HTTP session was lost.
    pub was_resent: bool,
    /// Rounds of questions so far.
    pub rounds: u32,
    /// Whether the tools were listed for it, to know which of them a name of ours reaches.
    pub asked_for_surface: bool,
    /// Whether it waited for the definition of the tool that it calls.
    pub waited_for_definition: bool,
    /// The tool that it calls, by the name that clients see, once the call goes on to a server.
    pub counted_as: Option<String>,
    /// Whether it calls a tool through one of our callers.
    pub is_through_caller: bool,
    /// The part of its result that is wanted.
    pub projection: Option<Projection>,
    /// Its answer, while that is being shaped.
    pub answered: Option<Box<Answered>>,
    /// Until when it waits for a surface, once it does.
    pub surface_by: Option<Instant>,
    /// Whether the headers were refused and made anew once.
    pub headers_renewed: bool,
    /// The call that its client's user agreed to.
    pub approved: Option<crate::policy::approval::CallDigest>,
    /// What is recorded of it, where that is wanted.
    pub audit: Option<Box<super::audit::Draft>>,
    /// How it takes part in the cache.
    pub cache: super::cache::Part,
    /// Where it stands in its trace, where traces are made.
    pub traced: Option<Box<super::trace::Traced>>,
    /// What is measured of it.
    pub measure: super::measure::Measure,
}

impl Exchange {
    /// Returns a header of the trace that the client's request is part of.
    pub fn trace_header(&self, name: &str) -> Option<&str> {
        let mut headers = self.trace.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the name of what a server is asked for, as it knows it; empty where there is none.
    pub fn called(&self) -> String {
        self.real_name
            .clone()
            .or_else(|| self.request.body_text("name"))
            .unwrap_or_default()
    }

    /// Returns the raw arguments as the server gets them.
    pub fn sent_arguments(&self) -> Option<Bytes> {
        self.extra_params
            .iter()
            .find(|(key, _)| *key == "arguments")
            .map(|(_, arguments)| arguments.clone())
            .or_else(|| self.request.body("arguments").map(Bytes::copy_from_slice))
    }
}

/// What is being done for an exchange.
#[derive(Debug)]
pub enum Plan {
    /// One server answers.
    Forward,
    /// Servers are asked in turn until one does not say "unknown".
    TryEach {
        /// Servers not asked yet.
        remaining: VecDeque<UpstreamId>,
        /// What is answered if none knows it.
        first_refusal: Option<Message>,
    },
    /// A list is merged from servers.
    List {
        /// Which.
        kind: ListKind,
        /// Connections whose part is missing.
        waiting: Vec<UpstreamId>,
    },
    /// The client's handshake waits for servers.
    Handshake {
        /// Connections whose part is missing.
        waiting: Vec<UpstreamId>,
    },
    /// Every server gets it and the answers are awaited.
    Broadcast {
        /// Answers that are missing.
        waiting: usize,
        /// The first error, raw.
        error: Option<Bytes>,
        /// Whether a server took it.
        is_taken: bool,
    },
    /// A modern server asked; the legacy client is being asked.
    Ask(Ask),
    /// A legacy server asked; the modern client was told and will come back.
    Parked(Parked),
    /// A modern client's stream of notifications.
    Listen,
    /// A kept result is being read.
    Read,
    /// The client's user is asked whether the call may be made.
    Approve(super::approval::Held),
}

/// Questions of a modern server that a legacy client answers.
#[derive(Debug, Default)]
pub struct Ask {
    /// Answers by the server's keys, raw; `None` while missing.
    pub answers: BTreeMap<String, Option<Bytes>>,
    /// Keys of elicitations, which can be cancelled; other refusals fail the call.
    pub elicitations: BTreeSet<String>,
    /// The server's state, raw, given back as it came.
    pub request_state: Option<Bytes>,
}

/// Questions of a legacy server that a modern client answers by sending its request again.
#[derive(Debug, Default)]
pub struct Parked {
    /// Questions that wait: the key we gave, the server's id, the raw request.
    pub questions: Vec<ParkedQuestion>,
    /// Whether the client was told and its request is no longer open.
    pub is_detached: bool,
    /// Questions so far, which number the keys.
    pub asked: u64,
    /// Digest of what the request was about.
    pub digest: [u8; 32],
    /// The server's answer, if it came while nobody was attached.
    pub finished: Option<Message>,
}

/// One question of a legacy server.
#[derive(Debug, Clone)]
pub struct ParkedQuestion {
    /// The key in `inputRequests`.
    pub key: String,
    /// The id under which the server asked.
    pub raw_id: RequestId,
    /// `{"method":…,"params":…}`, raw.
    pub request: Bytes,
}
