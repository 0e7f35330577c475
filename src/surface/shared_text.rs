//! Finds text that all or nearly all tools of one server repeat, which could stand once in the
//! server's `instructions`. It proposes; whether a client shows instructions and whether it is worth
//! it is for the caller to decide.
//!
//! Two kinds are found: sentences of tool descriptions, and descriptions of parameters that have the
//! same name and the same text everywhere. The first sentence of a description never moves: it says
//! what the tool is for. Nor does what a heading or another line could rule.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Range;

use crate::surface::lean::Limits;
use crate::surface::sentences::BlockKind;
use crate::surface::sentences::blocks;
use crate::surface::sentences::flat;
use crate::surface::sentences::key;
use crate::surface::tree::Edit;
use crate::surface::tree::Node;
use crate::token::TokenCounter;
use crate::token::Tokens;

/// Bytes below which a text is not worth moving.
const MIN_BYTES: usize = 24;

/// Words at the start of a sentence that point to one before it.
const POINTERS: [&str; 10] = [
    "it",
    "its",
    "they",
    "them",
    "these",
    "those",
    "that",
    "otherwise",
    "however",
    "also",
];

/// What counts as repeated.
#[derive(Clone, Copy, Debug)]
pub struct SharedOptions {
    /// Fewest tools of a server for which this makes sense.
    pub min_tools: usize,
    /// Least share of the tools that repeat a text, in percent.
    pub min_percent: usize,
    /// How much of one tool is looked at.
    pub limits: Limits,
}

impl Default for SharedOptions {
    /// Nine in ten of at least four tools.
    fn default() -> Self {
        Self {
            min_tools: 4,
            min_percent: 90,
            limits: Limits::default(),
        }
    }
}

/// One repeated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedText {
    /// The parameter whose description it is; none for a sentence of tool descriptions.
    pub parameter: Option<String>,
    /// The text, in one line.
    pub text: String,
    /// The tools that have it, by their place in the list.
    pub tools: Vec<usize>,
}

/// What all tools of one server repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// The texts, in the order in which they first stand.
    pub texts: Vec<SharedText>,
    /// How many tools were looked at.
    pub n_tools: usize,
}

/// What moving shared text would save in one listing, in tokens of the texts themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedSaving {
    /// Tokens that go from the definitions.
    pub removed: Tokens,
    /// Tokens that the instructions gain.
    pub added: Tokens,
}

/// Finds what the tools of one server repeat. A tool that cannot be read counts as one without it.
pub fn shared_text(raw_tools: &[&str], options: &SharedOptions) -> Shared {
    let mut places: HashMap<(Option<String>, String), usize> = HashMap::new();
    let mut found: Vec<SharedText> = Vec::new();
    for (index, raw) in raw_tools.iter().enumerate() {
        let mut add = |parameter: Option<String>, text: String| {
            if text.len() < MIN_BYTES || !stands_alone(&text) {
                return;
            }
            let place = *places
                .entry((parameter.clone(), text.clone()))
                .or_insert_with(|| {
                    found.push(SharedText {
                        parameter,
                        text,
                        tools: Vec::new(),
                    });
                    found.len() - 1
                });
            let tools = &mut found[place].tools;
            if tools.last() != Some(&index) {
                tools.push(index);
            }
        };
        for (parameter, text) in texts(raw, &options.limits) {
            add(parameter, text);
        }
    }
    let n_tools = raw_tools.len();
    let is_shared = |shared: &SharedText| {
        n_tools >= options.min_tools && shared.tools.len() * 100 >= options.min_percent * n_tools
    };
    found.retain(is_shared);
    Shared {
        texts: found,
        n_tools,
    }
}

fn parse<'a>(raw: &'a str, limits: &Limits) -> Option<Node<'a>> {
    if raw.len() > limits.max_bytes {
        return None;
    }
    let tool = Node::parse(raw, limits.max_depth, limits.max_nodes).ok()?;
    tool.duplicate_key().is_none().then_some(tool)
}

/// Tells whether a text says the same where no other stands before it or behind it.
fn stands_alone(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphanumeric()).next();
    let first = first.unwrap_or_default().to_lowercase();
    !POINTERS.contains(&first.as_str()) && !text.ends_with(':')
}

/// The sentences of a description, but its first, that mean elsewhere what they mean here: running text before the
/// first heading and the first line that announces what is below it. Behind those, who rules what is not certain:
/// an item under "Never do this:" would be an order where it stands alone.
fn movable(description: &str) -> Vec<Range<usize>> {
    let mut movable = Vec::new();
    let mut first: Option<Range<usize>> = None;
    let mut is_item = false;
    let mut is_running = false;
    for block in blocks(description) {
        first = first.or_else(|| block.sentences.first().cloned());
        if block.kind == BlockKind::Heading {
            break;
        }
        // What stands before a list may rule it without a colon too.
        if is_running && matches!(block.kind, BlockKind::Item | BlockKind::Code) {
            movable.pop();
        }
        // Without an empty line behind an item, it may be the rest of that.
        let is_own = block.kind == BlockKind::Paragraph && (block.has_gap || !is_item);
        is_item = block.kind == BlockKind::Item || (is_item && !is_own);
        is_running = is_own;
        let last = block.sentences.last().cloned();
        if is_own {
            movable.extend(block.sentences);
        }
        if last.is_some_and(|last| description[last].ends_with(':')) {
            break;
        }
    }
    movable.retain(|span| Some(span) != first.as_ref());
    movable
}

/// The texts of a tool that could be shared.
fn texts(raw: &str, limits: &Limits) -> Vec<(Option<String>, String)> {
    let mut texts = Vec::new();
    let Some(tool) = parse(raw, limits) else {
        return texts;
    };
    if let Some(description) = tool.string("description") {
        let spans = movable(description).into_iter();
        texts.extend(spans.map(|span| (None, key(&description[span]))));
    }
    for property in properties(&tool) {
        if let Some(text) = property.value.string("description") {
            texts.push((Some(property.key.to_string()), flat(text)));
        }
    }
    texts
}

fn properties<'t, 'a>(tool: &'t Node<'a>) -> &'t [crate::surface::tree::Member<'a>] {
    let schema = tool.member("inputSchema").map(|member| &member.value);
    let properties = schema.and_then(|schema| schema.member("properties"));
    properties.map_or(&[], |member| member.value.members())
}

impl Shared {
    /// Says whether nothing is repeated.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Writes what would stand in the server's instructions.
    pub fn instructions(&self) -> String {
        let mut text = String::new();
        for shared in &self.texts {
            let is_all = shared.tools.len() == self.n_tools;
            let whose = if is_all {
                "All tools"
            } else {
                "Nearly all tools"
            };
            let line = match &shared.parameter {
                Some(name) => format!("Parameter `{name}`: {}", shared.text),
                None => format!("{whose}: {}", shared.text),
            };
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&line);
        }
        text
    }

    /// Counts what moving would save.
    pub fn saving(&self, counter: &dyn TokenCounter) -> SharedSaving {
        let mut saving = SharedSaving {
            removed: Tokens::ZERO,
            added: counter.count(&self.instructions()),
        };
        for shared in &self.texts {
            let one = counter.count(&shared.text).get();
            let n_tools = u64::try_from(shared.tools.len()).unwrap_or(u64::MAX);
            saving.removed += Tokens::new(one.saturating_mul(n_tools));
        }
        saving
    }

    /// Returns a tool without the shared text; as it was where it has none or cannot be read. The
    /// rest of its texts keeps its words and order.
    pub fn without<'a>(&self, raw_tool: &'a str, limits: &Limits) -> Cow<'a, str> {
        let Some(tool) = parse(raw_tool, limits).filter(|_| !self.is_empty()) else {
            return Cow::Borrowed(raw_tool);
        };
        let sentences: HashSet<&str> = self
            .texts
            .iter()
            .filter(|shared| shared.parameter.is_none())
            .map(|shared| shared.text.as_str())
            .collect();
        let parameters: HashSet<(&str, &str)> = self
            .texts
            .iter()
            .filter_map(|shared| Some((shared.parameter.as_deref()?, shared.text.as_str())))
            .collect();
        let mut edits: HashMap<usize, Edit<'_>> = HashMap::new();
        if let Some(member) = tool.member("description")
            && let Some(description) = member.value.as_str()
            && let Some(shorter) = cut(description, &sentences)
        {
            let value = serde_json::Value::from(shorter).to_string();
            edits.insert(member.at, Edit::Replace(value.into()));
        }
        for property in properties(&tool) {
            if let Some(member) = property.value.member("description")
                && let Some(text) = member.value.as_str()
                && parameters.contains(&(property.key.as_ref(), flat(text).as_str()))
            {
                edits.insert(member.at, Edit::Remove);
            }
        }
        if edits.is_empty() {
            return Cow::Borrowed(raw_tool);
        }
        let mut text = String::with_capacity(raw_tool.len());
        let edit = |member: &crate::surface::tree::Member<'_>| {
            edits.get(&member.at).cloned().unwrap_or(Edit::Keep)
        };
        tool.render_edited(&edit, &mut text);
        Cow::Owned(text)
    }
}

/// Cuts sentences out of a text where they may move; none if there is nothing to cut.
fn cut(text: &str, sentences: &HashSet<&str>) -> Option<String> {
    let spans = movable(text).into_iter();
    let mut shorter = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans.filter(|span| sentences.contains(key(&text[span.clone()]).as_str())) {
        shorter.push_str(&text[at..span.start]);
        at = span.end;
        // The space behind it went with it.
        at += text[at..].len() - text[at..].trim_start_matches(' ').len();
    }
    if at == 0 {
        return None;
    }
    shorter.push_str(&text[at..]);
    Some(shorter.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use crate::surface::lean::Limits;
    use crate::surface::shared_text::SharedOptions;
    use crate::surface::shared_text::shared_text;
    use crate::token::TiktokenCounter;

    fn tool(n: usize, more: &str) -> String {
        format!(
            r#"{{"name":"t{n}","description":"Does thing {n}. All calls need an API key of the team.{more}","inputSchema":{{"type":"object","properties":{{"site":{{"type":"string","description":"The ID of the site to work on."}},"own{n}":{{"description":"Something of its own here."}}}}}}}}"#
        )
    }

    #[test]
    fn what_points_to_another_sentence_stays() {
        for more in [
            " It must not be called by two agents at once.",
            " The units of it are these:",
        ] {
            let tools: Vec<String> = (0..10).map(|n| tool(n, more)).collect();
            let raw: Vec<&str> = tools.iter().map(String::as_str).collect();
            let shared = shared_text(&raw, &SharedOptions::default());
            let is_moved = |text: &str| shared.texts.iter().any(|moved| moved.text.contains(text));
            assert!(
                !is_moved("two agents") && !is_moved("units"),
                "{:?}",
                shared.texts
            );
            assert!(is_moved("The ID of the site"));
        }
    }

    /// Broken variant that this catches: one that takes the sentences of every block; what a list forbids would
    /// stand in the instructions as what all tools do.
    #[test]
    fn what_a_heading_or_another_line_could_rule_stays() {
        let tools_with = |more: &str| -> Vec<String> {
            let tools = (0..6).map(|n| {
                let description = serde_json::Value::from(format!("Does thing {n}.{more}"));
                format!(r#"{{"name":"t{n}","description":{description}}}"#)
            });
            tools.collect()
        };
        let long = "word ".repeat(30);
        for more in [
            "\n\nNever do this:\n- delete the files of others\n- write outside of the workspace"
                .to_owned(),
            "\n- delete the files of others\nwhich are not yours at all".to_owned(),
            "\n\n## Never\n\nDelete the files of others.\n\nWrite outside of the workspace."
                .to_owned(),
            format!("\n\nAmong {long}never:\n\nDelete the files of others."),
            " The files of others can never\n- be deleted".to_owned(),
            "\n```\nrm -rf / and other files\n```".to_owned(),
        ] {
            let tools = tools_with(&more);
            let raw: Vec<&str> = tools.iter().map(String::as_str).collect();
            let shared = shared_text(&raw, &SharedOptions::default());
            let are_moved = shared.texts.iter().any(|moved| {
                ["files", "workspace", "yours"]
                    .iter()
                    .any(|word| moved.text.contains(word))
            });
            assert!(!are_moved, "{:?}", shared.texts);
        }
        // What moves from running text stays where another tool has it in a list.
        let mut tools = tools_with(" Delete the files of others.");
        tools.truncate(5);
        let raw: Vec<&str> = tools.iter().map(String::as_str).collect();
        let shared = shared_text(&raw, &SharedOptions::default());
        assert_eq!(shared.texts.len(), 1);
        let listed = &tools_with("\n\nNever:\n- Delete the files of others.")[0];
        let limits = Limits::default();
        assert_eq!(
            shared.without(listed, &limits),
            Cow::Borrowed(listed.as_str())
        );
    }

    #[test]
    fn what_every_tool_says_is_found_and_cut() {
        let tools: Vec<String> = (0..10).map(|n| tool(n, " Extra words here.")).collect();
        let raw: Vec<&str> = tools.iter().map(String::as_str).collect();
        let shared = shared_text(&raw, &SharedOptions::default());
        assert_eq!(
            shared.instructions(),
            "All tools: All calls need an API key of the team\nParameter `site`: The ID of the site to work on."
        );
        let saving = shared.saving(&TiktokenCounter::default());
        assert!(saving.removed > saving.added, "{saving:?}");
        assert_eq!(
            shared.without(raw[3], &Limits::default()),
            r#"{"name":"t3","description":"Does thing 3. Extra words here.","inputSchema":{"type":"object","properties":{"site":{"type":"string"},"own3":{"description":"Something of its own here."}}}}"#
        );
        // A tool without it keeps its bytes; so does what is none.
        for raw in [r#"{ "name":"x","description":"Other. Words." }"#, "[", "7"] {
            assert_eq!(shared.without(raw, &Limits::default()), Cow::Borrowed(raw));
        }
    }

    #[test]
    fn few_tools_or_few_repeats_move_nothing() {
        let tools: Vec<String> = (0..3).map(|n| tool(n, "")).collect();
        let raw: Vec<&str> = tools.iter().map(String::as_str).collect();
        assert!(shared_text(&raw, &SharedOptions::default()).is_empty());
        let other =
            r#"{"name":"o","description":"Does something else.","inputSchema":{"type":"object"}}"#;
        let mixed = [raw[0], raw[1], raw[2], other];
        assert!(shared_text(&mixed, &SharedOptions::default()).is_empty());
        let lower = SharedOptions {
            min_percent: 75,
            ..SharedOptions::default()
        };
        let shared = shared_text(&mixed, &lower);
        assert_eq!(shared.texts.len(), 2);
        assert!(shared.instructions().starts_with("Nearly all tools: "));
        assert!(shared_text(&[], &SharedOptions::default()).is_empty());
    }

    /// A purpose never moves, even if every tool has the same; and short words do not.
    #[test]
    fn first_sentences_and_scraps_stay() {
        let raw = r#"{"name":"t","description":"Calls the service for the team. Read-only.","inputSchema":{"type":"object"}}"#;
        assert!(shared_text(&[raw; 6], &SharedOptions::default()).is_empty());
    }
}
