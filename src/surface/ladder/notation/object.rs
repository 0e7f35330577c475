//! Objects in the notation of signatures: their properties, one a line where one of them has prose,
//! and whatever else they may hold.

use std::collections::HashSet;

use crate::surface::ladder::notation::Detail;
use crate::surface::ladder::notation::Unsayable;
use crate::surface::ladder::notation::Writer;
use crate::surface::ladder::notation::keywords::has_prose;
use crate::surface::ladder::notation::keywords::push_words;
use crate::surface::ladder::notation::keywords::required;
use crate::surface::ladder::notation::value::literal;
use crate::surface::ladder::notation::value::property_name;
use crate::surface::sentences::blocks;
use crate::surface::tree::Node;

/// What holds for members that are not listed, if that is said. `unevaluatedProperties` is about those that
/// `additionalProperties` leaves, which are none, and that parts beside it do not name either.
fn further<'t, 'a>(schema: &'t Node<'a>) -> Result<Option<&'t Node<'a>>, Unsayable> {
    if let Some(member) = schema.member("additionalProperties") {
        return Ok(Some(&member.value));
    }
    let Some(member) = schema.member("unevaluatedProperties") else {
        return Ok(None);
    };
    let is_composed = ["$ref", "allOf", "anyOf", "oneOf"]
        .into_iter()
        .any(|keyword| schema.member(keyword).is_some());
    match member.value.raw {
        // That nothing more may be given goes without saying, and what may be of any kind has a form.
        "false" if is_composed => Ok(None),
        "false" | "true" | "{}" => Ok(Some(&member.value)),
        // Here it would be said of the members of those parts too.
        _ if is_composed => Err(Unsayable::Keyword),
        _ => Ok(Some(&member.value)),
    }
}

impl<'t, 'a> Writer<'_, 't, 'a> {
    pub(super) fn object(&mut self, schema: &'t Node<'a>, depth: usize) -> Result<(), Unsayable> {
        let has_members = [
            "properties",
            "required",
            "patternProperties",
            "propertyNames",
        ]
        .into_iter()
        .any(|keyword| schema.member(keyword).is_some());
        let further = further(schema)?.map(|further| further.raw);
        if !has_members && matches!(further, None | Some("true" | "{}")) {
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
    pub(super) fn members(
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
            if !required.contains(&property.key) {
                self.out.push('?');
            }
            self.out.push_str(": ");
            self.property(&property.value, is_open_line, depth)?;
        }
        let known: HashSet<&str> = properties
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
        let value = match further(schema)? {
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
}
