//! Says a JSON Schema as a TypeScript-like signature: names, `?` for optional, types, enumerations,
//! bounds, formats, defaults, and the prose as comments. A schema it cannot say in full is refused
//! as a whole ([`Unsayable`]); it may not leave a keyword out silently.
//!
//! What it writes is for a model to read, no compiler. Bounds that only say what a safe integer
//! of JavaScript is (from -9007199254740991 to 9007199254740991) are left out.

mod keywords;
mod named;
mod object;
mod value;

use crate::surface::ladder::notation::keywords::are_disjoint;
use crate::surface::ladder::notation::keywords::is_about_others;
use crate::surface::ladder::notation::keywords::is_shape;
use crate::surface::ladder::notation::keywords::is_structured;
use crate::surface::ladder::notation::keywords::is_true;
use crate::surface::ladder::notation::keywords::knows_keywords;
use crate::surface::ladder::notation::keywords::types;
use crate::surface::ladder::notation::keywords::values;
use crate::surface::ladder::notation::named::Named;
use crate::surface::ladder::notation::named::Reached;
use crate::surface::ladder::notation::value::facets;
use crate::surface::ladder::notation::value::literal;
use crate::surface::tree::Kind;
use crate::surface::tree::Node;

/// Nesting of types in one text; deeper ones are refused. Also what keeps recursion bounded.
const MAX_DEPTH: usize = 160;

/// How much of a schema is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything, prose as comments, one parameter a line.
    Everything,
    /// Names, `?`, types, enumerations and formats, in one line.
    NamesAndTypes,
}

/// What a text of the schema becomes; the identity, or a shorter one.
pub(crate) type Prose<'p> = &'p dyn Fn(&str) -> String;

/// Why a schema cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsayable {
    /// A keyword without a form here.
    Keyword,
    /// A reference that is not one into this schema.
    Reference,
    /// A header has to be declared where clients look for it (MCP 2026-07-28, `x-mcp-header`).
    Header,
    /// A keyword with a value that no dialect knows.
    Value,
    /// Nested too deep.
    TooDeep,
    /// Longer than the schema by far, so not worth it.
    TooLong,
}

impl Unsayable {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Keyword => "a keyword has no form in the notation",
            Self::Reference => "a reference does not lead into the schema",
            Self::Header => "a parameter is also sent as a header",
            Self::Value => "a keyword has a value that no dialect knows",
            Self::TooDeep => "types are nested too deep",
            Self::TooLong => "the notation is longer than the schema",
        }
    }
}

/// Says the parameters of a tool. Empty for a tool without any.
pub(crate) fn arguments(
    schema: &Node<'_>,
    detail: Detail,
    prose: Prose<'_>,
) -> Result<String, Unsayable> {
    let named = Named::of(schema)?;
    let mut writer = Writer {
        out: String::with_capacity(schema.raw.len() / 2),
        detail,
        prose,
        named,
        max_len: schema.raw.len() * 4 + 1_000,
        indent: 0,
    };
    writer.root(schema)?;
    Ok(writer.out)
}

/// How tightly what was written holds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    /// With a default behind it.
    Assigned,
    Union,
    Intersection,
    Atom,
}

struct Writer<'p, 't, 'a> {
    out: String,
    detail: Detail,
    prose: Prose<'p>,
    named: Named<'t, 'a>,
    max_len: usize,
    indent: usize,
}

impl<'t, 'a> Writer<'_, 't, 'a> {
    fn root(&mut self, schema: &'t Node<'a>) -> Result<(), Unsayable> {
        let is_plain = schema.members().iter().all(|member| {
            matches!(
                &*member.key,
                "type"
                    | "properties"
                    | "required"
                    | "additionalProperties"
                    | "description"
                    | "title"
                    | "$schema"
                    | "$defs"
                    | "definitions"
            )
        });
        if is_plain && self.detail == Detail::Everything {
            knows_keywords(schema)?;
            // The root has a title for programs only where it has no space.
            let is_named = schema
                .string("title")
                .is_some_and(|title| !title.contains(' '));
            let text = match schema.string("description") {
                Some(description) if is_named => Some((self.prose)(description)),
                None if is_named => None,
                _ => self.annotations(schema)?,
            };
            if let Some(text) = text {
                self.comment(&text);
                self.out.push('\n');
            }
            self.members(schema, "\n", 0)?;
        } else if is_plain {
            self.members(schema, ", ", 0)?;
        } else {
            self.commented_type(schema, 0)?;
        }
        while let Some((name, definition)) = self.named.next_to_write() {
            if self.detail == Detail::Everything {
                self.out.push('\n');
            } else {
                self.out.push_str("; ");
            }
            self.out.push_str("type ");
            self.out.push_str(&name);
            self.out.push_str(" = ");
            self.commented_own_type(definition, 1)?;
        }
        Ok(())
    }

    /// Writes a type, its default and its prose as a comment in the line.
    fn commented_type(&mut self, schema: &'t Node<'a>, depth: usize) -> Result<Binding, Unsayable> {
        if let Some(name) = self.named.name_in_place(schema) {
            self.out.push_str(&name);
            return Ok(Binding::Atom);
        }
        self.commented_own_type(schema, depth)
    }

    fn commented_own_type(
        &mut self,
        schema: &'t Node<'a>,
        depth: usize,
    ) -> Result<Binding, Unsayable> {
        let mut binding = self.own_type(schema, depth)?;
        if self.detail == Detail::Everything {
            if let Some(default) = schema.member("default") {
                self.out.push_str(" = ");
                literal(&default.value, &mut self.out);
                binding = Binding::Assigned;
            }
            if let Some(text) = self.annotations(schema)? {
                self.out.push(' ');
                self.comment(&text);
            }
        }
        Ok(binding)
    }

    /// Writes a type in parentheses if it holds together less tightly than `at_least`.
    fn operand(
        &mut self,
        schema: &'t Node<'a>,
        at_least: Binding,
        depth: usize,
    ) -> Result<(), Unsayable> {
        let start = self.out.len();
        if self.commented_type(schema, depth)? < at_least {
            self.out.insert(start, '(');
            self.out.push(')');
        }
        Ok(())
    }

    fn own_type(&mut self, schema: &'t Node<'a>, depth: usize) -> Result<Binding, Unsayable> {
        if depth > MAX_DEPTH {
            return Err(Unsayable::TooDeep);
        }
        if self.out.len() > self.max_len {
            return Err(Unsayable::TooLong);
        }
        if !schema.is_object() {
            self.out.push_str(match schema.raw {
                "true" => "any",
                "false" => "never",
                _ => return Err(Unsayable::Value),
            });
            return Ok(Binding::Atom);
        }
        knows_keywords(schema)?;
        let reference = schema.member("$ref").map(|member| &member.value);
        let branches: Vec<_> = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .filter_map(|keyword| Some((keyword, &schema.member(keyword)?.value)))
            .collect();
        let has_shape = schema.members().iter().any(|member| is_shape(&member.key));
        let n_parts = usize::from(reference.is_some()) + usize::from(has_shape) + branches.len();
        let mut binding = Binding::Atom;
        let mut n_written = 0;
        let mut part = |writer: &mut Self,
                        write: &mut dyn FnMut(&mut Self) -> Result<Binding, Unsayable>|
         -> Result<(), Unsayable> {
            if n_written > 0 {
                writer.out.push_str(" & ");
            }
            n_written += 1;
            let start = writer.out.len();
            binding = write(writer)?;
            if n_parts > 1 {
                writer.enclose(start, binding, Binding::Intersection);
                binding = Binding::Intersection;
            }
            Ok(())
        };
        if let Some(target) = reference {
            part(self, &mut |writer| writer.reference(target, depth))?;
        }
        if has_shape {
            part(self, &mut |writer| writer.shape(schema, depth))?;
        }
        for (keyword, value) in branches {
            part(self, &mut |writer| writer.branches(keyword, value, depth))?;
        }
        if n_parts == 0 {
            self.out.push_str("any");
        }
        if is_true(schema, "nullable") {
            self.out.push_str("|null");
            binding = Binding::Union;
        }
        Ok(binding)
    }

    /// Puts what was written since `start` into parentheses if it binds less than `at_least`.
    fn enclose(&mut self, start: usize, binding: Binding, at_least: Binding) {
        if binding < at_least {
            self.out.insert(start, '(');
            self.out.push(')');
        }
    }

    fn reference(&mut self, target: &Node<'_>, depth: usize) -> Result<Binding, Unsayable> {
        let reference = target.as_str().ok_or(Unsayable::Value)?;
        match self.named.reference(reference, depth)? {
            Reached::Name(name) => {
                self.out.push_str(&name);
                Ok(Binding::Atom)
            }
            Reached::Inline(definition) => self.commented_own_type(definition, depth + 1),
        }
    }

    /// Writes `anyOf`, `oneOf` or `allOf`.
    fn branches(
        &mut self,
        keyword: &str,
        value: &'t Node<'a>,
        depth: usize,
    ) -> Result<Binding, Unsayable> {
        let Kind::Array(items) = &value.kind else {
            return Err(Unsayable::Value);
        };
        let (separator, binding) = match keyword {
            "allOf" => (" & ", Binding::Intersection),
            _ => ("|", Binding::Union),
        };
        if let [only] = &items[..] {
            return self.commented_type(only, depth + 1);
        }
        // Exactly one of them: worth a word only where a value could be of two.
        let is_exclusive = keyword == "oneOf" && !are_disjoint(items);
        if is_exclusive {
            self.out.push_str("oneOf(");
        }
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.out.push_str(separator);
            }
            let start = self.out.len();
            let part = self.commented_type(item, depth + 1)?;
            self.enclose(start, part, binding);
        }
        if is_exclusive {
            self.out.push(')');
            return Ok(Binding::Atom);
        }
        Ok(if items.is_empty() {
            Binding::Atom
        } else {
            binding
        })
    }

    /// Writes what a schema says itself: values, or types with their bounds.
    fn shape(&mut self, schema: &'t Node<'a>, depth: usize) -> Result<Binding, Unsayable> {
        let types = types(schema)?;
        if let Some(values) = values(schema)? {
            // Which of them are meant would have to be found out here.
            if values
                .iter()
                .any(|value| is_structured(schema, value::type_of(value)))
            {
                return Err(Unsayable::Keyword);
            }
            let agrees = |value: &Node<'_>| {
                types.is_empty() || types.iter().any(|name| value::is_of(value, name))
            };
            let agree = (types.is_empty() || !values.is_empty())
                && values.iter().all(|value| agrees(value));
            if !agree {
                self.out.push_str(&types.join("|"));
                self.out.push_str(" & (");
            }
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    self.out.push('|');
                }
                literal(value, &mut self.out);
            }
            if values.is_empty() {
                self.out.push_str("never");
            }
            if !agree {
                self.out.push(')');
            }
            let further = facets(schema, None, self.detail)?;
            self.out.push_str(&further);
            return Ok(match (agree, values.len()) {
                (false, _) => Binding::Intersection,
                (true, 0 | 1) => Binding::Atom,
                (true, _) => Binding::Union,
            });
        }
        let inferred = ["object", "array"]
            .into_iter()
            .find(|name| types.is_empty() && is_structured(schema, name));
        // What holds for values of this type says nothing of others, of which it may say something too.
        if inferred.is_some_and(|name| is_about_others(schema, name)) {
            return Err(Unsayable::Keyword);
        }
        let types = match &types[..] {
            [] if inferred.is_some() => inferred.into_iter().collect(),
            [] => vec!["any"],
            _ => types,
        };
        for (n, name) in types.iter().enumerate() {
            if n > 0 {
                self.out.push('|');
            }
            match *name {
                "object" => self.object(schema, depth)?,
                "array" => self.array(schema, depth)?,
                name => self.out.push_str(name),
            }
            let only = (*name != "any").then_some(*name);
            let further = facets(schema, only, self.detail)?;
            self.out.push_str(&further);
        }
        Ok(if types.len() > 1 {
            Binding::Union
        } else {
            Binding::Atom
        })
    }

    fn array(&mut self, schema: &'t Node<'a>, depth: usize) -> Result<(), Unsayable> {
        let items = schema.member("items").map(|member| &member.value);
        let (prefix, rest) = match schema.member("prefixItems").map(|member| &member.value) {
            Some(prefix) => (Some(prefix), items),
            // Before 2020-12, `items` with an array was what `prefixItems` is now.
            None => match items {
                Some(items) if matches!(items.kind, Kind::Array(_)) => {
                    let rest = schema.member("additionalItems");
                    (Some(items), rest.map(|member| &member.value))
                }
                _ => (None, items),
            },
        };
        match (prefix, rest) {
            (Some(prefix), rest) => self.tuple(prefix, rest, depth)?,
            (None, Some(items)) => {
                // A comment inside would stand between a type and its brackets.
                let has_comment =
                    self.detail == Detail::Everything && self.annotations(items)?.is_some();
                if has_comment || items.member("default").is_some() {
                    self.out.push_str("Array<");
                    self.commented_type(items, depth + 1)?;
                    self.out.push('>');
                } else {
                    self.operand(items, Binding::Atom, depth + 1)?;
                    self.out.push_str("[]");
                }
            }
            (None, None) => self.out.push_str("any[]"),
        }
        if let Some(contains) = schema.member("contains") {
            self.out.push_str(" with some ");
            self.operand(&contains.value, Binding::Atom, depth + 1)?;
        }
        Ok(())
    }

    /// Writes the first items one by one, and what those behind them may be.
    fn tuple(
        &mut self,
        prefix: &'t Node<'a>,
        rest: Option<&'t Node<'a>>,
        depth: usize,
    ) -> Result<(), Unsayable> {
        let Kind::Array(prefix) = &prefix.kind else {
            return Err(Unsayable::Value);
        };
        self.out.push('[');
        for (n, item) in prefix.iter().enumerate() {
            if n > 0 {
                self.out.push_str(", ");
            }
            self.operand(item, Binding::Union, depth + 1)?;
        }
        match rest {
            Some(rest) if rest.raw == "false" => {}
            Some(rest) => {
                self.out.push_str(", ...");
                self.operand(rest, Binding::Atom, depth + 1)?;
                self.out.push_str("[]");
            }
            None => self.out.push_str(", ..."),
        }
        self.out.push(']');
        Ok(())
    }

    fn comment(&mut self, text: &str) {
        self.out.push_str("/* ");
        self.out.push_str(text);
        self.out.push_str(" */");
    }

    /// The prose of one schema, and the annotations that have no other place.
    fn annotations(&self, schema: &Node<'_>) -> Result<Option<String>, Unsayable> {
        let mut text = String::new();
        let mut add = |before: &str, part: &str| {
            if !text.is_empty() && !part.is_empty() {
                let is_ended = text.ends_with(['.', '!', '?']);
                text.push_str(if is_ended { " " } else { before });
            }
            text.push_str(part);
        };
        if self.detail != Detail::Everything {
            return Ok(None);
        }
        for keyword in [
            "title",
            "description",
            "note",
            "$comment",
            "markdownDescription",
        ] {
            if let Some(member) = schema.member(keyword) {
                let part = member.value.as_str().ok_or(Unsayable::Value)?;
                add(". ", &(self.prose)(part));
            }
        }
        for keyword in ["deprecated", "readOnly", "writeOnly"] {
            if is_true(schema, keyword) {
                add("; ", keyword);
            }
        }
        for keyword in ["examples", "example"] {
            let Some(member) = schema.member(keyword) else {
                continue;
            };
            let mut examples = String::from("e.g. ");
            match &member.value.kind {
                Kind::Array(items) if keyword == "examples" => {
                    for (n, item) in items.iter().enumerate() {
                        if n > 0 {
                            examples.push_str(", ");
                        }
                        literal(item, &mut examples);
                    }
                }
                _ => literal(&member.value, &mut examples),
            }
            add("; ", &examples);
        }
        Ok((!text.trim().is_empty()).then_some(text))
    }
}
