//! Long base64 in what a model reads, replaced by a line that says what it was and how to get it. Pure,
//! linear in the length of the text.
//!
//! A model cannot read base64; it pays about three quarters of a token for each character. What is replaced
//! is certain: long enough, only letters of base64, whole when decoded, as varied as data is, and bytes, not
//! text. Hex digits, signed tokens (JWT) that may be handed on, and texts in base64 that somebody may want
//! decoded stay. In JSON the placeholder is written as JSON, so that a value stays a value.

mod kind;

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::jsonrpc::text::{push_string, string_value};
use crate::jsonrpc::{members, text};

/// Characters of a run that is replaced, at least. Shorter ones are keys, signatures and ids.
pub const LEAST: usize = 512;
/// Characters of a signed token that stays.
const TOKEN: usize = 16 << 10;
/// Runs that are replaced in one text, at most; the rest stays.
const RUNS: usize = 1000;
/// Characters before a run in which the head of a `data:` URI may stand.
const HEAD: usize = 160;
/// Letters of the first line of a run, at least.
const LINE: usize = 60;
/// Different characters that data has, at least: 384 random bytes have all 64 but for one time in thousands.
const VARIETY: u32 = 40;

/// One run that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Where it stood in the text, with the head of its `data:` URI.
    pub range: Range<usize>,
    /// Its media type: as it said itself, else by its first bytes, else `application/octet-stream`.
    pub kind: String,
    /// Its bytes when decoded.
    pub bytes: usize,
    /// The first 16 hex digits of the BLAKE3 hash of its bytes.
    pub hash: String,
}

impl Replaced {
    fn of(range: Range<usize>, said: Option<&str>, decoded: &[u8]) -> Self {
        let kind = said.or_else(|| kind::of(decoded));
        Self {
            range,
            kind: kind.unwrap_or("application/octet-stream").to_owned(),
            bytes: decoded.len(),
            hash: blake3::hash(decoded).to_hex()[..16].to_owned(),
        }
    }

    fn words(&self, rest: &str) -> String {
        let (kind, bytes, hash) = (&self.kind, self.bytes, &self.hash);
        format!("[{kind}, {bytes} bytes as base64, blake3 {hash}; whole: {rest}]")
    }
}

/// Replaces long base64 in a text; none where there is none. `rest` says how to get the whole, for each run
/// by its place in order, from 0.
pub fn replace(
    text: &str,
    rest: impl Fn(usize, &Replaced) -> String,
) -> Option<(String, Vec<Replaced>)> {
    if text.len() < LEAST {
        return None;
    }
    let is_json = matches!(
        text.trim_start().as_bytes().first(),
        Some(b'{' | b'[' | b'"')
    ) && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
    let mut out = String::new();
    let mut replaced = Vec::new();
    let (mut written, mut at) = (0, 0);
    while replaced.len() < RUNS
        && let Some(run) = next_run(text.as_bytes(), at, is_json)
    {
        at = run.end;
        let Some(found) = judged(text, written, run, is_json) else {
            continue;
        };
        out.push_str(&text[written..found.range.start]);
        let words = found.words(&rest(replaced.len(), &found));
        if is_json {
            let quoted = text::to_string(&words);
            out.push_str(&quoted[1..quoted.len() - 1]);
        } else {
            out.push_str(&words);
        }
        written = found.range.end;
        replaced.push(found);
    }
    if replaced.is_empty() {
        return None;
    }
    out.push_str(&text[written..]);
    Some((out, replaced))
}

/// Replaces an audio block or an embedded resource with a blob by a text block; none where it is neither,
/// has fewer characters than [`LEAST`] or is no base64. Annotations and `_meta` stay.
pub fn replace_block(block: &[u8], rest: &str) -> Option<(Vec<u8>, Replaced)> {
    let kind = string_value(members::get(block, "type")?)?;
    let holder = match kind.as_str() {
        "audio" => block,
        "resource" => members::get(block, "resource")?,
        _ => return None,
    };
    let name = if kind == "audio" { "data" } else { "blob" };
    let data = string_value(members::get(holder, name)?)?;
    if data.len() < LEAST {
        return None;
    }
    let decoded = decoder().decode(&data).ok()?;
    let said = members::get(holder, "mimeType").and_then(string_value);
    let found = Replaced::of(0..block.len(), said.as_deref(), &decoded);
    let uri = members::get(holder, "uri").and_then(string_value);
    let words = match uri {
        Some(uri) => format!("{uri} {}", found.words(rest)),
        None => found.words(rest),
    };
    let mut out = b"{\"type\":\"text\",\"text\":".to_vec();
    push_string(&mut out, &words);
    for member in members::members(block) {
        let name = member.name(block);
        if name == "annotations" || name == "_meta" {
            out.push(b',');
            push_string(&mut out, &name);
            out.push(b':');
            out.extend_from_slice(&block[member.value]);
        }
    }
    out.push(b'}');
    Some((out, found))
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Finds the next run that is long enough, from `at`. Lines of one length are one run: `base64` breaks at 76
/// characters, PEM at 64. In JSON a line break is written `\n`, and some writers escape the slash.
fn next_run(text: &[u8], mut at: usize, is_json: bool) -> Option<Range<usize>> {
    while let Some(probed) = text.get(at + LINE - 1) {
        // A run begins with a line of so many letters, so one of them stands here or none begins before it.
        let is_part = is_letter(*probed) || (is_json && *probed == b'\\');
        if !is_part {
            at += LINE;
            continue;
        }
        let start = line_start(text, at, at + LINE - 1, is_json);
        let mut line = start;
        let mut width = None;
        let mut end;
        loop {
            end = line_end(text, line, is_json);
            let length = end - line;
            let is_whole = width.is_none_or(|width| length == width);
            let next = line_break(text, end, is_json);
            if let Some(next) = next
                && is_whole
                && (LINE..=128).contains(&length)
                && text.get(next).is_some_and(|byte| is_letter(*byte))
                // The next line belongs to it only if it is no longer.
                && line_end(text, next, is_json) - next <= length
            {
                width = Some(length);
                line = next;
                continue;
            }
            break;
        }
        // Padding, at most two.
        let mut closed = end;
        while closed < text.len() && closed - end < 2 && text[closed] == b'=' {
            closed += 1;
        }
        if closed - start >= LEAST {
            return Some(start..closed);
        }
        at = closed.max(at + 1);
    }
    None
}

/// Where the letters begin in which `probed` stands, not before `from`. The letter of an escape (`\n`) is
/// none of them.
fn line_start(text: &[u8], from: usize, probed: usize, is_json: bool) -> usize {
    let mut start = probed;
    while start > from {
        let is_escaped_slash = is_json && text[start] == b'/' && text[start - 1] == b'\\';
        if !is_letter(text[start - 1]) && !is_escaped_slash {
            break;
        }
        start -= 1;
    }
    let backslashes = text[..start]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\');
    if is_json && text[start] != b'/' && backslashes.count() % 2 == 1 {
        start += if text[start] == b'u' { 5 } else { 1 };
    }
    start
}

fn line_end(text: &[u8], mut at: usize, is_json: bool) -> usize {
    loop {
        match text.get(at) {
            Some(byte) if is_letter(*byte) => at += 1,
            Some(b'\\') if is_json && text.get(at + 1) == Some(&b'/') => at += 2,
            _ => return at,
        }
    }
}

/// Where the next line begins, if a line break stands at `at`.
fn line_break(text: &[u8], at: usize, is_json: bool) -> Option<usize> {
    let breaks: &[&[u8]] = if is_json {
        &[b"\\r\\n", b"\\n"]
    } else {
        &[b"\r\n", b"\n"]
    };
    let rest = text.get(at..)?;
    let found = breaks.iter().find(|found| rest.starts_with(found))?;
    Some(at + found.len())
}

/// Decides whether a run is data. `from` is where it may begin at the earliest.
fn judged(text: &str, from: usize, run: Range<usize>, is_json: bool) -> Option<Replaced> {
    let bytes = text.as_bytes();
    let head = data_uri(&text[..run.start], from);
    let letters: Vec<u8> = letters(&bytes[run.clone()], is_json);
    let is_token = run.start > 0 && bytes[run.start - 1] == b'.'
        || bytes.get(run.end) == Some(&b'.') && letters.starts_with(b"eyJ");
    if head.is_none() && (is_token && letters.len() < TOKEN || !is_varied(&letters)) {
        return None;
    }
    let decoded = decode(&letters)?;
    // Text can be asked for in other forms, and somebody may want to read it.
    let is_text = simdutf8::basic::from_utf8(&decoded).is_ok_and(|text| !text.contains('\0'));
    let said = head.as_ref().map(|(_, said)| *said);
    if is_text && said.is_none_or(|said| said.starts_with("text/")) {
        return None;
    }
    let start = head.as_ref().map_or(run.start, |(start, _)| *start);
    let said = said.filter(|said| !said.is_empty());
    Some(Replaced::of(start..run.end, said, &decoded))
}

/// The letters of a run without its line breaks and escapes.
fn letters(run: &[u8], is_json: bool) -> Vec<u8> {
    let mut letters = Vec::with_capacity(run.len());
    let mut bytes = run.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if is_json => letters.extend(bytes.next().filter(|byte| **byte == b'/')),
            b'\r' | b'\n' => {}
            byte => letters.push(*byte),
        }
    }
    letters
}

/// The head of a `data:` URI that ends where the text ends, and its media type.
fn data_uri(text: &str, from: usize) -> Option<(usize, &str)> {
    let head = text.strip_suffix(";base64,")?;
    let mut least = head.len().saturating_sub(HEAD).max(from);
    while !head.is_char_boundary(least) {
        least += 1;
    }
    let start = least + head.get(least..)?.rfind("data:")?;
    let parameters = &head[start + "data:".len()..];
    let is_plain = parameters
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/+.-;=_".contains(&byte));
    is_plain.then(|| (start, parameters.split(';').next().unwrap_or_default()))
}

/// Whether letters are as varied as encoded bytes are: capitals, small letters and digits, many of each.
fn is_varied(letters: &[u8]) -> bool {
    let mut seen = 0_u128;
    for letter in letters {
        seen |= 1 << (letter & 127);
    }
    let among =
        |range: std::ops::RangeInclusive<u8>| range.map(|letter| 1_u128 << letter).sum::<u128>();
    let has = |range| seen & among(range) != 0;
    seen.count_ones() >= VARIETY && has(b'A'..=b'Z') && has(b'a'..=b'z') && has(b'0'..=b'9')
}

fn decode(letters: &[u8]) -> Option<Vec<u8>> {
    let is_url_safe = letters.iter().any(|letter| matches!(letter, b'-' | b'_'));
    if is_url_safe {
        GeneralPurpose::new(&URL_SAFE, padding())
            .decode(letters)
            .ok()
    } else {
        decoder().decode(letters).ok()
    }
}

fn decoder() -> GeneralPurpose {
    GeneralPurpose::new(&STANDARD, padding())
}

fn padding() -> GeneralPurposeConfig {
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent)
}

#[cfg(test)]
mod tests;
