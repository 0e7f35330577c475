//! Finds the clauses of a text that a caller can break (duties, defaults, limits, units, notations,
//! values and their meaning, sources and lifetimes, conditions) and says which of them a shorter text
//! has lost. A clause is a whole sentence or item; it is kept if its words stand in the shorter text
//! in the same order with nothing between them.
//!
//! It may not decide what a text means, only whether it may go: in doubt a sentence is a constraint.
//! How often it is right is measured on labelled sentences, `testdata/constraints`.

mod values;
mod words;

use std::collections::HashSet;

use crate::surface::constraints::values::values;
use crate::surface::constraints::words::Word;
use crate::surface::constraints::words::is_number;
use crate::surface::constraints::words::is_sure_unit;
use crate::surface::constraints::words::is_unit;
use crate::surface::constraints::words::phrase;
use crate::surface::constraints::words::words;
use crate::surface::sentences::BlockKind;
use crate::surface::sentences::blocks;
use crate::surface::sentences::flat;
use crate::surface::sentences::key;

/// What makes a clause a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A duty, ban or exclusion: must, never, only, not, instead.
    Duty,
    /// What holds when nothing is said.
    Default,
    /// A maximum, minimum or range.
    Limit,
    /// The unit of a number.
    Unit,
    /// How a value has to be written.
    Notation,
    /// A list of values, or the meaning of one.
    Values,
    /// Where a value comes from, how long it lives.
    Source,
    /// What changes the meaning of a parameter, or what a call does.
    Condition,
}

/// A clause that has to survive shortening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause<'t> {
    /// The clause as it stands in the text.
    pub text: &'t str,
    /// What was seen in it first.
    pub kind: Kind,
}

/// Returns the constraint clauses of a text, in order.
pub fn clauses(text: &str) -> Vec<Clause<'_>> {
    let mut found = Vec::new();
    let mut under: Option<Kind> = None;
    // Columns before the heading of examples; what is below it shows and does not rule.
    let mut examples: Option<usize> = None;
    for block in blocks(text) {
        match block.kind {
            BlockKind::Heading => {
                let heading = &text[block.span.clone()];
                under = heading_kind(heading);
                examples = is_example(heading).then_some(block.indent);
                let kind = under.or_else(|| constraint(heading));
                found.extend(kind.map(|kind| Clause {
                    text: heading,
                    kind,
                }));
                continue;
            }
            BlockKind::Code => continue,
            BlockKind::Paragraph if block.has_gap => {
                under = None;
                examples = examples.filter(|indent| block.indent > *indent);
            }
            BlockKind::Paragraph | BlockKind::Item => {}
        }
        for span in &block.sentences {
            let sentence = &text[span.clone()];
            let kind = constraint(sentence).or(under);
            let shows = examples.is_some() || is_example(sentence);
            let kind = kind.filter(|kind| !shows || *kind == Kind::Duty);
            found.extend(kind.map(|kind| Clause {
                text: sentence,
                kind,
            }));
        }
        // "Allowed values:" at the end of a paragraph announces the items below it.
        if let Some(last) = block.sentences.last().map(|span| &text[span.clone()])
            && last.ends_with(':')
        {
            under = heading_kind(last);
            let is_found = found
                .last()
                .is_some_and(|clause: &Clause<'_>| clause.text == last);
            if let Some(kind) = under.filter(|_| !is_found) {
                found.push(Clause { text: last, kind });
            }
        }
    }
    found
}

/// Says whether a sentence or a heading announces examples.
pub(crate) fn is_example(sentence: &str) -> bool {
    let words = words(sentence);
    let first = |n: usize| words.get(n).map_or("", |word| word.text.as_str());
    let is_heading =
        sentence.trim_end_matches(['*', '_']).ends_with(':') || sentence.starts_with('#');
    matches!(first(0), "example" | "examples")
        || (first(0) == "for" && first(1) == "example")
        || (first(0) == "e" && first(1) == "g")
        || (is_heading
            && words
                .iter()
                .any(|word| matches!(word.text.as_str(), "example" | "examples")))
}

/// Words in a heading below which every line is a constraint.
fn heading_kind(heading: &str) -> Option<Kind> {
    const VALUES: [&str; 18] = [
        "values",
        "value",
        "options",
        "allowed",
        "modes",
        "types",
        "formats",
        "actions",
        "operations",
        "supported",
        "one",
        "either",
        "enum",
        "choices",
        "levels",
        "statuses",
        "scopes",
        "operators",
    ];
    const DUTIES: [&str; 21] = [
        "must",
        "rules",
        "rule",
        "limits",
        "limitations",
        "requirements",
        "constraints",
        "important",
        "warning",
        "restrictions",
        "prerequisites",
        "not",
        "critical",
        "caution",
        "never",
        "required",
        "note",
        "notes",
        "defaults",
        "default",
        "syntax",
    ];
    let words = words(heading);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.text.as_str()));
    if has(&DUTIES) {
        return Some(Kind::Duty);
    }
    has(&VALUES).then_some(Kind::Values)
}

/// Says whether a sentence is a constraint, and by what.
pub fn constraint(sentence: &str) -> Option<Kind> {
    let words = words(sentence);
    let is_occasion = is_occasion(&words);
    // "Whether it is a regular expression" names a switch.
    let is_switch = words.iter().any(|word| word.text == "whether");
    let found = phrase(&words, |kind| match kind {
        Kind::Condition => !is_occasion,
        Kind::Notation => !is_switch,
        _ => true,
    });
    if found.is_some() || is_call(sentence) {
        return found;
    }
    measure(&words)
        .or_else(|| range(sentence, &words))
        .or_else(|| condition(&words).filter(|_| !is_occasion))
        .or_else(|| source(sentence, &words))
        .or_else(|| notation(sentence, &words))
        .or_else(|| values(sentence, &words))
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

/// Most clauses that are looked for inside longer sentences; any more count as lost.
const MAX_SEARCHES: usize = 200;

/// Most bytes that are searched for the clauses of all texts of one shown text.
const MAX_SEARCHED: usize = 1 << 30;

/// Returns the constraint clauses of `original` whose words do not stand in `shortened`.
///
/// Linear in both texts, but for at most 200 searches.
pub fn lost<'t>(original: &'t str, shortened: &str) -> Vec<Clause<'t>> {
    Reader::of(shortened).lost(original)
}

/// Somebody who has read a text, and can say of many others what they would miss.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Keys of the sentences read.
    sentences: HashSet<String>,
    whole: String,
    /// Bytes that may still be searched.
    searchable: usize,
}

impl Reader {
    /// Reads a text.
    pub fn of(shown: &str) -> Self {
        let sentences = blocks(shown)
            .iter()
            .flat_map(|block| {
                let sentences = block.sentences.iter();
                sentences.map(|span| key(&shown[span.clone()]))
            })
            .collect();
        Self {
            sentences,
            whole: flat(shown),
            searchable: MAX_SEARCHED,
        }
    }

    /// As [`lost`]. After 1 GiB of searches in all, what is no sentence of its own counts as lost.
    pub fn lost<'t>(&mut self, original: &'t str) -> Vec<Clause<'t>> {
        let mut n_searches = 0;
        clauses(original)
            .into_iter()
            .filter(|clause| {
                let words = key(clause.text);
                if self.sentences.contains(&words) {
                    return false;
                }
                n_searches += 1;
                if n_searches > MAX_SEARCHES || self.searchable < self.whole.len() {
                    return true;
                }
                self.searchable -= self.whole.len();
                !self.whole.contains(&words)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
