//! The account as text: one line per tool, sums per server, and what the numbers mean. Plain ASCII
//! lines, no colour; fits the width it is given as far as the numbers allow.

use std::fmt::Write as _;

use crate::token::Tokens;
use crate::token::layout::{grouped, percent, printable, table, wrap};
use crate::token::report::Costs;
use crate::token::report::Report;
use crate::token::report::Saved;
use crate::token::report::ServerReport;

/// Tools shown in all when nobody asked for all of them.
const N_TOOLS_AT_FIRST: usize = 25;

/// Which tables are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The sums per server, and the dearest tools.
    #[default]
    Auto,
    /// The sums per server only.
    Servers,
    /// The sums per server, and every tool.
    Tools,
}

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Which tables are shown.
    pub detail: Detail,
    /// Columns of the terminal; names are cut to fit, numbers never.
    pub width: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            detail: Detail::Auto,
            width: 100,
        }
    }
}

impl Report {
    /// Renders the account for people.
    pub fn to_text(&self, options: &TextOptions) -> String {
        let mut text = String::new();
        let n_rows: usize = self.servers.iter().map(|server| server.tools.len()).sum();
        let n_shown = match options.detail {
            Detail::Servers => 0,
            Detail::Tools => n_rows,
            Detail::Auto => n_rows.min(N_TOOLS_AT_FIRST),
        };
        if n_shown > 0 {
            let chosen = self.dearest(n_shown);
            for (server, is_chosen) in self.servers.iter().zip(&chosen) {
                if is_chosen.contains(&true) {
                    tools_table(server, is_chosen, options.width, &mut text);
                }
            }
            if n_shown < n_rows {
                let left = n_rows - n_shown;
                let noun = if left == 1 { "tool" } else { "tools" };
                let _ = writeln!(
                    text,
                    "... and {left} smaller {noun}; --json lists every one.\n"
                );
            }
        }
        if self.servers.len() != 1 || n_shown == 0 {
            self.servers_table(options.width, &mut text);
        }
        self.legend(options.width, &mut text);
        text
    }

    /// Marks the `n` dearest tools, per server and tool.
    fn dearest(&self, n: usize) -> Vec<Vec<bool>> {
        let mut all: Vec<(usize, usize, Tokens)> = Vec::new();
        for (s, server) in self.servers.iter().enumerate() {
            for (t, tool) in server.tools.iter().enumerate() {
                let cost = tool.before.model_visible.max(tool.after.model_visible);
                all.push((s, t, cost));
            }
        }
        // Stable, so equal ones are chosen in the order of the report.
        all.sort_by_key(|(_, _, cost)| std::cmp::Reverse(*cost));
        let mut chosen: Vec<Vec<bool>> = self
            .servers
            .iter()
            .map(|server| vec![false; server.tools.len()])
            .collect();
        for (s, t, _) in all.into_iter().take(n) {
            chosen[s][t] = true;
        }
        chosen
    }

    fn servers_table(&self, width: usize, text: &mut String) {
        let mut rows: Vec<Vec<String>> = self
            .servers
            .iter()
            .map(|server| {
                let mut row = vec![printable(&server.server), grouped(server.n_tools as u64)];
                row.extend(totals(&server.before, &server.after, &server.saved));
                row
            })
            .collect();
        let all = &self.totals;
        let mut total = vec!["total".to_owned(), grouped(all.n_tools as u64)];
        total.extend(totals(&all.before, &all.after, &all.saved));
        rows.push(total);
        let header = [
            "server", "tools", "wire", "after", "saved", "model", "after", "saved",
        ];
        table(&header, rows, gap, width, text);
    }

    fn legend(&self, width: usize, text: &mut String) {
        let legend = format!(
            "Tokens of {}, {}: {} wire = definitions as sent; model = name, description and input \
             schema as compact JSON, what clients usually show a model; after = as this proxy \
             shows them. Parts are counted alone and need not add up: tokens join across their \
             borders.",
            self.tokenizer,
            self.provenance.as_str(),
            sentence(&self.note),
        );
        wrap(&legend, width, text);
    }
}

fn tools_table(server: &ServerReport, is_chosen: &[bool], width: usize, text: &mut String) {
    let tools = server
        .tools
        .iter()
        .zip(is_chosen)
        .filter(|(_, is_chosen)| **is_chosen);
    let mut rows: Vec<Vec<String>> = tools
        .map(|(tool, _)| {
            let name = tool
                .name
                .as_deref()
                .map_or_else(|| "(no name)".to_owned(), printable);
            cost_row(name, &tool.before, &tool.after, &tool.saved)
        })
        .collect();
    let n_tools = grouped(server.tools.len() as u64);
    let noun = if server.tools.len() == 1 {
        "tool"
    } else {
        "tools"
    };
    let name = format!("all {n_tools} {noun}");
    rows.push(cost_row(name, &server.before, &server.after, &server.saved));
    let header = [
        server.server.as_str(),
        "name",
        "descr",
        "input",
        "output",
        "rest",
        "wire",
        "after",
        "saved",
        "model",
        "after",
        "saved",
    ];
    table(&header, rows, gap, width, text);
}

fn cost_row(name: String, before: &Costs, after: &Costs, saved: &Saved) -> Vec<String> {
    let parts = [
        before.name,
        before.description,
        before.input_schema,
        before.output_schema,
        before.rest,
    ];
    let mut row = vec![name];
    row.extend(parts.map(|tokens| grouped(tokens.get())));
    row.extend(totals(before, after, saved));
    row
}

fn totals(before: &Costs, after: &Costs, saved: &Saved) -> [String; 6] {
    [
        grouped(before.wire.get()),
        grouped(after.wire.get()),
        percent(saved.wire_percent),
        grouped(before.model_visible.get()),
        grouped(after.model_visible.get()),
        percent(saved.model_visible_percent),
    ]
}

/// Spaces before a column; the two views of a definition stand apart.
fn gap(header: &str) -> u16 {
    if matches!(header, "wire" | "model") {
        3
    } else {
        1
    }
}

/// Ends the note as a sentence; it may name a model that somebody typed.
fn sentence(note: &str) -> String {
    let note = printable(note);
    if note.ends_with('.') {
        note
    } else {
        format!("{note}.")
    }
}
