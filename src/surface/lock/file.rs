//! The text of `mcp-whittle.lock`: TOML, one table for each tool in listed order, one value a line, so
//! that a version control system shows what changed. Reading is strict and says on which line it failed.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::catalog::risk::RiskClass;
use crate::surface::ladder::Rung;
use crate::surface::lock::kept::{MAX_CLAUSE, MAX_LOST, promises};
use crate::surface::lock::{Lock, LockedMetaTools, LockedSettings, LockedTool};
use crate::surface::plan::{Budget, Pin};
use crate::surface::summaries::is_hidden;

/// The version of the format that is written, and the only one that is read.
const VERSION: i64 = 1;
/// Most bytes of a file that is read.
pub const MAX_BYTES: usize = 32 << 20;
/// Most tools in one.
pub const MAX_TOOLS: usize = 100_000;

const AGAIN: &str =
    "hint: take it back from version control, or write it again with `mcp-whittle lock`";

/// Why a text is no lock file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It has more than [`MAX_BYTES`].
    #[error("the lock file has {bytes} bytes, more than {MAX_BYTES}\n{AGAIN}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It is not UTF-8.
    #[error("line {line} of the lock file is not UTF-8\n{AGAIN}")]
    NotText {
        /// The line, from 1.
        line: usize,
    },
    /// It was written in another format.
    #[error(
        "the lock file has version {version}; this program reads version {VERSION}\nhint: write it again with `mcp-whittle lock`, or use the program that wrote it"
    )]
    Version {
        /// What it says.
        version: i64,
    },
    /// A line is wrong.
    #[error("line {line} of the lock file: {problem}\n{AGAIN}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// It was changed by hand or by a merge.
    #[error(
        "the lock file says {said} {what}, but its tools make {found}: it was changed by hand or by a merge\n{AGAIN}"
    )]
    Total {
        /// What was added up.
        what: &'static str,
        /// The file's own number.
        said: u64,
        /// The sum.
        found: u64,
    },
}

#[derive(Deserialize)]
struct Versioned {
    version: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: i64,
    tokenizer: String,
    settings: SettingsTable,
    total: TotalTable,
    meta_tools: Option<MetaTable>,
    #[serde(default)]
    tool: Vec<toml::Spanned<ToolTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsTable {
    surface: Surface,
    budget: Read<Budget>,
    profile: String,
    list: List,
    open_schemas: bool,
    pins: Vec<Read<Pin>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Surface {
    Full,
    Lean,
    Auto,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum List {
    Budgeted,
    Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TotalTable {
    tools: u64,
    tokens: u64,
    shown_tokens: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaTable {
    names: Vec<String>,
    hash: Hash,
    tokens: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolTable {
    server: String,
    name: String,
    original: Hash,
    parts: Vec<String>,
    risk: Risk,
    rung: Read<Rung>,
    shown: Option<Hash>,
    tokens: u64,
    shown_tokens: u64,
    constraints: u64,
    kept: u64,
    #[serde(default)]
    lost: Vec<String>,
}

/// A word that is read as its type reads it.
struct Read<T>(T);

impl<'de, T> Deserialize<'de> for Read<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map(Self).map_err(|error: T::Err| {
            let text = error.to_string();
            let problem = text.split("\nhint:").next().unwrap_or_default();
            serde::de::Error::custom(problem)
        })
    }
}

/// BLAKE3 in lower-case hexadecimal.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hash(String);

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(is_hex) {
            Ok(Self(text))
        } else {
            Err("a hash has 64 digits of 0-9 and a-f")
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Risk {
    Read,
    Write,
    Destructive,
}

impl Lock {
    /// Writes the file's text. The same lock gives the same bytes.
    pub fn to_text(&self) -> String {
        let mut text = String::from(
            "# What agents see of these servers. Written by `mcp-whittle lock`, compared by `mcp-whittle lock --check`.\n",
        );
        let settings = &self.settings;
        let mut line = |key: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        line("version", &VERSION.to_string());
        line("tokenizer", &quoted(&self.tokenizer));
        line("\n[settings]\nsurface", &quoted(&settings.surface));
        line("budget", &quoted(&settings.budget.to_string()));
        line("profile", &quoted(&settings.profile));
        line("list", &quoted(&settings.list));
        line("open_schemas", &settings.open_schemas.to_string());
        line("pins", &list(&settings.pins));
        line("\n[total]\ntools", &self.tools.len().to_string());
        line("tokens", &self.tokens().to_string());
        line("shown_tokens", &self.shown_tokens().to_string());
        if let Some(own) = &self.meta_tools {
            line("\n[meta_tools]\nnames", &list(&own.names));
            line("hash", &quoted(&own.hash));
            line("tokens", &own.tokens.to_string());
        }
        for tool in &self.tools {
            line("\n[[tool]]\nserver", &quoted(&tool.server));
            line("name", &quoted(&tool.name));
            line("original", &quoted(&tool.original));
            line("parts", &list(&tool.parts));
            line("risk", &quoted(tool.risk.as_str()));
            line("rung", &quoted(tool.rung.as_str()));
            if let Some(shown) = &tool.shown {
                line("shown", &quoted(shown));
            }
            line("tokens", &tool.tokens.to_string());
            line("shown_tokens", &tool.shown_tokens.to_string());
            line("constraints", &tool.constraints.to_string());
            line("kept", &tool.kept.to_string());
            if !tool.lost.is_empty() {
                line("lost", &list(&tool.lost));
            }
        }
        text
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`LockError`] on the first thing that [`Lock::to_text`] would not have written.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        if bytes.len() > MAX_BYTES {
            return Err(LockError::TooLarge { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| LockError::NotText {
            line: line_of(bytes, error.valid_up_to()),
        })?;
        let wrong = |error: toml::de::Error| LockError::Line {
            line: line_of(bytes, error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        };
        // The version first: another one may have other keys.
        let Versioned { version } = toml::from_str(text).map_err(wrong)?;
        if version != VERSION {
            return Err(LockError::Version { version });
        }
        let document: Document = toml::from_str(text).map_err(wrong)?;
        if document.tool.len() > MAX_TOOLS {
            return Err(LockError::Line {
                line: line_of(bytes, document.tool[MAX_TOOLS].span().start),
                problem: format!("more than {MAX_TOOLS} tools"),
            });
        }
        let mut tools = Vec::with_capacity(document.tool.len());
        for table in document.tool {
            let start = table.span().start;
            let tool = tool_of(table.into_inner());
            check(&tool).map_err(|problem| LockError::Line {
                line: line_of(bytes, start),
                problem,
            })?;
            tools.push(tool);
        }
        let lock = Self {
            tokenizer: document.tokenizer,
            settings: settings_of(document.settings),
            meta_tools: document.meta_tools.map(|own| LockedMetaTools {
                names: own.names,
                hash: own.hash.0,
                tokens: own.tokens,
            }),
            tools,
        };
        let total = document.total;
        for (what, said, found) in [
            ("tools", total.tools, lock.tools.len() as u64),
            ("tokens", total.tokens, lock.tokens()),
            ("tokens shown", total.shown_tokens, lock.shown_tokens()),
        ] {
            if said != found {
                return Err(LockError::Total { what, said, found });
            }
        }
        Ok(lock)
    }
}

/// The line, from 1, on which a byte stands.
fn line_of(bytes: &[u8], at: usize) -> usize {
    let before = &bytes[..at.min(bytes.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn settings_of(table: SettingsTable) -> LockedSettings {
    LockedSettings {
        surface: match table.surface {
            Surface::Full => "full",
            Surface::Lean => "lean",
            Surface::Auto => "auto",
        }
        .to_owned(),
        budget: table.budget.0,
        profile: table.profile,
        list: match table.list {
            List::Budgeted => "budgeted",
            List::Whole => "whole",
        }
        .to_owned(),
        open_schemas: table.open_schemas,
        pins: table.pins.iter().map(|pin| pin.0.to_string()).collect(),
    }
}

fn tool_of(table: ToolTable) -> LockedTool {
    LockedTool {
        server: table.server,
        name: table.name,
        original: table.original.0,
        parts: table.parts,
        risk: match table.risk {
            Risk::Read => RiskClass::Read,
            Risk::Write => RiskClass::Write,
            Risk::Destructive => RiskClass::Destructive,
        },
        rung: table.rung.0,
        shown: table.shown.map(|hash| hash.0),
        tokens: table.tokens,
        shown_tokens: table.shown_tokens,
        constraints: table.constraints,
        kept: table.kept,
        lost: table.lost,
    }
}

/// What holds between the values of one tool.
fn check(tool: &LockedTool) -> Result<(), String> {
    let name = visible(&tool.name);
    let is_hidden = tool.rung == Rung::Hidden;
    if is_hidden != tool.shown.is_none() {
        let says = if is_hidden { "has" } else { "lacks" };
        return Err(format!("`{name}` is `{}` and {says} `shown`", tool.rung));
    }
    if is_hidden && tool.shown_tokens > 0 {
        return Err(format!(
            "`{name}` is hidden and costs {}",
            tool.shown_tokens
        ));
    }
    let Some(n_lost) = tool.constraints.checked_sub(tool.kept) else {
        return Err(format!("`{name}` keeps more constraints than it has"));
    };
    let n_named = match promises(tool.rung) {
        true => n_lost.min(MAX_LOST as u64),
        false => 0,
    };
    if tool.lost.len() as u64 != n_named {
        let found = tool.lost.len();
        return Err(format!(
            "`{name}` names {found} lost constraints, not {n_named}"
        ));
    }
    if tool
        .lost
        .iter()
        .any(|lost| lost.chars().count() > MAX_CLAUSE)
    {
        return Err(format!("`{name}` has a lost constraint that is too long"));
    }
    Ok(())
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A TOML basic string; what a reviewer would not see is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            hidden if is_hidden(hidden) => {
                let _ = write!(out, "\\U{:08X}", u32::from(hidden));
            }
            seen => out.push(seen),
        }
    }
    out.push('"');
    out
}

/// A text of a server as it may be printed on a terminal.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, character) in text.chars().enumerate() {
        if n == MAX_CLAUSE {
            out.push('…');
            break;
        }
        match character {
            '\n' | '\t' | '\r' => out.push(' '),
            hidden if is_hidden(hidden) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(hidden));
            }
            seen => out.push(seen),
        }
    }
    out
}
