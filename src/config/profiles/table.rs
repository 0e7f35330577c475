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
pub(super) fn rows(profile: &Profile) -> [(&'static str, Option<Row<'_>>); 17] {
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
        ("links_to_user", row(&p.links_to_user, yes_no)),
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
        ("image_edge", row(&p.image_edge, u64::to_string)),
        ("image_tokens", row(&p.image_tokens, ToString::to_string)),
        ("shows_instructions", row(&p.shows_instructions, yes_no)),
        ("cache_read_price", row(&p.cache_read_price, f64::to_string)),
        (
            "cache_write_price",
            row(&p.cache_write_price, f64::to_string),
        ),
    ]
}

/// What is done with each fact.
const USES: &str = "
| fact | what comes of it |
|---|---|
| `client_names` | recorded, not used yet: a client that says its name may not change a list that others see |
| `environment` | `--profile auto` recognises the host |
| `native_tool_search` | the whole list, lean, whatever the budget |
| `description_limit_bytes` | a longer description is shortened; if that is not enough, purpose and constraints come first, sections and lists as a whole with what stands above them, or not at all |
| `instructions_limit_bytes`, `shows_instructions` | what all tools of a server repeat, in running text above any heading or list with a line of its own, stands there once, from the second start on, if that is smaller and fits |
| `tool_count_limit` | beyond it tools are hidden and can be searched; not with `--budget none` |
| `references` | recorded, not used yet: no client is known that does not follow them |
| `root_unions` | where it is no: one object with the properties of all branches, the choice in the description |
| `open_schemas` | where it is yes: `dense` and `name` may be used |
| `image_edge`, `image_tokens` | images of results are scaled to this edge where that costs fewer tokens by this formula; `results.image_edge` and `results.image_tokens` go before |
| `links_to_user` | where it is yes: a link to the original beside a result that is shown in part, for the user alone |
| `result_channel` | the part of a result that is shaped; where it is not the text, no `outputSchema` is shown and of two parts one is sent |
| `result_limit_tokens`, `result_limit_bytes`, `result_warning_tokens` | the automatic cap stays a tenth below the least of them |
| `cache_read_price`, `cache_write_price` | recorded, not used yet: `count --explain` takes prices as options |

With `--surface lean` or `full` every client gets the same. Names are not changed for a client: what is not 1 to 64 of
`A-Z a-z 0-9 _ -` is listed as it is, with a warning in the log, and `--pin 'NAME=hidden'` leaves it out. Over HTTP a client's profile can
stand in the path: `/mcp/claude-code`. `tests/profiles.rs` has a snapshot of one fleet for each profile.
";

/// Renders `docs/profiles.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Client profiles\n\n\
         What is known of clients and shapes what they are shown. Made from `src/config/profiles.toml`; a test\n\
         compares the two. A fact that is not listed is not known, and the choice that is safe with every client\n\
         is made. *documented*: the vendor's own pages. *reported*: an issue, a pull request or an independent\n\
         measurement. No permission hangs on a profile.\n",
    );
    text.push_str(USES);
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
