//! Which `title`s a program wrote. Schema generators (pydantic above all) title every property with
//! its own name again and every arguments object with its function's name; such a title tells a
//! reader nothing. A title a person may have written stays.

use std::borrow::Cow;

use crate::surface::schema::Place;
use crate::surface::schema::walk;
use crate::surface::tree::Member;
use crate::surface::tree::Node;

/// What frameworks append to a function's name to title its arguments and results: FastMCP in the
/// Python SDK `Arguments`, `Output` and `DictOutput`.
const SUFFIXES: [&str; 3] = ["Arguments", "DictOutput", "Output"];

/// Returns the `title` members of a tool's schema that were generated, or that repeat the
/// description beside them.
pub(crate) fn generated(root: &Node<'_>, tool_name: Option<&str>) -> Vec<usize> {
    let mut members = Vec::new();
    walk(root, Place::Root, &mut |schema, place| {
        let Some((title_member, title)) = title(schema) else {
            return;
        };
        let is_generated = match place {
            Place::Root => is_class_title(schema, title, tool_name),
            Place::Property(name) | Place::Definition(name) => {
                title == name || title == prettified(name)
            }
            Place::Elsewhere => false,
        };
        if is_generated || schema.string("description") == Some(title) {
            members.push(title_member.at);
        }
    });
    members
}

fn title<'t, 'a>(schema: &'t Node<'a>) -> Option<(&'t Member<'a>, &'t str)> {
    let member = schema.member("title")?;
    Some((member, member.value.as_str()?))
}

/// Says whether a root's title is the name of the class or function that the schema was made from.
fn is_class_title(root: &Node<'_>, title: &str, tool_name: Option<&str>) -> bool {
    let is_identifier = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '[' | ']' | ','))
    };
    if !is_identifier(title) {
        return false;
    }
    let properties = root
        .member("properties")
        .map_or(&[][..], |member| member.value.members());
    // The proof of a generator: it titled every property that says its own type. One plain word is
    // still what a person might write.
    let mut titled = properties
        .iter()
        .filter(|property| property.value.member("type").is_some());
    let is_generated = |property: &Member<'_>| {
        title_of(&property.value).is_some_and(|title| title == prettified(&property.key))
    };
    let has_typed = titled.clone().next().is_some();
    let is_generator_seen = has_typed && titled.all(is_generated);
    let is_class_name = title
        .chars()
        .skip(1)
        .any(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    // Without properties: the tool's name (or its end, where a prefix was added) and a known suffix.
    let is_named_after_tool = tool_name.is_some_and(|tool_name| {
        SUFFIXES
            .iter()
            .filter_map(|suffix| title.strip_suffix(suffix))
            .any(|function| !function.is_empty() && tool_name.ends_with(function))
    });
    (is_generator_seen && is_class_name) || is_named_after_tool
}

fn title_of<'t>(schema: &'t Node<'_>) -> Option<&'t str> {
    title(schema).map(|(_, title)| title)
}

/// Returns the title that pydantic makes of a field's name: `name.title().replace("_", " ").strip()`
/// (`pydantic/json_schema.py`, `get_title_from_name`). Names beyond ASCII are left as they are.
fn prettified(name: &str) -> Cow<'_, str> {
    if !name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut title = String::with_capacity(name.len());
    let mut is_word_start = true;
    for c in name.chars() {
        title.push(match c {
            '_' => ' ',
            _ if is_word_start => c.to_ascii_uppercase(),
            _ => c.to_ascii_lowercase(),
        });
        is_word_start = !c.is_ascii_alphabetic();
    }
    Cow::Owned(title.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use crate::surface::lean::titles::prettified;

    /// Expected values printed by Python's `name.title().replace("_", " ").strip()`.
    #[test]
    fn titles_are_pydantics() {
        for (name, title) in [
            ("file_path", "File Path"),
            ("url", "Url"),
            ("filePath", "Filepath"),
            ("_private_", "Private"),
            ("a1b_c2", "A1B C2"),
            ("X-Header", "X-Header"),
            ("größe", "größe"),
            ("", ""),
        ] {
            assert_eq!(prettified(name), title);
        }
    }
}
