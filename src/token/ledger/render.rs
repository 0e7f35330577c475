//! A ledger's sums as text: tables, bars, untouched sessions, and what the words mean. Plain ASCII but for
//! names; numbers are never cut.

use std::fmt::Write as _;

use crate::token::layout::{cut, grouped, percent, printable, signed, table, wrap};
use crate::token::ledger::holdout::{Comparison, Group};
use crate::token::ledger::stats::{Account, Figure, Stats, ToolAccount};
use crate::token::ledger::{Basis, FOLDED};

/// Tools in the table when nobody asked for all.
const TOOLS: usize = 25;
/// Bars of tools.
const BARS: usize = 10;
/// Days with a bar, the newest.
const DAYS: usize = 31;
/// Characters of the longest bar.
const BAR: u64 = 40;
/// Characters of a name beside a bar.
const BAR_NAME: usize = 34;

/// How the text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Whether every tool has its line.
    pub all_tools: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            all_tools: false,
            width: 100,
        }
    }
}

impl Stats {
    /// Writes the account for people.
    pub fn to_text(&self, options: &TextOptions) -> String {
        let mut text = String::new();
        let (Some(first), Some(last)) = (&self.first_day, &self.last_day) else {
            return text;
        };
        let days = if first == last {
            first.clone()
        } else {
            format!("{first} to {last}")
        };
        let _ = writeln!(
            text,
            "{days} (UTC): {}, {} answered, {} of them from the cache\n",
            counted(self.sessions, "session"),
            counted(self.totals.calls, "call"),
            grouped(self.totals.calls_saved),
        );
        if !self.tools.is_empty() {
            self.tools_table(options, &mut text);
            self.bars(&mut text);
        }
        self.lists_table(options.width, &mut text);
        if let Some(holdout) = &self.holdout {
            comparison(holdout, self.holdout_basis, options.width, &mut text);
        }
        self.legend(options.width, &mut text);
        text
    }

    fn tools_table(&self, options: &TextOptions, text: &mut String) {
        let n_shown = if options.all_tools {
            self.tools.len()
        } else {
            self.tools.len().min(TOOLS)
        };
        let mut rows: Vec<Vec<String>> = self.tools[..n_shown]
            .iter()
            .map(|tool| account_row(name(tool), &tool.account))
            .collect();
        rows.push(account_row("all".to_owned(), &self.totals));
        let header = [
            "server/tool",
            "calls",
            "cached",
            "same",
            "diff",
            "before",
            "after",
            "read back",
            "saved",
            "%",
            "basis",
        ];
        table(&header, rows, |_| 1, options.width, text);
        let left = self.tools.len() - n_shown;
        if left > 0 {
            let tools = counted(left as u64, "more tool");
            let _ = writeln!(text, "... and {tools}; --tools lists every one.\n");
        }
    }

    fn bars(&self, text: &mut String) {
        let rows: Vec<(String, &Account)> = self
            .tools
            .iter()
            .filter(|tool| tool.account.before.value > 0)
            .take(BARS)
            .map(|tool| (name(tool), &tool.account))
            .collect();
        chart("Tokens of answers by tool", &rows, text);
        if self.days.len() > 1 {
            let newest = self.days.len().saturating_sub(DAYS);
            let rows: Vec<(String, &Account)> = self.days[newest..]
                .iter()
                .map(|day| (day.day.clone(), &day.account))
                .collect();
            chart("Tokens of answers by day", &rows, text);
        }
    }

    fn lists_table(&self, width: usize, text: &mut String) {
        if self.lists.is_empty() {
            return;
        }
        let mut all = (0_u64, Figure::default(), Figure::default());
        let mut rows = Vec::new();
        for list in &self.lists {
            all.0 = all.0.saturating_add(list.lists);
            for (sum, figure) in [(&mut all.1, list.before), (&mut all.2, list.after)] {
                sum.value = sum.value.saturating_add(figure.value);
                sum.basis = sum.basis.max(figure.basis);
            }
            let name = match list.server.as_str() {
                FOLDED => "(several servers)".to_owned(),
                server => printable(server),
            };
            rows.push(list_row(name, list.lists, list.before, list.after));
        }
        rows.push(list_row("all".to_owned(), all.0, all.1, all.2));
        let header = [
            "lists of tools",
            "sent",
            "before each",
            "after each",
            "saved",
            "basis",
        ];
        table(&header, rows, |_| 2, width, text);
    }

    fn legend(&self, width: usize, text: &mut String) {
        let mut legend = "Tokens of what the model sees of answers: before = as servers sent them, after = as \
            they were sent on, read back = parts of stored answers that were asked for later, which count \
            against the saving. saved = before - after - read back. Numbers of calls are counted. Basis: \
            measured = counted on live traffic; replayed = counted on texts that no model was sent; \
            estimated = not counted. A sum is called by its weakest part."
            .to_owned();
        if !self.lists.is_empty() {
            legend.push_str(
                " Lists are apart: a model reads its list in every turn, an answer from when it is sent.",
            );
        }
        if self.dropped > 0 {
            let entries = counted(self.dropped, "entry");
            let _ = write!(
                legend,
                " The sums lack {entries} for which there was no room."
            );
        }
        wrap(&legend, width, text);
    }
}

fn account_row(name: String, account: &Account) -> Vec<String> {
    vec![
        name,
        grouped(account.calls),
        grouped(account.calls_saved),
        grouped(account.unchanged),
        grouped(account.deltas),
        signed(account.before.value),
        signed(account.after.value),
        signed(account.read_back.value),
        signed(account.saved.value),
        percent(account.percent()),
        account.saved.basis.as_str().to_owned(),
    ]
}

fn list_row(name: String, n: u64, before: Figure, after: Figure) -> Vec<String> {
    let each = |figure: Figure| {
        let n = i64::try_from(n.max(1)).unwrap_or(i64::MAX);
        signed(figure.value / n)
    };
    let saved = before.value.saturating_sub(after.value);
    let share = (before.value > 0).then(|| saved as f64 / before.value as f64 * 100.0);
    vec![
        name,
        grouped(n),
        each(before),
        each(after),
        percent(share),
        before.basis.max(after.basis).as_str().to_owned(),
    ]
}

fn name(tool: &ToolAccount) -> String {
    match (tool.server.as_str(), tool.tool.as_str()) {
        (FOLDED, _) => "(others)".to_owned(),
        (server, FOLDED) => printable(server),
        (server, tool) => printable(&format!("{server}/{tool}")),
    }
}

/// Bars of what came: `#` was sent on, `+` was read back, `.` was saved; `!` is what was sent beyond it.
fn chart(title: &str, rows: &[(String, &Account)], text: &mut String) {
    let length = |account: &Account| {
        let sent = account.after.value.saturating_add(account.read_back.value);
        sent.max(account.before.value).max(0).unsigned_abs()
    };
    let longest = rows.iter().map(|(_, account)| length(account)).max();
    let Some(longest) = longest.filter(|longest| *longest > 0) else {
        return;
    };
    let _ = writeln!(
        text,
        "{title} (# sent, + read back, . saved, ! more than came)"
    );
    let width = rows.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0).min(BAR_NAME);
    for (name, account) in rows {
        let scaled = |tokens: i64| {
            let part = u128::from(tokens.max(0).unsigned_abs()) * u128::from(BAR);
            let part = (part + u128::from(longest) / 2) / u128::from(longest);
            usize::try_from(part).unwrap_or(0)
        };
        let came = scaled(account.before.value);
        let sent = scaled(account.after.value);
        let all = scaled(account.after.value.saturating_add(account.read_back.value));
        let mut bar = String::new();
        for at in 0..came.max(all) {
            bar.push(match at {
                at if at >= came => '!',
                at if at < sent => '#',
                at if at < all => '+',
                _ => '.',
            });
        }
        let name = cut(name, width);
        let saved = signed(account.saved.value);
        let before = signed(account.before.value);
        let line = format!("  {name:width$}  {bar:<40}  {saved} of {before} saved");
        let _ = writeln!(text, "{} ({})", line, account.saved.basis.as_str());
    }
    text.push('\n');
}

fn comparison(found: &Comparison, basis: Basis, width: usize, text: &mut String) {
    let row = |name: &str, group: &Group| {
        vec![
            name.to_owned(),
            grouped(group.sessions),
            format!("{:.1}", group.calls_per_session),
            signed(group.tokens_per_session.round() as i64),
        ]
    };
    let header = ["hold-out", "sessions", "calls each", "tokens each"];
    let rows = vec![
        row("untouched", &found.held_out),
        row("shaped", &found.shaped),
    ];
    table(&header, rows, |_| 2, width, text);
    let basis = basis.as_str();
    let words = match &found.difference {
        None => format!(
            "Nothing is said yet: {} sessions with a call are needed in each group. \
             Fewer prove nothing in either direction.",
            found.floor
        ),
        Some(difference) => {
            let share = match difference.percent {
                Some(share) => format!(" ({share:.1}%)"),
                None => String::new(),
            };
            let saved = difference.saved_per_session.round() as i64;
            let direction = if saved < 0 { "more" } else { "fewer" };
            let clear = if difference.is_clear() {
                ""
            } else {
                " The interval includes zero: this may be chance."
            };
            format!(
                "A shaped session was sent {}{share} {direction} tokens of answers than an untouched one, \
                 read back included ({basis}; 95 % interval of the saving {} to {}, Welch).{clear}",
                signed(saved.saturating_abs()),
                signed(difference.low.round() as i64),
                signed(difference.high.round() as i64),
            )
        }
    };
    wrap(&words, width, text);
    text.push('\n');
}

fn counted(n: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    };
    format!("{} {}", grouped(n), if n == 1 { noun } else { &plural })
}
