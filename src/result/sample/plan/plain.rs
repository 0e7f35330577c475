//! Logs and plain text: levels and kinds of lines counted, each kind of error with an example, numbers by
//! their names. Pure.

use std::collections::HashMap;

use super::super::Kind;
use super::super::column::Column;
use super::super::lines::Group;
use super::super::lines::Lines;
use super::super::number::Number;
use super::super::rank::spread;
use super::super::short::short;
use super::super::words;
use super::super::words::Tone;

/// Kinds of lines that are told apart.
const TEMPLATES: usize = 2_000;
/// Kinds of lines that are named.
const NAMED: usize = 24;
/// Bytes of a line that make its kind.
const TEMPLATE_BYTES: usize = 160;
/// Names of numbers that are told apart.
const NAMES: usize = 32;
/// Bytes of a unit; what is longer behind a digit is an id.
const UNIT_BYTES: usize = 8;
/// Digits before a letter that make it a hex digit of an id and no unit.
const ID_DIGITS: usize = 7;
/// Units that may stand behind a space, or look like hex digits.
const UNITS: [&str; 32] = [
    "ns", "us", "µs", "ms", "s", "sec", "secs", "seconds", "m", "min", "mins", "minutes", "h",
    "hours", "d", "day", "days", "B", "bytes", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB",
    "TiB", "K", "M", "G", "%",
];

/// Whether a line begins as lines of logs do: with a time or a level.
pub(super) fn is_log_line(line: &str) -> bool {
    let whole = line;
    let line = line.trim_start_matches(['[', '"', '(']);
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let is_date = digit(0) && digit(3) && (is(4, b'-') || is(4, b'/')) && digit(5);
    let is_time = digit(0) && digit(1) && is(2, b':') && digit(3) && is(5, b':');
    let is_syslog = bytes.len() > 15
        && is(3, b' ')
        && is(9, b':')
        && is(12, b':')
        && bytes[0].is_ascii_uppercase();
    let is_klog = bytes.len() > 20
        && matches!(bytes[0], b'I' | b'W' | b'E' | b'F')
        && digit(1)
        && digit(4)
        && is(5, b' ');
    // A table may have a column of times; a log has words after it.
    ((is_date || is_time) && bytes.len() > 20 && !matches!(bytes[10], b',' | b';' | b'\t' | b'|'))
        || is_syslog
        || is_klog
        || is_leveled(whole)
}

/// Whether a line says a level at its front. `a.yml:1:5: [error]` of a linter is a place first.
fn is_leveled(line: &str) -> bool {
    let front = &line[..super::super::short::floor(line, 24)];
    words::level(front)
        .is_some_and(|level| front.contains(level) || super::hits::hit(line).is_none())
}

pub(super) fn plan(lines: &Lines<'_>, kind: Kind, limit: usize) -> (Vec<String>, Vec<Group>) {
    let is_log = kind == Kind::Log;
    let mut templates = Templates::default();
    let mut levels: Vec<(&'static str, u64)> = Vec::new();
    let mut tones = super::Tones::default();
    let mut numbers = Numbers::default();
    for (index, line) in lines.iter().enumerate() {
        let level = if is_log { words::level(line) } else { None };
        if let Some(level) = level {
            match levels.iter_mut().find(|(known, _)| *known == level) {
                Some((_, count)) => *count += 1,
                None => levels.push((level, 1)),
            }
        }
        let tone = level.map_or_else(|| words::tone(line), words::tone_of_level);
        tones.add(index, tone, usize::MAX);
        if !line.trim().is_empty() {
            templates.add(line, index as u32, tone);
        }
        numbers.add_at(line, index as u32);
    }
    let mut facts = Vec::new();
    if !levels.is_empty() {
        let named: Vec<String> = levels
            .iter()
            .map(|(level, count)| format!("{level}×{count}"))
            .collect();
        facts.push(format!("levels: {}", named.join(" ")));
    }
    if levels.is_empty() {
        facts.extend(tones.fact());
    }
    facts.extend(numbers.facts());
    let examples = templates.examples();
    facts.extend(templates.facts());
    let n = lines.count();
    let (front, back) = super::ends(n, limit);
    let errors: Vec<u32> = examples
        .iter()
        .filter(|example| example.1 == Tone::Error)
        .map(|example| example.0)
        .collect();
    let others: Vec<u32> = examples
        .iter()
        .filter(|example| example.1 != Tone::Error)
        .map(|example| example.0)
        .collect();
    let more_errors: Vec<u32> = spread(tones.errors.len() as u32)
        .map(|at| tones.errors[at as usize])
        .take(limit)
        .collect();
    (
        facts,
        vec![
            Group::new(25, front),
            Group::new(20, back),
            Group::new(20, errors.into_iter().take(limit)),
            Group::new(10, numbers.extremes()),
            Group::new(10, others.into_iter().take(limit)),
            Group::new(10, more_errors),
            Group::new(5, spread(n as u32).take(limit)),
        ],
    )
}

/// Kinds of lines: what stays when digits and quoted parts go.
#[derive(Default)]
struct Templates {
    known: HashMap<String, usize>,
    /// Text, tone, count, first line.
    all: Vec<(String, Tone, u64, u32)>,
    n_other: u64,
}

impl Templates {
    fn add(&mut self, line: &str, index: u32, tone: Tone) {
        let template = template(line);
        if let Some(&at) = self.known.get(&template) {
            self.all[at].2 += 1;
        } else if self.all.len() < TEMPLATES {
            self.known.insert(template.clone(), self.all.len());
            self.all.push((template, tone, 1, index));
        } else {
            self.n_other += 1;
        }
    }

    /// First line and tone of each kind, the rarest and worst first.
    fn examples(&self) -> Vec<(u32, Tone)> {
        let mut all: Vec<_> = self
            .all
            .iter()
            .map(|(_, tone, count, first)| (*first, *tone, *count))
            .collect();
        all.sort_by_key(|&(first, tone, count)| (std::cmp::Reverse(tone), count, first));
        all.into_iter()
            .map(|(first, tone, _)| (first, tone))
            .collect()
    }

    /// The kinds that occur again and again, errors first.
    fn facts(&self) -> Vec<String> {
        let mut all: Vec<_> = self
            .all
            .iter()
            .filter(|(_, _, count, _)| *count > 1)
            .collect();
        all.sort_by_key(|(_, tone, count, first)| {
            (
                std::cmp::Reverse(*tone == Tone::Error),
                std::cmp::Reverse(*count),
                *first,
            )
        });
        let mut facts: Vec<String> = all
            .iter()
            .take(NAMED)
            .map(|(text, _, count, first)| {
                format!(
                    "{count}× {} (first at line {})",
                    short(text, TEMPLATE_BYTES),
                    first + 1
                )
            })
            .collect();
        if !facts.is_empty() {
            let n_single = self.all.len() - all.len();
            let rest = all.len().saturating_sub(NAMED);
            let mut kinds = format!(
                "kinds of lines (# for what varies): {} that repeat, {n_single} that do not",
                all.len()
            );
            if self.n_other > 0 {
                kinds.push_str(&format!(", {} lines of further kinds", self.n_other));
            }
            if rest > 0 {
                kinds.push_str(&format!("; the {NAMED} most frequent, errors first"));
            }
            facts.insert(0, kinds);
        }
        facts
    }
}

/// The words of a line without digits, quoted parts and what follows a brace.
fn template(line: &str) -> String {
    let mut out = String::with_capacity(line.len().min(TEMPLATE_BYTES) + 4);
    let mut rest = line.trim();
    while let Some(c) = rest.chars().next() {
        if out.len() >= TEMPLATE_BYTES {
            break;
        }
        if c == '{' {
            out.push_str("{#}");
            break;
        }
        let quoted = matches!(c, '"' | '\'').then(|| rest[1..].find(c)).flatten();
        if let Some(end) = quoted.filter(|end| *end < 200) {
            out.push(c);
            out.push('#');
            out.push(c);
            rest = &rest[end + 2..];
            continue;
        }
        if c.is_alphanumeric() {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-' && c != '.')
                .unwrap_or(rest.len());
            let word = &rest[..end];
            if word.bytes().any(|byte| byte.is_ascii_digit()) {
                if !out.ends_with('#') {
                    out.push('#');
                }
            } else {
                out.push_str(&word[..super::super::short::floor(word, TEMPLATE_BYTES)]);
            }
            rest = &rest[end..];
            continue;
        }
        let is_repeat = (c.is_whitespace() && out.ends_with(' '))
            || (out.ends_with('#')
                && c == ':'
                && rest[1..].starts_with(|c: char| c.is_ascii_digit()));
        if !is_repeat {
            out.push(if c.is_whitespace() { ' ' } else { c });
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// The unit at the start of what stands behind a number: letters, a rate (`MB/s`), or a known one behind a space.
fn unit(rest: &str) -> &str {
    let (space, word) = match rest.strip_prefix(' ') {
        Some(word) => (1, word),
        None => (0, rest),
    };
    let is_unit = |c: char| c.is_alphabetic() || c == '%' || c == '/';
    let end = word.find(|c: char| !is_unit(c)).unwrap_or(word.len());
    let (word, behind) = (word[..end].trim_end_matches('/'), &word[end..]);
    // The `s` of `a=5 s=6` is the next name.
    let ends = behind.is_empty() || behind.starts_with([' ', ',', ';', '.', ')', ']', '}', '|']);
    let is_known = UNITS.contains(&word.split('/').next().unwrap_or(word));
    match (space == 0 || (is_known && ends)) && word.len() <= UNIT_BYTES {
        true => &rest[..space + word.len()],
        false => "",
    }
}

/// Numbers by the name before them: `ms=12`, `"ms": 12`.
#[derive(Default)]
pub(super) struct Numbers<'a> {
    columns: HashMap<&'a str, usize>,
    all: Vec<Named<'a>>,
}

struct Named<'a> {
    name: &'a str,
    column: Column<'a>,
    /// What stands behind the first of them that is not zero, which is the same in all units: `ms`. Values in other
    /// units cannot be compared with it.
    unit: Option<&'a str>,
    has_other_units: bool,
    /// Value and line of the least and the greatest.
    least: (Number<'a>, u32),
    most: (Number<'a>, u32),
}

impl<'a> Numbers<'a> {
    pub(super) fn add(&mut self, line: &'a str) {
        self.add_at(line, 0);
    }

    fn add_at(&mut self, line: &'a str, index: u32) {
        let bytes = line.as_bytes();
        for at in memchr::memchr2_iter(b'=', b':', bytes) {
            let value = &line[at + 1..];
            let value = value.strip_prefix(' ').unwrap_or(value);
            if !value.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                continue;
            }
            let end = value
                .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-')
                .unwrap_or(value.len());
            let number = value[..end].trim_end_matches('.');
            let rest = &value[number.len()..];
            let unit = unit(rest);
            // `12ms` is a number; `12:30`, hex, `1m30s` and `1,024` are not, nor are lists.
            let is_digit = |c: char| c.is_ascii_digit();
            let is_id = rest.starts_with(|c: char| c.is_ascii_hexdigit())
                && (!UNITS.contains(&unit) || (unit.len() == 1 && number.len() >= ID_DIGITS));
            if rest.starts_with([':', '/', '_'])
                || is_id
                || rest[unit.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                || rest
                    .strip_prefix(',')
                    .is_some_and(|rest| rest.starts_with(is_digit))
            {
                continue;
            }
            let raw = &value[..number.len() + unit.len()];
            let name = line[..at].trim_end_matches(['"', '\'']);
            let start = name
                .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.' && c != '-')
                .map_or(0, |at| {
                    at + name[at..].chars().next().map_or(1, char::len_utf8)
                });
            let name = &name[start..];
            if name.is_empty()
                || name.len() > 40
                || !name.starts_with(|c: char| c.is_ascii_alphabetic())
            {
                continue;
            }
            let Some(parsed) = Number::of(number) else {
                continue;
            };
            let slot = match self.columns.get(name) {
                Some(&slot) => slot,
                None if self.all.len() < NAMES => {
                    self.columns.insert(name, self.all.len());
                    self.all.push(Named {
                        name,
                        column: Column::default(),
                        unit: None,
                        has_other_units: false,
                        least: (parsed, index),
                        most: (parsed, index),
                    });
                    self.all.len() - 1
                }
                None => continue,
            };
            let named = &mut self.all[slot];
            if !parsed.is_zero() {
                named.has_other_units |= *named.unit.get_or_insert(unit) != unit;
            }
            named.column.add_measure(parsed, raw);
            if parsed.compare(&named.least.0).is_lt() {
                named.least = (parsed, index);
            }
            if parsed.compare(&named.most.0).is_gt() {
                named.most = (parsed, index);
            }
        }
    }

    /// One line for each name that occurs often.
    pub(super) fn facts(&self) -> Vec<String> {
        let mut all: Vec<&Named<'_>> = self
            .all
            .iter()
            .filter(|named| named.column.numbers >= 4)
            .collect();
        all.sort_by_key(|named| std::cmp::Reverse(named.column.numbers));
        if all.is_empty() {
            return Vec::new();
        }
        let named: Vec<String> = all
            .iter()
            .take(12)
            .map(|named| {
                let described = match named.has_other_units {
                    true => named.column.describe_values(named.name),
                    false => named.column.describe(named.name, 0),
                };
                format!("{described} ({})", named.column.numbers)
            })
            .collect();
        vec![format!("numbers by name: {}", named.join("; "))]
    }

    /// Lines of the extremes.
    fn extremes(&self) -> Vec<u32> {
        let mut all: Vec<&Named<'_>> = self
            .all
            .iter()
            .filter(|named| named.column.numbers >= 4)
            .collect();
        all.sort_by_key(|named| std::cmp::Reverse(named.column.numbers));
        all.iter()
            .take(12)
            .flat_map(|named| [named.most.1, named.least.1])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(lines: &[String]) -> String {
        let mut numbers = Numbers::default();
        for line in lines {
            numbers.add(line);
        }
        numbers.facts().concat()
    }

    /// Broken variants that this catches: `1,024` is one, units go, numbers of different units have a range, and one
    /// zero without a unit takes it away.
    #[test]
    fn numbers_keep_their_units() {
        let of = |line: &dyn Fn(usize) -> String| named(&(0..40).map(line).collect::<Vec<_>>());
        assert_eq!(
            of(&|n| format!("took={}ms rows: {},{n:03}", 100 + n, 1 + n % 9)),
            "numbers by name: took 100ms..139ms (40)"
        );
        assert_eq!(
            of(&|n| format!(
                "took={} mem={}",
                if n % 8 == 0 { "1.5s" } else { "900ms" },
                n % 2
            )),
            "numbers by name: took 900ms×35 1.5s×5 (40); mem 0×20 1×20 (40)"
        );
        let mixed = of(&|n| {
            format!(
                "size: {}",
                if n == 0 {
                    "2 GB".to_owned()
                } else {
                    format!("{n} KB")
                }
            )
        });
        assert!(
            mixed.starts_with("numbers by name: size 2 GB×1 1 KB×1"),
            "{mixed}"
        );
        assert!(mixed.ends_with(" and 28 more (40)"), "{mixed}");
        let zero = |n: usize| {
            if n == 5 {
                "0".to_owned()
            } else {
                format!("{n}s")
            }
        };
        assert_eq!(
            of(&|n| format!("host{n} timeout: {} left: {}", zero(n), zero((n + 5) % 40))),
            "numbers by name: timeout 0s..39s (40); left 0..39s (40)"
        );
        assert_eq!(
            of(&|n| format!("ttl={}d size={} B", 100_000 + n, 10_000_000 + n)),
            "numbers by name: ttl 100000d..100039d (40); size 10000000 B..10000039 B (40)"
        );
        assert_eq!(
            of(&|n| format!("load={n}% rate: {n} MB/s took: {n} s=1")),
            "numbers by name: load 0%..39% (40); rate 0 MB/s..39 MB/s (40); took 0..39 (40); s 1×40 (40)"
        );
        for no_number in [
            "t=12:30",
            "d=1m30s",
            "id=12ab34",
            "commit: 00000000d",
            "v=1.2.3",
            "id=7abcdefghijk",
            "l=1,2",
        ] {
            assert_eq!(of(&|_| no_number.to_owned()), "", "{no_number}");
        }
    }
}
