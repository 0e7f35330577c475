//! Logs on stderr, as text for people or JSON for machines, and what a panic leaves behind. Shell.
//! Never stdout: it belongs to the protocol.

pub mod audit;
pub mod metrics;
pub mod otel;
pub mod secrets;

use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self as layer, FmtContext};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogFormat, LogSettings};

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts logging, or, if it has started, changes what is logged (the format stays).
pub fn start(settings: &LogSettings) {
    let filter = filter(&settings.filter);
    if let Some(handle) = FILTER.get() {
        // It fails only when the subscriber is gone, and it lives as long as the process.
        let _ = handle.reload(filter);
        return;
    }
    let (filter, handle) = reload::Layer::new(filter);
    let lines = lines(settings.format, || crate::transport::stderr::Stderr);
    // Another subscriber is there only in tests, which then see the events.
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _ = FILTER.set(handle);
    }
}

/// Makes a panic write one line to stderr. The payload stays out: it may quote a message.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let _ = writeln!(
            io::stderr().lock(),
            "mcp-whittle: ERROR internal error, please report it place={place} thread={thread} version={}",
            env!("CARGO_PKG_VERSION")
        );
    }));
}

/// Puts a message with hints on one line: one record, one line.
pub fn one_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim);
    let mut line = lines.next().unwrap_or_default().to_owned();
    for next in lines.filter(|next| !next.is_empty()) {
        line.push_str("; ");
        line.push_str(next);
    }
    line
}

fn filter(directives: &str) -> Targets {
    // Settings are checked when they are loaded; the level stands in for what this library reads
    // in another way.
    directives
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO))
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> layer::MakeWriter<'writer> + Send + Sync + 'static,
{
    // A closed stderr must not end us: by default a failed write is told with `eprintln!`, which
    // panics then.
    match format {
        LogFormat::Text => layer::layer()
            .with_ansi(false)
            .log_internal_errors(false)
            .event_format(PlainLines)
            .with_writer(writer)
            .boxed(),
        LogFormat::Json => layer::layer()
            .with_ansi(false)
            .log_internal_errors(false)
            .json()
            .flatten_event(true)
            .with_writer(writer)
            .boxed(),
    }
}

/// `mcp-whittle: LEVEL message key=value`: clients show stderr beside their own lines, so the name
/// is there and the time is not.
struct PlainLines;

impl<S, N> FormatEvent<S, N> for PlainLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "mcp-whittle: {} ", event.metadata().level())?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[test]
    fn hints_stay_on_the_line() {
        for (message, line) in [
            ("it failed", "it failed"),
            ("it failed\nhint: try again", "it failed; hint: try again"),
            (
                "a: wrong\n  hint: fix\n\nb: wrong",
                "a: wrong; hint: fix; b: wrong",
            ),
        ] {
            assert_eq!(one_line(message), line);
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, directives: &str) -> String {
        let written = Lines::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry()
            .with(filter(directives))
            .with(lines(format, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not shown");
            tracing::warn!(server = "git", attempt = 2, "server ended");
        });
        let bytes = written
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn text_lines_are_quiet() {
        assert_eq!(
            logged(LogFormat::Text, "info"),
            "mcp-whittle: WARN server ended server=\"git\" attempt=2\n"
        );
        assert_eq!(logged(LogFormat::Text, "off"), "");
        assert_eq!(logged(LogFormat::Text, "warn,mcp_whittle=error"), "");
    }

    #[test]
    fn json_lines_are_objects() {
        let line: serde_json::Value =
            serde_json::from_str(&logged(LogFormat::Json, "info")).expect("one JSON object a line");
        assert_eq!(line["message"], "server ended");
        assert_eq!(line["server"], "git");
        assert_eq!(line["level"], "WARN");
    }
}
