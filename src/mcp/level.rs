//! Log levels and their order.

/// Log levels, the least severe first (RFC 5424, as MCP server/utilities/logging lists them).
const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// Returns the severity of a log level; `None` for a word that is none.
pub fn severity(name: &str) -> Option<usize> {
    LEVELS.iter().position(|level| *level == name)
}
