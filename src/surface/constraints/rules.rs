//! What shows a constraint by rule: the words of a kind, and forms of a sentence. Each rule that holds
//! is told by a name, for the learned weights; a few are sure by themselves.

use crate::surface::constraints::Kind;
use crate::surface::constraints::forms;
use crate::surface::constraints::is_example;
use crate::surface::constraints::values::values;
use crate::surface::constraints::words::Word;
use crate::surface::constraints::words::is_number;
use crate::surface::constraints::words::is_sure_unit;
use crate::surface::constraints::words::is_unit;
use crate::surface::constraints::words::phrases;

/// What the rules see in a sentence.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The first kind that a rule shows.
    pub(crate) kind: Option<Kind>,
    /// Names of the rules that hold, each once.
    pub(crate) names: Vec<&'static str>,
    /// Holds a word that is a constraint in nearly every sentence, and is no example.
    pub(crate) is_sure: bool,
}

/// Words that leave no doubt: the issue's own, where they are no part of a phrase that shows nothing.
const SURE: [&str; 20] = [
    "must",
    "never",
    "cannot",
    "only",
    "required",
    "mandatory",
    "do not",
    "don't",
    "at most",
    "up to #",
    "max #",
    "maximum #",
    "min #",
    "minimum #",
    "defaults to",
    "by default",
    "default is",
    "default #",
    "default true",
    "default false",
];

/// Reads a sentence by all rules.
pub(crate) fn see(sentence: &str, words: &[Word]) -> Seen {
    let mut seen = Seen::default();
    let is_occasion = is_occasion(words);
    // "Whether it is a regular expression" names a switch.
    let is_switch = words.iter().any(|word| word.text == "whether");
    let mut is_said_sure = false;
    phrases(words, |phrase, kind| {
        let is_asked = match kind {
            Kind::Condition => !is_occasion,
            Kind::Notation => !is_switch,
            _ => true,
        };
        if is_asked {
            seen.kind.get_or_insert(kind);
            let name = said(kind);
            if !seen.names.contains(&name) {
                seen.names.push(name);
            }
            is_said_sure |= SURE.contains(&phrase);
        }
    });
    let is_call = is_call(sentence);
    let mut tell = |name: &'static str, kind: Option<Kind>| {
        if kind.is_some() {
            seen.names.push(name);
        }
        if seen.kind.is_none() && !is_call {
            seen.kind = kind;
        }
    };
    tell("measure", measure(words));
    tell("range", range(sentence, words));
    tell("condition", condition(words).filter(|_| !is_occasion));
    tell("source", source(sentence, words));
    tell("notation", notation(sentence, words));
    tell("values", values(sentence, words));
    let told = |is_so: bool, kind: Kind| is_so.then_some(kind);
    tell(
        "led",
        told(forms::is_led_by_value(sentence), Kind::Condition),
    );
    tell("scoped", told(forms::is_scoped(sentence), Kind::Condition));
    tell(
        "placeholder",
        told(forms::has_placeholder(sentence), Kind::Notation),
    );
    tell(
        "hand over",
        told(forms::is_hand_over(sentence), Kind::Source),
    );
    tell(
        "names",
        told(forms::is_list_of_names(sentence), Kind::Values),
    );
    tell("arrow", told(forms::has_arrow(sentence), Kind::Values));
    tell("told", told(forms::is_told_value(sentence), Kind::Values));
    if is_occasion {
        seen.names.push("occasion");
    }
    if is_call {
        seen.names.push("call");
    }
    let is_example = is_example(sentence);
    if is_example {
        seen.names.push("example");
    }
    if seen.kind.is_some() {
        seen.names.push("any");
    }
    seen.is_sure = is_said_sure && !is_call && !is_example && !is_occasion;
    seen
}

/// The name under which the words of a kind are told.
fn said(kind: Kind) -> &'static str {
    match kind {
        Kind::Duty => "duty",
        Kind::Default => "default",
        Kind::Limit => "limit",
        Kind::Unit => "unit",
        Kind::Notation => "noted",
        Kind::Values => "listed",
        Kind::Source => "given",
        Kind::Condition => "if",
        Kind::Likely => "likely",
    }
}

/// "Useful when …", "Use this if …": when a tool is worth calling, not what it does then.
fn is_occasion(words: &[Word]) -> bool {
    let text = |n: usize| words.get(n).map_or("", |word| word.text.as_str());
    let is_when = |n: usize| matches!(text(n), "when" | "if" | "for");
    match (text(0), text(1)) {
        ("useful" | "helpful" | "ideal" | "best" | "great" | "perfect", _) => true,
        ("use" | "call" | "run", "this") => is_when(2) || text(2) == "tool" && is_when(3),
        ("use", _) => is_when(1),
        _ => false,
    }
}

/// `f(x: "a", y: 1)`, `data={…}`, `words → {"action": "stats"}`: shows a call and says no more.
fn is_call(sentence: &str) -> bool {
    let name =
        sentence.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
    let is_code = name.len() < sentence.len()
        && ["(", "={", "=[", "='", "=\""]
            .iter()
            .any(|open| name.starts_with(open));
    let is_arrow = ["→", "->", "=>"].iter().any(|arrow| {
        sentence
            .split_once(arrow)
            .is_some_and(|(_, call)| call.trim_start_matches([' ', '`']).starts_with('{'))
    });
    let is_json =
        sentence.starts_with(['[', '{']) || sentence.starts_with('"') && sentence.contains("\": ");
    ((is_code || is_json) && sentence.ends_with([')', '}', ']', ','])) || is_arrow
}

/// A unit behind "in", "of", "per", a number or a bracket.
fn measure(words: &[Word]) -> Option<Kind> {
    let is_measure = words.iter().enumerate().any(|(n, word)| {
        let before = n.checked_sub(1).map(|n| words[n].text.as_str());
        // "Seconds to wait" names the unit of what it is said of.
        let is_subject = (n == 0 || word.before.contains(':')) && word.text.ends_with('s');
        is_sure_unit(&word.text)
            || is_unit(&word.text)
                && (is_subject
                    || word.before.contains('(')
                    || before.is_some_and(|before| {
                        matches!(before, "in" | "of" | "per")
                            || is_number(before) && !word.before.contains([',', '\'', '"'])
                    }))
    });
    let is_percent = words
        .windows(2)
        .any(|pair| is_number(&pair[0].text) && pair[1].before.starts_with('%'));
    // "10MB", "30s", "500ms"
    let is_joined = words.iter().any(|word| {
        let number = word
            .text
            .trim_end_matches(|character: char| character.is_alphabetic());
        let unit = &word.text[number.len()..];
        !number.is_empty()
            && is_number(number)
            && (is_unit(unit) || matches!(unit, "s" | "m" | "h" | "d"))
    });
    (is_measure || is_percent || is_joined).then_some(Kind::Unit)
}

/// `1-500`, `0..5`, `<= 3`, "the maximum depth is 3".
fn range(sentence: &str, words: &[Word]) -> Option<Kind> {
    let is_range = words.windows(2).enumerate().any(|(n, pair)| {
        let is_joined = matches!(pair[1].before.trim(), "-" | "–" | "—" | ".." | "...");
        let is_part = |at: usize| {
            let word = words.get(at);
            word.is_some_and(|word| {
                is_number(&word.text) && matches!(word.before.trim(), "-" | "–")
            })
        };
        // Dates and telephone numbers have more of them.
        let is_longer = is_part(n + 2) || (n > 0 && is_part(n));
        is_joined && !is_longer && is_smaller(&pair[0].text, &pair[1].text)
    });
    let has_sign = ["<=", ">=", "≤", "≥", "< ", "> "].iter().any(|sign| {
        let mut rest = sentence.split(sign);
        rest.next();
        rest.any(|after| {
            after
                .trim_start()
                .starts_with(|first: char| first.is_ascii_digit())
        })
    });
    let is_bound = words.iter().enumerate().any(|(n, word)| {
        let is_end = |word: &Word| word.text == "is" || word.text == "are" || is_number(&word.text);
        matches!(word.text.as_str(), "max" | "min" | "maximum" | "minimum")
            && words.iter().skip(n + 1).take(4).any(is_end)
    });
    (is_range || has_sign || is_bound).then_some(Kind::Limit)
}

fn is_smaller(low: &str, high: &str) -> bool {
    let is_plain = |word: &str| is_number(word) && (word == "0" || !word.starts_with('0'));
    is_plain(low) && is_plain(high) && (low.len(), low) < (high.len(), high)
}

/// "when", but not the occasions on which a tool is worth calling.
fn condition(words: &[Word]) -> Option<Kind> {
    const OCCASIONS: [&str; 21] = [
        "you",
        "needed",
        "necessary",
        "possible",
        "working",
        "debugging",
        "completed",
        "done",
        "available",
        "appropriate",
        "relevant",
        "investigating",
        "looking",
        "searching",
        "exploring",
        "writing",
        "building",
        "analyzing",
        "researching",
        "troubleshooting",
        "asked",
    ];
    let is_condition = words.iter().enumerate().any(|(n, word)| {
        let next = |n: usize| words.get(n).map_or("", |word| word.text.as_str());
        word.text == "when"
            && !OCCASIONS.contains(&next(n + 1))
            && !(matches!(next(n + 1), "the" | "a" | "users")
                && (next(n + 1) == "users" || next(n + 2) == "user"))
    });
    let has_verb = || {
        let is_verb = |word: &Word| {
            matches!(
                word.text.as_str(),
                "use" | "call" | "run" | "invoke" | "read" | "check"
            )
        };
        words.iter().any(is_verb)
    };
    let is_order = words.iter().any(|word| word.text == "first") && has_verb();
    // "For addColumn: …", "Used for: …", "Important: …"
    let is_announced = words.windows(2).any(|pair| {
        let is_word = matches!(pair[0].text.as_str(), "important" | "critical" | "for");
        is_word && pair[1].before.contains(':')
    }) || words.first().is_some_and(|word| word.text == "for")
        && words.get(1).is_some_and(|word| word.text != "example")
        && words
            .iter()
            .skip(1)
            .take(4)
            .any(|word| word.before.starts_with(": "));
    // "For a function use …", "For 'start', sets …"
    let is_case = words.first().is_some_and(|word| word.text == "for")
        && !words.get(1).is_some_and(|word| {
            matches!(
                word.text.as_str(),
                "example" | "examples" | "instance" | "more" | "further" | "details"
            )
        })
        && words.iter().skip(2).any(|word| {
            matches!(
                word.text.as_str(),
                "use"
                    | "uses"
                    | "set"
                    | "sets"
                    | "pass"
                    | "specify"
                    | "provide"
                    | "supports"
                    | "returns"
                    | "this"
                    | "it"
                    | "means"
                    | "leave"
            )
        });
    // "To keep it, set …"
    let is_way = words.first().is_some_and(|word| word.text == "to")
        && words.iter().any(|word| {
            let is_verb = matches!(
                word.text.as_str(),
                "use" | "specify" | "set" | "pass" | "provide" | "call" | "leave" | "separate"
            );
            is_verb && word.before.starts_with(',')
        });
    (is_condition || is_order || is_announced || is_case || is_way).then_some(Kind::Condition)
}

/// A value that another tool gives: "from the list_things tool", "using get_thing".
fn source(sentence: &str, words: &[Word]) -> Option<Kind> {
    let is_source = words.windows(2).any(|pair| {
        let leads = matches!(
            pair[0].text.as_str(),
            "from" | "by" | "using" | "via" | "call" | "calling" | "use" | "run" | "see"
        );
        leads && pair[1].text.trim_matches('_').contains('_')
    });
    let is_named = words.iter().enumerate().any(|(n, word)| {
        let is_tool = matches!(
            word.text.as_str(),
            "tool" | "command" | "tools" | "call" | "endpoint"
        );
        let back = &words[n.saturating_sub(4)..n];
        let is_other = back.last().is_some_and(|word| word.text != "this");
        is_tool
            && is_other
            && back
                .iter()
                .any(|word| matches!(word.text.as_str(), "from" | "using" | "via"))
    });
    // "use the separate `some_tool` tool"
    let is_used = words.windows(2).enumerate().any(|(n, pair)| {
        pair[1].text == "tool"
            && pair[0].text.contains('_')
            && words[n.saturating_sub(4)..n]
                .iter()
                .any(|word| word.text == "use")
    });
    // "from `list-things`", "via `x.y`"
    let is_quoted = words.windows(2).any(|pair| {
        matches!(
            pair[0].text.as_str(),
            "from" | "using" | "via" | "call" | "calling" | "run"
        ) && pair[1].before.ends_with('`')
    });
    // "from listThings"
    let mut before = "";
    let is_camel = sentence.split_whitespace().any(|part| {
        let leads = matches!(
            before,
            "from" | "using" | "via" | "call" | "calling" | "run" | "Use" | "use"
        );
        before = part;
        let name = part.trim_matches(|letter: char| !letter.is_alphanumeric());
        leads
            && name.starts_with(|first: char| first.is_lowercase())
            && name.contains(|letter: char| letter.is_uppercase())
    });
    (is_source || is_named || is_used || is_quoted || is_camel).then_some(Kind::Source)
}

fn notation(sentence: &str, words: &[Word]) -> Option<Kind> {
    let text = |n: usize| words.get(n).map_or("", |word| word.text.as_str());
    let is_format = words.iter().enumerate().any(|(n, word)| {
        let back = n.saturating_sub(5)..n;
        word.text == "format"
            && (word.before == "-"
                || n > 1 && words[n - 2].text == "or"
                || words[back].iter().any(|word| word.text == "in")
                || words.get(n + 1).is_some_and(|next| {
                    next.before.starts_with(':') || next.before.starts_with(" (")
                }))
    });
    // "with 'name' and 'values' keys"
    let has_keys = words.iter().enumerate().any(|(n, word)| {
        let back = &words[n.saturating_sub(8)..n];
        matches!(
            word.text.as_str(),
            "keys" | "fields" | "properties" | "attributes"
        ) && back
            .iter()
            .any(|word| matches!(word.text.as_str(), "with" | "containing"))
            && back
                .iter()
                .any(|word| word.before.contains(['\'', '"', '`']))
    });
    let is_index = (0..words.len())
        .any(|n| text(n) == "index" && matches!(text(n + 1), "starts" | "starting"));
    let has_star = sentence.contains(" * ");
    // '<city> <country>', `+<model>`
    let has_place = sentence.split('<').skip(1).any(|part| {
        part.split_once('>').is_some_and(|(name, _)| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "_- ".contains(letter))
        })
    }) && (sentence.contains(['\'', '`'])
        || sentence.contains(">:<")
        || sentence.contains(">/<"));
    // "as [r, g, b]"
    let is_tuple = sentence.contains(" as [");
    (is_tuple || is_format || has_keys || is_index || has_star || has_place)
        .then_some(Kind::Notation)
}
