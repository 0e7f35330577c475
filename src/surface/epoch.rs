//! The key of an epoch: everything that the bytes of a tool list depend on, so that equal keys have equal
//! lists, on every machine and after every restart.
//!
//! Each part has a name, and name and value have their lengths in front: no two different keys write the
//! same bytes. Values are written out in a form of their own, never as Rust prints them. What later
//! versions add has its place here already; a list that uses none of it has the neutral value.

use crate::surface::plan::{Form, Part, ReadsResults, Settings};
use crate::token::Encoding;

/// Counts up when parts are written in another way.
const FORMAT: u64 = 2;

/// What a list of tools is made of besides the tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochKey<'a> {
    /// The version of this program: another one may render differently.
    pub version: &'a str,
    /// What the list is planned by.
    pub settings: &'a Settings,
    /// The name of the client's profile.
    pub profile: &'a str,
    /// Whether `read_result` is listed. Neutral: no.
    pub lists_read_result: ReadsResults,
    /// Names the rules by which tools are left out of the list. Neutral: empty.
    pub policy: &'a [u8],
    /// Version of the rules by which hidden characters are taken out of texts. Neutral: 0, none are.
    pub removes_hidden: u64,
}

impl<'a> EpochKey<'a> {
    /// The key of this version, with all that it does not do yet at its neutral value.
    pub fn new(settings: &'a Settings, profile: &'a str) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            settings,
            profile,
            lists_read_result: settings.reads_results,
            policy: &[],
            removes_hidden: 0,
        }
    }

    /// Returns the key of the list of these tools, named as clients see them.
    pub fn of(&self, parts: &[Part]) -> [u8; 32] {
        // Taken apart by name, so that a part that comes later cannot be forgotten.
        let Self {
            version,
            settings,
            profile,
            lists_read_result,
            policy,
            removes_hidden,
        } = self;
        let mut key = Writer::default();
        key.number("format", FORMAT);
        key.part("version", version.as_bytes());
        key.settings(settings);
        key.part("profile", profile.as_bytes());
        key.number(
            "lists_read_result",
            match lists_read_result {
                ReadsResults::Never => 0,
                ReadsResults::WherePaid => 1,
                ReadsResults::Always => 2,
            },
        );
        key.part("policy", policy);
        key.number("removes_hidden", *removes_hidden);
        key.number("servers", parts.len() as u64);
        for part in parts {
            key.part("server", part.server.as_bytes());
            key.number("tools", part.tools.len() as u64);
            for tool in &part.tools {
                key.part("tool", tool);
            }
        }
        *key.hasher.finalize().as_bytes()
    }
}

#[derive(Default)]
struct Writer {
    hasher: blake3::Hasher,
}

impl Writer {
    fn part(&mut self, name: &str, value: &[u8]) {
        for bytes in [name.as_bytes(), value] {
            self.hasher.update(&(bytes.len() as u64).to_le_bytes());
            self.hasher.update(bytes);
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        self.part(name, &value.to_le_bytes());
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.part(name, &[u8::from(value)]);
    }

    /// A number that may be unknown, which is not the same as 0.
    fn limit(&mut self, name: &str, value: Option<usize>) {
        match value {
            Some(value) => self.number(name, value as u64),
            None => self.part(name, &[]),
        }
    }

    fn settings(&mut self, settings: &Settings) {
        let Settings {
            budget,
            tokenizer,
            form,
            pins,
            weights,
            // Follows from the tools and the form.
            left_out: _,
            offers_fields,
            // A part of its own.
            reads_results: _,
            summaries,
        } = settings;
        // The words of the configuration: `auto`, `none`, or digits.
        self.part("budget", budget.to_string().as_bytes());
        // Names and values have their lengths, so a part may be left out: keys by the usual vocabulary are as ever.
        if *tokenizer != Encoding::default() {
            self.part("tokenizer", tokenizer.as_str().as_bytes());
        }
        self.form(form);
        self.number("pins", pins.len() as u64);
        for pin in pins {
            self.part("pattern", pin.pattern.as_bytes());
            self.part("rung", pin.rung.as_str().as_bytes());
        }
        self.number("weights", weights.len() as u64);
        for (name, weight) in weights {
            self.part("name", name.as_bytes());
            self.number("weight", *weight);
        }
        self.number("offers_fields", offers_fields.len() as u64);
        for pattern in offers_fields {
            self.part("pattern", pattern.as_bytes());
        }
        self.part("summaries", &summaries.fingerprint());
    }

    fn form(&mut self, form: &Form) {
        let Form {
            searches_itself,
            may_use_open_schema,
            description_limit,
            tool_limit,
            drops_output_schema,
            merges_root_unions,
            moves_shared_text,
            instructions_limit,
        } = form;
        self.flag("searches_itself", *searches_itself);
        self.flag("may_use_open_schema", *may_use_open_schema);
        self.limit("description_limit", *description_limit);
        self.limit("tool_limit", *tool_limit);
        self.flag("drops_output_schema", *drops_output_schema);
        self.flag("merges_root_unions", *merges_root_unions);
        self.flag("moves_shared_text", *moves_shared_text);
        self.limit("instructions_limit", *instructions_limit);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;

    use super::*;
    use crate::surface::plan::Budget;

    fn tools(of: &[(&str, &[&str])]) -> Vec<Part> {
        of.iter()
            .map(|(server, tools)| Part {
                server: (*server).to_owned(),
                tools: tools
                    .iter()
                    .map(|tool| Bytes::copy_from_slice(tool.as_bytes()))
                    .collect(),
            })
            .collect()
    }

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
    }

    /// Every part alone, and tools that differ only in where one ends, give keys of their own.
    #[test]
    fn each_part_alone_changes_the_key() {
        let plain = Settings::default();
        let base = EpochKey {
            version: "1",
            ..EpochKey::new(&plain, "generic")
        };
        let one = tools(&[("s", &["ab", "c"])]);
        let mut keys = HashMap::new();
        let mut add = |what: &str, key: [u8; 32]| {
            let twin = keys.insert(key, what.to_owned());
            assert_eq!(twin, None, "{what} has the key of another");
        };
        add("base", base.of(&one));
        for (what, other) in [
            ("one tool less", tools(&[("s", &["ab"])])),
            ("another cut", tools(&[("s", &["a", "bc"])])),
            ("another order", tools(&[("s", &["c", "ab"])])),
            ("another server", tools(&[("t", &["ab", "c"])])),
            ("two servers", tools(&[("s", &["ab"]), ("s", &["c"])])),
            ("no tools", tools(&[])),
        ] {
            add(what, base.of(&other));
        }
        let with = |change: fn(&mut EpochKey<'_>)| {
            let mut key = base.clone();
            change(&mut key);
            key.of(&one)
        };
        add("version", with(|key| key.version = "2"));
        add("profile", with(|key| key.profile = "vscode"));
        add(
            "read_result",
            with(|key| key.lists_read_result = ReadsResults::Always),
        );
        add(
            "read_result where paid",
            with(|key| key.lists_read_result = ReadsResults::WherePaid),
        );
        add("policy", with(|key| key.policy = b"\0"));
        add("hidden", with(|key| key.removes_hidden = 1));
        for (what, change) in [
            ("budget", settings(|s| s.budget = Budget::Tokens(4000))),
            (
                "other budget",
                settings(|s| s.budget = Budget::Tokens(4001)),
            ),
            ("no budget", settings(|s| s.budget = Budget::Unlimited)),
            (
                "other vocabulary",
                settings(|s| s.tokenizer = Encoding::Cl100kBase),
            ),
            ("search", settings(|s| s.form.searches_itself = true)),
            ("count", settings(|s| s.form.tool_limit = Some(40))),
            ("fields", settings(|s| s.offers_fields = vec!["a".into()])),
            (
                "no output schemas",
                settings(|s| s.form.drops_output_schema = true),
            ),
            ("unions", settings(|s| s.form.merges_root_unions = true)),
            ("open", settings(|s| s.form.may_use_open_schema = true)),
            ("limit", settings(|s| s.form.description_limit = Some(0))),
            (
                "other limit",
                settings(|s| s.form.description_limit = Some(2048)),
            ),
            (
                "pin",
                settings(|s| s.pins = vec!["a=lean".parse().unwrap()]),
            ),
            (
                "other pin",
                settings(|s| s.pins = vec!["a=short".parse().unwrap()]),
            ),
            (
                "pins in order",
                settings(|s| s.pins = vec!["a=lean".parse().unwrap(), "*=name".parse().unwrap()]),
            ),
            (
                "pins in another order",
                settings(|s| s.pins = vec!["*=name".parse().unwrap(), "a=lean".parse().unwrap()]),
            ),
            (
                "weight",
                settings(|s| s.weights = [("a".to_owned(), 11)].into()),
            ),
            (
                "other weight",
                settings(|s| s.weights = [("a".to_owned(), 12)].into()),
            ),
        ] {
            let key = EpochKey {
                settings: &change,
                ..base.clone()
            };
            add(what, key.of(&one));
        }
    }

    #[test]
    fn what_is_not_done_yet_is_neutral_and_the_bytes_stay() {
        let plain = Settings::default();
        let spelled = EpochKey {
            version: env!("CARGO_PKG_VERSION"),
            settings: &plain,
            profile: "generic",
            lists_read_result: ReadsResults::Never,
            policy: b"",
            removes_hidden: 0,
        };
        let parts = tools(&[("s", &["{}"])]);
        let key = EpochKey::new(&plain, "generic");
        assert_eq!(key, spelled);
        assert_eq!(key.of(&parts), spelled.of(&parts));
        assert_eq!(key.of(&parts), key.of(&parts));
    }
}
