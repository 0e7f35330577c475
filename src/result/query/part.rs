//! The fields of a value that a caller wants. Pure.

use super::json::Children;
use super::select::{Selection, at_path, project};

/// Returns a value with only these fields: of an object that has one of them, of each element of an array,
/// or of each element of the one array in an object, whose other members go. None where nothing has any.
pub fn fields_of(raw: &str, fields: &[String]) -> Option<String> {
    let whole = Selection::of(raw);
    match &whole.children {
        Children::Object(members) if !whole.has_any(fields) => members.iter().find_map(|member| {
            let value = &raw[member.value.clone()];
            let part = value
                .starts_with('[')
                .then(|| of_elements(value, fields))??;
            Some(format!("{{{}:{part}}}", &raw[member.key.clone()]))
        }),
        Children::Object(_) => Some(project(raw, fields)),
        Children::Array(_) => of_elements(raw, fields),
        Children::None => None,
    }
}

fn of_elements(raw: &str, fields: &[String]) -> Option<String> {
    let all = Selection::of(raw);
    let Children::Array(elements) = &all.children else {
        return None;
    };
    let has_one = elements.iter().any(|at| {
        let element = &raw[at.clone()];
        fields.iter().any(|field| at_path(element, field).is_some())
    });
    let pieces = all.pieces(0..elements.len(), fields);
    has_one.then(|| format!("[{}]", pieces.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(raw: &str, fields: &[&str]) -> Option<String> {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        fields_of(raw, &fields)
    }

    #[test]
    fn fields_are_found_where_they_are() {
        for (raw, fields, expected) in [
            (
                r#"{"a":1.50,"b":{"c":2},"d":3}"#,
                &["a", "b.c"][..],
                Some(r#"{"a":1.50,"b.c":2}"#),
            ),
            (
                r#"[{"a":1,"b":2},{"b":3}]"#,
                &["a"],
                Some(r#"[{"a":1},{}]"#),
            ),
            (
                r#"{"total":2,"items":[{"a":1,"b":2},{"a":3}]}"#,
                &["a"],
                Some(r#"{"items":[{"a":1},{"a":3}]}"#),
            ),
            (r#"{"items":[{"a":1}]}"#, &["x"], None),
            ("[1,2]", &["a"], None),
            ("7", &["a"], None),
            ("{", &["a"], None),
        ] {
            assert_eq!(part(raw, fields).as_deref(), expected, "{raw}");
        }
    }
}
