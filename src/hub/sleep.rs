//! Time in which nothing of ours ran: the machine slept, or the process was stopped. Pure: the driver tells.
//!
//! Nobody could answer us then, so no deadline has passed by it. Who is at the other ends is unknown: children
//! are asked for a sign of life, and lists are read again, which also shows whether connections still hold.

use std::time::{Duration, Instant};

use super::Hub;
use super::action::NoteLevel;

impl Hub {
    /// Takes that nothing ran before `now`. `stopped` is how much of it the clock of `now` counted: all of it
    /// for a stopped process, nothing for a machine that slept.
    pub fn handle_sleep(&mut self, now: Instant, stopped: Duration) {
        self.timers.shift(stopped);
        self.note(
            NoteLevel::Warn,
            "",
            "the process did not run for a while; deadlines were moved, and servers are asked for a sign of life",
        );
        let upstreams: Vec<_> = self.upstreams.keys().copied().collect();
        for upstream in upstreams {
            self.probe(now, upstream);
            let is_http = self.upstreams.get(&upstream).is_some_and(|record| {
                record.is_ready() && self.settings.servers[record.server].is_http
            });
            if is_http {
                self.handle_stream_gap(now, upstream);
            }
        }
    }
}
