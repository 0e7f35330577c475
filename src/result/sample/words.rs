//! Words that mark a line or a value as an error or a warning, and levels of logs. Pure.

use super::short::floor;

/// How bad a line says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Tone {
    /// Nothing special.
    Plain,
    /// A warning.
    Warning,
    /// An error.
    Error,
}

const ERRORS: [&str; 15] = [
    "error",
    "errors",
    "fatal",
    "panic",
    "panicked",
    "failed",
    "failure",
    "fail",
    "exception",
    "traceback",
    "critical",
    "crit",
    "err",
    "denied",
    "crashloopbackoff",
];
const WARNINGS: [&str; 4] = ["warning", "warn", "deprecated", "timeout"];

/// The worst word of a text.
pub(super) fn tone(text: &str) -> Tone {
    let bytes = text.as_bytes();
    let mut tone = Tone::Plain;
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_alphabetic() {
            at += 1;
        }
        // `TypeError`, `NullPointerException`.
        let word = &bytes[start..at];
        if !(3..=40).contains(&word.len()) {
            continue;
        }
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        if matches!(word[0] | 0x20, b'e' | b'f' | b'p' | b't' | b'c' | b'd')
            && ERRORS.into_iter().any(is)
            || word.ends_with(b"Error")
            || word.ends_with(b"Exception")
        {
            return Tone::Error;
        }
        if matches!(word[0] | 0x20, b'w' | b'd' | b't') && WARNINGS.into_iter().any(is) {
            tone = Tone::Warning;
        }
    }
    tone
}

/// Whether a text speaks of an error.
pub(super) fn is_error(text: &str) -> bool {
    tone(text) == Tone::Error
}

const LEVELS: [&str; 14] = [
    "ERROR", "ERR", "FATAL", "CRITICAL", "PANIC", "SEVERE", "WARN", "WARNING", "INFO", "NOTICE",
    "DEBUG", "TRACE", "VERBOSE", "FINE",
];

/// Bytes at the front of a line in which a level may stand alone, and in which it may have a name.
const FRONT: usize = 120;
const NAMED: usize = 1_000;
/// Words of times that have no digits.
const TIMES: [&str; 23] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon",
    "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "UTC", "GMT", "AM", "PM",
];
/// Names under which records say their level.
const KEYS: [&str; 4] = ["level", "levelname", "severity", "lvl"];

/// The level of a log line: a word behind its time and source, or one with a name. Words of the message are none.
pub(super) fn level(line: &str) -> Option<&'static str> {
    leading_level(&line[..floor(line, FRONT)]).or_else(|| named_level(&line[..floor(line, NAMED)]))
}

fn known_level(word: &str) -> Option<&'static str> {
    LEVELS
        .into_iter()
        .find(|level| word.eq_ignore_ascii_case(level))
}

/// The level that stands before the message: `INFO`, `[error]`, `app.ERROR:`, `INFO:root:`.
fn leading_level(front: &str) -> Option<&'static str> {
    let mut tokens = front.split_ascii_whitespace().take(12).peekable();
    let mut is_open = false;
    let (mut has_time, mut has_source) = (false, false);
    while let Some(token) = tokens.next() {
        if token.contains('{') {
            return None;
        }
        let begins = token.starts_with(['[', '(', '<']);
        let ends = token.contains([']', ')', '>']);
        let mut pieces = token
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
            .filter(|piece| !piece.is_empty());
        let first = pieces.next().unwrap_or_default();
        // The last one of `app.ERROR:`, any of `[core:error]`.
        let is_any = begins || is_open || token.ends_with(':');
        let found = std::iter::once(first)
            .chain(pieces.filter(|_| is_any))
            .filter(|word| (begins && ends) || word.bytes().all(|byte| byte.is_ascii_uppercase()))
            .find_map(known_level);
        if found.is_some() && !token.starts_with('/') {
            return found;
        }
        if begins || is_open {
            is_open = !ends;
            continue;
        }
        if token.contains('=')
            || token.contains('/') && !token.contains(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        let word = token.trim_end_matches([',', ':']);
        if token.contains(|c: char| c.is_ascii_digit()) {
            has_time = true;
        } else if word.contains(|c: char| c.is_alphabetic()) && !TIMES.contains(&word) {
            // Names of programs, threads, modules. One word alone may be the name of a host.
            let is_source = token.ends_with(':')
                || word.contains(['.', ':'])
                || tokens.peek().is_some_and(|next| matches!(*next, "-" | "|"))
                || (has_time && !std::mem::replace(&mut has_source, true));
            if !is_source {
                return None;
            }
        }
    }
    None
}

/// The level of `level=info`, `"level": "info"`.
fn named_level(front: &str) -> Option<&'static str> {
    KEYS.into_iter().find_map(|key| {
        front.match_indices(key).find_map(|(at, _)| {
            let (before, behind) = (&front[..at], &front[at + key.len()..]);
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                return None;
            }
            let value = match behind.strip_prefix('=') {
                Some(value) => value,
                None => behind
                    .strip_prefix(['"', '\''])?
                    .trim_start()
                    .strip_prefix(':')?
                    .trim_start(),
            };
            let value = value.strip_prefix(['"', '\'']).unwrap_or(value);
            let end = value
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(value.len());
            known_level(&value[..end])
        })
    })
}

/// How bad a level is.
pub(super) fn tone_of_level(level: &str) -> Tone {
    match level {
        "ERROR" | "ERR" | "FATAL" | "CRITICAL" | "PANIC" | "SEVERE" => Tone::Error,
        "WARN" | "WARNING" => Tone::Warning,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: any level among the first words of a line is its level, also where the line
    /// says another one.
    #[test]
    fn levels_are_no_words_of_messages() {
        for (line, expected) in [
            (
                "2026-01-01T10:00:00Z INFO [api] an ERROR went by",
                Some("INFO"),
            ),
            ("2026-01-01T10:00:00Z  WARN app::db: slow", Some("WARN")),
            (
                "2026-01-01 10:00:00,123 - app.db - ERROR - lost",
                Some("ERROR"),
            ),
            ("2026-01-01 10:00:00,123 - db - ERROR - lost", Some("ERROR")),
            (
                "2026-01-01 10:00:00.123 | DEBUG    | a:b:12 - x",
                Some("DEBUG"),
            ),
            (
                "10:00:00.123 [pool-1-thread-1] ERROR c.e.Db - lost",
                Some("ERROR"),
            ),
            (
                "10:00:00.123 [the main thread] ERROR c.e.Db - lost",
                Some("ERROR"),
            ),
            ("2026-01-01 10:00:00 main ERROR lost", Some("ERROR")),
            (
                "2026-01-01 10:00:00.000 UTC [123] FATAL:  too many",
                Some("FATAL"),
            ),
            ("[2026-01-01 10:00:00] app.ERROR: lost", Some("ERROR")),
            (
                "[2026-01-01 10:00:00,123: WARNING/MainProcess] x",
                Some("WARNING"),
            ),
            (
                "[Sat Jan 03 10:00:00 2026] [core:error] [pid 1] x",
                Some("ERROR"),
            ),
            (
                "2026/01/01 10:00:00 [notice] 12#12: GET /DEBUG/7",
                Some("NOTICE"),
            ),
            ("Jan  3 10:00:00 host app[12]: ERROR lost", Some("ERROR")),
            ("Jan  3 10:00:00 host app: INFO found", Some("INFO")),
            ("[0.005s][info][gc] Using G1", Some("INFO")),
            ("INFO:root:started", Some("INFO")),
            ("ERROR: lost", Some("ERROR")),
            (
                "time=\"2026-01-01\" level=info msg=\"an ERROR\"",
                Some("INFO"),
            ),
            (
                "2026-01-01T10:00:00Z {\"msg\":\"an ERROR\",\"level\": \"info\"}",
                Some("INFO"),
            ),
            (
                "{\"msg\":\"ERROR\",\"severity\":\"WARNING\"}",
                Some("WARNING"),
            ),
            ("2026-01-01T10:00:00Z peer sent ERROR frame", None),
            ("2026-01-01T10:00:00Z GET /api/DEBUG/7 ok", None),
            ("the water level: fine", None),
            ("an error came", None),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }
}
