//! Says a JSON Schema as a TypeScript-like signature: names, `?` for optional, types, enumerations,
//! bounds, formats, defaults, and the prose as comments. A schema it cannot say in full is refused
//! as a whole ([`Unsayable`]); it may not leave a keyword out silently.
//!
//! What it writes is for a model to read, no compiler. Bounds that only say what a safe integer
//! of JavaScript is (±9007199254740991) are left out.

mod named;
mod value;

use crate::surface::ladder::notation::named::Named;
use crate::surface::ladder::notation::named::Reached;
use crate::surface::ladder::notation::value::facets;
use crate::surface::ladder::notation::value::literal;
use crate::surface::ladder::notation::value::property_name;
use crate::surface::sentences::blocks;
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
            if let Some(text) = self.annotations(schema)? {
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
            let agrees = |value: &Node<'_>| {
                types.is_empty() || types.iter().any(|name| value::is_of(value, name))
            };
            let agree = values.iter().all(|value| agrees(value));
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
        let has = |keyword: &str| schema.member(keyword).is_some();
        let types = match &types[..] {
            [] if has("properties")
                || has("required")
                || has("additionalProperties")
                || has("patternProperties")
                || has("propertyNames") =>
            {
                vec!["object"]
            }
            [] if has("items") || has("prefixItems") || has("additionalItems") => vec!["array"],
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
        if let Some(prefix) = prefix {
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
            return Ok(());
        }
        match rest {
            Some(items) => {
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
            None => self.out.push_str("any[]"),
        }
        if let Some(contains) = schema.member("contains") {
            self.out.push_str(" with some ");
            self.operand(&contains.value, Binding::Atom, depth + 1)?;
        }
        Ok(())
    }

    fn object(&mut self, schema: &'t Node<'a>, depth: usize) -> Result<(), Unsayable> {
        let has_members = [
            "properties",
            "required",
            "patternProperties",
            "propertyNames",
        ]
        .into_iter()
        .any(|keyword| schema.member(keyword).is_some());
        let additional = schema
            .member("additionalProperties")
            .map(|member| member.value.raw);
        if !has_members && matches!(additional, None | Some("true" | "{}")) {
            self.out.push_str("object");
            return Ok(());
        }
        self.out.push('{');
        if self.detail == Detail::Everything && has_prose(schema) {
            self.indent += 1;
            self.new_line();
            let separator = format!("\n{}", " ".repeat(self.indent));
            self.members(schema, &separator, depth)?;
            self.indent -= 1;
            self.new_line();
        } else {
            self.members(schema, ", ", depth)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn new_line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent));
    }

    /// Writes the properties of an object and whatever else it may hold.
    fn members(
        &mut self,
        schema: &'t Node<'a>,
        separator: &str,
        depth: usize,
    ) -> Result<(), Unsayable> {
        let required = required(schema)?;
        let mut n_written = 0;
        let mut separate = |out: &mut String| {
            if n_written > 0 {
                out.push_str(separator);
            }
            n_written += 1;
        };
        let properties = match schema.member("properties") {
            Some(member) if !member.value.is_object() => return Err(Unsayable::Value),
            Some(member) => member.value.members(),
            None => &[],
        };
        let is_open_line = separator.starts_with('\n');
        for property in properties {
            separate(&mut self.out);
            self.out.push_str(&property_name(&property.key));
            if !required.contains(&*property.key) {
                self.out.push('?');
            }
            self.out.push_str(": ");
            self.property(&property.value, is_open_line, depth)?;
        }
        let known: std::collections::HashSet<&str> = properties
            .iter()
            .map(|property| property.key.as_ref())
            .collect();
        for name in required.names() {
            if !known.contains(name) {
                separate(&mut self.out);
                self.out.push_str(&property_name(name));
                self.out.push_str(": any");
            }
        }
        for pattern in schema
            .member("patternProperties")
            .map_or(&[][..], |member| member.value.members())
        {
            separate(&mut self.out);
            self.out.push_str(&format!("[/{}/]: ", pattern.key));
            self.property(&pattern.value, is_open_line, depth)?;
        }
        self.further_members(schema, &mut separate, depth)
    }

    /// Writes what names may have that are not listed.
    fn further_members(
        &mut self,
        schema: &'t Node<'a>,
        separate: &mut dyn FnMut(&mut String),
        depth: usize,
    ) -> Result<(), Unsayable> {
        let names = schema.member("propertyNames").map(|member| &member.value);
        let additional = ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .find_map(|keyword| schema.member(keyword))
            .map(|member| &member.value);
        let value = match additional {
            Some(value) if value.raw == "false" => return Ok(()),
            Some(value) => value,
            None if names.is_none() => return Ok(()),
            None => {
                separate(&mut self.out);
                return self
                    .further_names(names, depth)
                    .map(|()| self.out.push_str(": any"));
            }
        };
        separate(&mut self.out);
        let is_any = value.raw == "true" || (value.is_object() && value.members().is_empty());
        if is_any && names.is_none() {
            self.out.push_str("...");
            return Ok(());
        }
        self.further_names(names, depth)?;
        self.out.push_str(": ");
        self.commented_type(value, depth + 1).map(|_| ())
    }

    fn further_names(
        &mut self,
        names: Option<&'t Node<'a>>,
        depth: usize,
    ) -> Result<(), Unsayable> {
        self.out.push('[');
        match names {
            Some(names) => self.commented_type(names, depth + 1).map(|_| ())?,
            None => self.out.push_str("string"),
        }
        self.out.push(']');
        Ok(())
    }

    /// Writes the type of a property, its default, and its prose: to the end of the line where it
    /// has one for itself.
    fn property(
        &mut self,
        schema: &'t Node<'a>,
        has_line: bool,
        depth: usize,
    ) -> Result<(), Unsayable> {
        if !has_line || self.named.name_in_place(schema).is_some() {
            return self.commented_type(schema, depth + 1).map(|_| ());
        }
        self.own_type(schema, depth + 1)?;
        if let Some(default) = schema.member("default") {
            self.out.push_str(" = ");
            literal(&default.value, &mut self.out);
        }
        if let Some(text) = self.annotations(schema)? {
            // A line break that only wraps says nothing.
            let is_laid_out = text.contains('\n') && blocks(&text).len() > 1;
            if is_laid_out && !text.contains("*/") {
                self.out.push_str(" /* ");
                self.out.push_str(&text);
                self.out.push_str(" */");
            } else {
                self.out.push_str(" // ");
                push_words(&text, &mut self.out);
            }
        }
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
                text.push_str(before);
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

/// The names in `required`.
struct Required<'t>(Vec<&'t str>, std::collections::HashSet<&'t str>);

impl<'t> Required<'t> {
    fn contains(&self, name: &str) -> bool {
        self.1.contains(name)
    }

    fn names(&self) -> &[&'t str] {
        &self.0
    }
}

fn required<'t>(schema: &'t Node<'_>) -> Result<Required<'t>, Unsayable> {
    let mut names = Vec::new();
    if let Some(member) = schema.member("required") {
        let Kind::Array(items) = &member.value.kind else {
            return Err(Unsayable::Value);
        };
        for item in items {
            names.push(item.as_str().ok_or(Unsayable::Value)?);
        }
    }
    let set = names.iter().copied().collect();
    Ok(Required(names, set))
}

/// The names in `type`; none if it is missing.
fn types<'t>(schema: &'t Node<'_>) -> Result<Vec<&'t str>, Unsayable> {
    let Some(member) = schema.member("type") else {
        return Ok(Vec::new());
    };
    let names: Vec<&str> = match &member.value.kind {
        Kind::String(name) => vec![name.as_ref()],
        Kind::Array(items) => items.iter().filter_map(Node::as_str).collect(),
        _ => Vec::new(),
    };
    let is_known = |name: &&str| {
        matches!(
            *name,
            "string" | "number" | "integer" | "boolean" | "null" | "object" | "array"
        )
    };
    if names.is_empty() || !names.iter().all(is_known) {
        return Err(Unsayable::Value);
    }
    Ok(names)
}

/// The values of `const` or `enum`.
fn values<'t, 'a>(schema: &'t Node<'a>) -> Result<Option<Vec<&'t Node<'a>>>, Unsayable> {
    if let Some(member) = schema.member("const") {
        return Ok(Some(vec![&member.value]));
    }
    match schema.member("enum").map(|member| &member.value.kind) {
        Some(Kind::Array(items)) => Ok(Some(items.iter().collect())),
        Some(_) => Err(Unsayable::Value),
        None => Ok(None),
    }
}

/// Says whether no value can be of two of these types: all literals, or all of different types.
fn are_disjoint(branches: &[Node<'_>]) -> bool {
    let mut seen = std::collections::HashSet::new();
    branches.iter().all(|branch| {
        if let Ok(Some(values)) = values(branch) {
            return values.iter().all(|value| seen.insert(value.raw));
        }
        match branch.string("type") {
            // An integer is a number too.
            Some("integer") => seen.insert("number"),
            Some(name) => seen.insert(match name {
                "string" => "string",
                "number" => "number",
                "boolean" => "boolean",
                "null" => "null",
                "object" => "object",
                "array" => "array",
                _ => return false,
            }),
            None => false,
        }
    })
}

fn is_true(schema: &Node<'_>, keyword: &str) -> bool {
    schema
        .member(keyword)
        .is_some_and(|member| member.value.raw == "true")
}

/// Says whether any property, or anything below it, has a comment.
fn has_prose(schema: &Node<'_>) -> bool {
    let mut found = false;
    for member in schema.members() {
        if matches!(&*member.key, "description" | "title") {
            continue;
        }
        found |= match &*member.key {
            "properties" | "patternProperties" => member.value.members().iter().any(|property| {
                let members = property.value.members();
                members.iter().any(|member| is_annotation(&member.key))
                    || has_prose(&property.value)
            }),
            "anyOf" | "oneOf" | "allOf" | "items" | "additionalProperties" => {
                let below = match &member.value.kind {
                    Kind::Array(items) => &items[..],
                    _ => std::slice::from_ref(&member.value),
                };
                below
                    .iter()
                    .any(|below| below.string("description").is_some() || has_prose(below))
            }
            _ => false,
        };
    }
    found
}

fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title"
            | "description"
            | "note"
            | "$comment"
            | "markdownDescription"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "examples"
            | "example"
    )
}

/// Keywords that say what a value is, apart from references and branches.
fn is_shape(keyword: &str) -> bool {
    matches!(
        keyword,
        "type"
            | "enum"
            | "const"
            | "properties"
            | "required"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "patternProperties"
            | "propertyNames"
            | "items"
            | "prefixItems"
            | "additionalItems"
            | "contains"
    ) || value::is_facet(keyword)
}

/// Refuses a schema with a keyword that nothing here writes.
fn knows_keywords(schema: &Node<'_>) -> Result<(), Unsayable> {
    for member in schema.members() {
        let key = &*member.key;
        let is_known = is_shape(key)
            || is_annotation(key)
            || matches!(
                key,
                "$ref"
                    | "anyOf"
                    | "oneOf"
                    | "allOf"
                    | "default"
                    | "nullable"
                    | "$defs"
                    | "definitions"
                    | "$schema"
            );
        if key == "x-mcp-header" {
            return Err(Unsayable::Header);
        }
        if !is_known {
            return Err(Unsayable::Keyword);
        }
    }
    Ok(())
}

/// Writes a text in one line.
fn push_words(text: &str, out: &mut String) {
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}
