//! One counter for all properties: its vocabulary takes a while to bring in.

use std::sync::LazyLock;

use mcp_whittle::token::{Encoding, TiktokenCounter};

static COUNTER: LazyLock<TiktokenCounter> =
    LazyLock::new(|| TiktokenCounter::new(Encoding::O200kBase));

/// Returns it.
pub(super) fn counter() -> &'static TiktokenCounter {
    &COUNTER
}
