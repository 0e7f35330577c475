//! Closed lists of values and the meaning of single ones, told from examples.

use crate::surface::constraints::Kind;
use crate::surface::constraints::words::Word;
use crate::surface::constraints::words::is_number;

/// Lists of values that are not examples, and meanings of single ones.
pub(crate) fn values(sentence: &str, words: &[Word]) -> Option<Kind> {
    let is_example = |at: usize| {
        words[..at]
            .iter()
            .any(|word| matches!(word.text.as_str(), "example" | "examples" | "like" | "eg"))
            || words[..at].windows(2).any(|pair| {
                matches!(
                    (pair[0].text.as_str(), pair[1].text.as_str()),
                    ("e", "g") | ("such", "as")
                )
            })
    };
    let quoted = |word: &Word| word.before.ends_with(['\'', '"', '`', '“']);
    // 'a', 'b' or 'c'; a|b
    let mut n_listed = 0;
    for (n, word) in words.iter().enumerate() {
        let joins = word.before.contains(',') || word.before.contains('/') || word.text == "or";
        if quoted(word) && !is_example(n) {
            n_listed += 1;
        }
        if word.before == "|" && !is_example(n) {
            return Some(Kind::Values);
        }
        if matches!(word.text.as_str(), "true" | "false") && !is_example(n) {
            return Some(Kind::Values);
        }
        let is_assigned =
            matches!(word.before.as_str(), "=" | "='" | "=\"") && n > 0 && !is_example(n);
        if is_assigned {
            return Some(Kind::Values);
        }
        // 1k, 2k or 4k
        let has_digit = |word: &Word| {
            word.text
                .contains(|character: char| character.is_ascii_digit())
        };
        if joins
            && word.text == "or"
            && n > 1
            && has_digit(&words[n - 1])
            && words.get(n + 1).is_some_and(has_digit)
            && !is_example(n)
        {
            return Some(Kind::Values);
        }
    }
    let is_announced = words.iter().enumerate().any(|(n, word)| {
        matches!(
            word.text.as_str(),
            "values"
                | "actions"
                | "operations"
                | "types"
                | "options"
                | "choices"
                | "modes"
                | "formats"
                | "levels"
                | "statuses"
                | "states"
                | "scopes"
                | "enum"
        ) && words
            .get(n + 1)
            .is_some_and(|next| next.before.starts_with(':'))
    });
    // "Pass null to clear it", "Use 'live' for …", "Set this to 0"
    let is_given = words.iter().enumerate().any(|(n, word)| {
        let is_verb = matches!(
            word.text.as_str(),
            "use" | "pass" | "set" | "specify" | "provide" | "send" | "give"
        );
        is_verb
            && words.iter().skip(n + 1).take(3).any(|word| {
                let is_literal =
                    matches!(word.text.as_str(), "null" | "none") || is_number(&word.text);
                (is_literal || quoted(word)) && !word.text.contains('_')
            })
    });
    // "Supported fields: …", "Available APIs: …"
    let is_supported = words.iter().enumerate().any(|(n, word)| {
        matches!(
            word.text.as_str(),
            "supported" | "available" | "allowed" | "valid" | "accepted"
        ) && words
            .iter()
            .skip(n + 1)
            .take(3)
            .any(|word| word.before.starts_with(':'))
    });
    // "can be one of", but not what a tool can be used for.
    let is_possible = words.windows(2).enumerate().any(|(n, pair)| {
        let next = words.get(n + 2).map_or("", |word| word.text.as_str());
        pair[0].text == "can"
            && pair[1].text == "be"
            && (!next.ends_with("ed")
                || matches!(
                    next,
                    "passed"
                        | "specified"
                        | "provided"
                        | "combined"
                        | "repeated"
                        | "reused"
                        | "chained"
                        | "nested"
                        | "shared"
                        | "undone"
                        | "changed"
                        | "modified"
                ))
            && !matches!(next, "found" | "useful" | "helpful" | "seen")
    });
    let lower = sentence.to_lowercase();
    let has_quote = ["use '", "use \"", "use `"]
        .iter()
        .any(|start| lower.contains(start));
    let is_list = is_possible
        || is_given
        || is_supported
        || n_listed >= 2
        || has_quote
        || is_announced
        || is_meaning(sentence)
        || has_meanings(sentence)
        || has_capitals(sentence)
        || has_labels(sentence)
        || has_extensions(words)
        || sentence.contains(" = ")
        || is_closed_list(sentence);
    is_list.then_some(Kind::Values)
}

/// What one value means: `` `x`: … ``, `"x" makes …`, `**x**: …`, `2) x - …`.
fn is_meaning(sentence: &str) -> bool {
    let is_name = |name: &str| {
        let is_part = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
        !name.is_empty() && name.len() <= 38 && name.chars().all(is_part)
    };
    let leads = |rest: &str| rest.starts_with([':', '-', '–', '—', '=', '→']);
    if let Some((name, rest)) = sentence
        .strip_prefix(['`', '"', '\''])
        .and_then(|inside| inside.split_once(['`', '"', '\'']))
    {
        let rest = rest.trim_start();
        let verb = rest.split_whitespace().next().unwrap_or_default();
        // "produces", "means", "returns"
        let is_verb = matches!(verb, "for" | "to") || (verb.len() > 3 && verb.ends_with('s'));
        return is_name(name) && (leads(rest) || is_verb);
    }
    // A bold name, or an item's name before a dash.
    let body = sentence.trim_start_matches(|first: char| {
        first.is_ascii_digit() || first.is_whitespace() || "-*•.)(".contains(first)
    });
    let bold = body.split_once("**").map(|(name, rest)| {
        let is_bold = is_name(name.trim_end_matches(':'));
        is_bold && (name.ends_with(':') || leads(rest.trim_start()))
    });
    let dashed = [" - ", " – ", " — ", " = ", " → "]
        .iter()
        .any(|dash| body.split_once(dash).is_some_and(|(name, _)| is_name(name)));
    // "get_text: extract text", as the operations of a tool are listed.
    let acts = body.split_once(": ").is_some_and(|(name, rest)| {
        let verb = rest
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_lowercase();
        is_name(name)
            && ACTS.contains(&verb.as_str())
            && !rest.starts_with("list of")
            && !rest.starts_with("List of")
    });
    // "fill_form (fill form fields)"
    let glossed = sentence
        .strip_suffix(')')
        .and_then(|all| all.split_once(" ("))
        .is_some_and(|(name, inside)| {
            let first = inside.split([',', ' ']).next().unwrap_or_default();
            is_name(name) && name.contains('_') && !TYPES.contains(&first) && !inside.contains('(')
        });
    bold.unwrap_or(false) || dashed || acts || glossed
}

/// What an operation does, in its first word.
const ACTS: [&str; 34] = [
    "get",
    "list",
    "create",
    "delete",
    "update",
    "add",
    "remove",
    "extract",
    "implement",
    "show",
    "run",
    "start",
    "stop",
    "return",
    "search",
    "fetch",
    "read",
    "write",
    "send",
    "move",
    "copy",
    "open",
    "close",
    "apply",
    "enable",
    "disable",
    "retrieve",
    "find",
    "insert",
    "replace",
    "clear",
    "capture",
    "render",
    "export",
];

/// `NYSE, NASDAQ or OTC`, `JSON or CSV`: two or more in capitals, of which one is chosen.
fn has_capitals(sentence: &str) -> bool {
    let mut n_in_row = 0;
    let mut has_or = false;
    sentence.split_whitespace().any(|part| {
        let name = part.trim_matches(|letter: char| !letter.is_alphanumeric());
        let is_kind = matches!(
            name,
            "ID" | "ARN" | "URL" | "URI" | "API" | "SQL" | "SKU" | "UUID"
        );
        let is_capital = name.len() > 1
            && !is_kind
            && name
                .chars()
                .all(|letter| letter.is_uppercase() || letter.is_ascii_digit() || letter == '_');
        if is_capital {
            n_in_row += 1;
        } else if part == "or" {
            has_or = n_in_row > 0;
        } else {
            n_in_row = 0;
            has_or = false;
        }
        // "A, B, or" may go on in the next line.
        has_or && n_in_row >= 2
    })
}

/// `get_x, get_y`, `one: … two: …`: names of several things, told one after another.
fn has_labels(sentence: &str) -> bool {
    let is_name = |name: &str| {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        !name.is_empty() && name.chars().all(is_part)
    };
    let mut parts = sentence.split_whitespace();
    let first = parts.next().unwrap_or_default();
    let starts = first
        .strip_suffix(',')
        .is_some_and(|name| is_name(name) && name.contains('_'));
    let n_labels = parts
        .filter(|part| part.strip_suffix(':').is_some_and(is_name))
        .count();
    starts || n_labels >= 2 && !sentence.contains('{')
}

/// Types of parameters, which are no values.
const TYPES: [&str; 14] = [
    "str", "string", "int", "integer", "bool", "boolean", "dict", "float", "number", "bytes",
    "list", "object", "array", "optional",
];

/// `png, svg or gif`
fn has_extensions(words: &[Word]) -> bool {
    const EXTENSIONS: [&str; 16] = [
        "png", "svg", "gif", "jpg", "jpeg", "webp", "pdf", "csv", "tsv", "mp3", "mp4", "wav",
        "webm", "yaml", "xlsx", "docx",
    ];
    words.windows(2).any(|pair| {
        let is_one = |word: &Word| EXTENSIONS.contains(&word.text.as_str());
        is_one(&pair[0]) && is_one(&pair[1]) && pair[1].before.contains([',', '/', '|'])
    })
}

/// `minimal (names), full (everything)`: two or more words with their meanings behind them.
fn has_meanings(sentence: &str) -> bool {
    let n_meant = sentence
        .split('(')
        .zip(sentence.split('(').skip(1))
        .filter(|(before, inside)| {
            let name = before
                .trim_end()
                .rsplit([' ', '\'', '"', '`'])
                .find(|part| !part.is_empty());
            let starts = before.trim_end_matches(|letter: char| {
                letter.is_alphanumeric() || "_- '\"`".contains(letter)
            });
            let is_listed = starts.ends_with([',', ':', ';', '|', ')']) || starts.is_empty();
            let is_example = ["e.g", "eg", "for example", "such as", "like", "ex:"];
            before.ends_with(' ')
                && is_listed
                && name.is_some()
                && !is_example.iter().any(|start| inside.starts_with(start))
        })
        .count();
    n_meant >= 2
}

/// `(driving, walking, bicycling)` or `source: polyhaven, sketchfab or polypizza.`
fn is_closed_list(sentence: &str) -> bool {
    let in_brackets = sentence
        .split('(')
        .skip(1)
        .filter_map(|part| part.split_once(')'))
        .map(|(inside, _)| inside);
    let after_colon = sentence.split_once(": ").map(|(_, list)| list);
    let has_or = |list: &&str| list.contains(" or ");
    in_brackets.chain(after_colon.filter(has_or)).any(|list| {
        let is_pair = list.contains(" or ");
        let slashed = list.replace('/', ", ");
        let list = if list.contains(", ") { list } else { &slashed };
        let list = list.trim_end_matches('.').replace(" or ", ", ");
        let mut n_items = 0;
        let is_example = ["e.g", "eg", "for example", "such as", "like", "ex:"];
        let is_example = is_example.iter().any(|start| list.starts_with(start));
        let is_plain = !is_example
            && list.split(',').all(|item| {
                n_items += usize::from(!item.trim().is_empty());
                (item.split_whitespace().count() < 2
                    || is_pair && item.split_whitespace().count() == 2)
                    && !item.contains("etc")
                    && !item.contains(':')
                    && (is_pair || !TYPES.contains(&item.trim()))
            });
        is_plain && (n_items >= 3 || is_pair && n_items == 2)
    })
}
