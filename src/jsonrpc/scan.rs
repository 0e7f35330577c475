//! The envelope of a JSON-RPC message, found while its bytes arrive.
//!
//! [`Scanner::feed`] takes chunks of one JSON text and remembers only offsets, the keys of the first
//! two levels and the id, so that a frame of any size costs the same memory, also one that is thrown
//! away because it is too long. The scan is structural: strings, brackets, commas and colons are
//! checked everywhere, scalars only as tokens. Bodies of results pass as they came; requests get a
//! second, strict look in [`super::strict`].

mod deep;
mod marks;

use std::ops::Range;

use super::Limits;
use super::text::unescape;

/// Keys of the second level that are remembered, at most.
const BODY_MEMBERS: usize = 32;
/// Bytes of a key that are remembered; a longer one is none of the protocol's.
const KEY_BYTES: usize = 128;
/// Nesting at which even the search for an id in a refused message ends.
const HARD_DEPTH: usize = 1 << 20;

/// The six members that the JSON-RPC 2.0 envelope knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EnvelopeKey {
    /// The version marker, `"2.0"`.
    Jsonrpc,
    /// The request id.
    Id,
    /// The method of a request or notification.
    Method,
    /// Its parameters.
    Params,
    /// The result of a response.
    Result,
    /// The error of a response.
    Error,
}

const ENVELOPE: [(EnvelopeKey, &str); 6] = [
    (EnvelopeKey::Jsonrpc, "jsonrpc"),
    (EnvelopeKey::Id, "id"),
    (EnvelopeKey::Method, "method"),
    (EnvelopeKey::Params, "params"),
    (EnvelopeKey::Result, "result"),
    (EnvelopeKey::Error, "error"),
];

/// A member one level inside `params`, `result` or `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyMember {
    /// Which envelope member it is in.
    pub parent: EnvelopeKey,
    /// The key, unescaped.
    pub key: Box<str>,
    /// Where its value stands in the text.
    pub value: Range<usize>,
}

/// Where the parts of an envelope stand in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Start and end; (0, 0) where the member is missing. A frame is shorter than 4 GiB.
    spans: [(u32, u32); 6],
    /// Members of `params`, `result` and `error`, in order, up to a bound.
    pub body: Vec<BodyMember>,
    /// Whether the text is an array (a batch) rather than an object.
    pub is_batch: bool,
}

impl Head {
    /// Returns where the value of an envelope member stands.
    pub fn span(&self, key: EnvelopeKey) -> Option<Range<usize>> {
        let (start, end) = self.spans[key as usize];
        (end > 0).then_some(start as usize..end as usize)
    }

    fn set_span(&mut self, key: EnvelopeKey, start: usize, end: usize) {
        let narrow = |n| u32::try_from(n).unwrap_or(u32::MAX);
        self.spans[key as usize] = (narrow(start), narrow(end));
    }
}

/// Why a text is no message. The id, where it was seen, is in [`Scanner::id`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The text is not JSON.
    #[error("not valid JSON at byte {offset}: {what}")]
    Syntax {
        /// Bytes before the fault.
        offset: usize,
        /// What was expected.
        what: &'static str,
    },
    /// The text ended inside a value.
    #[error("the JSON text ends inside a value")]
    Truncated,
    /// More containers are open than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// An envelope member stands twice.
    #[error("the member `{0}` stands twice")]
    Duplicate(&'static str),
    /// A member differs from an envelope member only by letter case (CVE-2026-27896 class).
    #[error("the member `{0}` differs from a protocol member only by case")]
    CaseTwin(String),
    /// The id is longer than allowed.
    #[error("the id is longer than {limit} bytes")]
    LongId {
        /// The limit.
        limit: usize,
    },
    /// The text is a number, string or literal.
    #[error("a message is an object")]
    NotAnObject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    NextKey,
    Colon,
    AfterValue,
    String { key: bool, escape: bool },
    Scalar,
    Done,
    Failed,
}

/// An incremental scan of one JSON text.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    offset: usize,
    depth: usize,
    /// One bit for each open container: 1 = object.
    stack: Vec<u64>,
    state: State,
    key: Vec<u8>,
    key_escaped: bool,
    key_long: bool,
    /// The envelope member whose value is being read.
    envelope_key: Option<EnvelopeKey>,
    value_start: [usize; 2],
    body_key: Option<Box<str>>,
    id: Vec<u8>,
    capture_id: bool,
    head: Head,
    error: Option<ScanError>,
}

impl Scanner {
    /// Starts a scan.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            offset: 0,
            depth: 0,
            stack: vec![0],
            state: State::Value,
            key: Vec::new(),
            key_escaped: false,
            key_long: false,
            envelope_key: None,
            value_start: [0; 2],
            body_key: None,
            id: Vec::new(),
            capture_id: false,
            head: Head::default(),
            error: None,
        }
    }

    /// Makes the scanner ready for the next text.
    pub fn reset(&mut self) {
        let limits = self.limits;
        let (mut key, mut id) = (std::mem::take(&mut self.key), std::mem::take(&mut self.id));
        key.clear();
        id.clear();
        *self = Self::new(limits);
        (self.key, self.id) = (key, id);
    }

    /// Returns the raw id, if one was read whole, also of a text that is refused.
    pub fn id(&self) -> Option<&[u8]> {
        let span = self.head.span(EnvelopeKey::Id)?;
        (span.len() == self.id.len() && self.id.len() <= self.limits.id_bytes).then_some(&self.id)
    }

    /// Tells whether the text so far has the member, for example `method` in a refused message.
    pub fn has(&self, key: EnvelopeKey) -> bool {
        self.envelope_key == Some(key) || self.head.span(key).is_some()
    }

    /// Reads the next bytes of the text.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut i = 0;
        // What the block-wise scan gave back is read byte by byte to its end before the next try.
        let mut next_block = 0;
        while i < chunk.len() {
            if i >= next_block && chunk.len() - i >= deep::BLOCK {
                i = self.deep(chunk, i);
                next_block = i + deep::BLOCK;
                continue;
            }
            match self.state {
                State::String { .. } => i = self.string(chunk, i),
                State::Scalar => i = self.scalar(chunk, i),
                State::Failed => break,
                _ => {
                    self.structural(chunk[i], self.offset + i);
                    i += 1;
                }
            }
        }
        self.offset += chunk.len();
    }

    /// Ends the text and returns its envelope.
    pub fn finish(&mut self) -> Result<Head, ScanError> {
        if self.state == State::Scalar {
            self.end_value(self.offset);
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.state {
            State::Done => Ok(std::mem::take(&mut self.head)),
            State::Failed => Err(ScanError::NotAnObject),
            _ => Err(ScanError::Truncated),
        }
    }

    fn string(&mut self, chunk: &[u8], mut i: usize) -> usize {
        let State::String { key, mut escape } = self.state else {
            return i;
        };
        let start = i;
        let mut ended = false;
        if escape && i < chunk.len() {
            escape = false;
            i += 1;
        }
        while i < chunk.len() {
            match memchr::memchr2(b'"', b'\\', &chunk[i..]) {
                None => i = chunk.len(),
                Some(n) if chunk[i + n] == b'"' => {
                    i += n;
                    ended = true;
                    break;
                }
                Some(n) => {
                    i += n + 2;
                    if key {
                        self.key_escaped = true;
                    }
                    if i > chunk.len() {
                        escape = true;
                        i = chunk.len();
                    }
                }
            }
        }
        let text = &chunk[start..i];
        if key && self.depth <= 2 {
            if self.key.len() + text.len() > KEY_BYTES {
                self.key_long = true;
            } else {
                self.key.extend_from_slice(text);
            }
        }
        if self.capture_id {
            self.capture(text);
        }
        if !ended {
            self.state = State::String { key, escape };
            return i;
        }
        if self.capture_id {
            self.capture(b"\"");
        }
        if key {
            self.end_key();
            if self.state != State::Failed {
                self.state = State::Colon;
            }
        } else {
            self.end_value(self.offset + i + 1);
        }
        i + 1
    }

    fn scalar(&mut self, chunk: &[u8], i: usize) -> usize {
        let end = chunk[i..]
            .iter()
            .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
            .map_or(chunk.len(), |n| i + n);
        let text = &chunk[i..end];
        if let Some(n) = text
            .iter()
            .position(|b| matches!(b, b'"' | b'{' | b'[' | b':'))
        {
            self.fail(self.offset + i + n, "a value");
            return chunk.len();
        }
        if self.capture_id {
            self.capture(text);
        }
        if end < chunk.len() {
            self.end_value(self.offset + end);
        }
        end
    }

    fn structural(&mut self, byte: u8, at: usize) {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return;
        }
        match self.state {
            State::Value => self.start_value(byte, at),
            State::FirstElement if byte == b']' => self.close(at),
            State::FirstElement => self.start_value(byte, at),
            State::FirstKey if byte == b'}' => self.close(at),
            State::FirstKey | State::NextKey if byte == b'"' => {
                self.key.clear();
                (self.key_escaped, self.key_long) = (false, false);
                self.state = State::String {
                    key: true,
                    escape: false,
                };
            }
            State::Colon if byte == b':' => self.state = State::Value,
            State::AfterValue => match (byte, self.in_object()) {
                (b',', true) => self.state = State::NextKey,
                (b',', false) => self.state = State::Value,
                (b'}', true) | (b']', false) => self.close(at),
                _ => self.fail(at, "a comma or the end of the container"),
            },
            State::Done => self.fail(at, "nothing after the message"),
            _ => self.fail(at, "a member name or a colon"),
        }
    }

    fn start_value(&mut self, byte: u8, at: usize) {
        if self.depth == 1 {
            self.value_start[0] = at;
            self.capture_id = self.envelope_key == Some(EnvelopeKey::Id);
        } else if self.depth == 2 {
            self.value_start[1] = at;
        }
        match byte {
            b'{' | b'[' => self.open(byte == b'{', at),
            b'"' => {
                if self.capture_id {
                    self.capture(b"\"");
                }
                self.state = State::String {
                    key: false,
                    escape: false,
                };
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I' => {
                if self.capture_id {
                    self.capture(&[byte]);
                }
                self.state = State::Scalar;
            }
            _ => self.fail(at, "a value"),
        }
        if self.depth == 0 && self.state != State::Failed {
            self.error = Some(ScanError::NotAnObject);
            self.state = State::Failed;
        }
    }

    fn open(&mut self, object: bool, at: usize) {
        if self.capture_id {
            // An id that is a container is refused later, by its first byte.
            self.capture(if object { b"{" } else { b"[" });
        }
        self.depth += 1;
        if self.depth == 1 {
            self.head.is_batch = !object;
        }
        if self.depth > self.limits.depth && self.error.is_none() {
            self.error = Some(ScanError::TooDeep {
                limit: self.limits.depth,
            });
        }
        if self.depth > HARD_DEPTH {
            self.fail(at, "fewer levels");
            return;
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word >= self.stack.len() {
            self.stack.push(0);
        }
        if object {
            self.stack[word] |= 1 << bit;
            self.state = State::FirstKey;
        } else {
            self.stack[word] &= !(1 << bit);
            self.state = State::FirstElement;
        }
    }

    fn close(&mut self, at: usize) {
        self.depth -= 1;
        self.end_value(at + 1);
    }

    fn in_object(&self) -> bool {
        self.stack[self.depth / 64] >> (self.depth % 64) & 1 == 1
    }

    fn end_key(&mut self) {
        if self.depth > 2 {
            return;
        }
        if self.depth == 2 {
            self.body_key = match self.envelope_key {
                Some(EnvelopeKey::Params | EnvelopeKey::Result | EnvelopeKey::Error)
                    if !self.key_long && self.head.body.len() < BODY_MEMBERS =>
                {
                    self.key_text()
                }
                _ => None,
            };
            return;
        }
        self.envelope_key = None;
        if self.key_long {
            return;
        }
        let Some(key) = self.key_text() else { return };
        for (envelope_key, name) in ENVELOPE {
            if &*key == name {
                if self.head.span(envelope_key).is_some() {
                    self.refuse(ScanError::Duplicate(name));
                    return;
                }
                self.envelope_key = Some(envelope_key);
                return;
            }
            if folds_to(&key, name) {
                self.refuse(ScanError::CaseTwin(key.into()));
                return;
            }
        }
    }

    /// Notes a refusal but goes on, so that an id that stands later is still found.
    fn refuse(&mut self, error: ScanError) {
        self.error.get_or_insert(error);
    }

    fn key_text(&self) -> Option<Box<str>> {
        if self.key_escaped {
            unescape(&self.key).map(Into::into)
        } else {
            std::str::from_utf8(&self.key).ok().map(Into::into)
        }
    }

    fn end_value(&mut self, end: usize) {
        self.state = State::AfterValue;
        match self.depth {
            0 => self.state = State::Done,
            1 if !self.head.is_batch => {
                self.capture_id = false;
                if let Some(key) = self.envelope_key.take() {
                    self.head.set_span(key, self.value_start[0], end);
                    if key == EnvelopeKey::Id && self.id.len() > self.limits.id_bytes {
                        self.refuse(ScanError::LongId {
                            limit: self.limits.id_bytes,
                        });
                    }
                }
            }
            2 => {
                if let (Some(key), Some(parent)) = (self.body_key.take(), self.envelope_key) {
                    self.head.body.push(BodyMember {
                        parent,
                        key,
                        value: self.value_start[1]..end,
                    });
                }
            }
            _ => {}
        }
    }

    fn capture(&mut self, text: &[u8]) {
        let room = (self.limits.id_bytes + 1).saturating_sub(self.id.len());
        self.id.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn fail(&mut self, offset: usize, what: &'static str) {
        self.error.get_or_insert(ScanError::Syntax { offset, what });
        self.state = State::Failed;
    }
}

/// Tells whether `key` is `name` but for letter case, with the two letters outside ASCII that fold
/// into it (U+017F long s, U+212A kelvin sign), as case-insensitive JSON readers do.
pub fn folds_to(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key != name && key.chars().map(fold).eq(name.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Head, ScanError> {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(text.as_bytes());
        scanner.finish()
    }

    #[test]
    fn spans_are_found_whatever_the_chunks() {
        let text = r#" {"jsonrpc": "2.0", "id": "a\"b", "result": {"content": [{"a":"}"}], "n\u0061me":1 , "deep":{"x":[]}}, "x":[1,2,{"id":3}]} "#;
        let whole = scan(text).unwrap();
        assert_eq!(&text[whole.span(EnvelopeKey::Id).unwrap()], r#""a\"b""#);
        let keys: Vec<&str> = whole.body.iter().map(|m| &*m.key).collect();
        assert_eq!(keys, ["content", "name", "deep"]);
        assert_eq!(&text[whole.body[0].value.clone()], r#"[{"a":"}"}]"#);
        for cut in 1..text.len() {
            let mut scanner = Scanner::new(Limits::default());
            for chunk in text.as_bytes().chunks(cut) {
                scanner.feed(chunk);
            }
            assert_eq!(scanner.finish().unwrap(), whole, "chunks of {cut}");
        }
    }

    #[test]
    fn faults_are_named_and_the_id_is_kept() {
        let check = |text: &str, error: ScanError, id: Option<&str>| {
            let mut scanner = Scanner::new(Limits {
                depth: 4,
                id_bytes: 8,
                ..Limits::default()
            });
            scanner.feed(text.as_bytes());
            assert_eq!(scanner.finish().unwrap_err(), error, "{text}");
            assert_eq!(scanner.id(), id.map(str::as_bytes), "{text}");
        };
        check(r#"{"id":1,"id":2}"#, ScanError::Duplicate("id"), Some("1"));
        check(
            r#"{"method":"a","Method":"b","id":7}"#,
            ScanError::CaseTwin("Method".into()),
            Some("7"),
        );
        check(
            r#"{"param\u017f":1,"id":7}"#,
            ScanError::CaseTwin("param\u{17f}".into()),
            Some("7"),
        );
        check(
            r#"{"params":[[[[[1]]]]],"id":7}"#,
            ScanError::TooDeep { limit: 4 },
            Some("7"),
        );
        check(r#"{"id":123456789}"#, ScanError::LongId { limit: 8 }, None);
        check("12", ScanError::NotAnObject, None);
        check(r#"{"id":1,"#, ScanError::Truncated, Some("1"));
        check(
            r#"{"id":1} {"#,
            ScanError::Syntax {
                offset: 9,
                what: "nothing after the message",
            },
            Some("1"),
        );
    }
}
