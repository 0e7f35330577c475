//! How much of two lists a client's prompt cache can share: the longest common prefix of their bytes,
//! and where they first differ. Pure; it judges bytes, not meaning, because caches do.

use std::ops::Range;

use crate::jsonrpc::members;

/// Values inside one another that are walked through to find a pointer.
const MAX_DEPTH: usize = 512;
/// Characters of a value that are shown.
const SHOWN: usize = 120;

/// Two texts beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Bytes that are the same from the start, whole characters only.
    pub common: usize,
    /// Where they differ; none where they are equal.
    pub first: Option<FirstDifference>,
}

/// The first place where two lists differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstDifference {
    /// The tool that stands there in the first list, else in the second.
    pub tool: Option<String>,
    /// JSON Pointer into the result, as far as both can be walked; empty for the whole.
    pub pointer: String,
    /// What stands there in the first, cut short; none where there is nothing.
    pub before: Option<String>,
    /// What stands there in the second.
    pub after: Option<String>,
}

/// Compares two results of `tools/list`.
pub fn compare(first: &[u8], second: &[u8]) -> Comparison {
    let mut common = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    if common == first.len() && common == second.len() {
        return Comparison {
            common,
            first: None,
        };
    }
    // A token is made of characters: the start of one is not shared.
    let is_inside = |text: &[u8], at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    while common > 0 && (is_inside(first, common) || is_inside(second, common)) {
        common -= 1;
    }
    Comparison {
        common,
        first: Some(locate(first, second)),
    }
}

fn locate(first: &[u8], second: &[u8]) -> FirstDifference {
    let mut sides = (Some(first.trim_ascii()), Some(second.trim_ascii()));
    let mut pointer = String::new();
    let mut tool = None;
    for depth in 0..MAX_DEPTH {
        let (Some(a), Some(b)) = sides else { break };
        let Some((key, below)) = step(a, b) else {
            break;
        };
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        sides = below;
        if depth == 1 && pointer.starts_with("/tools/") {
            let name = |side: Option<&[u8]>| members::get_text(side?, "name");
            tool = name(sides.0).or_else(|| name(sides.1));
        }
    }
    // A long text is shown from where it differs.
    let common = match sides {
        (Some(a), Some(b)) => a.iter().zip(b).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    FirstDifference {
        tool,
        pointer,
        before: sides.0.map(|value| cut(value, common)),
        after: sides.1.map(|value| cut(value, common)),
    }
}

type Sides<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// The first part that differs of two objects or two arrays.
fn step<'a>(a: &'a [u8], b: &'a [u8]) -> Option<(String, Sides<'a>)> {
    let slice = |text: &'a [u8], at: Option<&Range<usize>>| at.map(|at| &text[at.clone()]);
    match (a.first()?, b.first()?) {
        (b'{', b'{') => {
            let (left, right) = (members::members(a), members::members(b));
            for at in 0..left.len().max(right.len()) {
                let (one, other) = (left.get(at), right.get(at));
                let name = |text: &'a [u8], member: Option<&members::Member>| {
                    member.map(|member| member.name(text).into_owned())
                };
                let (key, other_key) = (name(a, one), name(b, other));
                let sides = (
                    slice(a, one.map(|member| &member.value)),
                    slice(b, other.map(|member| &member.value)),
                );
                if key != other_key {
                    // Another key in the same place: each side has only its own.
                    return Some(match key {
                        Some(key) => (key, (sides.0, None)),
                        None => (other_key?, (None, sides.1)),
                    });
                }
                if sides.0 != sides.1 {
                    return Some((key?, sides));
                }
            }
            None
        }
        (b'[', b'[') => {
            let (left, right) = (members::elements(a), members::elements(b));
            (0..left.len().max(right.len())).find_map(|at| {
                let sides = (slice(a, left.get(at)), slice(b, right.get(at)));
                (sides.0 != sides.1).then(|| (at.to_string(), sides))
            })
        }
        _ => None,
    }
}

/// A value without what is far from where it differs.
fn cut(value: &[u8], differs_at: usize) -> String {
    let text = String::from_utf8_lossy(value);
    let mut start = differs_at.min(text.len()).saturating_sub(SHOWN / 2);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut shown = String::from(if start > 0 { "…" } else { "" });
    shown.extend(text[start..].chars().take(SHOWN));
    if text[start..].chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(default: &str) -> String {
        format!(
            r#"{{"tools":[{{"name":"a","inputSchema":{{}}}},{{"name":"b/c","inputSchema":{{"properties":{{"x~y":{{"default":{default}}}}}}}}}]}}"#
        )
    }

    #[track_caller]
    fn check(first: &str, second: &str, tool: Option<&str>, pointer: &str, sides: (&str, &str)) {
        let compared = compare(first.as_bytes(), second.as_bytes());
        let found = compared.first.expect("they differ");
        assert_eq!(
            (found.tool.as_deref(), found.pointer.as_str()),
            (tool, pointer)
        );
        assert_eq!(
            (
                found.before.as_deref().unwrap_or("-"),
                found.after.as_deref().unwrap_or("-")
            ),
            sides
        );
        assert!(first.is_char_boundary(compared.common));
        assert_eq!(first[..compared.common], second[..compared.common]);
    }

    #[test]
    fn equal_lists_share_everything() {
        let text = list("1");
        let compared = compare(text.as_bytes(), text.as_bytes());
        assert_eq!((compared.common, compared.first), (text.len(), None));
        assert_eq!(compare(b"", b"").first, None);
    }

    #[test]
    fn the_first_difference_has_its_tool_and_pointer() {
        let pointer = "/tools/1/inputSchema/properties/x~0y/default";
        check(&list("1"), &list("2"), Some("b/c"), pointer, ("1", "2"));
        // An added key, a missing tool, another order of keys, a space.
        check(
            r#"{"tools":[{"name":"a"}]}"#,
            r#"{"tools":[{"name":"a","title":"A"}]}"#,
            Some("a"),
            "/tools/0/title",
            ("-", "\"A\""),
        );
        check(
            r#"{"tools":[{"name":"a"},{"name":"b"}]}"#,
            r#"{"tools":[{"name":"a"}]}"#,
            Some("b"),
            "/tools/1",
            (r#"{"name":"b"}"#, "-"),
        );
        check(
            r#"{"tools":[],"x":1}"#,
            r#"{"x":1,"tools":[]}"#,
            None,
            "/tools",
            ("[]", "-"),
        );
        check(
            r#"{"x":1}"#,
            r#"{"x": 1}"#,
            None,
            "",
            (r#"{"x":1}"#, r#"{"x": 1}"#),
        );
        check("[1]", "{}", None, "", ("[1]", "{}"));
    }

    #[test]
    fn long_values_are_shown_where_they_differ() {
        let text = |end: &str| format!("{{\"d\":\"{}{end}\"}}", "é ".repeat(500));
        let found = compare(text("now").as_bytes(), text("then").as_bytes()).first;
        let (before, after) = found.map(|found| (found.before, found.after)).unwrap();
        let (before, after) = (before.unwrap(), after.unwrap());
        assert!(
            before.starts_with('…') && before.ends_with("é now\""),
            "{before}"
        );
        assert!(
            after.chars().count() < 150 && after.ends_with("é then\""),
            "{after}"
        );
    }

    #[test]
    fn half_a_character_is_not_shared_and_broken_texts_end() {
        // é and è share their first byte.
        let compared = compare("\"é\"".as_bytes(), "\"è\"".as_bytes());
        assert_eq!(compared.common, 1);
        for broken in [
            &b"{\"tools\":["[..],
            b"\xff\xfe",
            b"{",
            b"\"",
            b"{\"a\":{\"b\"",
        ] {
            let _ = compare(broken, b"{\"tools\":[{}]}");
            let _ = compare(b"{\"a\":{\"b\":1}}", broken);
        }
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let found = compare(deep.as_bytes(), deep.replace('1', "2").as_bytes());
        let pointer = found.first.expect("they differ").pointer;
        assert_eq!(pointer.len(), 2 * MAX_DEPTH);
    }
}
