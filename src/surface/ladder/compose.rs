//! Puts the rungs below `lean` together from a tool that is lean already: which text goes where,
//! and what happens when a part cannot be said.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::surface::ladder::Diagnostic;
use crate::surface::ladder::LadderOptions;
use crate::surface::ladder::OPEN_SCHEMAS;
use crate::surface::ladder::Rung;
use crate::surface::ladder::notation::Detail;
use crate::surface::ladder::notation::Unsayable;
use crate::surface::ladder::notation::arguments;
use crate::surface::lean;
use crate::surface::schema::Place;
use crate::surface::schema::walk;
use crate::surface::sentences::first_sentence;
use crate::surface::shorten::Beside;
use crate::surface::shorten::shorten;
use crate::surface::shorten::shorten_beside;
use crate::surface::tree::Edit;
use crate::surface::tree::Node;
use crate::surface::tree::TreeError;

/// Most characters of the sentence in a `signature`.
const SIGNATURE_SENTENCE: usize = 200;
/// Most characters of the line in a `name`.
const NAME_SENTENCE: usize = 100;

pub(super) struct Composed {
    /// None: the lean text.
    pub(super) text: Option<String>,
    pub(super) shown: Rung,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Renders a lean tool at rungs below lean, each in its place. An error says that it has to stay lean.
///
/// The tool is read once, and a text that several rungs shorten is shortened once.
pub(super) fn compose(
    lean_tool: &str,
    rungs: &[Rung],
    options: &LadderOptions<'_>,
) -> Vec<Result<Composed, Diagnostic>> {
    let tool = match read(lean_tool, options) {
        Ok(tool) => tool,
        Err(diagnostic) => return rungs.iter().map(|_| Err(diagnostic.clone())).collect(),
    };
    let source = match Source::of(&tool, options) {
        Ok(source) => source,
        Err(diagnostic) => return rungs.iter().map(|_| Err(diagnostic.clone())).collect(),
    };
    let mut tries = Tries::default();
    let mut at = |rung: &Rung| Ok(source.at(*rung, &mut tries));
    rungs.iter().map(&mut at).collect()
}

fn read<'a>(lean_tool: &'a str, options: &LadderOptions<'_>) -> Result<Node<'a>, Diagnostic> {
    let limits = &options.limits;
    let tool = Node::parse(lean_tool, limits.max_depth, limits.max_nodes).map_err(|error| {
        Diagnostic::Lean(match error {
            TreeError::Malformed => lean::Diagnostic::Malformed,
            TreeError::TooDeep => lean::Diagnostic::TooDeep,
            TreeError::TooManyNodes => lean::Diagnostic::TooManyNodes,
        })
    })?;
    if lean_tool.len() > limits.max_bytes {
        return Err(Diagnostic::Lean(lean::Diagnostic::TooLarge));
    }
    if let Some(pointer) = tool.duplicate_key() {
        return Err(Diagnostic::Lean(lean::Diagnostic::DuplicateKey { pointer }));
    }
    Ok(tool)
}

/// What was tried before, by rung: a rung that cannot be said falls back on one that may have been wanted itself.
type Tries = HashMap<Rung, Result<String, Diagnostic>>;

/// The parts of a tool that rungs are made of.
struct Source<'t, 'a, 'o> {
    tool: &'t Node<'a>,
    description: &'t str,
    schema: &'t Node<'a>,
    options: &'o LadderOptions<'o>,
    /// Texts that were shortened.
    short: RefCell<HashMap<String, String>>,
}

impl<'t, 'a, 'o> Source<'t, 'a, 'o> {
    fn of(tool: &'t Node<'a>, options: &'o LadderOptions<'o>) -> Result<Self, Diagnostic> {
        let missing = |reason| Diagnostic::NoTool { reason };
        tool.string("name").ok_or(missing("`name` is no string"))?;
        let schema = tool.member("inputSchema").map(|member| &member.value);
        let schema = schema.filter(|schema| schema.is_object());
        let schema = schema.ok_or(missing("`inputSchema` is no object"))?;
        // MCP asks for `type: "object"` at the root; what has another is not ours to repair.
        if schema.string("type") != Some("object") {
            return Err(missing("`inputSchema` has not the type `object`"));
        }
        let description = match tool.member("description") {
            Some(member) => member
                .value
                .as_str()
                .ok_or(missing("`description` is no string"))?,
            None => "",
        };
        Ok(Self {
            tool,
            description,
            schema,
            options,
            short: RefCell::default(),
        })
    }

    /// The rung itself, or the nearest more faithful one that can be said.
    fn at(&self, rung: Rung, tries: &mut Tries) -> Composed {
        let mut diagnostics = Vec::new();
        let mut wanted = rung;
        loop {
            let tried = match wanted {
                Rung::Full | Rung::Lean | Rung::Hidden => {
                    return Composed {
                        text: None,
                        shown: Rung::Lean,
                        diagnostics,
                    };
                }
                _ => tries
                    .entry(wanted)
                    .or_insert_with(|| match wanted {
                        Rung::Dense => self.dense(),
                        Rung::Short => self.short(),
                        Rung::Signature => self.signature(),
                        _ => self.name(),
                    })
                    .clone(),
            };
            match tried {
                Ok(text) => {
                    return Composed {
                        text: Some(text),
                        shown: wanted,
                        diagnostics,
                    };
                }
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
            wanted = match wanted {
                Rung::Name => Rung::Signature,
                Rung::Signature => Rung::Short,
                Rung::Short => Rung::Dense,
                _ => Rung::Lean,
            };
        }
    }

    fn dense(&self) -> Result<String, Diagnostic> {
        let signature = self.arguments(Detail::Everything, &tidy)?;
        self.open(&with_arguments(&tidy(self.description), &signature))
    }

    fn short(&self) -> Result<String, Diagnostic> {
        let shortened = |text: &str| self.shortened(text);
        let description = self.short_description();
        let dense = self
            .arguments(Detail::Everything, &shortened)
            .and_then(|signature| self.open(&with_arguments(&description, &signature)));
        match dense {
            Ok(text) => Ok(text),
            // Over lean's schema the texts are shorter all the same.
            Err(_) => self.closed(&description, &|text| Some(self.shortened(text))),
        }
    }

    fn signature(&self) -> Result<String, Diagnostic> {
        let sentence = self.sentence(SIGNATURE_SENTENCE);
        let line = self.arguments(Detail::NamesAndTypes, &|_| String::new());
        let open = line.and_then(|line| {
            let separator = if sentence.is_empty() { "" } else { " " };
            self.open(&format!("{sentence}{separator}({line})"))
        });
        match open {
            Ok(text) => Ok(text),
            Err(_) => self.closed(&sentence, &|_| None),
        }
    }

    fn name(&self) -> Result<String, Diagnostic> {
        self.open(&self.sentence(NAME_SENTENCE))
    }

    fn sentence(&self, max_characters: usize) -> String {
        first_sentence(&self.shortened(self.description), max_characters)
    }

    /// Shortens the tool's own text, beside the shortened texts of its parameters.
    fn short_description(&self) -> String {
        if let Some(reviewed) = self.reviewed(self.description) {
            return reviewed.to_owned();
        }
        let mut beside = Beside::default();
        let properties = self.schema.member("properties");
        for property in properties.map_or(&[][..], |member| member.value.members()) {
            let text = property.value.string("description");
            if let Some(text) = text {
                beside.add_text(&self.shortened(text));
            }
            let has_text = text.is_some_and(|text| !text.trim().is_empty());
            beside.parameters.insert(property.key.to_string(), has_text);
        }
        shorten_beside(self.description, &beside)
    }

    fn reviewed(&self, text: &str) -> Option<&str> {
        self.options.replacements?.replacement(text)
    }

    fn shortened(&self, text: &str) -> String {
        if let Some(reviewed) = self.reviewed(text) {
            return reviewed.to_owned();
        }
        if let Some(known) = self.short.borrow().get(text) {
            return known.clone();
        }
        let short = shorten(text);
        let known = (text.to_owned(), short.clone());
        self.short.borrow_mut().extend([known]);
        short
    }

    fn arguments(
        &self,
        detail: Detail,
        prose: &dyn Fn(&str) -> String,
    ) -> Result<String, Diagnostic> {
        if !self.options.may_use_open_schema {
            return Err(Diagnostic::OpenSchemaNotAllowed);
        }
        let unsayable = |error: Unsayable| Diagnostic::Unsayable {
            reason: error.reason(),
        };
        arguments(self.schema, detail, prose).map_err(unsayable)
    }

    /// Writes the tool with an open schema.
    fn open(&self, description: &str) -> Result<String, Diagnostic> {
        if !self.options.may_use_open_schema {
            return Err(Diagnostic::OpenSchemaNotAllowed);
        }
        if has_header(self.schema) {
            let reason = Unsayable::Header.reason();
            return Err(Diagnostic::Unsayable { reason });
        }
        let length = description.encode_utf16().count();
        if self
            .options
            .description_limit
            .is_some_and(|limit| length > limit)
        {
            return Err(Diagnostic::TooLongForClient { length });
        }
        let schema = OPEN_SCHEMAS[usize::from(self.options.has_empty_properties)];
        Ok(self.write(description, schema))
    }

    /// Writes the tool with its schema, the texts in it replaced or (`None`) left out.
    fn closed(
        &self,
        description: &str,
        prose: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, Diagnostic> {
        let mut texts: HashMap<usize, Edit<'_>> = HashMap::new();
        walk(self.schema, Place::Root, &mut |schema, _| {
            for member in schema.members() {
                let is_text = matches!(&*member.key, "description" | "title" | "$comment" | "note");
                let is_example = matches!(&*member.key, "examples" | "example");
                match member.value.as_str() {
                    Some(text) if is_text => {
                        let edit = prose(text).map_or(Edit::Remove, |text| {
                            Edit::Replace(serde_json::Value::from(text).to_string().into())
                        });
                        texts.insert(member.at, edit);
                    }
                    _ if is_example && prose("").is_none() => {
                        texts.insert(member.at, Edit::Remove);
                    }
                    _ => {}
                }
            }
        });
        let mut schema = String::with_capacity(self.schema.raw.len());
        let edit = |member: &crate::surface::tree::Member<'_>| {
            texts.get(&member.at).cloned().unwrap_or(Edit::Keep)
        };
        self.schema.render_edited(&edit, &mut schema);
        Ok(self.write(description, &schema))
    }

    fn write(&self, description: &str, schema: &str) -> String {
        let description = serde_json::Value::from(description).to_string();
        let mut text = String::with_capacity(description.len() + schema.len() + 100);
        let has_description = self.tool.member("description").is_some();
        for member in self.tool.members() {
            let value = match &*member.key {
                "description" => Some(description.as_str()),
                "inputSchema" => Some(schema),
                _ => None,
            };
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(member.key_raw);
            text.push(':');
            match value {
                Some(value) => text.push_str(value),
                None => member.value.render_edited(&|_| Edit::Keep, &mut text),
            }
            if member.key == "name" && !has_description {
                text.push_str(",\"description\":");
                text.push_str(&description);
            }
        }
        text.push('}');
        text
    }
}

/// A header is declared in the schema where clients look for it (MCP 2026-07-28 basic/transports).
fn has_header(schema: &Node<'_>) -> bool {
    let mut found = false;
    walk(schema, Place::Root, &mut |schema, _| {
        found |= schema.member("x-mcp-header").is_some();
    });
    found
}

fn with_arguments(description: &str, arguments: &str) -> String {
    let arguments = match arguments {
        "" => "none",
        _ => arguments,
    };
    let separator = if description.is_empty() { "" } else { "\n" };
    let line = if arguments.contains('\n') || arguments.len() > 60 {
        "\n"
    } else {
        " "
    };
    format!("{description}{separator}Arguments:{line}{arguments}")
}

/// The same words without indentation that all lines share, trailing spaces and runs of empty lines.
fn tidy(text: &str) -> String {
    let text = text.trim();
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let below = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let shared = below.map(indent).min().unwrap_or(0);
    let mut tidied = String::with_capacity(text.len());
    let mut n_empty = 0;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() {
            n_empty += 1;
            continue;
        }
        if n > 0 {
            tidied.push('\n');
            if n_empty > 0 {
                tidied.push('\n');
            }
        }
        n_empty = 0;
        let cut = if n > 0 { shared.min(indent(line)) } else { 0 };
        tidied.push_str(&line[cut..]);
    }
    tidied
}
