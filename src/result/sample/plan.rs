//! What a text of lines is, and for each kind: what can be said about all of it, and which lines say
//! most. Pure.

mod diff;
mod hits;
mod outline;
mod plain;
mod snapshot;
mod table;

use super::Kind;
use super::lines::Group;
use super::lines::Lines;
use super::words;

/// Lines that are looked at to find the kind.
const LOOK: usize = 400;
/// Bytes of each of them.
const LOOK_BYTES: usize = 400;

/// What to show of a text.
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// Statements about the whole text, the most useful first.
    pub(super) facts: Vec<String>,
    pub(super) groups: Vec<Group>,
}

/// Makes the plan; no group has more than `limit` lines.
pub(super) fn plan(lines: &Lines<'_>, limit: usize) -> Plan {
    let kind = kind(lines);
    let (facts, groups) = match kind {
        Kind::Diff => diff::plan(lines, limit),
        Kind::Snapshot => snapshot::plan(lines, limit),
        Kind::Table => table::plan(lines, limit),
        Kind::Hits => hits::plan(lines, limit),
        Kind::Markdown | Kind::Source | Kind::Markup | Kind::Yaml => {
            outline::plan(lines, kind, limit)
        }
        Kind::Log | Kind::Text | Kind::Json | Kind::Python | Kind::Whole => {
            plain::plan(lines, kind, limit)
        }
    };
    Plan {
        kind,
        facts,
        groups,
    }
}

/// Finds the kind by a look at lines from all parts of the text.
fn kind(lines: &Lines<'_>) -> Kind {
    let n = lines.count();
    let step = n.div_ceil(LOOK).max(1);
    // Whole stretches at the front, single lines behind it.
    let front = (0..n.min(LOOK / 2)).collect::<Vec<_>>();
    let rest = (front.len()..n).step_by(step);
    let looked: Vec<&str> = front
        .iter()
        .copied()
        .chain(rest)
        .map(|index| clip(lines.get(index)))
        .filter(|line| !line.trim().is_empty())
        .collect();
    let share = |is: &dyn Fn(&str) -> bool| {
        looked.iter().filter(|line| is(line)).count() * 100 / looked.len().max(1)
    };
    if looked.iter().any(|line| diff::is_hunk(line))
        && share(&|line| line.starts_with(['+', '-', ' ', '@'])) >= 60
    {
        return Kind::Diff;
    }
    if share(&snapshot::is_node) >= 40 && looked.iter().any(|line| snapshot::has_ref(line)) {
        return Kind::Snapshot;
    }
    if share(&plain::is_log_line) >= 40 {
        return Kind::Log;
    }
    // Records of JSON, one in a line.
    let is_record = |line: &str| {
        let line = line.trim();
        line.starts_with(['{', '[']) && (line.ends_with(['}', ']']) || line.len() > LOOK_BYTES - 4)
    };
    if share(&is_record) >= 60 {
        return match share(&|line| words::level(line).is_some()) >= 40 {
            true => Kind::Log,
            false => Kind::Text,
        };
    }
    if table::is_table(lines) {
        return Kind::Table;
    }
    if share(&|line| hits::hit(line).is_some()) >= 60 {
        return Kind::Hits;
    }
    if share(&|line| line.trim_start().starts_with('<')) >= 40 {
        return Kind::Markup;
    }
    if share(&outline::is_yaml_line) >= 85 {
        return Kind::Yaml;
    }
    let code = share(&outline::is_code_line);
    if code >= 25 {
        return Kind::Source;
    }
    if looked.iter().any(|line| outline::is_heading(line)) {
        return Kind::Markdown;
    }
    if code >= 12 { Kind::Source } else { Kind::Text }
}

fn clip(line: &str) -> &str {
    &line[..super::short::floor(line, LOOK_BYTES)]
}

/// The front and the end of a text of `n` lines.
fn ends(n: usize, limit: usize) -> (Vec<u32>, Vec<u32>) {
    let n = n as u32;
    let limit = limit as u32;
    (
        (0..n.min(limit)).collect(),
        (n.saturating_sub(limit)..n).rev().collect(),
    )
}

/// Lines that speak of errors and warnings.
#[derive(Default)]
struct Tones {
    errors: Vec<u32>,
    warnings: Vec<u32>,
    n_errors: usize,
    n_warnings: usize,
}

impl Tones {
    fn add(&mut self, index: usize, tone: words::Tone, limit: usize) {
        let (list, count) = match tone {
            words::Tone::Plain => return,
            words::Tone::Warning => (&mut self.warnings, &mut self.n_warnings),
            words::Tone::Error => (&mut self.errors, &mut self.n_errors),
        };
        *count += 1;
        if list.len() < limit {
            list.push(index as u32);
        }
    }

    fn fact(&self) -> Option<String> {
        (self.n_errors + self.n_warnings > 0).then(|| {
            format!(
                "lines with an error word: {}, with a warning word: {}",
                self.n_errors, self.n_warnings
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: records of JSON are a table, or source code because they end in a brace.
    #[test]
    fn records_of_json_are_a_log_or_text() {
        let records = |more: &str| -> String {
            let line = |n: usize| format!("{{\"n\": {n}, \"name\": \"user {n}\"{more}}}\n");
            (0..60).map(line).collect()
        };
        let of = |text: &str| plan(&Lines::of(text), 20);
        assert_eq!(of(&records("")).kind, Kind::Text);
        let log = records(",\"level\":\"info\"");
        let log = of(&log);
        assert_eq!(log.kind, Kind::Log);
        assert_eq!(log.facts[0], "levels: INFO×60");
    }

    /// Broken variant that this catches: what a linter says of places is a log, because a level in brackets follows.
    #[test]
    fn places_with_levels_are_hits() {
        let kind = |line: &dyn Fn(usize) -> String| {
            let text: String = (0..60).map(line).collect();
            plan(&Lines::of(&text), 20).kind
        };
        assert_eq!(
            kind(&|n| format!("ci.yml:{n}:5: [error] wrong indentation: expected {n}\n")),
            Kind::Hits
        );
        assert_eq!(
            kind(&|n| format!("app:ERROR:request {n} is lost\n")),
            Kind::Log
        );
        assert_eq!(kind(&|n| format!("[error] {n} is lost\n")), Kind::Log);
    }
}
