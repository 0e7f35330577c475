//! The words that make a sentence a constraint, and nothing else.
//!
//! A phrase is matched on words in lower case; `#` stands for a number, what is between words
//! (spaces, hyphens, brackets) does not count. Written by reading the sentences of
//! `testdata/constraints` and others; its README says how the rules did on those not read yet.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::LazyLock;

use crate::surface::constraints::Kind;

/// Kinds with the phrases that show them.
const PHRASES: [(Kind, &str); 8] = [
    (
        Kind::Duty,
        "must, mustn't, never, only, solely, cannot, can't, not, don't, doesn't, didn't, isn't, \
         aren't, won't, wouldn't, shouldn't, couldn't, hasn't, haven't, wasn't, weren't, nor, no, \
         required, requires, require, mandatory, compulsory, should, shall, always, has \
         to, have to, needs to, need to be, avoid, avoids, ensure, ensures, make sure, be sure, \
         do not, forbidden, prohibited, disallowed, refuses, refused, rejected, rejects, fails, exclusive, \
         except, excluding, excluded, excludes, instead, rather than, prefer, neither, unsafe, \
         dangerous, outside, with the same, with same, without, warning, caution, deprecated, \
         destructive, irreversible, permanently, undone, confirm, ask the user, be \
         unique, unique within, unique across, is unique, exact, exactly, immutable, read only, \
         readonly, prerequisite, prerequisites, restricted to, limited to, mutually, strictly, do \
         nothing, no effect, unsupported, optional if, at your own, \
         careful, carefully, necessary, unable, impossible, forbid, forbids, disallow, disallows, \
         denied, denies, reject, refuse, consent, approval, verbatim, sensitive, \
         incompatible, compatible with, reserved for, allowed only, allowed to, permitted, nothing \
         else, same as, identical to, literal, please, also removes, also deletes, can take, may take, prefers, favours, favors, restarts, revert, reverts, cascade, cascades, locked, regardless, at most one, first choice, do it",
    ),
    (
        Kind::Default,
        "default, defaults, defaulted, defaulting, omit, omits, omitted, omitting, left empty, left \
         blank, leave empty, leave blank, leave it empty, unset, if missing, when missing, missing parent, missing values, unspecified, absent, defaults to, by default, default is, default value, default #, default true, default false, default none, default null, \
         fallback, falls back, fall back, inherits, inherited, auto detect, auto detects, auto \
         detected, autodetected, inferred, assumes, assumed, left out, empty string, empty array, \
         empty list, empty object, empty value, automatically, empty for, null for, null if",
    ),
    (
        Kind::Limit,
        "up to, up to #, at most, at least, at a time, more than #, less than #, fewer than #, greater than, \
         less than or, less than, larger than, smaller than, higher than, lower than, between # and, \
         max #, maximum #, min #, minimum #, maximum of, minimum of, max of, min of, maximum is, \
         minimum is, limit of, limit is, # max, # maximum, # min, # minimum, maximum length, minimum \
         length, from # to #, # to #, exceed, exceeds, exceeding, capped, truncated, truncates, rate \
         limit, rate limited, rate limits, once, one time, single use, no more than, per second, per \
         minute, per hour, per day, positive, negative, non empty, nonempty, inclusive, limits \
         the, the first #, the last #, last #, billed, charges, costs, credits, quota, no \
         limit, unlimited, upper bound, lower bound, bounded, within #, between # # and, between zero \
         and, ranging from, ranges from, in the range, range #, twice, # times, at once, per request, \
         per call, # or #, # or more, # or less, # or fewer, # or later, # or higher, non negative, nonnegative, non zero, nonzero",
    ),
    (
        Kind::Notation,
        "iso, iso8601, 8601, rfc, rfc3339, rfc2822, 3339, iana, base64, e 164, utc, unix, epoch, \
         cron, yyyy, hh mm, yyyymmdd, comma separated, comma delimited, separated by, separated list, \
         space separated, newline separated, pipe separated, semicolon separated, delimited, 0 based, \
         1 based, zero based, one based, 0 indexed, 1 indexed, zero indexed, relative path, relative \
         to, relative file, absolute, case sensitive, case insensitive, wildcard, wildcards, regex, \
         regexp, regexes, regular expression, regular expressions, json string, json encoded, json \
         formatted, as json, stringified, url encoded, encoded, escaped, unescaped, lowercase, \
         uppercase, lower case, upper case, snake_case, camelcase, prefix match, trailing, leading \
         slash, prefixed, prefix with, suffix, starts with, start with, begins with, begin with, ends \
         with, end with, in the format, of the format, following format, this format, in the form, \
         the form, prefix a, wins, format is, formatted as, specified as, expressed as, \
         two letter, three letter, # letter, # character, # digit, hex, hexadecimal, decimal degrees, \
         decimal, octal, html format, markdown format, json format, csv format, mime format, plain \
         text, fully qualified, dialect, syntax, notation, colon separated, dash separated, hyphen separated, \
         separator, delimiter, data uri, data url, base 64, utf 8, bcp 47, bcp47, in json, in yaml, in \
         csv, in markdown, in html, as a json, as a string, as string, as strings, as an array, as \
         array, as a list, as integer, as an integer, json array of, json object with, array or, \
         string or, mm dd, dd mm, hh, local time, like this, looks like, in the following, written \
         as, given as, passed as, provided as, represented as, interpreted as, treated as, \
         serialized, separate them, separated with, with a json object, as key value, as a map, map of, or an array, or a list, rgb, rgba, hsl, is a dictionary, is an object, is an array, is a list of, as an object, in quotes, double quotes, single quotes, alphanumeric, ascii, dotted, \
         unsigned, glob, globs, full path, or logic, and logic, like pattern, verbatim, merged with",
    ),
    (
        Kind::Values,
        "one of, one or more of, any of, either, allowed values, valid values, accepted values, possible values, \
         supported values, valid options, available options, allowed options, supported options, \
         valid types, supported types, supported formats, allowed types, enum, asc or desc, ascending \
         or, valid, accepts, means, asc desc, ascending descending, yes no, values are, values \
         include, options are, options include, choose from, choose between, select from, is either, \
         denotes, stands for, corresponds to, indicates that, set to, enable to, disable to, to \
         disable, lower is, higher is, smaller is, larger is, # returns, # means, # disables, \
         # keeps, on or off, values may be, value may be, higher values, lower values, \
         larger values, smaller values, null, filterable by, can filter by, can change, values from, works only",
    ),
    (
        Kind::Source,
        "from an earlier, from earlier, previous call, previous response, previous result, previous request, previous page, prior \
         call, earlier call, from previous, from a previous, returned by, returned from, returned in, \
         obtained from, obtained by, obtained via, obtained with, retrieved from, retrieved via, \
         retrieved with, expire, expires, expired, valid for, valid until, retained, lifetime, reuse, \
         reused, reusable, persists, persisted, stale, be found in, be found at, found \
         via, found with, found under, provided in, provided by, given in, given by, listed by, shown \
         by, reported by, comes from, come from, taken from, copied from, returned as, id from, ids \
         from, token from, cursor from, value from, values from, key from, name from, names from, the \
         output of, the result of, the response of, from the response, from the result, from the \
         results, from the output, from the url, time to live, ttl, temporary, temporarily, survives, \
         remains, lasts, last for, refresh, refreshed, from the last, from the previous, \
         last page, from its, often found, usually found, from the latest, from the most recent, by calling, pass it to, pass them to, pass these, pass that, extract it from, get it from, find it in, ephemeral, then call, then use, then read, then pass, continue with, for the full list, for a list of valid, to see valid, to get valid, to find valid",
    ),
    (
        Kind::Condition,
        "if, unless, otherwise, in case, until, before, after, depending, depends, ignored, ignores, \
         applies to, applicable, overrides, override, overridden, takes precedence, \
         precedence, overwrites, overwrite, overwritten, replaced, replaces, as long as, provided \
         that, in order, in combination, combined with, together with, follow up, followed by, \
         afterwards, beforehand, created if, even when, for backward, requires that, this tool with, call again, again with, call it with, whenever, as soon as, in which case, already \
         exists, already exist, skipped, skips, conflict, conflicts, takes effect, take effect, side \
         effect, side effects, asynchronous, asynchronously, supported on, \
         supported for, works with, works on, optional for, vary by, varies by, vary with, bound to, \
         first then, is already, determined by, gated to, gated to, present on, on error, on failure, on success, on conflict",
    ),
    (Kind::Unit, "percent, percentage, timeout of"),
];

/// Phrases whose words show nothing.
const NEUTRAL: &str = "up to date, up until which, if available, if any, if needed, if necessary, check if, \
    checks if, see if, we should, message if, do not disturb, no longer in use, if something goes wrong, not known, determine if, determines if, verify if, test if, trailing twelve months, should be sorted, should be returned, should be created, should return, should be hidden, should be enabled";

/// Words that make what is before or around them a measure.
const UNITS: &str = "seconds second secs sec milliseconds millisecond ms microseconds nanoseconds minutes minute \
    mins hours hour days day weeks months years bytes byte kb mb gb tb kib mib gib kilobytes \
    megabytes gigabytes bits pixels pixel px dpi points pt inches inch emu emus mm cm meters \
    metres km kilometers miles degrees radians kelvin celsius cents usd characters chars tokens \
    hz kbps fps bps kilobyte megabyte gigabyte dollars euros eur feet miles watts rpm bpm microns mils nm kg grams mah";

/// Units that are nothing else, wherever they stand.
const SURE_UNITS: [&str; 21] = [
    "milliseconds",
    "millisecond",
    "microseconds",
    "nanoseconds",
    "pixels",
    "px",
    "kb",
    "mb",
    "gb",
    "kib",
    "mib",
    "gib",
    "dpi",
    "emu",
    "emus",
    "meters",
    "metres",
    "kilometers",
    "inches",
    "radians",
    "celsius",
];

/// What a phrase leads to, by its first word.
type ByFirst = HashMap<&'static str, Vec<(&'static str, Vec<&'static str>, Kind)>>;

static ALL_UNITS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| UNITS.split(' ').collect());

static ALL_NEUTRAL: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
    NEUTRAL
        .split(',')
        .map(|phrase| phrase.split_whitespace().collect())
        .collect()
});

static BY_FIRST: LazyLock<ByFirst> = LazyLock::new(|| {
    let mut by_first = ByFirst::new();
    for (kind, phrases) in PHRASES {
        for phrase in phrases.split(',') {
            let words: Vec<&'static str> = phrase.split_whitespace().collect();
            if let Some(first) = words.first() {
                by_first
                    .entry(first)
                    .or_default()
                    .push((phrase.trim(), words, kind));
            }
        }
    }
    by_first
});

/// A word of a sentence.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// In lower case; apostrophes are straight.
    pub(crate) text: String,
    /// What stands between the word before and this one.
    pub(crate) before: String,
}

/// Cuts a sentence into words.
pub(crate) fn words(sentence: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut text = String::new();
    let mut before = String::new();
    let mut characters = sentence.chars().peekable();
    while let Some(character) = characters.next() {
        let is_apostrophe = matches!(character, '\'' | '’') && !text.is_empty();
        let follows = characters.peek().is_some_and(|next| next.is_alphabetic());
        if character.is_alphanumeric() || character == '_' {
            text.extend(character.to_lowercase());
        } else if is_apostrophe && follows {
            text.push('\'');
        } else {
            if !text.is_empty() {
                words.push(Word {
                    text: std::mem::take(&mut text),
                    before: std::mem::take(&mut before),
                });
            }
            before.push(character);
        }
    }
    if !text.is_empty() {
        words.push(Word { text, before });
    }
    words
}

pub(crate) fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Says whether a word is a unit without anything before it: `pixels`, `timeout_ms`.
pub(crate) fn is_sure_unit(word: &str) -> bool {
    let of_name = word.rsplit_once('_').map(|(_, unit)| unit);
    SURE_UNITS.contains(&word) || of_name.is_some_and(is_unit)
}

pub(crate) fn is_unit(word: &str) -> bool {
    ALL_UNITS.contains(word)
}

/// Tells every phrase in the words of a sentence, with its kind.
pub(crate) fn phrases(words: &[Word], mut tell: impl FnMut(&str, Kind)) {
    let is_here = |phrase: &[&str], n: usize| {
        let here = words.get(n..n + phrase.len());
        here.is_some_and(|here| {
            phrase.iter().zip(here).all(|(expected, word)| {
                word.text == *expected || (*expected == "#" && is_number(&word.text))
            })
        })
    };
    let mut neutral = 0;
    for (n, word) in words.iter().enumerate() {
        let length = ALL_NEUTRAL
            .iter()
            .find(|phrase| is_here(phrase, n))
            .map_or(0, Vec::len);
        neutral = neutral.max(n + length);
        if n < neutral {
            continue;
        }
        let number = is_number(&word.text).then_some("#");
        for first in std::iter::once(word.text.as_str()).chain(number) {
            for (phrase, parts, kind) in BY_FIRST.get(first).into_iter().flatten() {
                if is_here(parts, n) {
                    tell(phrase, *kind);
                }
            }
        }
    }
}
