//! What all values at one place have in common: how many, how large, which ones most. One pass, bounded
//! memory, no order but that of first sight. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::date::Date;
use super::number::Number;
use super::short::short;

/// Distinct values that are told apart, at most.
const DISTINCT: usize = 4096;
/// Values that are named one by one when there are no more.
const NAMED: usize = 12;
/// Bytes of a value that is named.
const NAMED_BYTES: usize = 48;

/// Words that are values without quotes.
const WORDS: [&str; 9] = [
    "null", "true", "false", "None", "True", "False", "nan", "inf", "NaN",
];

/// The account of one place.
#[derive(Default)]
pub(super) struct Column<'a> {
    pub(super) nulls: u64,
    pub(super) words: u64,
    pub(super) numbers: u64,
    pub(super) texts: u64,
    addresses: u64,
    pub(super) arrays: u64,
    pub(super) objects: u64,
    least: Option<(Number<'a>, &'a str)>,
    most: Option<(Number<'a>, &'a str)>,
    /// Bytes of texts, without quotes.
    shortest: Option<usize>,
    longest: usize,
    /// First and last of texts that begin with a date.
    dates: u64,
    earliest: Option<(Date<'a>, &'a str)>,
    latest: Option<(Date<'a>, &'a str)>,
    /// Whether they are of zones that cannot be compared, so that none is known to be the first.
    has_zones: bool,
    /// Elements of arrays.
    items: u64,
    fewest: Option<u32>,
    largest: u32,
    values: HashMap<&'a str, (u64, u32)>,
    is_many: bool,
}

impl<'a> Column<'a> {
    /// How often there was any value.
    pub(super) fn seen(&self) -> u64 {
        self.nulls + self.words + self.numbers + self.texts + self.arrays + self.objects
    }

    pub(super) fn has_only_containers(&self) -> bool {
        self.arrays + self.objects == self.seen()
    }

    /// Adds a number as spelled; `false` if it is none.
    pub(super) fn add_number(&mut self, raw: &'a str) -> bool {
        let Some(number) = Number::of(raw) else {
            return false;
        };
        self.add_measure(number, raw);
        true
    }

    /// Adds a number that is named as `raw`, which may have a unit.
    pub(super) fn add_measure(&mut self, number: Number<'a>, raw: &'a str) {
        self.numbers += 1;
        if self
            .least
            .is_none_or(|(least, _)| number.compare(&least).is_lt())
        {
            self.least = Some((number, raw));
        }
        if self
            .most
            .is_none_or(|(most, _)| number.compare(&most).is_gt())
        {
            self.most = Some((number, raw));
        }
        self.tell(raw);
    }

    /// Adds a text; `raw` is how it is named.
    pub(super) fn add_text(&mut self, raw: &'a str) {
        self.texts += 1;
        let inner = unquoted(raw);
        self.addresses += u64::from(inner.starts_with("http"));
        self.shortest = Some(self.shortest.unwrap_or(usize::MAX).min(inner.len()));
        self.longest = self.longest.max(inner.len());
        if let Some(date) = Date::of(inner) {
            self.dates += 1;
            if let Some((earliest, _)) = &self.earliest {
                self.has_zones |= !date.is_comparable(earliest);
            }
            if self
                .earliest
                .is_none_or(|(earliest, _)| date.is_before(&earliest))
            {
                self.earliest = Some((date, raw));
            }
            if self
                .latest
                .is_none_or(|(latest, _)| latest.is_before(&date))
            {
                self.latest = Some((date, raw));
            }
        }
        self.tell(raw);
    }

    /// Adds `true`, `null` and their like.
    pub(super) fn add_word(&mut self, raw: &'a str) {
        if matches!(raw, "null" | "None") {
            self.nulls += 1;
        } else {
            self.words += 1;
            self.tell(raw);
        }
    }

    pub(super) fn add_array(&mut self, count: u32) {
        self.arrays += 1;
        self.items += u64::from(count);
        self.fewest = Some(self.fewest.unwrap_or(u32::MAX).min(count));
        self.largest = self.largest.max(count);
    }

    fn tell(&mut self, raw: &'a str) {
        if self.is_many {
            return;
        }
        let order = self.values.len() as u32;
        self.values.entry(raw).or_insert((0, order)).0 += 1;
        if self.values.len() > DISTINCT {
            self.is_many = true;
            self.values = HashMap::new();
        }
    }

    /// Whether its values answer more than their own questions: few, or numbers.
    pub(super) fn weight(&self) -> u32 {
        match () {
            () if self.numbers > 0 => 0,
            () if self.dates > 0 => 1,
            () if self.words > 0 || self.is_few() => 2,
            () if self.has_only_containers() => 3,
            () => 4,
        }
    }

    /// The one value that all have.
    pub(super) fn constant(&self) -> Option<String> {
        if self.nulls > 0 && self.nulls == self.seen() {
            return Some("null".to_owned());
        }
        let scalars = self.words + self.numbers + self.texts;
        let value = self.values.keys().next()?;
        (self.values.len() == 1 && scalars == self.seen() && value.len() <= NAMED_BYTES)
            .then(|| bare(value))
    }

    /// Whether all texts are addresses and too many to name.
    pub(super) fn is_addresses(&self) -> bool {
        self.addresses > 0 && self.addresses == self.texts && !self.is_few()
    }

    fn is_few(&self) -> bool {
        !self.is_many
            && self.values.len() <= NAMED
            && self.values.keys().all(|value| value.len() <= NAMED_BYTES)
    }

    /// Writes the account of a place that could have been filled `of` times.
    pub(super) fn describe(&self, name: &str, of: u64) -> String {
        self.describe_with(name, of, "null")
    }

    /// The same, with another word for values that are none.
    pub(super) fn describe_with(&self, name: &str, of: u64, none: &str) -> String {
        let mut out = String::from(name);
        let scalars = self.words + self.numbers + self.texts;
        let n_distinct = self.values.len() as u64;
        if self.is_few() && scalars > 0 && (n_distinct <= 2 || scalars >= 2 * n_distinct) {
            for (value, count) in self.by_count(NAMED) {
                let _ = write!(out, " {}×{count}", bare(value));
            }
            // The extremes of numbers are among the named.
        } else {
            if let (Some((_, least)), Some((_, most))) = (self.least, self.most) {
                let _ = write!(out, " {least}..{most}");
            }
            if let (Some((_, earliest)), Some((_, latest))) = (self.earliest, self.latest)
                && !self.has_zones
            {
                let _ = write!(out, " {}..{}", bare(earliest), bare(latest));
            }
            if self.texts > 0 {
                if self.is_many {
                    let _ = write!(out, " >{DISTINCT} distinct");
                } else if n_distinct == scalars {
                    out.push_str(" all distinct");
                } else if n_distinct > 1 {
                    let _ = write!(out, " {n_distinct} distinct");
                    let top: Vec<_> = self
                        .by_count(3)
                        .into_iter()
                        .filter(|(value, count)| *count > 1 && value.len() <= NAMED_BYTES)
                        .collect();
                    for (index, (value, count)) in top.iter().enumerate() {
                        let _ = write!(
                            out,
                            "{} {}×{count}",
                            if index == 0 { ":" } else { "" },
                            bare(value)
                        );
                    }
                }
                if self.longest > NAMED_BYTES {
                    let _ = write!(
                        out,
                        " {}..{} bytes",
                        self.shortest.unwrap_or(0),
                        self.longest
                    );
                }
            }
        }
        if self.arrays > 0 {
            let _ = write!(
                out,
                " arrays {}..{}, {} in all",
                self.fewest.unwrap_or(0),
                self.largest,
                self.items
            );
        }
        if self.nulls > 0 {
            let _ = write!(out, " {none}×{}", self.nulls);
        }
        if self.seen() < of {
            let _ = write!(out, " (in {})", self.seen());
        }
        out
    }

    /// Writes the most frequent values, where they cannot be compared.
    pub(super) fn describe_values(&self, name: &str) -> String {
        let mut out = String::from(name);
        let values = self.by_count(NAMED);
        for (value, count) in &values {
            let _ = write!(out, " {}×{count}", bare(value));
        }
        if self.is_many {
            let _ = write!(out, " >{DISTINCT} distinct");
        } else if self.values.len() > values.len() {
            let _ = write!(out, " and {} more", self.values.len() - values.len());
        }
        out
    }

    fn by_count(&self, limit: usize) -> Vec<(&'a str, u64)> {
        let mut values: Vec<_> = self
            .values
            .iter()
            .map(|(value, &(count, order))| (*value, count, order))
            .collect();
        values.sort_unstable_by_key(|&(_, count, order)| (std::cmp::Reverse(count), order));
        values.truncate(limit);
        values
            .into_iter()
            .map(|(value, count, _)| (value, count))
            .collect()
    }
}

/// A text without the quotes around it.
fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// A value as it is named: without quotes where nothing can be mistaken, so with them where it would be another
/// value.
fn bare(value: &str) -> String {
    let inner = unquoted(value);
    let is_plain = !inner.is_empty()
        && !WORDS.contains(&inner)
        && Number::of(inner).is_none()
        && inner
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte));
    short(if is_plain { inner } else { value }, NAMED_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: dates of several offsets are compared as texts or have no range, and those of
    /// zones with names alone have one.
    #[test]
    fn dates_of_several_offsets_have_a_range() {
        let of = |zone: &dyn Fn(usize) -> &'static str| {
            let texts: Vec<String> = (10..40)
                .map(|n| format!("\"2026-05-01T10:00:{n}{}\"", zone(n)))
                .collect();
            let mut column = Column::default();
            for text in &texts {
                column.add_text(text);
            }
            column.describe("when", 0)
        };
        assert_eq!(
            of(&|n| if n == 20 { "+14:00" } else { "Z" }),
            "when \"2026-05-01T10:00:20+14:00\"..2026-05-01T10:00:39Z all distinct"
        );
        assert_eq!(
            of(&|n| if n % 2 == 0 { "Z" } else { ".000+0000" }),
            "when 2026-05-01T10:00:10Z..\"2026-05-01T10:00:39.000+0000\" all distinct"
        );
        assert_eq!(
            of(&|n| if n == 20 { " PST" } else { " CET" }),
            "when all distinct"
        );
        assert_eq!(
            of(&|_| "Z"),
            "when 2026-05-01T10:00:10Z..2026-05-01T10:00:39Z all distinct"
        );
    }

    /// Broken variant that this catches: all values are named without quotes, so that `"1"` and 1 are one.
    #[test]
    fn different_values_have_different_names() {
        let mut column = Column::default();
        for _ in 0..2 {
            for text in [r#""null""#, r#""true""#, r#""1""#, r#""'a'""#, r#""a""#] {
                column.add_text(text);
            }
            column.add_word("null");
            column.add_word("true");
            column.add_number("1");
        }
        assert_eq!(
            column.describe_with("a", 0, "empty"),
            r#"a "null"×2 "true"×2 "1"×2 "'a'"×2 a×2 true×2 1×2 empty×2"#
        );
    }

    /// Broken variant that this catches: quotes are counted.
    #[test]
    fn lengths_are_those_of_the_texts() {
        let texts: Vec<String> = (60..80).map(|n| format!("\"{}\"", "x".repeat(n))).collect();
        let mut column = Column::default();
        for text in &texts {
            column.add_text(text);
        }
        assert_eq!(column.describe("a", 0), "a all distinct 60..79 bytes");
    }

    fn numbers(raws: &[&str]) -> String {
        let mut column = Column::default();
        for raw in raws {
            if !column.add_number(raw) {
                column.add_text(raw);
            }
        }
        column.describe("n", 0)
    }

    /// Broken variants that this catches: values are compared as floats, so that the first of all that are nearly equal
    /// is both ends, and a `NaN` that comes first is both as well.
    #[test]
    fn ranges_are_those_of_the_values() {
        let near: Vec<String> = (0..30)
            .map(|n| format!("17480000000000000{:02}", n * 7 % 30 + 10))
            .collect();
        let near: Vec<&str> = near.iter().map(String::as_str).collect();
        assert_eq!(numbers(&near), "n 1748000000000000010..1748000000000000039");
        let tenths: Vec<String> = (10..40).map(|n| format!("{n}.5")).collect();
        let mut prices = vec!["NaN"];
        prices.extend(tenths.iter().map(String::as_str));
        assert_eq!(numbers(&prices), "n 10.5..39.5 all distinct");
    }
}
