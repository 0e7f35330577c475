//! Our stderr, written by a thread of its own.
//!
//! A client that does not read our stderr must not stop us: lines wait in a bounded buffer, and what
//! does not fit is counted and dropped. Whatever is written, by us or by a server, goes through the redactor
//! first: this is the one way to stderr, so no line has to think of secrets.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::policy::redact::Redactor;

/// Bytes that may wait.
const BUFFER: usize = 1 << 20;
/// Bytes of a long line that wait for the rest of it, for a secret may go on there.
const HELD: usize = 1 << 10;
/// How far before them a cut is looked for.
const STEPS_BACK: [usize; 8] = [0, 64, 128, 256, 512, 1 << 10, 2 << 10, 4 << 10];
/// Lines that a private key may have; behind more, its end is not waited for.
const KEY_LINES: usize = 256;

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    is_writing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What takes secrets out of lines.
static REDACTOR: RwLock<Option<Redactor>> = RwLock::new(None);

/// Says which secrets are known besides what looks like one.
pub fn redact_with(redactor: Redactor) {
    *REDACTOR.write().unwrap_or_else(PoisonError::into_inner) = Some(redactor);
}

/// Returns lines without secrets. Whatever goes wrong with that, they are not written.
pub fn redacted(lines: &[u8]) -> Cow<'_, [u8]> {
    let redactor = REDACTOR.read().unwrap_or_else(PoisonError::into_inner);
    let standard;
    let redactor = match &*redactor {
        Some(redactor) => redactor,
        None => {
            standard = Redactor::of_logs();
            &standard
        }
    };
    let text = String::from_utf8_lossy(lines);
    let clean = |text: &str| -> Vec<u8> {
        let mut clean = Vec::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            clean.extend_from_slice(redactor.line(line).as_bytes());
        }
        clean
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clean(&text))) {
        Ok(clean) if clean == lines => Cow::Borrowed(lines),
        Ok(clean) => Cow::Owned(clean),
        Err(_) => {
            Cow::Borrowed(b"mcp-whittle: ERROR a line was left out: it could not be redacted\n")
        }
    }
}

/// Returns where a line of more than 1 KiB, which goes on later, can be cut: the two parts show nothing that the whole
/// does not, so neither a secret is parted nor the name that tells of one. Where there is no such place, somewhere. What is
/// behind the cut has to wait for the rest of the line, since a secret at its end may go on there.
pub(super) fn cut(line: &[u8]) -> usize {
    let whole = redacted(line);
    let latest = line.len().saturating_sub(HELD).max(1);
    let is_apart = |at: &usize| {
        let (head, tail) = (redacted(&line[..*at]), redacted(&line[*at..]));
        let is_whole = |tail: &[u8]| {
            whole.len() == head.len() + tail.len()
                && whole.starts_with(&head)
                && whole.ends_with(tail)
        };
        // Halves of something long may each have a mask.
        let mask = head.iter().rposition(|b| *b == b'[').unwrap_or(head.len());
        is_whole(&tail) || tail.strip_prefix(&head[mask..]).is_some_and(is_whole)
    };
    STEPS_BACK
        .iter()
        .map(|step| border(line, latest.saturating_sub(*step).max(1)))
        .find(is_apart)
        .unwrap_or_else(|| border(line, latest))
}

/// The last border of characters up to `at`; `at` where the bytes are no text.
fn border(line: &[u8], at: usize) -> usize {
    let is_border = |at: &usize| line.get(*at).is_none_or(|b| b & 0xc0 != 0x80);
    let found = (at.saturating_sub(3)..=at).rev().find(is_border);
    found.filter(|found| *found > 0).unwrap_or(at)
}

/// Knows the lines of a private key that comes line by line: each is redacted for itself, and the last one may be too short
/// to look like a secret.
#[derive(Debug, Default)]
pub(super) struct KeyLines {
    left: usize,
}

impl KeyLines {
    /// Takes the next line; tells whether it is one of a key.
    pub(super) fn has(&mut self, line: &str) -> bool {
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            self.left = KEY_LINES;
        }
        if line.contains("-----END ") {
            self.left = 0;
        }
        let line = line.trim();
        let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        // What cannot stand in one ends it: somebody only spoke of a key.
        let is_of_pem = line.is_empty()
            || line.contains("-----BEGIN ")
            || line.contains(": ")
            || line.bytes().all(is_base64);
        if !is_of_pem {
            self.left = 0;
        }
        let is_of_key = self.left > 0 && !line.is_empty() && line.bytes().all(is_base64);
        self.left = self.left.saturating_sub(1);
        is_of_key
    }
}

/// Returns a text for others than the operator: without what lines lose, also where it goes over their ends,
/// and without what says who people are.
pub fn published(text: &str) -> String {
    let clean = redacted(text.as_bytes());
    let redactor = REDACTOR
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    redactor
        .unwrap_or_else(Redactor::of_logs)
        .for_publishing()
        .text(&String::from_utf8_lossy(&clean))
        .into_owned()
}

static SHARED: OnceLock<Arc<Shared>> = OnceLock::new();

fn shared() -> &'static Arc<Shared> {
    SHARED.get_or_init(|| {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        // Without the thread nothing is written, which is better than not running.
        let _ = std::thread::Builder::new()
            .name("stderr".into())
            .spawn(move || run(&own));
        shared
    })
}

fn run(shared: &Shared) {
    loop {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_writing = false;
        shared.changed.notify_all();
        while state.waiting.is_empty() {
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut text = std::mem::take(&mut state.waiting);
        let dropped = std::mem::take(&mut state.dropped);
        state.is_writing = true;
        drop(state);
        if dropped > 0 {
            text.extend_from_slice(
                format!("mcp-whittle: WARN {dropped} lines were dropped: nobody reads stderr fast enough\n")
                    .as_bytes(),
            );
        }
        let _ = io::stderr().lock().write_all(&text);
    }
}

/// A writer that never waits. Each `write` is kept whole or dropped whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shared = shared();
        let line = redacted(bytes);
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.len() + line.len() > BUFFER {
            state.dropped += 1;
        } else {
            state.waiting.extend_from_slice(&line);
        }
        drop(state);
        shared.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until what waits is written, at most for `grace`.
pub fn flush(grace: Duration) {
    let Some(shared) = SHARED.get() else {
        return;
    };
    let until = Instant::now() + grace;
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.waiting.is_empty() || state.is_writing {
        let Some(left) = until.checked_duration_since(Instant::now()) else {
            return;
        };
        state = shared
            .changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: a line that begins with `{` is taken for JSON, as far as it is some,
    /// and what stands behind that is written as it came.
    #[test]
    fn lines_that_only_begin_like_json_lose_their_secrets() {
        for line in [
            "{ token: 'ghp_abcdefghij0123456789' }\n",
            "{'user': 'x', 'password': 'ghp_abcdefghij0123456789'}\n",
            "{\"level\":\"info\"} Authorization: Bearer ghp_abcdefghij0123456789\n",
            "{\"level\":\"info\",\"a\":[{\"token\":\"ghp_abcdefghij0123456789\",\"note\":\"cut he",
            "{\"level\":\"info\"}\n{ token: 'ghp_abcdefghij0123456789' }\n",
        ] {
            let clean = String::from_utf8(redacted(line.as_bytes()).into_owned()).unwrap();
            assert!(!clean.contains("ghp_"), "{clean}");
            assert!(clean.contains("[redacted:"), "{clean}");
            assert!(!published(line).contains("ghp_"), "{line}");
        }
        let record = "{\"level\":\"info\",\"password\":1234,\"n\":1.50}\n";
        assert_eq!(
            String::from_utf8_lossy(&redacted(record.as_bytes())),
            "{\"level\":\"info\",\"password\":\"[redacted:key]\",\"n\":1.50}\n"
        );
    }
}
