//! The test kit: scripted peers on both sides of the built binary, and the counting oracle.
//!
//! The peers share no code with the proxy. Nothing here sleeps to synchronise: everything waits for a
//! condition, and [`GUARD`] only keeps a broken proxy from hanging the suite.

#[cfg(test)]
pub(crate) mod authority;
mod controls;
pub(crate) mod http_client;
pub(crate) mod http_upstream;
pub(crate) mod messages;
pub(crate) mod oracle;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod start;
#[cfg(test)]
pub(crate) mod tls;

use std::time::{Duration, Instant};

pub(crate) use proxy::Proxy;
pub(crate) use server::ScriptedServer;

/// How long anything may take before a test calls it a hang.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    within(GUARD, &mut look)
        .unwrap_or_else(|| panic!("waited {} s in vain: {what}", GUARD.as_secs()))
}

/// Waits until `look` finds something, or the time has passed.
pub(crate) fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until something is true.
#[track_caller]
pub(crate) fn until_true(what: &str, mut is_true: impl FnMut() -> bool) {
    until(what, || is_true().then_some(()));
}
