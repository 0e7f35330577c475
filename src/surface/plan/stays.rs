//! Tools that are not hidden to save tokens, because tools of ours cannot stand in for them: those of MCP Apps, which
//! their host finds in the list by name, and those that are called as tasks only, which a client knows from the list.

use crate::catalog::app::is_app;
use crate::catalog::task::needs_task;

/// Tells whether a raw definition stays in the list whatever the budget. An operator may still pin it `hidden`.
pub(super) fn stays(definition: &[u8]) -> bool {
    is_app(definition) || needs_task(definition)
}
