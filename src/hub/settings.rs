//! What the hub needs to know of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::jsonrpc::Limits;
use crate::result::images::Vision;
use crate::result::link::Links;
use crate::result::options::{Cap, Channel};
use crate::surface::plan::{Form, ReadsResults};
use crate::upstream::RestartPolicy;

use super::projection::ProjectionSettings;

/// Which era a server is asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraChoice {
    /// Found out.
    Auto,
    /// `initialize` only.
    Legacy,
    /// Modern only.
    Modern,
}

/// One server.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// Its configured name.
    pub name: String,
    /// Whether it is reached over HTTP.
    pub is_http: bool,
    /// Which era it is asked in.
    pub era: EraChoice,
    /// Whether the operator says it keeps no state, so that sessions of one principal share it.
    pub is_shared: bool,
    /// Names the server in snapshot keys: command or URL, working directory, digest of the environment.
    pub identity: String,
    /// Names the server in the keys of pins: as above without the values of variables and headers, so that a
    /// new token is no new server.
    pub pin_identity: String,
    /// How long a start may take until requests that wait for it fail.
    pub start_timeout: Duration,
    /// How long a request may take; none = as long as the client waits.
    pub request_timeout: Option<Duration>,
    /// Whether clients' `Authorization` goes on to it; at most one server's.
    pub forwards_authorization: bool,
}

/// How names of tools and prompts are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamingSettings {
    /// Whether the server's name stands before each name.
    pub is_prefixed: bool,
    /// What stands between them.
    pub separator: String,
    /// Longest shown name in characters.
    pub max_name: usize,
}

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct HubLimits {
    /// Bounds of one message.
    pub message: Limits,
    /// Requests of one client at once.
    pub in_flight_per_session: usize,
    /// Pages of one list.
    pub pages: usize,
    /// Items of one list of one server.
    pub items: usize,
    /// Bytes of one list of one server.
    pub list_bytes: usize,
    /// Streams of notifications of one client at once.
    pub listens_per_session: usize,
    /// HTTP sessions at once.
    pub sessions: usize,
    /// Rounds of questions in one request (rmcp's figure).
    pub rounds: u32,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            message: Limits::default(),
            in_flight_per_session: 1024,
            pages: 100,
            items: 10_000,
            list_bytes: 64 << 20,
            listens_per_session: 16,
            sessions: 10_000,
            rounds: 10,
        }
    }
}

/// Waits.
#[derive(Debug, Clone, Copy)]
pub struct HubTimeouts {
    /// How long a server may take to answer the era probe.
    pub probe: Duration,
    /// How long a merged list or handshake waits for the slowest server.
    pub merge: Duration,
    /// How long a question of a server waits for a modern client to come back.
    pub parked: Duration,
    /// How long an HTTP session lives without traffic.
    pub session_idle: Duration,
    /// How long requests in flight may go on after the input ended.
    pub shutdown_grace: Duration,
    /// Longest life of any request.
    pub absolute: Duration,
}

impl Default for HubTimeouts {
    fn default() -> Self {
        Self {
            probe: Duration::from_secs(10),
            merge: Duration::from_secs(5),
            parked: Duration::from_secs(600),
            session_idle: Duration::from_secs(1800),
            shutdown_grace: Duration::from_secs(10),
            absolute: Duration::from_secs(24 * 3600),
        }
    }
}

/// The kinds of clients that a URL path can name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profiles {
    /// The name of the configured one, which serves clients whose path names none.
    pub configured: String,
    /// How lists are shown to each, by its name.
    pub forms: BTreeMap<String, Form>,
    /// How results are shown to each, by its name; none where they stay as they come.
    pub results: BTreeMap<String, ResultForm>,
}

/// How results are shown to one kind of client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultForm {
    /// Which part its model reads.
    pub channel: Channel,
    /// Whether denser notations are used.
    pub is_compacted: bool,
    /// Whether these may abbreviate values that repeat (`~1`), said in lines above the text.
    pub may_abbreviate: bool,
    /// The same for tools of a name, in which `*` stands for any characters; the first that fits counts.
    pub tool_legends: Vec<(String, bool)>,
    /// Whether answers that repeat are said shortly.
    pub says_repeats: bool,
    /// Whether images are scaled down and long base64 is replaced.
    pub is_media_replaced: bool,
    /// What its model makes of images.
    pub vision: Vision,
    /// How much of one result is sent; none = all of it.
    pub cap: Option<Cap>,
    /// The same for tools of a name, in which `*` stands for any characters; the first that fits counts.
    pub tool_caps: Vec<(String, Option<Cap>)>,
    /// Whether `read_result` is listed, so that results can be shown in part.
    pub lists_read_result: ReadsResults,
    /// To whom links to kept results are shown.
    pub links: Links,
}

/// Everything the hub decides by.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// The servers, in configured order.
    pub servers: Vec<ServerSpec>,
    /// How names are shown.
    pub naming: NamingSettings,
    /// What tool lists are shown by; none = as they come.
    pub surface: Option<crate::surface::plan::Settings>,
    /// What a client's URL path may ask for instead of the configured form. Never asked whether a client
    /// may do something.
    pub profiles: Profiles,
    /// Whether nothing at all is changed.
    pub is_transparent: bool,
    /// Whether what would be shown is made, but the original is sent.
    pub is_shadow: bool,
    /// The share of sessions that run untouched, for comparison in the ledger.
    pub holdout: crate::token::ledger::holdout::HoldoutShare,
    /// Definitions that calls are held to: their hashes by the names that clients see.
    pub locked: Option<Arc<BTreeMap<String, String>>>,
    /// What is watched in definitions and results.
    pub guard: crate::policy::guard::Guard,
    /// What calls may be made, and which tools are left out of lists.
    pub policy: Arc<crate::policy::Policy>,
    /// What is recorded of requests.
    pub audit: crate::policy::audit::Scope,
    /// Which calls may ask for parts of results.
    pub projection: ProjectionSettings,
    /// What is said of the shape of tools' results.
    pub result_shapes: Arc<super::shapes::ShapeTexts>,
    /// Whether results are kept, so that more of them can be read.
    pub keeps_results: bool,
    /// Whether snapshots are kept.
    pub keeps_snapshots: bool,
    /// What the result cache goes by.
    pub cache: super::cache::CacheSettings,
    /// Bounds.
    pub limits: HubLimits,
    /// Bounds of a service for many.
    pub service: super::limits::ServiceLimits,
    /// Whether somebody counts what is over.
    pub is_measured: bool,
    /// How traces are made; none where nobody takes spans.
    pub trace: Option<super::trace::TraceSettings>,
    /// Waits.
    pub timeouts: HubTimeouts,
    /// Restarts.
    pub restart: RestartPolicy,
    /// Our own version, for `serverInfo` of merged servers.
    pub version: String,
}
