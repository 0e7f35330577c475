//! `search`: finds the tools that fit what is asked for, and says why.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};

use crate::cli::SearchArgs;
use crate::embeddings;
use crate::policy::hidden;
use crate::policy::scan::visible;
use crate::search::{
    Answer, Definition, Entry, Explanation, Hit, Index, NameHit, Relation, Request, UnknownServer,
    Verdict,
};

use super::count::{Listed, from_file, from_servers};
use super::{Output, load_settings, start_logging};

/// Characters of a description in a line of text.
const SUMMARY_CHARS: usize = 90;
/// Names offered where nothing fits.
const NEAREST: usize = 3;

/// Finds the tools that fit what is asked for.
///
/// # Errors
/// When the settings are wrong, no server can be asked, or `--server` names none.
pub fn run(args: SearchArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let mut embeddings = args.embeddings.clone();
    let (listed, failures) = if args.tools.is_empty() {
        let settings = load_settings(&args.proxy_args())?.settings;
        embeddings.clone_from(&settings.embeddings);
        let asked = from_servers(&settings)?;
        (asked.listed, asked.n_missing)
    } else {
        start_logging(&args.source.log)?;
        let mut listed = Vec::new();
        for path in &args.tools {
            listed.extend(from_file(path)?);
        }
        (listed, 0)
    };
    let table = embeddings.as_deref().map(embeddings::load).transpose()?;
    let tools = definitions(&listed);
    let entries: Vec<Entry<'_>> = tools
        .iter()
        .map(|(server, definition)| definition.entry(&definition.name, server, None))
        .collect();
    let mut index = Index::build(&entries);
    if let Some(table) = table {
        index = index.with_table(&entries, Arc::new(table));
    }
    if index.n_left_out() > 0 {
        tracing::warn!(
            "{} tools are too many and were left out",
            index.n_left_out()
        );
    }
    let queries: Vec<&str> = args.queries.iter().map(String::as_str).collect();
    let request = Request {
        queries: &queries,
        server: args.server.as_deref(),
        limit: usize::from(args.limit),
    };
    let found = Found {
        answer: answer(&index, &request)?,
        nearest: nearest(&index, &queries),
        index: &index,
        entries: &entries,
        queries: &queries,
        is_explained: args.explain,
    };
    if args.json {
        output.write_json(&found.to_json())?;
    } else {
        output.write(found.to_text())?;
    }
    Ok(if failures > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The searched texts of all tools with their servers; what is no tool is logged and left out.
fn definitions(listed: &Listed) -> Vec<(&str, Definition<'_>)> {
    let mut definitions = Vec::new();
    for (server, tools) in listed {
        for (n, tool) in tools.iter().enumerate() {
            match Definition::parse(tool) {
                Ok(definition) => definitions.push((server.as_str(), definition)),
                Err(error) => tracing::warn!(server, tool = n, "left out: {error}"),
            }
        }
    }
    definitions
}

fn answer(index: &Index, request: &Request<'_>) -> anyhow::Result<Answer> {
    match index.answer(request) {
        Ok(answer) => Ok(answer),
        Err(UnknownServer { server, servers }) => {
            let servers = servers.join(", ");
            bail!("no server is called `{server}`\nhint: the servers are: {servers}")
        }
    }
}

/// Names that may have been meant, of queries that are one word and name nothing.
fn nearest(index: &Index, queries: &[&str]) -> Vec<usize> {
    let mut nearest = Vec::new();
    for query in queries.iter().filter(|query| !query.trim().contains(' ')) {
        for tool in index.nearest_names(query, NEAREST) {
            if !nearest.contains(&tool) {
                nearest.push(tool);
            }
        }
    }
    nearest
}

/// An answer with what is needed to show it.
struct Found<'a> {
    answer: Answer,
    nearest: Vec<usize>,
    index: &'a Index,
    entries: &'a [Entry<'a>],
    queries: &'a [&'a str],
    is_explained: bool,
}

impl Found<'_> {
    fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = match self.answer.verdict {
            Verdict::NothingFits if self.answer.hits.is_empty() => writeln!(text, "nothing fits"),
            Verdict::NothingFits => writeln!(text, "nothing fits; what is nearest:"),
            Verdict::Unsure => writeln!(text, "perhaps nothing fits; what is nearest:"),
            Verdict::Fits => Ok(()),
        };
        let length = |hit: &Hit| visible(self.entries[hit.tool].name).chars().count();
        let width = self.answer.hits.iter().map(length).max().unwrap_or(0);
        for (n, hit) in self.answer.hits.iter().enumerate() {
            let entry = &self.entries[hit.tool];
            let query = match self.queries.len() {
                1 => String::new(),
                _ => format!("  [query {}]", hit.query + 1),
            };
            let _ = writeln!(
                text,
                "{:>3}  {:>6.2}  {:<width$}  {}{query}{}",
                n + 1,
                hit.score,
                visible(entry.name),
                visible(entry.server),
                hit.named.map_or("", |named| match named {
                    NameHit::Exact => "  (its name)",
                    NameHit::Spelling => "  (its name in another spelling)",
                    NameHit::Alias => "  (its title, or server and name)",
                    NameHit::Mention => "  (named in the query)",
                }),
            );
            if let Some(summary) = entry
                .description
                .map(summary)
                .filter(|text| !text.is_empty())
            {
                let _ = writeln!(text, "             {summary}");
            }
            if let Some(explanation) = self.explanation(hit) {
                explain(&explanation, &mut text);
            }
        }
        if self.answer.verdict == Verdict::NothingFits && !self.nearest.is_empty() {
            let names: Vec<_> = self
                .nearest
                .iter()
                .map(|tool| visible(self.entries[*tool].name))
                .collect();
            let _ = writeln!(text, "hint: did you mean {}?", names.join(", "));
        }
        if self.answer.is_cut {
            text.push_str("note: the query was too long; only its start was looked at\n");
        }
        text
    }

    fn to_json(&self) -> Value {
        let names = |tools: &[usize]| -> Vec<&str> {
            tools.iter().map(|tool| self.entries[*tool].name).collect()
        };
        let hits: Vec<Value> = self
            .answer
            .hits
            .iter()
            .map(|hit| {
                let entry = &self.entries[hit.tool];
                let mut value = json!({
                    "name": entry.name,
                    "server": entry.server,
                    "score": rounded(hit.score),
                    "query": self.queries[hit.query],
                    "named": hit.named.map(|named| match named {
                        NameHit::Exact => "exact",
                        NameHit::Spelling => "spelling",
                        NameHit::Alias => "alias",
                        NameHit::Mention => "mention",
                    }),
                });
                if let Some(explanation) = self.explanation(hit) {
                    value["explanation"] = explanation_json(&explanation);
                }
                value
            })
            .collect();
        json!({
            "verdict": match self.answer.verdict {
                Verdict::NothingFits => "nothing_fits",
                Verdict::Unsure => "unsure",
                Verdict::Fits => "fits",
            },
            "hits": hits,
            "didYouMean": match self.answer.verdict {
                Verdict::NothingFits => names(&self.nearest),
                Verdict::Unsure | Verdict::Fits => Vec::new(),
            },
            "isCut": self.answer.is_cut,
        })
    }

    fn explanation(&self, hit: &Hit) -> Option<Explanation> {
        if !self.is_explained {
            return None;
        }
        self.index
            .explain(self.queries[hit.query], hit.tool, &self.entries[hit.tool])
    }
}

fn explain(explanation: &Explanation, text: &mut String) {
    for term in &explanation.terms {
        let fields: Vec<_> = term
            .fields
            .iter()
            .map(|(field, score)| format!("{} {score:.2}", field.name()))
            .collect();
        let others: Vec<_> = term
            .found_by
            .iter()
            .filter(|(_, relation)| *relation != Relation::Same)
            .map(|(word, relation)| format!("{} {}", relation_name(*relation), visible(word)))
            .collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!("  ({})", others.join(", ")),
        };
        let _ = writeln!(
            text,
            "             {:>6.2}  {}{}: {}{others}",
            term.score,
            visible(&term.term),
            if term.is_joined { " (joined)" } else { "" },
            fields.join(", "),
        );
    }
    let _ = writeln!(
        text,
        "             × {:.2}  share of the name",
        explanation.name_factor
    );
    if explanation.meaning > 0.0 {
        let _ = writeln!(text, "             {:>6.2}  meaning", explanation.meaning);
    }
    if !explanation.missing.is_empty() {
        let missing: Vec<_> = explanation
            .missing
            .iter()
            .map(|term| visible(term))
            .collect();
        let _ = writeln!(text, "             not found: {}", missing.join(", "));
    }
}

fn explanation_json(explanation: &Explanation) -> Value {
    let terms: Vec<Value> = explanation
        .terms
        .iter()
        .map(|term| {
            let fields: serde_json::Map<String, Value> = term
                .fields
                .iter()
                .map(|(field, score)| (field.name().replace(' ', "_"), rounded(*score)))
                .collect();
            let found_by: Vec<Value> = term
                .found_by
                .iter()
                .map(|(word, relation)| json!({"word": word, "as": relation_name(*relation)}))
                .collect();
            json!({
                "term": term.term,
                "joined": term.is_joined,
                "score": rounded(term.score),
                "foundBy": found_by,
                "fields": fields,
            })
        })
        .collect();
    json!({
        "terms": terms,
        "missing": explanation.missing,
        "nameFactor": rounded(explanation.name_factor),
        "meaning": rounded(explanation.meaning),
        "score": rounded(explanation.score),
    })
}

fn relation_name(relation: Relation) -> &'static str {
    match relation {
        Relation::Same => "same",
        Relation::Synonym => "synonym",
        Relation::Form => "form",
        Relation::Spelling => "spelling",
    }
}

/// Four decimals are what a reader can use, and the same on every machine.
fn rounded(score: f64) -> Value {
    json!((score * 1e4).round() / 1e4)
}

/// The start of a description in one line, without what acts on a terminal or is not seen on one.
fn summary(description: &str) -> String {
    let seen = hidden::clean(description);
    let words: Vec<&str> = seen.split_whitespace().take(SUMMARY_CHARS).collect();
    let line = words.join(" ");
    match line.char_indices().nth(SUMMARY_CHARS) {
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: only control characters are taken out, and a direction control turns the
    /// line around.
    #[test]
    fn a_summary_can_be_printed() {
        assert_eq!(
            summary("Re\u{1b}[31mads\n\u{202e}a\u{200b} file. 👨\u{200d}👩"),
            "Reads a file. 👨\u{200d}👩"
        );
    }
}
