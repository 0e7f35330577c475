//! Method names, and what the revisions say of them.

use super::version::Era;

pub use names::*;

/// The names as they stand on the wire.
#[expect(missing_docs, reason = "each constant is the method it names")]
mod names {
    pub const INITIALIZE: &str = "initialize";
    pub const INITIALIZED: &str = "notifications/initialized";
    pub const PING: &str = "ping";
    pub const DISCOVER: &str = "server/discover";
    pub const LISTEN: &str = "subscriptions/listen";
    pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    pub const TOOLS_LIST: &str = "tools/list";
    pub const TOOLS_CALL: &str = "tools/call";
    pub const PROMPTS_LIST: &str = "prompts/list";
    pub const PROMPTS_GET: &str = "prompts/get";
    pub const RESOURCES_LIST: &str = "resources/list";
    pub const TEMPLATES_LIST: &str = "resources/templates/list";
    pub const RESOURCES_READ: &str = "resources/read";
    pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
    pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
    pub const COMPLETE: &str = "completion/complete";
    pub const SET_LEVEL: &str = "logging/setLevel";
    pub const CANCELLED: &str = "notifications/cancelled";
    pub const PROGRESS: &str = "notifications/progress";
    pub const LOG: &str = "notifications/message";
    pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
    pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
    pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
    pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
    pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";
    pub const ROOTS_LIST: &str = "roots/list";
    pub const SAMPLING: &str = "sampling/createMessage";
    pub const ELICITATION: &str = "elicitation/create";
    pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
    pub const TASKS_RESULT: &str = "tasks/result";
    pub const TASK_STATUS: &str = "notifications/tasks/status";
}

/// The four lists that are merged over servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl ListKind {
    /// All of them, in the order in which a server is asked.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// Returns the list that a method asks for.
    pub fn of_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// Returns the method that asks for the list.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => TOOLS_LIST,
            Self::Prompts => PROMPTS_LIST,
            Self::Resources => RESOURCES_LIST,
            Self::Templates => TEMPLATES_LIST,
        }
    }

    /// Returns the member of the result that holds the items.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// Returns the server capability without which the list does not exist.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// Returns the lists that a change notification makes stale (that of resources covers templates).
    pub fn changed_by(notification: &str) -> &'static [Self] {
        match notification {
            TOOLS_CHANGED => &[Self::Tools],
            PROMPTS_CHANGED => &[Self::Prompts],
            RESOURCES_CHANGED => &[Self::Resources, Self::Templates],
            _ => &[],
        }
    }
}

/// Tells whether a request method does not exist in an era although the other has it.
///
/// A dual-era proxy answers these itself with -32601 (MCP 2026-07-28 changelog; the conformance suite
/// checks it with modern metadata).
pub fn is_removed(method: &str, era: Era) -> bool {
    match era {
        Era::Modern => matches!(
            method,
            INITIALIZE | PING | SET_LEVEL | RESOURCES_SUBSCRIBE | RESOURCES_UNSUBSCRIBE
        ),
        Era::Legacy => matches!(method, DISCOVER | LISTEN),
    }
}

/// Tells whether the method is one of a request in some revision, or of its family: all notifications of MCP begin with
/// `notifications/`.
pub fn is_request(method: &str) -> bool {
    const FAMILIES: [&str; 11] = [
        "tools/",
        "prompts/",
        "resources/",
        "completion/",
        "logging/",
        "tasks/",
        "server/",
        "subscriptions/",
        "sampling/",
        "elicitation/",
        "roots/",
    ];
    matches!(method, INITIALIZE | PING) || FAMILIES.iter().any(|family| method.starts_with(family))
}

/// Tells whether a modern server may answer the method with `input_required` (MCP 2026-07-28
/// basic/patterns/mrtr).
pub fn may_ask(method: &str) -> bool {
    matches!(method, TOOLS_CALL | PROMPTS_GET | RESOURCES_READ)
}

/// Tells whether a modern result of the method must carry `ttlMs` and `cacheScope` (MCP 2026-07-28
/// server/utilities/caching).
pub fn is_cacheable(method: &str) -> bool {
    ListKind::of_method(method).is_some() || matches!(method, DISCOVER | RESOURCES_READ)
}

/// Returns the member of `params` that says which thing a request is about, as `Mcp-Name` mirrors it.
pub fn name_member(method: &str) -> Option<&'static str> {
    match method {
        TOOLS_CALL | PROMPTS_GET => Some("name"),
        RESOURCES_READ | RESOURCES_SUBSCRIBE | RESOURCES_UNSUBSCRIBE => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}
