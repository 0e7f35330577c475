//! What is likely a secret, or a person, inside a text. One linear pass for each kind: no byte is looked at for
//! every name or sign before it.

use std::ops::Range;

use super::{MASK_START, keys};

/// Prefixes of tokens that services give out, with the least number of characters after them.
const PREFIXES: [(&str, usize); 34] = [
    ("sk-", 16),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("pk_live_", 8),
    ("whsec_", 8),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("AIza", 30),
    ("ya29.", 16),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 20),
    ("ntn_", 20),
    ("shpat_", 16),
    ("dop_v1_", 16),
    ("lin_api_", 16),
    ("SG.", 20),
    ("GOCSPX-", 16),
    ("AGE-SECRET-KEY-", 16),
    ("dckr_pat_", 16),
    ("sntrys_", 16),
];
/// Base64 of fewer characters is not taken for a secret on its shape alone.
const MIN_BASE64: usize = 40;
/// Digits that base64 of that length has.
const MIN_BASE64_DIGITS: usize = 3;
/// Backslashes before a quote that are still told apart: JSON in JSON, five times over.
const MAX_BACKSLASHES: usize = 31;

/// A part of a text to be taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) kind: &'static str,
}

/// What is looked for besides secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Addresses and home directories.
    pub(super) people: bool,
    /// Long base64 of any kind.
    pub(super) base64: bool,
}

/// Tells whether a text is long and nothing but base64.
pub(super) fn is_base64_only(text: &str) -> bool {
    text.len() >= MIN_BASE64 && text.bytes().all(is_base64)
}

/// Finds all, in order and apart from one another.
pub(super) fn find(text: &str, literals: &[(String, &'static str)], wanted: Wanted) -> Vec<Found> {
    let mut found = Vec::new();
    for (literal, kind) in literals {
        for (at, part) in text.match_indices(literal.as_str()) {
            push(&mut found, at..at + part.len(), kind);
        }
    }
    private_keys(text, &mut found);
    words(text, &mut found);
    url_passwords(text, &mut found);
    named_values(text, &mut found);
    if wanted.people {
        emails(text, &mut found);
        homes(text, &mut found);
    }
    if wanted.base64 {
        base64(text, &mut found);
    }
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut apart: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match apart.last_mut() {
            Some(last) if next.range.start < last.range.end => {
                last.range.end = last.range.end.max(next.range.end);
            }
            _ => apart.push(next),
        }
    }
    apart
}

fn push(found: &mut Vec<Found>, range: Range<usize>, kind: &'static str) {
    found.push(Found { range, kind });
}

/// Returns where the run of bytes that fulfil `is_part` ends. Only ASCII is ever part of a run, so
/// both ends are borders of characters.
fn run_end(text: &str, from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = &text.as_bytes()[from..];
    let length = rest.iter().position(|b| !(b.is_ascii() && is_part(*b)));
    from + length.unwrap_or(rest.len())
}

fn run_start(text: &str, to: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let head = &text.as_bytes()[..to];
    let before = head.iter().rposition(|b| !(b.is_ascii() && is_part(*b)));
    before.map_or(0, |at| at + 1)
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

fn private_keys(text: &str, found: &mut Vec<Found>) {
    let mut at = 0;
    while let Some(n) = text[at..].find("-----BEGIN ") {
        let start = at + n;
        let head = text[start + 11..].find("-----").map(|n| start + 11 + n);
        let Some(head) = head else { return };
        at = head + 5;
        let label = &text[start..head];
        // PGP says that it is a block.
        let label = label.strip_suffix(" BLOCK").unwrap_or(label);
        if !label.ends_with("PRIVATE KEY") {
            continue;
        }
        // A key that was cut short is one up to the end.
        let end = text[at..].find("-----END ").and_then(|n| {
            let tail = at + n + 9;
            text[tail..].find("-----").map(|n| tail + n + 5)
        });
        at = end.unwrap_or(text.len());
        push(found, start..at, "private_key");
    }
}

/// Tokens that are known by their look, and what follows `Bearer` and `Basic`.
fn words(text: &str, found: &mut Vec<Found>) {
    let mut at = 0;
    while at < text.len() {
        let end = run_end(text, at, is_word);
        if end == at {
            at += 1;
            continue;
        }
        let word = &text[at..end];
        let is_scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
        if is_jwt(word) {
            push(found, at..end, "jwt");
        } else if is_token(word) {
            push(found, at..end, "token");
        } else if is_scheme {
            let start = run_end(text, end, |b| b == b' ');
            // Without a space nothing follows, and in `bearer+bearer+…` a long way would be looked at for each.
            let stop = match start > end {
                true => run_end(text, start, |b| is_word(b) || is_base64(b) || b == b'~'),
                false => start,
            };
            let value = &text[start..stop];
            if value.len() >= 8 && (value.len() >= 24 || has_digit(value)) {
                push(found, start..stop, "bearer");
            }
        }
        at = end;
    }
}

fn is_jwt(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    word.starts_with("eyJ") && parts.len() >= 3 && parts[0].len() >= 8 && parts[1].len() >= 8
}

fn is_token(word: &str) -> bool {
    let has_prefix = PREFIXES.iter().any(|(prefix, least)| {
        word.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= *least && has_digit(rest))
    });
    let is_aws = word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    has_prefix || is_aws
}

/// User and password in `scheme://user:password@host`; over HTTP a name alone is a token as well.
fn url_passwords(text: &str, found: &mut Vec<Found>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let end = run_end(text, start, |b| {
            b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
        });
        let is_http = ["http", "https"]
            .iter()
            .any(|scheme| text[..at].ends_with(scheme));
        if let Some(host) = text[start..end].rfind('@')
            && host > 0
            && !text[start..start + host].starts_with(MASK_START)
            && (is_http || text[start..start + host].contains(':'))
        {
            push(found, start..start + host, "url_password");
        }
    }
}

/// A run of bytes that values without quotes are of. In `token=token=…` every sign begins a value that goes to
/// the end of the same run, so that end is looked for once.
#[derive(Default)]
struct Run {
    range: Range<usize>,
    last_digit: Option<usize>,
}

impl Run {
    /// Returns where the run ends that goes on at `at`.
    fn end(&mut self, text: &str, at: usize) -> usize {
        if !self.range.contains(&at) {
            let is_value = |b: u8| b.is_ascii_graphic() && !b",;&\"'<>(){}[]\\`|".contains(&b);
            let end = run_end(text, at, is_value);
            let digit = text.as_bytes()[at..end]
                .iter()
                .rposition(u8::is_ascii_digit);
            *self = Self {
                range: at..end,
                last_digit: digit.map(|n| at + n),
            };
        }
        self.range.end
    }

    /// Tells whether the run last asked for has a digit at `at` or behind it.
    fn has_digit_from(&self, at: usize) -> bool {
        self.last_digit.is_some_and(|digit| digit >= at)
    }
}

/// Values that a text names: `api_key = …`, `"password": "…"`, `?access_token=…`.
fn named_values(text: &str, found: &mut Vec<Found>) {
    let mut run = Run::default();
    // What was taken to the end of its line; nothing before that is looked at again.
    let mut taken = 0;
    // Cookies up to here hold nothing likely; those in between end at the same place.
    let mut plain_cookies = 0;
    // The end of a value behind which there are none; many names may share it.
    let mut alone = usize::MAX;
    for (at, sign) in text.match_indices([':', '=']) {
        if at < taken {
            continue;
        }
        let mut end = run_start(text, at, |b| b == b' ');
        let is_spaced = end < at;
        end = run_start(text, end, |b| matches!(b, b'"' | b'\'' | b'\\' | b'`'));
        let start = run_start(text, end, is_name);
        let name = &text[start..end];
        if start == end || !keys::is_secret(name) {
            continue;
        }
        let after = run_end(text, at, |b| matches!(b, b':' | b'=' | b'>'));
        let value = run_end(text, after, |b| b == b' ');
        let quote = run_end(text, value, |b| b == b'\\');
        if let Some(mark @ (b'"' | b'\'')) = text.as_bytes().get(quote) {
            let inside = quote + 1;
            // A value ends at its own kind of quote, so it is walked once for each number of backslashes. There
            // are few of those in texts that anybody meant.
            if quote - value > MAX_BACKSLASHES {
                taken = text[inside..].find('\n').map_or(text.len(), |n| inside + n);
                push(found, inside..taken, "named");
                continue;
            }
            let stop = quoted_end(text, inside, *mark, quote - value);
            let is_masked = text[inside..stop].starts_with(MASK_START);
            if stop > inside && !is_masked {
                push(found, inside..stop, "named");
            }
            continue;
        }
        let mut stop = run.end(text, value);
        let is_scheme =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
        if name.to_ascii_lowercase().ends_with("authorization") && is_scheme(&text[value..stop]) {
            let next = run_end(text, stop, |b| b == b' ');
            stop = run.end(text, next).max(stop);
        }
        // `document.cookie=k;…` names no cookie, and `$SESSION` shows none.
        let is_hidden = text[value..].starts_with(['$', '*']);
        if at >= plain_cookies && stop != alone && !is_hidden && is_cookie(name) {
            let last = match text[value..stop].contains('=') {
                true => last_cookie(text, stop),
                false => None,
            };
            if let Some((last, end)) = last
                && has_digit(&text[value..end])
            {
                push(found, value..end, "named");
                // The last one may be the name of what stands behind it.
                taken = last;
                continue;
            }
            match last {
                Some((_, end)) => plain_cookies = end,
                None => alone = stop,
            }
        }
        let shown = &text[value..stop];
        if shown.starts_with(['$', '*']) {
            continue;
        }
        let is_tight = sign == "=" && !is_spaced && value == at + 1;
        let is_variable = !name.bytes().any(|b| b.is_ascii_lowercase());
        let is_likely = (shown.len() >= 8 && run.has_digit_from(value))
            || (is_tight && is_variable && shown.len() >= 6)
            || (is_tight && name.to_ascii_lowercase().ends_with("password") && shown.len() >= 4);
        if is_likely {
            push(found, value..stop, "named");
        }
    }
}

/// Tells whether a header of this name holds any number of cookies; `Set-Cookie` sets one, and says things of it.
fn is_cookie(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("cookie") && !name.ends_with("set-cookie")
}

/// Returns where the last one of the cookies that follow `; ` after the first starts and ends.
fn last_cookie(text: &str, first_end: usize) -> Option<(usize, usize)> {
    let mut last = None;
    let mut end = first_end;
    while text[end..].starts_with(';') {
        let start = run_end(text, end + 1, |b| b == b' ');
        let next = Run::default().end(text, start);
        if !text[start..next].contains('=') {
            break;
        }
        end = next;
        last = Some((start, end));
    }
    last
}

/// Returns where a quoted value ends, given how many backslashes stood before its first quote.
fn quoted_end(text: &str, from: usize, mark: u8, n_backslashes: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            let run = run_end(text, at, |b| b == b'\\');
            if run - at == n_backslashes && bytes.get(run) == Some(&mark) {
                return at;
            }
            // An escaped character; it may be of any length.
            at = run + text[run..].chars().next().map_or(0, char::len_utf8);
            continue;
        }
        if bytes[at] == mark && n_backslashes == 0 || bytes[at] == b'\n' {
            return at;
        }
        at += 1;
    }
    at
}

fn emails(text: &str, found: &mut Vec<Found>) {
    for (at, _) in text.match_indices('@') {
        let start = run_start(text, at, |b| is_word(b) || matches!(b, b'+' | b'%'));
        let end = run_end(text, at + 1, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')
        });
        let domain = text[at + 1..end].trim_end_matches(['.', '-']);
        let end = at + 1 + domain.len();
        let is_domain = domain.rsplit_once('.').is_some_and(|(rest, top)| {
            !rest.is_empty()
                && (2..=24).contains(&top.len())
                && top.bytes().all(|b| b.is_ascii_alphabetic())
        });
        // `git@host` is a login that all share.
        if is_domain && start < at && &text[start..at] != "git" {
            push(found, start..end, "email");
        }
    }
}

/// Home directories: `/home/NAME`, `/Users/NAME`, `/root`, `C:\Users\NAME`.
fn homes(text: &str, found: &mut Vec<Found>) {
    // A path starts here, or a `file://` address; `/home/` inside an address or path is no home.
    let starts_path = |at: usize| {
        let before = &text[..at];
        before.ends_with("file://")
            || !before.ends_with(|c: char| c.is_alphanumeric() || "_-./~}".contains(c))
    };
    for prefix in ["/home/", "/Users/"] {
        for (at, _) in text.match_indices(prefix) {
            let name = at + prefix.len();
            let end = run_end(text, name, is_word);
            if end > name && starts_path(at) {
                push(found, at..end, "home");
            }
        }
    }
    for (at, part) in text.match_indices("/root") {
        let end = at + part.len();
        if starts_path(at) && !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            push(found, at..end, "home");
        }
    }
    for (at, _) in text.match_indices("Users\\") {
        let start = run_start(text, at, |b| b == b'\\');
        let drive = text[..start].strip_suffix(':');
        let Some(drive) = drive.filter(|drive| drive.ends_with(|c: char| c.is_ascii_alphabetic()))
        else {
            continue;
        };
        let name = run_end(text, at + 5, |b| b == b'\\');
        let end = run_end(text, name, is_word);
        if start < at && end > name {
            push(found, drive.len() - 1..end, "home");
        }
    }
}

/// Long base64 of mixed kinds of characters, as keys are. Hex digests are not.
fn base64(text: &str, found: &mut Vec<Found>) {
    let mut at = 0;
    while at < text.len() {
        let end = run_end(text, at, is_base64);
        if end == at {
            at += 1;
            continue;
        }
        let run = &text[at..end];
        let count = |is_kind: fn(&u8) -> bool| run.as_bytes().iter().filter(|b| is_kind(b)).count();
        let is_content = text[..at].ends_with(";base64,");
        if run.len() >= MIN_BASE64
            && !is_content
            && count(u8::is_ascii_lowercase) > 0
            && count(u8::is_ascii_uppercase) > 0
            && count(u8::is_ascii_digit) >= MIN_BASE64_DIGITS
            // Paths have more slashes than one character in 64.
            && count(|b| *b == b'/') <= run.len() / 16
        {
            push(found, at..end, "base64");
        }
        at = end;
    }
}
