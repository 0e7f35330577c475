//! The profiles as a page for people, made from the data so that it cannot say anything else.

use std::fmt::Write as _;

use crate::config::profiles::Fact;
use crate::config::profiles::Profile;
use crate::config::profiles::ResultChannel;
use crate::config::profiles::SourceKind;

/// A fact as the table shows it.
pub(super) struct Row<'a> {
    pub(super) value: String,
    pub(super) kind: SourceKind,
    pub(super) source: &'a str,
    pub(super) date: &'a str,
    pub(super) note: Option<&'a str>,
}

/// Every fact of a profile that chooses what is shown, known or not, with its key.
pub(super) fn rows(profile: &Profile) -> [(&'static str, Option<Row<'_>>); 14] {
    fn row<'a, T>(fact: &'a Option<Fact<T>>, text: impl Fn(&T) -> String) -> Option<Row<'a>> {
        fact.as_ref().map(|fact| Row {
            value: text(&fact.value),
            kind: fact.kind,
            source: &fact.source,
            date: &fact.date,
            note: fact.note.as_deref(),
        })
    }
    let yes_no = |value: &bool| if *value { "yes" } else { "no" }.to_owned();
    let channel = |channel: &ResultChannel| {
        match channel {
            ResultChannel::Text => "text",
            ResultChannel::Structured => "structured",
            ResultChannel::Both => "both",
        }
        .to_owned()
    };
    let p = profile;
    [
        ("native_tool_search", row(&p.native_tool_search, yes_no)),
        (
            "description_limit_bytes",
            row(&p.description_limit_bytes, u64::to_string),
        ),
        (
            "instructions_limit_bytes",
            row(&p.instructions_limit_bytes, u64::to_string),
        ),
        ("tool_count_limit", row(&p.tool_count_limit, u64::to_string)),
        ("references", row(&p.references, yes_no)),
        ("root_unions", row(&p.root_unions, yes_no)),
        ("open_schemas", row(&p.open_schemas, yes_no)),
        ("result_channel", row(&p.result_channel, channel)),
        (
            "result_limit_tokens",
            row(&p.result_limit_tokens, u64::to_string),
        ),
        (
            "result_limit_bytes",
            row(&p.result_limit_bytes, u64::to_string),
        ),
        (
            "result_warning_tokens",
            row(&p.result_warning_tokens, u64::to_string),
        ),
        ("shows_instructions", row(&p.shows_instructions, yes_no)),
        ("cache_read_price", row(&p.cache_read_price, f64::to_string)),
        (
            "cache_write_price",
            row(&p.cache_write_price, f64::to_string),
        ),
    ]
}

/// Renders `docs/profiles.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Client profiles\n\n\
         What is known of clients and shapes what they are shown. Made from `src/config/profiles.toml`; a test\n\
         compares the two. A fact that is not listed is not known, and the choice that is safe with every client\n\
         is made. *documented*: the vendor's own pages. *reported*: an issue, a pull request or an independent\n\
         measurement. No permission hangs on a profile.\n",
    );
    for profile in Profile::all() {
        let _ = write!(text, "\n## `{}`: {}\n\n", profile.name, profile.title);
        let mut known = Vec::new();
        for fact in &profile.client_names {
            let value = format!("`{}`", fact.value);
            known.push(line(
                "client_names",
                &value,
                fact.kind,
                &fact.source,
                &fact.date,
                fact.note.as_deref(),
            ));
        }
        for host in &profile.environment {
            let value = match &host.value {
                Some(value) => format!("`{}={value}`", host.variable),
                None => format!("`{}`", host.variable),
            };
            known.push(line(
                "environment",
                &value,
                host.kind,
                &host.source,
                &host.date,
                None,
            ));
        }
        let mut unknown = Vec::new();
        for (key, row) in rows(profile) {
            match row {
                Some(row) => known.push(line(
                    key, &row.value, row.kind, row.source, row.date, row.note,
                )),
                None => unknown.push(format!("`{key}`")),
            }
        }
        if known.is_empty() {
            text.push_str("Nothing is known.\n");
            continue;
        }
        text.push_str(
            "| fact | value | kind | source | date | note |\n|---|---|---|---|---|---|\n",
        );
        text.push_str(&known.concat());
        let _ = write!(text, "\nNot known: {}.\n", unknown.join(", "));
    }
    text
}

fn line(
    key: &str,
    value: &str,
    kind: SourceKind,
    source: &str,
    date: &str,
    note: Option<&str>,
) -> String {
    let kind = match kind {
        SourceKind::Documented => "documented",
        SourceKind::Reported => "reported",
    };
    let note = note.unwrap_or_default().replace('|', "\\|");
    format!("| `{key}` | {value} | {kind} | {source} | {date} | {note} |\n")
}
