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
/// What a part of a line may stand in.
const BRACKETS: [char; 3] = ['[', '(', '<'];
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

fn is_upper(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The level that stands before the message: `INFO`, `[error]`, `app.ERROR:`, `INFO:root:`.
fn leading_level(front: &str) -> Option<&'static str> {
    let mut tokens = front.split_ascii_whitespace().take(12).peekable();
    // Of a line that is not indented, as declarations of source code are.
    let mut is_first = !front.starts_with([' ', '\t']);
    let (mut is_open, mut is_clock) = (false, false);
    let (mut has_time, mut has_source) = (false, false);
    while let Some(token) = tokens.next() {
        let is_front = std::mem::take(&mut is_first);
        let is_behind_clock = std::mem::take(&mut is_clock);
        if token.contains('{') {
            // Airflow names the place in a source so; anything else is data.
            let is_place =
                token.starts_with('{') && token.ends_with('}') && !token.contains(['"', '\'']);
            match is_place {
                true => continue,
                false => return None,
            }
        }
        let found = level_in(token, is_open);
        if found.is_some() && !token.starts_with('/') {
            return found;
        }
        let begins = token.starts_with(BRACKETS);
        if begins || is_open {
            is_open = !token.contains([']', ')', '>']);
            continue;
        }
        if token.contains('=')
            || token.contains('/') && !token.contains(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        let word = token.trim_end_matches([',', ':']);
        // A zone that this program may not know: `CET`.
        let is_zone = is_behind_clock && word.len() <= 4 && is_upper(word);
        if token.contains(|c: char| c.is_ascii_digit()) {
            has_time = true;
            is_clock = token.contains(':') && token.ends_with(|c: char| c.is_ascii_digit());
        } else if word.contains(|c: char| c.is_alphabetic()) && !is_zone && !TIMES.contains(&word) {
            // Names of programs, threads, modules. One word alone may be the name of a host, or of a program that
            // says no time (`npm ERR!`).
            let next = tokens.peek().copied().unwrap_or_default();
            let is_before_level =
                || level_in(next, false).is_some_and(|level| next.contains(level));
            let is_source = token.ends_with(':')
                || word.contains(['.', ':'])
                || matches!(next, "-" | "|")
                || (has_time && !std::mem::replace(&mut has_source, true))
                || (is_front && is_before_level());
            if !is_source {
                return None;
            }
        }
    }
    None
}

/// The level that a part of a line between spaces is or has at its front.
fn level_in(token: &str, is_open: bool) -> Option<&'static str> {
    let begins = token.starts_with(BRACKETS);
    let is_closed = begins && token.contains([']', ')', '>']);
    // `10:00:00,123-ERROR-x`; a hyphen of other words is a part of them. Behind a time, commas part columns.
    let is_digit = |c: char| c.is_ascii_digit();
    let is_time = token.trim_start_matches(BRACKETS).starts_with(is_digit);
    let is_word = |c: char| {
        let joins = if is_time {
            [',', ';'].contains(&c)
        } else {
            c == '-'
        };
        c.is_ascii_alphanumeric() || c == '_' || joins
    };
    // The last one of `app.ERROR:`, any of `[core:error]`, one of the first behind a time.
    let n_looked = match () {
        () if begins || is_open || token.ends_with(':') => usize::MAX,
        () if is_time => 3,
        () => 1,
    };
    token
        .split(|c: char| !is_word(c))
        .map(|piece| piece.trim_matches('-'))
        .filter(|piece| !piece.is_empty())
        .skip_while(|piece| is_time && piece.starts_with(is_digit))
        .take(n_looked)
        .filter(|word| is_closed || is_upper(word))
        .find_map(known_level)
        .or_else(|| {
            // `app:ERROR:lost`.
            let mut fields = token.split([':', '|']).skip(1);
            let level = fields.next().filter(|word| is_upper(word))?;
            fields.next().and_then(|_| known_level(level))
        })
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

    /// Broken variants that this catches: any level among the first words of a line is its level, also where the line
    /// says another one; and levels that no space parts from a time or a source are none.
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
            (
                "2026-01-01 10:00:00,123:ERROR:root:an INFO went by",
                Some("ERROR"),
            ),
            ("10:00:00,123:ERROR:root:x", Some("ERROR")),
            ("2026-01-01 10:00:00,123-INFO-no ERROR", Some("INFO")),
            ("2026-01-01 10:00:00.1234|INFO|App.Program|x", Some("INFO")),
            (
                "[2026-01-01T10:00:00.123+0000] {taskinstance.py:1} INFO - x",
                Some("INFO"),
            ),
            (
                "[2026-01-01, 10:00:00 UTC] {taskinstance.py:1} ERROR - x",
                Some("ERROR"),
            ),
            (
                "2026-01-01 10:00:00.123 CET [12] postgres@mydb ERROR:  relation",
                Some("ERROR"),
            ),
            ("10:00:00,123 |-ERROR in ch.qos.logback - x", Some("ERROR")),
            ("app:ERROR:lost an INFO", Some("ERROR")),
            ("npm ERR! code E1", Some("ERR")),
            ("npm WARN old lockfile", Some("WARN")),
            ("the state:ERROR of it", None),
            ("2026-01-01,INFO,api,12", None),
            ("    readonly ERROR: 3;", None),
            ("10:00:00 {n} went by ERROR", None),
            ("2026-01-01T10:00:00Z peer sent ERROR frame", None),
            ("2026-01-01T10:00:00Z GET /api/DEBUG/7 ok", None),
            ("the water level: fine", None),
            ("an error came", None),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }
}
