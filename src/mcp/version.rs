//! Protocol versions and the two eras.

/// How a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2025-11-25 and older: `initialize`, sessions, server requests.
    Legacy,
    /// 2026-07-28 and newer: metadata on every request, no sessions, no server requests.
    Modern,
}

impl std::fmt::Display for Era {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        })
    }
}

/// The newest version that opens with a handshake.
pub const NEWEST_LEGACY: &str = "2025-11-25";
/// The version of the modern era that we speak.
pub const MODERN: &str = "2026-07-28";
/// Versions that open with a handshake, newest first.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Returns the era of a version. Versions are dates, so their order is the order of their text.
pub fn era_of(version: &str) -> Era {
    if version >= MODERN {
        Era::Modern
    } else {
        Era::Legacy
    }
}

/// Returns the version with which we answer an `initialize` that asks for `requested`: the same if it
/// is known and legacy, else the newest legacy one (MCP 2025-11-25 basic/lifecycle).
pub fn negotiate(requested: &str) -> &str {
    if LEGACY.contains(&requested) {
        requested
    } else {
        NEWEST_LEGACY
    }
}

/// Tells whether JSON-RPC batches are allowed (2025-03-26 only; 2024-11-05 left it to JSON-RPC).
pub fn allows_batch(version: &str) -> bool {
    matches!(version, "2025-03-26" | "2024-11-05")
}
