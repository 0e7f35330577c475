//! What stands for the exporter in a build without it: a value that cannot be.

use std::io;
use std::time::Duration;

use crate::config::Settings;
use crate::hub::ledger::TokenTotals;
use crate::hub::measure::Measured;
use crate::hub::trace::Span;

/// No exporter.
#[derive(Debug)]
pub enum Otel {}

impl Otel {
    /// Starts nothing; settings that ask for more were refused when they were read.
    ///
    /// # Errors
    /// Never.
    pub fn start(_settings: &Settings, _process: &str) -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// Counts what is over.
    pub fn record(&self, _measured: &Measured) {
        match *self {}
    }

    /// Takes a span.
    pub fn span(&self, _span: Span) {
        match *self {}
    }

    /// Takes over numbers that are kept elsewhere.
    pub fn copy(&self, _tokens: &TokenTotals) {
        match *self {}
    }

    /// Sends what waits, within a time.
    pub async fn finish(self, _within: Duration) {
        match self {}
    }
}
