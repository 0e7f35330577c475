//! Forms of a sentence that show a constraint whatever its words are: the action a parameter belongs
//! to, placeholders, names of tools to be called first.

/// `action:"cancel" — …`, `actions "a"/"b" — …`: what holds for one value of another parameter.
pub(crate) fn is_led_by_value(sentence: &str) -> bool {
    let name =
        sentence.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    let is_named = name.len() < sentence.len()
        && [":\"", ": \"", "=\"", "=\'", " \""]
            .iter()
            .any(|start| name.starts_with(start));
    is_named
        && (sentence.contains("\" — ") || sentence.contains("\" - ") || sentence.contains("\": "))
}

/// `(for rename)`, `(for list, paint)`, `(batch mode)`, `used for close/select`: the actions with which
/// a parameter counts.
pub(crate) fn is_scoped(sentence: &str) -> bool {
    let is_mode = sentence.contains(" mode)") || sentence.contains(" only)");
    let is_used = [
        "used for: ",
        "Used for: ",
        ", used for ",
        "Used by: ",
        " when used with ",
    ]
    .iter()
    .any(|start| sentence.contains(start));
    let is_for = sentence.split("(for ").skip(1).any(|part| {
        let inside = part.split(')').next().unwrap_or_default();
        let first = inside.split([' ', ',']).next().unwrap_or_default();
        let is_prose = matches!(
            first,
            "example" | "instance" | "the" | "a" | "an" | "your" | "more"
        ) || ["ing", "tion", "poses", "ence"]
            .iter()
            .any(|end| inside.ends_with(end));
        let n_words = inside.split_whitespace().count();
        !is_prose && (n_words <= 2 || inside.contains(['_', '/', ',', '"', '\'', '`']))
    });
    let is_of = [
        " for get_",
        " for set_",
        " for a '",
        " for a `",
        " for '",
        " for `",
    ]
    .iter()
    .any(|start| sentence.contains(start));
    is_mode || is_used || is_for || is_of
}

/// `projects/[PROJECT_ID]`, `'{width}:{height}'`: a value with its parts named.
pub(crate) fn has_placeholder(sentence: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let in_squares = sentence.split('[').skip(1).any(|part| {
        part.split_once(']')
            .is_some_and(|(name, _)| name.len() > 2 && name.chars().all(is_part))
    });
    in_squares || sentence.contains("}:{") || sentence.contains("}/{") && sentence.contains('\'')
}

/// `Use list-things to see …`, `Call 'x' first`: another tool, by a name that is no word.
pub(crate) fn is_hand_over(sentence: &str) -> bool {
    let mut before = "";
    sentence.split_whitespace().any(|part| {
        let leads = matches!(
            before,
            "Use"
                | "use"
                | "Call"
                | "call"
                | "Run"
                | "run"
                | "Check"
                | "check"
                | "Using"
                | "using"
                | "via"
                | "from"
                | "by"
                | "with"
        );
        before = part;
        let is_quoted = part.starts_with(['`', '\'', '"']);
        let name = part.trim_matches(|letter: char| !letter.is_alphanumeric());
        let is_name = name.contains('_')
            || name.contains('-')
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter == '-');
        leads && (is_name || is_quoted) && !name.is_empty()
    })
}

/// `(Open, Work In Progress, Completed)`: three or more names in brackets.
pub(crate) fn is_list_of_names(sentence: &str) -> bool {
    sentence.split('(').skip(1).any(|part| {
        let Some((inside, _)) = part.split_once(')') else {
            return false;
        };
        let mut n_names = 0;
        let is_plain = inside.split(", ").all(|name| {
            n_names += 1;
            name.split_whitespace().count() <= 3
                && name.starts_with(|first: char| first.is_uppercase())
        });
        is_plain && n_names >= 3
    })
}

/// `same seed → same output`, `a => b`: what leads to what, outside of code.
pub(crate) fn has_arrow(sentence: &str) -> bool {
    [" → ", " => ", " -> "]
        .iter()
        .any(|arrow| sentence.contains(arrow))
        && !sentence.contains('{')
}

/// `append: Appends …`: a value, and what it does in the third person.
pub(crate) fn is_told_value(sentence: &str) -> bool {
    sentence.split_once(": ").is_some_and(|(name, rest)| {
        let name = name.trim_matches(['`', '"', '\'', '*']);
        let verb = rest.split_whitespace().next().unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() <= 30
            && name
                .chars()
                .all(|letter| letter.is_alphanumeric() || "_-.".contains(letter));
        is_name
            && verb.len() > 3
            && verb.ends_with('s')
            && !verb.ends_with("ss")
            && verb.starts_with(|first: char| first.is_uppercase())
            && name.chars().next().is_some_and(char::is_lowercase)
    })
}
