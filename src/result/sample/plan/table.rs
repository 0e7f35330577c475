//! Tables in text: CSV, tabs, Markdown pipes, columns aligned by spaces. Columns are described over all
//! rows, rows with extremes and rare values are kept. Pure.

use std::collections::HashMap;

use super::super::column::Column;
use super::super::lines::Group;
use super::super::lines::Lines;
use super::super::number::Number;
use super::super::rank::spread;
use super::super::words;
use super::super::words::Tone;
use super::plain::Numbers;

/// Columns that are looked at.
const COLUMNS: usize = 40;
/// Rows that are looked at to find how columns are parted.
const LOOK: usize = 60;

/// How the cells of a row are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// By a character; quotes keep cells together (RFC 4180).
    Character(u8),
    /// `| a | b |`.
    Pipes,
    /// Two spaces or more.
    Spaces,
}

/// Whether most of the text is one table.
pub(super) fn is_table(lines: &Lines<'_>) -> bool {
    parting(lines).is_some()
}

fn parting(lines: &Lines<'_>) -> Option<(Parting, usize, usize)> {
    let n = lines.count();
    let step = (n / LOOK).max(1);
    let looked: Vec<&str> = (0..n)
        .step_by(step)
        .map(|index| lines.get(index))
        .filter(|line| !line.trim().is_empty())
        .collect();
    if looked.len() < 4 {
        return None;
    }
    // Records of JSON have commas in them and no names above them.
    let n_records = looked
        .iter()
        .filter(|line| line.starts_with(['{', '[']))
        .count();
    let has_records = n_records * 2 > looked.len();
    [
        Parting::Pipes,
        Parting::Character(b'\t'),
        Parting::Character(b','),
        Parting::Character(b';'),
        Parting::Spaces,
    ]
    .into_iter()
    .filter(|parting| !has_records || !matches!(parting, Parting::Character(b',' | b';')))
    .find_map(|parting| {
        // The head is the first line that parts as most lines do.
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for line in &looked {
            *counts.entry(cells(line, parting).len()).or_default() += 1;
        }
        let (width, rows) = counts
            .into_iter()
            .max_by_key(|&(width, rows)| (rows, width))?;
        let min_width = if parting == Parting::Character(b',') {
            3
        } else {
            2
        };
        let is_table = width >= min_width && rows * 100 >= looked.len() * 85;
        // A Markdown table may stand below a title; any other begins with its header. Above it may be a rule.
        let is_row = |index: &usize| cells(lines.get(*index), parting).len() == width;
        let is_ruled = |index: usize| is_rule(&cells(lines.get(index), parting));
        let mut front = 0..n.min(20);
        let header = match parting {
            Parting::Pipes => front.find(|index| is_row(index) && !is_ruled(*index))?,
            _ => front
                .find(|&index| {
                    let is_top = is_row(&index) && is_ruled(index);
                    !is_top && !lines.get(index).trim().is_empty()
                })
                .filter(is_row)?,
        };
        let head = cells(lines.get(header), parting);
        let is_head = head
            .iter()
            .all(|cell| cell.len() <= 60 && Number::of(cell).is_none())
            && (parting != Parting::Spaces
                || head
                    .iter()
                    .all(|cell| !cell.is_empty() && !cell.contains(['{', ';'])))
            && (parting != Parting::Character(b';') || width > 2);
        (is_table && is_head).then_some((parting, width, header))
    })
}

fn cells(line: &str, parting: Parting) -> Vec<&str> {
    match parting {
        Parting::Pipes => {
            let line = line.trim();
            match line.strip_prefix('|') {
                Some(inner) => inner
                    .strip_suffix('|')
                    .unwrap_or(inner)
                    .split('|')
                    .map(str::trim)
                    .collect(),
                None => Vec::new(),
            }
        }
        Parting::Spaces => line
            .trim()
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect(),
        Parting::Character(by) => {
            let bytes = line.as_bytes();
            let mut cells = Vec::new();
            let (mut start, mut is_quoted) = (0, false);
            for (at, byte) in bytes.iter().enumerate() {
                if *byte == b'"' {
                    is_quoted = !is_quoted;
                } else if *byte == by && !is_quoted {
                    cells.push(line[start..at].trim());
                    start = at + 1;
                }
            }
            cells.push(line[start..].trim());
            cells
        }
    }
}

/// Whether a row is the line below the names of columns.
fn is_rule(cells: &[&str]) -> bool {
    cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.bytes().all(|byte| matches!(byte, b'-' | b':' | b'=')))
}

/// Follows a Markdown table to its end.
struct Follow<'l, 'a> {
    lines: &'l Lines<'a>,
    width: usize,
    /// The line behind empty ones and headings that were looked at.
    next: usize,
}

impl Follow<'_, '_> {
    /// Whether the table has ended before the line at `index`: by the names of another one, or by an empty line or a
    /// heading behind which no more rows of it stand.
    fn is_end(&mut self, index: usize) -> bool {
        if index < self.next {
            return false;
        }
        let is_between = |index: usize| {
            let line = self.lines.get(index);
            line.trim().is_empty() || super::outline::is_heading(line)
        };
        if !is_between(index) {
            // A row between two rules is one of a table that has them between all rows, and one row behind a rule
            // is the sum.
            return self.is_names(index)
                && !self.is_ruled(index - 1)
                && (index + 2..index + 4).all(|at| self.is_row(at));
        }
        let n = self.lines.count();
        let next = (index + 1..n).find(|&at| !is_between(at)).unwrap_or(n);
        self.next = next;
        let names = next + usize::from(self.is_ruled(next));
        self.is_names(names) || self.cells(next).len() != self.width
    }

    /// Whether names of columns stand there, below which their rule stands.
    fn is_names(&self, index: usize) -> bool {
        let is_name =
            |cell: &&str| !cell.is_empty() && !cell.contains("--") && Number::of(cell).is_none();
        self.is_ruled(index + 1) && {
            let cells = self.cells(index);
            cells.len() == self.width && cells.iter().all(is_name)
        }
    }

    fn is_row(&self, index: usize) -> bool {
        self.cells(index).len() == self.width && !self.is_ruled(index)
    }

    /// Whether a rule stands there. A row of single signs is one of values that are not there.
    fn is_ruled(&self, index: usize) -> bool {
        let is_sign = |byte: u8| matches!(byte, b'|' | b'-' | b':' | b'=' | b' ' | b'\t');
        index < self.lines.count() && self.lines.get(index).bytes().all(is_sign) && {
            let cells = self.cells(index);
            !cells.is_empty() && is_rule(&cells) && cells.iter().all(|cell| cell.contains("--"))
        }
    }

    /// The cells of a line; none behind the last.
    fn cells(&self, index: usize) -> Vec<&str> {
        match index < self.lines.count() {
            true => cells(self.lines.get(index), Parting::Pipes),
            false => Vec::new(),
        }
    }
}

struct Extremes<'a> {
    least: (Number<'a>, u32),
    most: (Number<'a>, u32),
}

pub(super) fn plan(lines: &Lines<'_>, limit: usize) -> (Vec<String>, Vec<Group>) {
    let Some((parting, width, header)) = parting(lines) else {
        return super::plain::plan(lines, super::Kind::Text, limit);
    };
    let names = cells(lines.get(header), parting);
    let mut columns: Vec<Column<'_>> = (0..width.min(COLUMNS)).map(|_| Column::default()).collect();
    let mut extremes: Vec<Option<Extremes<'_>>> = (0..columns.len()).map(|_| None).collect();
    let mut firsts: Vec<HashMap<&str, u32>> = vec![HashMap::new(); columns.len()];
    let mut n_rows: u64 = 0;
    let mut n_other = 0;
    let mut end = None;
    let mut follow = Follow {
        lines,
        width,
        next: 0,
    };
    let mut tones = super::Tones::default();
    let mut numbers = Numbers::default();
    for (index, line) in lines.iter().enumerate().skip(header + 1) {
        numbers.add(line);
        if parting == Parting::Pipes && end.is_none() && follow.is_end(index) {
            end = Some(index);
        }
        if end.is_some() {
            tones.add(index, words::tone(line), usize::MAX);
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let cells = cells(line, parting);
        if cells.len() != width {
            n_other += 1;
            continue;
        }
        if is_rule(&cells) {
            continue;
        }
        n_rows += 1;
        let mut tone = Tone::Plain;
        for (at, cell) in cells.iter().take(columns.len()).enumerate() {
            if cell.len() <= 200 {
                tone = tone.max(words::tone(cell));
            }
            if cell.is_empty() {
                columns[at].add_word("null");
            } else if let Some(number) = Number::of(cell) {
                columns[at].add_measure(number, cell);
                let seen = extremes[at].get_or_insert(Extremes {
                    least: (number, index as u32),
                    most: (number, index as u32),
                });
                if number.compare(&seen.least.0).is_lt() {
                    seen.least = (number, index as u32);
                }
                if number.compare(&seen.most.0).is_gt() {
                    seen.most = (number, index as u32);
                }
            } else {
                columns[at].add_text(cell);
                if firsts[at].len() <= 12 {
                    firsts[at].entry(cell).or_insert(index as u32);
                }
            }
        }
        tones.add(index, tone, usize::MAX);
    }
    let n = lines.count();
    let mut facts = vec![format!(
        "{n_rows} rows of {width} columns below line {}",
        header + 1
    )];
    if n_other > 0 {
        facts.push(format!("{n_other} lines that are no such row"));
    }
    if let Some(end) = end.filter(|&end| (end..n).any(|at| !lines.get(at).trim().is_empty())) {
        facts.push(format!(
            "the columns are those of this table; from line {} on {} more lines follow",
            end + 1,
            n - end
        ));
    }
    let mut described: Vec<(u32, String)> = columns
        .iter()
        .zip(&names)
        .map(|(column, name)| (column.weight(), column.describe_with(name, 0, "empty")))
        .collect();
    described.sort_by_key(|&(weight, _)| weight);
    facts.extend(described.into_iter().map(|(_, text)| text));
    facts.extend(tones.fact());
    facts.extend(numbers.facts());
    let mut outliers: Vec<u32> = extremes
        .iter()
        .flatten()
        .flat_map(|seen| [seen.most.1, seen.least.1])
        .collect();
    for first in firsts.iter().filter(|first| first.len() <= 12) {
        let mut rows: Vec<u32> = first.values().copied().collect();
        rows.sort_unstable();
        outliers.extend(rows);
    }
    let (front, back) = super::ends(n, limit);
    let errors: Vec<u32> = spread(tones.errors.len() as u32)
        .map(|at| tones.errors[at as usize])
        .take(limit)
        .collect();
    (
        facts,
        vec![
            Group::new(30, front.into_iter().skip(header)),
            Group::new(15, back),
            Group::new(25, outliers),
            Group::new(15, errors),
            Group::new(15, spread(n as u32).take(limit)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Vec<String> {
        let lines = Lines::of(text);
        assert!(is_table(&lines), "{text}");
        plan(&lines, 50).0
    }

    /// Broken variant that this catches: the word in a cell is taken for a cell without one.
    #[test]
    fn a_cell_with_a_word_is_not_empty() {
        let rows: String = (0..40)
            .map(|n| format!("{n},{},x\n", ["null", "ok", ""][n % 3]))
            .collect();
        let facts = facts(&format!("id,state,x\n{rows}"));
        assert!(
            facts.contains(&"state null×14 ok×13 empty×13".to_owned()),
            "{facts:?}"
        );
    }

    fn markdown(names: [&str; 2], numbers: std::ops::Range<usize>) -> String {
        let [one, other] = names;
        let rows: String = numbers.map(|n| format!("| {n} | {} |\n", n * 2)).collect();
        format!("| {one} | {other} |\n|---|---|\n{rows}")
    }

    /// Broken variant that this catches: the first record of NDJSON is taken for the names of columns.
    #[test]
    fn records_of_json_are_no_table() {
        let records: String = (0..40)
            .map(|n| format!("{{\"time\": \"10:{n}\", \"level\": \"info\", \"n\": {n}}}\n"))
            .collect();
        assert!(!is_table(&Lines::of(&records)));
        let lists: String = (0..40)
            .map(|n| format!("[\"a\", \"b{n}\", \"c\"]\n"))
            .collect();
        assert!(!is_table(&Lines::of(&lists)));
    }

    /// Broken variant that this catches: all rows of as many cells are rows of the first table.
    #[test]
    fn a_markdown_table_ends_where_another_begins() {
        let first = markdown(["id", "amount"], 0..40);
        let second = markdown(["sku", "stock"], 5_000..5_040);
        for between in ["\n", "## B\n", ""] {
            let text = format!("{first}{between}{second}");
            let facts = facts(&text);
            assert_eq!(facts[0], "40 rows of 2 columns below line 1");
            assert!(facts[1].contains("from line 43 on"), "{facts:?}");
            assert!(facts.contains(&"id 0..39".to_owned()), "{facts:?}");
            assert!(facts.contains(&"amount 0..78".to_owned()), "{facts:?}");
        }
        let alone = facts(&format!("{first}| - | - |\n\n"));
        assert!(!alone[1].contains("from line"), "{alone:?}");
    }

    /// Broken variants that this catches: a rule or an empty line or a heading between rows ends a table, and a rule
    /// above the header is the header.
    #[test]
    fn a_markdown_table_does_not_end_between_its_rows() {
        let rows = |between: &dyn Fn(usize) -> &'static str| -> String {
            let row = |n: usize| format!("| {n} | {} |\n{}", n * 3, between(n));
            (0..40).map(row).collect()
        };
        let names = "| id | amount |\n|---|---|\n";
        let whole = "40 rows of 2 columns below line 1";
        let plain = rows(&|_| "");
        for text in [
            format!("{names}{plain}|---|---|\n| total | 9999 |\n"),
            format!("{names}{}", rows(&|n| if n % 10 == 0 { "\n" } else { "" })),
            format!(
                "{names}{}",
                rows(&|n| if n % 20 == 0 { "# B\n\n\n" } else { "" })
            ),
            format!("{names}{}", rows(&|_| "|---|---|\n")),
            format!(
                "{names}{}",
                rows(&|n| if n == 20 { "| -- | -- |\n" } else { "" })
            ),
            format!("|---|---|\n{names}{plain}|---|---|\n"),
        ] {
            let facts = facts(&text);
            let has_total = text.contains("total");
            let expected = match text.starts_with("|---") {
                true => whole.replace("line 1", "line 2"),
                false if has_total => whole.replace("40", "41"),
                false => whole.to_owned(),
            };
            assert_eq!(facts[0], expected, "{text}");
            assert!(!facts.concat().contains("from line"), "{facts:?}");
            let is_ids = |fact: &String| fact.starts_with("id 0..39");
            assert!(facts.iter().any(is_ids), "{facts:?}");
        }
        let texts: String = (0..40)
            .map(|n| format!("| name {n} | x{n} |\n|---|---|\n"))
            .collect();
        let ruled = facts(&format!("{names}{texts}"));
        assert_eq!(ruled[0], whole);
        assert!(!ruled.concat().contains("from line"), "{ruled:?}");
        // What follows is another one, with a rule above its header, or text.
        for other in [
            "\n|---|---|\n| sku | stock |\n|---|---|\n| 7000 | 1 |\n",
            "# B\n\nText.\n",
        ] {
            let facts = facts(&format!("{names}{plain}{other}"));
            assert_eq!(facts[0], whole);
            assert!(facts[1].contains("from line 43 on"), "{facts:?}");
        }
    }

    /// Broken variant that this catches: whatever begins with a bracket is a record of JSON.
    #[test]
    fn first_cells_may_begin_with_brackets() {
        for (names, row) in [
            ("tags\tname\tn", "[\"a#\",\"b\"]\tname #\t#"),
            ("tags\tname\tn", "{a#,b}\tname #\t#"),
            ("STATE  NAME  PID", "[ok]  service#  #"),
        ] {
            let rows: String = (0..40)
                .map(|n| format!("{}\n", row.replace('#', &n.to_string())))
                .collect();
            let facts = facts(&format!("{names}\n{rows}"));
            assert_eq!(facts[0], "40 rows of 3 columns below line 1");
        }
    }
}
