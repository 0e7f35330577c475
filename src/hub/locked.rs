//! Calls under a lock file: a tool runs only while its definition is the one that was locked. The definition
//! decides as its server sent it last, whatever clients are shown; other tools are not concerned.

use std::time::Instant;

use crate::surface::lock::meaning_hash;
use crate::upstream::UpstreamId;

use super::Hub;
use super::exchange::ExchangeId;

impl Hub {
    /// Answers a call of a tool that is not as it was locked; tells whether it did.
    pub(super) fn refuse_unlocked(
        &mut self,
        now: Instant,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        real: &str,
    ) -> bool {
        let Some(locked) = self.settings.locked.clone() else {
            return false;
        };
        if self.settings.is_transparent {
            return false;
        }
        // In the lock or not: what is compared is what would run.
        if self.waits_for_list(now, id, upstream) {
            return true;
        }
        let now_is = self
            .confirmed_tool(upstream, real)
            .map(|tool| meaning_hash(&String::from_utf8_lossy(&tool)));
        let (why, hint) = match (locked.get(shown), now_is) {
            (Some(was), Some(is)) if *was == is => return false,
            (_, None) => (
                "its definition is not known yet, so it cannot be compared with the lock file",
                "list the tools, then call again",
            ),
            (None, _) => (
                "it is not in the lock file",
                "an operator has to review it and write the lock again",
            ),
            (Some(_), Some(_)) => (
                "its server changed its definition since it was locked",
                "an operator has to review the change (`mcp-whittle lock --check`) and write the lock again",
            ),
        };
        self.not_called(now, id, upstream, shown, why, hint)
    }
}
