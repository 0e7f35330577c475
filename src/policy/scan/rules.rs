//! The classes of speech, as patterns. Each is a sentence that one says to a model or of it; what only talks
//! about files, rules or secrets as data does not fit.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};

use super::Rule;

/// Empty lines in a row that push a text out of sight.
const EMPTY_LINES: usize = 15;
/// Blanks in a row that do.
const BLANKS: usize = 100;
/// Base64 of fewer characters says nothing.
const MIN_ENCODED: usize = 24;
/// Bytes of base64 that are decoded of one text.
const MAX_ENCODED: usize = 64 << 10;
/// Bytes of a compiled pattern.
const PATTERN_BYTES: usize = 4 << 20;
/// Bytes that one pattern remembers while it is matched.
const CACHE_BYTES: usize = 256 << 10;

/// `{gap}` in a pattern: some words of the same sentence.
const GAP: &str = r"[^.!?]{0,60}?";

/// What must not reach others.
const SENSITIVE: &str = r"(?:credentials?|passwords?|passphrases?|api[ _-]?keys?|access[ _-]?tokens?|auth(?:entication)? tokens?|bearer tokens?|session tokens?|secret keys?|secrets|private keys?|ssh keys?|seed phrases?|id_rsa|id_ed25519|~?/?\.ssh\b|/etc/(?:passwd|shadow)|\.aws/credentials|\.env\b|environment variables|(?:browser )?cookies|(?:chat|conversation|message)(?: history|s)|(?:whole|full|entire|complete) conversation|system prompt)";

/// A class of speech.
struct Pattern {
    rule: Rule,
    /// A text without any of these fits it not. Looked for first: patterns are compiled only where needed.
    words: &'static [&'static str],
    text: &'static str,
}

const fn pattern(rule: Rule, words: &'static [&'static str], text: &'static str) -> Pattern {
    Pattern { rule, words, text }
}

const PATTERNS: &[Pattern] = &[
    pattern(
        Rule::Override,
        &[
            "ignore",
            "disregard",
            "forget",
            "override",
            "bypass",
            "skip",
            "set aside",
            "follow",
        ],
        r"\b(?:ignore|disregard|forget|override|bypass|skip|set aside|do not follow|don't follow|stop following)\b(?: \w+){0,3}? (?:previous|prior|earlier|preceding|above|existing|other|original|your|system|safety|security|content)\b(?: \w+){0,3}? ?(?:instructions?|rules?|prompts?|guidelines?|directives?|directions|constraints?|restrictions?|safeguards?|filters?|filtering|messages|training)\b|\b(?:ignore|disregard|forget|bypass)\b(?: \w+){0,3}? (?:your|system|safety|security|content) (?:\w+ )?polic(?:y|ies)\b",
    ),
    pattern(
        Rule::Override,
        &["instruction", "task", "system prompt", "directive"],
        r"\b(?:new|updated|real|actual|true) (?:instructions?|task|system prompt|directives?)\b ?(?::|follow|are as follows)",
    ),
    pattern(
        Rule::Override,
        &["before you"],
        r"\bbefore you (?:can |could )?(?:solve|answer|continue|proceed|complete|do)\b{gap}\b(?:task|question|request|user)\b{gap}\b(?:first|following)\b",
    ),
    pattern(
        Rule::Secrecy,
        &["not ", "n't", "never", "without", "avoid", "refrain"],
        r"\b(?:do not|don't|never|must not|should not|mustn't|without|avoid|refrain from)\b{gap}\b(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing)?|reveal(?:ing)?|notify(?:ing)?|alert(?:ing)?|disclos(?:e|ing)|warn(?:ing)?|say(?:ing)?|let)\b{gap}\b(?:to the user|the user|users? (?:know|about|that)|to (?:anyone|anybody|the human)|the human|the operator)\b",
    ),
    pattern(
        Rule::Secrecy,
        &[
            "from user",
            "from the ",
            "from human",
            "from operator",
            "from developer",
            "from owner",
            "without ",
            "must not",
            "should not",
            "need not",
            "does not",
            "may not",
            "can not",
            "cannot",
        ],
        r"\b(?:keep|kept|hide|hidden|conceal(?:ed)?|secret)\b(?: \w+){0,4}? from (?:the )?(?:user|human|operator|developer|owner)s?\b|\bwithout (?:the )?(?:user|human|operator)(?:'?s)? (?:knowledge|consent|noticing|knowing|approval|awareness|being (?:told|asked|aware))\b|\b(?:user|human) (?:must|should|need|does|may|can) ?not (?:know|see|notice|be (?:told|informed|aware))\b",
    ),
    pattern(
        Rule::Role,
        &["<|", "</", "<i", "<s", "<c", "<h", "<a", "<o", "[", "<<"],
        r"<\|[a-z_]{2,24}\|>|</?(?:important|system|instruction_override|system[_-]?(?:prompt|message|instruction|note)s?)>|</(?:critical|secret|hidden|admin|override|information)>|\[/?(?:inst|system|system[ _](?:prompt|message|note|override)|(?:role|hidden|secret|system|metadata|config\w*|override|admin)[ _](?:directive|instruction|override|command)s?)\]|<</?sys>>",
    ),
    pattern(
        Rule::Role,
        &[
            "human:",
            "user:",
            "user query:",
            "system ",
            "override directive",
            "important ",
        ],
        r"(?:^| )(?:human|user|new user query): .{0,400}(?:^| )(?:assistant|ai):|\bsystem (?:override|prompt override|directive)\b ?(?:\w+)? ?:|\boverride directive\b|\bimportant (?:system note|message (?:from|to) (?:the )?(?:user|assistant|model|ai))\b",
    ),
    pattern(
        Rule::Exfiltration,
        &[
            "send",
            "upload",
            "post",
            "transmit",
            "forward",
            "leak",
            "exfiltrate",
            "mail",
            "bcc",
            "copy",
            "deliver",
            "submit",
            "share",
            "report",
        ],
        r"\b(?:send|upload|post|transmit|forward|leak|exfiltrate|e-?mail|bcc|copy|deliver|submit|share|report)\b{gap}\b{sensitive}{gap}\bto\b ?(?:\w+ ){0,4}?(?:https?://|[\w.+-]+@|(?:remote|external|attacker|our|this|the (?:remote|external|following)|a remote|an external)\b)",
    ),
    pattern(
        Rule::Exfiltration,
        &[
            "credential",
            "passw",
            "passphrase",
            "key",
            "token",
            "secret",
            "seed phrase",
            "id_rsa",
            "id_ed25519",
            ".ssh",
            "/etc/",
            ".aws/",
            ".env",
            "environment variable",
            "cookie",
            "histor",
            "messages",
            "conversation",
            "system prompt",
        ],
        r"\b(?:read|open|load|access|get|fetch|retrieve|cat|include|collect|extract|find)\b{gap}{sensitive}{gap}\b(?:and|then)\b{gap}\b(?:pass|send|put|include|provide|append|attach|add|place|use|supply|submit|upload|post|store)\b{gap}\b(?:as|in|into|to|with)\b",
    ),
    pattern(
        Rule::Exfiltration,
        &["@", "conversation", "chat", "message"],
        r"\b(?:always|also|must|silently|secretly|quietly|first)\b{gap}\b(?:bcc|cc|forward|send|copy|redirect)\b{gap}[\w.+-]+@[\w-]+\.\w|\b(?:pass|include|append|attach|put|provide|insert)\b(?: \w+){0,4}? (?:whole|full|entire|complete|previous) (?:conversation|chat|message)s?\b",
    ),
    pattern(
        Rule::Authority,
        &[
            "jailbreak",
            "act as",
            "access",
            "privilege",
            "permission",
            "rights",
            "restriction",
            "control",
            "check",
            "filter",
            "validation",
            "measures",
            "unrestricted",
            "developer mode",
        ],
        r"\bjailbreak|\bact as:|\b(?:you|this tool|it) (?:now )?(?:have|has|operates? with|runs? with) (?:\w+ ){0,2}?(?:unrestricted|unlimited|elevated|admin(?:istrator)?|root|full system) (?:access|privileges?|permissions?|rights)\b|\b(?:disables?|bypass(?:es)?|removes?|ignores?|skips?) (?:all )?(?:safety|security|access|content|validation) (?:restrictions?|controls?|checks?|filters?|filtering|validation|measures|and \w+ (?:restrictions|filters|checks))\b|\bunrestricted (?:system|mode|assistant|ai)\b|\bdeveloper mode enabled\b|\b(?:skip|bypass) all (?:validation|checks|restrictions|security)\b",
    ),
    pattern(
        Rule::Harm,
        &[
            "exfiltrat",
            "keylog",
            "reverse shell",
            "rootkit",
            "ransomware",
            "backdoor",
            "spyware",
            "botnet",
            "privilege escalation",
            "lateral movement",
            "steal",
            "harvest",
            "dump",
            "crack",
            "brute",
            "credential",
            "injection",
            "inject ",
            "malicious",
            "execution",
            "attack",
            "fork bomb",
            "evade",
            "disable",
            "exploit",
            "poison",
        ],
        r"\b(?:exfiltrat\w+|keylog\w*|reverse shell|rootkit|ransomware|backdoors?|spyware|botnet|privilege escalation|lateral movement|(?:steal|harvest|dump|crack|brute[ -]?forc)\w* (?:\w+ ){0,2}?(?:credentials?|passwords?|hashes|tokens?|keys|cookies|secrets)|credential (?:dump|harvest|theft|stuff)\w*|(?:sql|command|code|template|ldap|xml|process|dll|log) injection|inject (?:malicious|arbitrary)|malicious (?:code|payload|script|value|command|file|input|data)s?|arbitrary (?:code|command)s? execution|(?:denial of service|ddos|dos) attack|fork bomb|(?:evade|disable) (?:detection|antivirus|logging|monitoring)|exploit (?:\w+ ){0,3}?(?:vulnerabilit\w+|service|for|to|via)|for (?:potential )?exploitation|data exfiltration|poison(?:ing)? (?:\w+ )?(?:cache|dns|arp))\b",
    ),
    pattern(
        Rule::Preference,
        &["tool", "prefer", "choose", "select"],
        r"\b(?:this is|i am|it is) the (?:best|only|most \w+|greatest|top) (?:\w+ )?tool (?:in the world|ever|available|you)|\bbest tool in the world\b|\b(?:always|must|only)\b{gap}\b(?:prefer|choose|select|use) (?:it|this(?: tool)?)\b{gap}\b(?:over|instead of|rather than|before) (?:any|all|every)(?: of the)? other\b|\b(?:do not|don't|never) (?:use|call|choose) (?:any |the )?other (?:\w+ )?tools?\b|\bthe best tool, ",
    ),
    pattern(
        Rule::AsksAboutModel,
        &["of the", "system prompt"],
        r"\bthe (?:name|identity|version) of the (?:llm|large language|ai|language)(?: \w+)? ?(?:model|assistant|agent)\b|\b(?:your|the) (?:own )?system prompt (?:verbatim|here|as|in)\b",
    ),
    pattern(
        Rule::Secrecy,
        &["silently", "secretly", "covertly", "quietly"],
        r"\b(?:silently|secretly|covertly|quietly)\b{gap}\b(?:send|read|upload|copy|forward|collect|execute|call|store|log|record|transmit|exfiltrate)\b",
    ),
];

/// What a sentence says that tells what is to be done.
const DIRECTIVE: &str = r"\b(?:always|never|must|before|after|when(?:ever)?|instead|first|then|also|do not|don't|should|prefer|rather than|replace[sd]?|use|call|invoke|run)\b";

/// The patterns of one scan. They are compiled when they are needed first, and go with it: compiled they take
/// more memory than a proxy at rest.
#[derive(Debug, Default)]
pub struct Rules {
    patterns: [OnceCell<Option<Regex>>; PATTERNS.len()],
    directive: OnceCell<Option<Regex>>,
}

/// A pattern that does not compile would be no rule; a test compiles all.
fn compiled(text: &str) -> Option<Regex> {
    let text = text.replace("{gap}", GAP).replace("{sensitive}", SENSITIVE);
    RegexBuilder::new(&text)
        .case_insensitive(true)
        .unicode(false)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(CACHE_BYTES)
        .build()
        .ok()
}

impl Rules {
    /// Rules that a plain text fits, each once, with where.
    pub(super) fn speech(&self, plain: &str) -> Vec<(Rule, usize)> {
        let mut found: Vec<(Rule, usize)> = Vec::new();
        let lower = plain.to_ascii_lowercase();
        let has = |word: &&str| memchr::memmem::find(lower.as_bytes(), word.as_bytes()).is_some();
        for (pattern, slot) in PATTERNS.iter().zip(&self.patterns) {
            if found.iter().any(|(known, _)| *known == pattern.rule)
                || !pattern.words.iter().any(has)
            {
                continue;
            }
            let regex = slot.get_or_init(|| compiled(pattern.text));
            let at = regex
                .as_ref()
                .and_then(|regex| regex.find(plain.as_bytes()));
            if let Some(at) = at {
                // Patterns are of ASCII, so they start at a border of characters.
                let start = (0..=at.start())
                    .rev()
                    .find(|at| plain.is_char_boundary(*at));
                found.push((pattern.rule, start.unwrap_or(0)));
            }
        }
        found
    }

    /// Whether a sentence says what is to be done.
    pub(super) fn is_directive(&self, sentence: &str) -> bool {
        let regex = self.directive.get_or_init(|| compiled(DIRECTIVE));
        regex
            .as_ref()
            .is_some_and(|regex| regex.is_match(sentence.as_bytes()))
    }

    /// Whether a comment of markup speaks to the model.
    pub(super) fn comment(&self, plain: &str) -> bool {
        plain.split("<!--").skip(1).any(|rest| {
            let inside = rest.split("-->").next().unwrap_or_default();
            !self.speech(inside).is_empty()
        })
    }

    /// Decodes base64 words once; returns the first in which a rule fits.
    pub(super) fn encoded(&self, text: &str) -> Option<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
        let mut left = MAX_ENCODED;
        for word in text.split(|c| !is_part(c)) {
            if word.len() < MIN_ENCODED || word.len() > left {
                continue;
            }
            left -= word.len();
            let decoded = STANDARD_NO_PAD
                .decode(word)
                .or_else(|_| URL_SAFE_NO_PAD.decode(word));
            let Some(decoded) = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
                continue;
            };
            if !self.speech(&super::plain(&decoded)).is_empty() {
                return Some(decoded);
            }
        }
        None
    }
}

/// Whether a parameter's name asks for what is the model's or the conversation's.
pub(super) fn asks_about_model(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    matches!(
        plain.as_str(),
        "llmmodelname"
            | "llmname"
            | "llmmodel"
            | "callingmodel"
            | "modelidentity"
            | "callermodel"
            | "yoursystemprompt"
            | "conversationhistory"
            | "chathistory"
            | "fullconversation"
            | "chainofthought"
    )
}

/// Where a text has so many empty lines or blanks that what follows is out of sight.
pub(super) fn layout(text: &str) -> Option<usize> {
    let (mut lines, mut blanks) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '\n' => lines += 1,
            c if c.is_whitespace() => blanks += 1,
            _ => {
                if at > 0 && (lines >= EMPTY_LINES || blanks >= BLANKS) {
                    return Some(at);
                }
                (lines, blanks) = (0, 0);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_its_words_are_in_lower_case() {
        for pattern in PATTERNS {
            assert!(compiled(pattern.text).is_some(), "{}", pattern.text);
            for word in pattern.words {
                assert_eq!(*word, word.to_ascii_lowercase());
            }
        }
        assert!(compiled(DIRECTIVE).is_some());
    }
}
