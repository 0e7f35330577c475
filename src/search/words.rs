//! Text to words and words to terms: identifiers are split, case and accents folded, scripts without
//! spaces cut to overlapping pairs, English words stemmed (Snowball). Knows nothing of tools.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

/// Characters of one word, at most; the rest of a longer run is dropped.
const WORD_CHARS: usize = 48;

/// Words that say nothing about what a tool does. `get`, `show`, `find`, `use`, `list` and `off` are
/// not among them: in names of tools they are verbs. Sorted, for the binary search.
const STOP_WORDS: [&str; 124] = [
    "a", "able", "about", "above", "after", "again", "against", "all", "also", "am", "an", "and",
    "any", "are", "as", "at", "be", "because", "been", "before", "being", "below", "between",
    "both", "but", "by", "can", "could", "did", "do", "does", "doing", "during", "each", "few",
    "for", "from", "further", "had", "has", "have", "having", "he", "her", "here", "hers", "him",
    "his", "how", "i", "if", "in", "into", "is", "it", "its", "itself", "just", "know", "let",
    "like", "me", "more", "most", "my", "need", "no", "nor", "not", "now", "of", "on", "once",
    "only", "or", "other", "our", "out", "over", "own", "please", "same", "she", "should", "so",
    "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "through", "to", "too", "until", "up", "used", "using", "very", "via", "want",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "why", "will",
    "with", "would", "you", "your",
];

/// What a word is made of; decides how it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// A run of letters of an alphabet.
    Letters,
    /// A run of digits.
    Digits,
    /// One or two characters of a script that puts no spaces between words.
    Pair,
}

/// Kinds of characters; a word ends where the kind changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    Ideograph,
    /// A mark on the letter before: dropped, so that composed and decomposed text meet.
    Mark,
    Other,
}

/// Calls `visit` with each word of a text, in order: lower case, accents folded, camelCase and
/// snake_case split, digits apart from letters, Han, Kana and Hangul as overlapping pairs.
pub(crate) fn for_each_word(text: &str, mut visit: impl FnMut(&str, Script)) {
    let mut run = Run::default();
    let mut chars = text.chars().map(half_width).peekable();
    let mut previous = Kind::Other;
    while let Some(c) = chars.next() {
        let kind = kind_of(c);
        if kind == Kind::Mark {
            continue;
        }
        let is_new = match (previous, kind) {
            (Kind::Lower, Kind::Upper) => true,
            // `HTTPServer` is `http server`: the last capital belongs to the word after it.
            (Kind::Upper, Kind::Upper) => chars.peek().is_some_and(|next| next.is_lowercase()),
            (Kind::Lower | Kind::Upper, Kind::Lower) => false,
            (before, now) => before != now,
        };
        if is_new {
            run.finish(&mut visit);
        }
        match kind {
            Kind::Lower | Kind::Upper => run.push_letter(c),
            Kind::Digit => run.push(c, Script::Digits),
            Kind::Ideograph => run.push_ideograph(c, &mut visit),
            Kind::Mark | Kind::Other => {}
        }
        previous = kind;
    }
    run.finish(&mut visit);
}

/// Returns the words of a text that are no stop words, as terms, with what they are made of.
pub(crate) fn words(text: &str) -> Vec<(String, Script)> {
    let mut words = Vec::new();
    for_each_word(text, |word, script| words.push((word.to_owned(), script)));
    words
}

/// Returns the words of a name joined by one space: the same for `createIssue`, `create_issue` and
/// `Create issue`.
pub(crate) fn name_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 4);
    for_each_word(name, |word, _| {
        if !key.is_empty() {
            key.push(' ');
        }
        key.push_str(word);
    });
    key
}

/// Tells whether a word says nothing about what a tool does.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Words to stems.
pub(crate) struct Stems(Stemmer);

impl Stems {
    pub(crate) fn new() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }

    /// Returns the stem of an English word, and any other word as it is.
    ///
    /// The stemmer slices by byte, so only ASCII is given to it.
    pub(crate) fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            self.0.stem(word)
        } else {
            Cow::Borrowed(word)
        }
    }
}

/// The word that is being read.
#[derive(Default)]
struct Run {
    text: String,
    n_chars: usize,
    script: Option<Script>,
    /// Of a run of ideographs: the character before, and whether a pair was already visited.
    before: Option<char>,
    has_pair: bool,
}

impl Run {
    fn push(&mut self, c: char, script: Script) {
        self.script = Some(script);
        if self.n_chars < WORD_CHARS {
            self.text.push(c);
            self.n_chars += 1;
        }
    }

    fn push_letter(&mut self, c: char) {
        if c.is_ascii() {
            return self.push(c.to_ascii_lowercase(), Script::Letters);
        }
        for lower in c.to_lowercase() {
            // `İ` becomes `i` and a mark.
            if kind_of(lower) != Kind::Mark {
                self.push(fold(lower), Script::Letters);
            }
        }
    }

    fn push_ideograph(&mut self, c: char, visit: &mut impl FnMut(&str, Script)) {
        self.script = Some(Script::Pair);
        if let Some(before) = self.before {
            self.text.clear();
            self.text.push(before);
            self.text.push(c);
            visit(&self.text, Script::Pair);
            self.has_pair = true;
        }
        self.before = Some(c);
    }

    fn finish(&mut self, visit: &mut impl FnMut(&str, Script)) {
        match self.script {
            Some(Script::Pair) if !self.has_pair => {
                self.text.clear();
                self.text.extend(self.before);
                visit(&self.text, Script::Pair);
            }
            Some(script @ (Script::Letters | Script::Digits)) => visit(&self.text, script),
            Some(Script::Pair) | None => {}
        }
        self.text.clear();
        self.n_chars = 0;
        self.script = None;
        self.before = None;
        self.has_pair = false;
    }
}

fn kind_of(c: char) -> Kind {
    match c {
        'a'..='z' => Kind::Lower,
        'A'..='Z' => Kind::Upper,
        '0'..='9' => Kind::Digit,
        '\0'..='\u{7f}' => Kind::Other,
        '\u{300}'..='\u{36f}' => Kind::Mark,
        // Kana, Han with its extensions, Hangul.
        '\u{3041}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Kind::Ideograph,
        _ if c.is_numeric() => Kind::Digit,
        _ if c.is_uppercase() => Kind::Upper,
        _ if c.is_alphabetic() => Kind::Lower,
        _ => Kind::Other,
    }
}

/// Full-width forms of ASCII, as East Asian keyboards write them, to ASCII.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// Takes the accent off a lower-case Latin letter, so that `café` is found by `cafe`.
fn fold(c: char) -> char {
    match c {
        '\0'..='\u{7f}' => c,
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => 'i',
        'ł' | 'ĺ' | 'ļ' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => 's',
        'ţ' | 'ť' | 'ț' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = words(text);
        let found: Vec<_> = found.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn identifiers_are_split() {
        check("createIssue", &["create", "issue"]);
        check(
            "create_issue-v2.3/x",
            &["create", "issue", "v", "2", "3", "x"],
        );
        check("HTTPServerURLs", &["http", "server", "ur", "ls"]);
        check("parseJSON5File", &["parse", "json", "5", "file"]);
        check("K8s", &["k", "8", "s"]);
        check("", &[]);
        check("--__ \u{200d}\u{0}", &[]);
    }

    #[test]
    fn scripts_and_accents() {
        check("天气预报", &["天气", "气预", "预报"]);
        check("图 OCR图", &["图", "ocr", "图"]);
        check("Café cafe\u{301} İzmir", &["cafe", "cafe", "izmir"]);
        check("ＰＤＦ１", &["pdf", "1"]);
        check("погодаСегодня", &["погода", "сегодня"]);
        check("날씨 예보", &["날씨", "예보"]);
        let long = "a".repeat(1000);
        assert_eq!(words(&long)[0].0.len(), WORD_CHARS);
    }

    #[test]
    fn stop_words_are_sorted_and_spare_the_verbs_of_tools() {
        assert!(STOP_WORDS.is_sorted());
        assert!(is_stop_word("the") && is_stop_word("your"));
        for verb in ["get", "show", "find", "use", "list", "off"] {
            assert!(!is_stop_word(verb), "{verb}");
        }
    }

    #[test]
    fn stems_join_forms_and_leave_other_scripts() {
        let stems = Stems::new();
        assert_eq!(stems.stem("files"), stems.stem("file"));
        assert_eq!(stems.stem("summaries"), stems.stem("summary"));
        assert_eq!(stems.stem("погода"), "погода");
        assert_eq!(stems.stem("naïvely"), "naïvely");
    }

    #[test]
    fn spellings_of_a_name_share_their_key() {
        for name in [
            "createIssue",
            "create_issue",
            "Create-Issue",
            " create  issue ",
        ] {
            assert_eq!(name_key(name), "create issue");
        }
    }
}
