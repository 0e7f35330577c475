//! Words that mark a line or a value as an error or a warning, and levels of logs. Pure.

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

/// The level that a log line names near its front.
pub(super) fn level(line: &str) -> Option<&'static str> {
    let front = &line.as_bytes()[..line.len().min(120)];
    front
        .split(|byte| !byte.is_ascii_alphabetic())
        .filter(|word| word.len() >= 3)
        .take(12)
        .find_map(|word| {
            let is_upper = word.iter().all(u8::is_ascii_uppercase);
            let known = LEVELS
                .into_iter()
                .find(|level| word.eq_ignore_ascii_case(level.as_bytes()))?;
            is_upper.then_some(known)
        })
        .or_else(|| {
            let front = std::str::from_utf8(front).unwrap_or_default();
            let at = front
                .find("level=")
                .map(|at| at + 6)
                .or_else(|| front.find("\"level\":\"").map(|at| at + 9))?;
            let word = front[at..]
                .split(|c: char| !c.is_ascii_alphabetic())
                .next()?;
            LEVELS
                .into_iter()
                .find(|level| word.eq_ignore_ascii_case(level))
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
