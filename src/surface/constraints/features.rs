//! The features of a sentence that the learned weights are about: its words one by one and in pairs,
//! with numbers, names, quotes and examples folded; what the rules saw; its opening and its shape.
//!
//! They are told one by one, and may not change without new weights.

use crate::surface::constraints::rules::Seen;

/// Most tokens of a sentence that are looked at; what is longer is no sentence.
const MAX_TOKENS: usize = 200;

/// Tells the features of a sentence; one that is there twice is told twice.
pub(crate) fn tell(sentence: &str, seen: &Seen, tell: &mut dyn FnMut(&str)) {
    let mut feature = String::with_capacity(64);
    let mut told = |parts: [&str; 3]| {
        feature.clear();
        for (n, part) in parts
            .into_iter()
            .enumerate()
            .filter(|(_, part)| !part.is_empty())
        {
            if n > 0 {
                feature.push(' ');
            }
            feature.push_str(part);
        }
        tell(&feature);
    };
    let tokens = tokens(&fold(sentence));
    let is_word = |token: &&String| token.starts_with(|first: char| first.is_alphanumeric());
    let opening = opening(tokens.iter().find(is_word).map_or("", String::as_str));
    for name in &seen.names {
        told(["r", name, ""]);
        told([opening, name, ""]);
    }
    told(["o", opening, ""]);
    let mut before = "^";
    for token in tokens
        .iter()
        .map(String::as_str)
        .chain(std::iter::once("$"))
    {
        told(["1", token, ""]);
        told(["2", before, token]);
        before = token;
    }
    for name in shapes(sentence) {
        told(["s", name, ""]);
    }
}

/// What stands in the bracket that ends a sentence.
fn last_bracket(sentence: &str) -> Option<&str> {
    let body = sentence.trim_end_matches('.').strip_suffix(')')?;
    body.rsplit_once('(').map(|(_, inside)| inside)
}

/// How a sentence looks, whatever its words are.
fn shapes(sentence: &str) -> impl Iterator<Item = &'static str> {
    let colon = sentence.split_once(':');
    let is_label = colon.is_some_and(|(name, _)| {
        let name = name.split('(').next().unwrap_or_default();
        !name.trim().is_empty() && !name.trim().contains(' ')
    });
    let is_sample = colon.is_some_and(|(name, rest)| {
        !name.contains('{')
            && rest.trim_start().starts_with(['[', '{', '`', '\'', '"'])
            && rest
                .trim_end_matches('.')
                .ends_with([']', '}', '`', '\'', '"'])
    });
    let has_json = sentence.split('{').skip(1).any(|part| {
        let part = part.trim_start().trim_start_matches(['"', '\'']);
        let name =
            part.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
        name.len() < part.len()
            && name
                .trim_start_matches(['"', '\''])
                .trim_start()
                .starts_with(':')
    });
    let first = sentence.chars().next().unwrap_or(' ');
    let is_quoted = matches!(first, '"' | '\'' | '`' | '(' | '[' | '{')
        && sentence
            .trim_end_matches(['.', ',', ')'])
            .ends_with(['"', '\'', '`']);
    [
        ("label", is_label),
        ("sample", is_sample),
        ("json", has_json),
        ("quoted", is_quoted),
        ("colon", sentence.ends_with(':')),
        ("question", sentence.ends_with('?')),
        ("bracket", last_bracket(sentence).is_some()),
        ("cut", !first.is_uppercase()),
    ]
    .into_iter()
    .filter_map(|(name, is_so)| is_so.then_some(name))
}

/// What kind of sentence an opening word begins.
fn opening(word: &str) -> &'static str {
    const OPENINGS: [(&str, &str); 9] = [
        ("whether", " whether if "),
        (
            "tells",
            " returns return includes include shows show supports support lists gets ",
        ),
        (
            "does",
            " get list create update delete search add remove set fetch retrieve send trigger run execute \
             generate find read write edit move open close deploy archive analyze convert discover check \
             verify manage browse compare query make start stop launch take upload download clone \
             navigate render deletes creates updates retrieves removes adds finds searches ",
        ),
        ("asks", " use call invoke pass provide specify "),
        ("narrows", " filter limit sort "),
        (
            "names",
            " the a an id name number path array type title url array list ",
        ),
        ("bounds", " max maximum min minimum "),
        ("may", " optional optionally "),
        ("wonders", " how which what where why who when "),
    ];
    let is_in = |list: &str| {
        list.match_indices(word).any(|(at, found)| {
            list[..at].ends_with(' ') && list[at + found.len()..].starts_with(' ')
        })
    };
    OPENINGS
        .iter()
        .find(|(_, list)| !word.is_empty() && is_in(list))
        .map_or("other", |(name, _)| name)
}

/// A sentence without its examples (`EGX` in their place) and the insides of quotes (`QX`, `QQX`).
fn fold(sentence: &str) -> String {
    const IN_BRACKETS: [&str; 8] = [
        "(e.g",
        "(eg",
        "(ex:",
        "(for example",
        "(such as",
        "(like ",
        "(example:",
        "(i.e.",
    ];
    const BARE: [&str; 3] = ["e.g.", "for example", "such as"];
    let lower = sentence.to_ascii_lowercase();
    let mut text = String::with_capacity(sentence.len());
    let mut at = 0;
    let mut last = ' ';
    while let Some(first) = sentence[at..].chars().next() {
        let rest = &lower[at..];
        let starts = |list: &[&str]| list.iter().any(|start| rest.starts_with(start));
        if first == '(' && starts(&IN_BRACKETS) {
            text.push_str(" EGX ");
            at += rest.find(')').map_or(rest.len(), |end| end + 1);
            last = ' ';
            continue;
        }
        if !last.is_alphanumeric() && starts(&BARE) {
            text.push_str(" EGX ");
            // "e.g." holds full stops itself.
            let end = rest[4..].find([';', ')']).map_or(rest.len(), |end| end + 4);
            at += rest[4..].find(". ").map_or(end, |stop| end.min(stop + 4));
            last = ' ';
            continue;
        }
        let close = match first {
            '"' | '\'' | '`' => Some(first),
            '“' => Some('”'),
            '‘' => Some('’'),
            _ => None,
        };
        if let Some(close) = close.filter(|_| !last.is_alphanumeric()) {
            let inside = &sentence[at + first.len_utf8()..];
            let end = inside.char_indices().find(|(n, letter)| {
                let after = inside[n + letter.len_utf8()..].chars().next();
                *letter == close && !after.is_some_and(char::is_alphanumeric)
            });
            if let Some((end, _)) = end {
                let is_one = inside[..end].split_whitespace().count() < 2;
                text.push_str(if is_one { " QX " } else { " QQX " });
                at += first.len_utf8() + end + close.len_utf8();
                last = ' ';
                continue;
            }
        }
        text.push(first);
        last = first;
        at += first.len_utf8();
    }
    text
}

/// Words and signs, with what is only a name or a number folded.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if tokens.len() >= MAX_TOKENS {
            break;
        }
        let is_inside = matches!(letter, '\'' | '’')
            && !word.is_empty()
            && letters.peek().is_some_and(|next| next.is_alphabetic());
        if is_inside {
            word.push('\'');
        } else if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
        } else {
            if !word.is_empty() {
                tokens.push(folded(&word));
                word.clear();
            }
            let sign = match letter {
                '–' | '—' => '-',
                '“' | '”' | '‘' | '’' | '`' | '\'' => '"',
                other => other,
            };
            let is_again = tokens.last().is_some_and(|last| last.chars().eq([sign]));
            if !sign.is_whitespace() && !is_again {
                tokens.push(sign.to_string());
            }
        }
    }
    if !word.is_empty() {
        tokens.push(folded(&word));
    }
    tokens
}

fn folded(word: &str) -> String {
    let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return "#".to_owned();
    }
    if has_digit {
        return "#x".to_owned();
    }
    if word.trim_matches('_').contains('_') {
        return "a_b".to_owned();
    }
    let is_camel = word.starts_with(|first: char| first.is_lowercase())
        && word.contains(|letter: char| letter.is_uppercase());
    if is_camel {
        return "aB".to_owned();
    }
    word.to_lowercase()
}
