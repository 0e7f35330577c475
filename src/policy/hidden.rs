//! Characters that a person does not see and a model reads: found in texts, and taken out of what is shown.
//! Pure. Definitions decide as they were sent (pins, validation); only what clients are shown is cleaned.
//!
//! What scripts and emoji need stays: joiners inside Persian, Indic and other joining scripts, joiners between
//! emoji, one variation selector after a character that takes one, the tags of a flag, marks of direction
//! beside letters that run to the left, break marks between letters of scripts without spaces. Everything
//! else of the kinds below is hidden. Sources: Unicode 16 Default_Ignorable_Code_Point and Bidi_Control, UTS 51
//! (emoji sequences), UTS 39 §3.1.1 (joiners), ECMA-48 (control sequences).

mod definition;
mod lenient;
mod scripts;
mod visit;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use definition::{Cleaned, Kinds, clean_definition};
pub use lenient::{Lenient, read_leniently};

pub(in crate::policy) use visit::{Visitor, walk};

use scripts::{
    Joining, is_emoji, is_emoji_base, is_right_to_left, joining, takes_any_selector, takes_break,
};

/// Counts up when other characters are taken out: lists with other rules are other lists.
pub const VERSION: u64 = 2;

/// Tags of one flag, without its end: a region of ISO 3166-2.
const FLAG_TAGS: usize = 6;
/// Characters of one control string (OSC, DCS) that go with its introducer.
const CONTROL_STRING: usize = 4096;
/// How often what was taken out may bring up more.
const PASSES: usize = 4;

/// A kind of hidden characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// U+E0000–E007F: ASCII that nobody sees.
    Tag,
    /// Variation selectors that select nothing: one of 256 values each.
    Selector,
    /// Characters without width where no script needs them.
    ZeroWidth,
    /// Controls that turn the direction of text.
    Direction,
    /// Other characters that are drawn as nothing: soft hyphens, fillers, invisible operators.
    Invisible,
    /// Control sequences of terminals.
    Ansi,
    /// Control characters: backspace, a carriage return that overwrites, NUL.
    Control,
    /// Half of a surrogate pair, which JSON can say and no text can hold.
    Half,
}

impl Kind {
    /// The kind in the words of reports.
    pub fn words(self) -> &'static str {
        match self {
            Self::Tag => "tag characters",
            Self::Selector => "variation selectors",
            Self::ZeroWidth => "zero-width characters",
            Self::Direction => "direction controls",
            Self::Invisible => "invisible characters",
            Self::Ansi => "terminal control sequences",
            Self::Control => "control characters",
            Self::Half => "halves of characters",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A run of hidden characters of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// Of which kind.
    pub kind: Kind,
}

/// Finds all, in order and apart from one another. Linear in the text.
pub fn find(text: &str) -> Vec<Hidden> {
    if !may_hide(text) {
        return Vec::new();
    }
    let all: Vec<(usize, char)> = text.char_indices().collect();
    let has_right_to_left = all.iter().any(|(_, c)| is_right_to_left(*c));
    let end_of = |index: usize| all.get(index).map_or(text.len(), |(at, _)| *at);
    let mut found: Vec<Hidden> = Vec::new();
    let mut index = 0;
    while index < all.len() {
        let (kind, n) = match hidden_at(&all, index, has_right_to_left) {
            Some(hidden) => hidden,
            None => {
                index += seen_length(&all, index);
                continue;
            }
        };
        let range = end_of(index)..end_of(index + n);
        match found.last_mut() {
            Some(last) if last.kind == kind && last.range.end == range.start => {
                last.range.end = range.end;
            }
            _ => found.push(Hidden { range, kind }),
        }
        index += n;
    }
    found
}

/// Takes all out.
///
/// What stands around a hidden character may be hidden once that is gone, as a sequence that another one
/// was put into: a few passes take such out, then everything goes that could be hidden anywhere.
pub fn clean(text: &str) -> Cow<'_, str> {
    let mut found = find(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut kept = without(text, found);
    for _ in 0..PASSES {
        found = find(&kept);
        if found.is_empty() {
            return Cow::Owned(kept);
        }
        kept = without(&kept, found);
    }
    kept.retain(|c| !could_hide(c));
    Cow::Owned(kept)
}

/// Tells whether a character is hidden in some texts.
fn could_hide(c: char) -> bool {
    hidden_at(&[(0, c)], 0, false).is_some()
}

fn without(text: &str, found: Vec<Hidden>) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for hidden in found {
        kept.push_str(&text[at..hidden.range.start]);
        at = hidden.range.end;
    }
    kept.push_str(&text[at..]);
    kept
}

/// Reads the tag characters of a text as the ASCII that they stand for.
pub fn decode_tags(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\u{e0020}'..='\u{e007e}' => char::from_u32(u32::from(c) - 0xe0000),
            _ => None,
        })
        .collect()
}

/// Cheap: whether a text has any character that can be hidden.
fn may_hide(text: &str) -> bool {
    text.bytes()
        .any(|b| !b.is_ascii() || (b < b' ' && b != b'\n' && b != b'\t') || b == 0x7f)
}

/// The kind and number of hidden characters that start here.
fn hidden_at(all: &[(usize, char)], index: usize, has_rtl: bool) -> Option<(Kind, usize)> {
    let c = all[index].1;
    let before = index.checked_sub(1).map(|index| all[index].1);
    let after = all.get(index + 1).map(|(_, c)| *c);
    let one = |kind: Kind| Some((kind, 1));
    match c {
        '\u{1b}' => Some((Kind::Ansi, sequence(all, index))),
        '\u{9b}' | '\u{90}' | '\u{9d}' | '\u{98}' | '\u{9e}' | '\u{9f}' => {
            Some((Kind::Ansi, sequence(all, index)))
        }
        '\n' | '\t' => None,
        // The end of a line is one; alone it goes back and writes over the line.
        '\r' => (after != Some('\n')).then_some((Kind::Control, 1)),
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => one(Kind::Control),
        '\u{e0000}'..='\u{e007f}' => one(Kind::Tag),
        '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}'
        | '\u{180b}'..='\u{180d}'
        | '\u{180f}' => {
            let is_wanted = before.is_some_and(|base| is_selected(base, c, after));
            (!is_wanted).then_some((Kind::Selector, 1))
        }
        '\u{200d}' | '\u{200c}' => {
            let is_wanted = before.is_some_and(|before| is_joined(all, index, before, c, after));
            (!is_wanted).then_some((Kind::ZeroWidth, 1))
        }
        '\u{200b}' => {
            let is_break = before.is_some_and(takes_break) && after.is_some_and(takes_break);
            (!is_break).then_some((Kind::ZeroWidth, 1))
        }
        '\u{2060}' | '\u{feff}' | '\u{180e}' => one(Kind::ZeroWidth),
        '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            let is_run = matches!(before, Some('\u{200e}' | '\u{200f}' | '\u{61c}'));
            (!has_rtl || is_run).then_some((Kind::Direction, 1))
        }
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{206a}'..='\u{206f}' => {
            one(Kind::Direction)
        }
        // Fillers are letters among old Hangul, and blanks among Braille.
        '\u{115f}' | '\u{1160}' => {
            let is_jamo = |c: Option<char>| {
                matches!(c, Some('\u{1100}'..='\u{115e}' | '\u{1161}'..='\u{11ff}'))
            };
            (!is_jamo(before) && !is_jamo(after)).then_some((Kind::Invisible, 1))
        }
        '\u{2800}' => {
            let is_braille = |c: Option<char>| matches!(c, Some('\u{2801}'..='\u{28ff}'));
            (!is_braille(before) && !is_braille(after)).then_some((Kind::Invisible, 1))
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{2061}'..='\u{2065}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0080}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{e0fff}' => one(Kind::Invisible),
        _ => None,
    }
}

/// How many characters a visible one takes along: a flag its tags.
fn seen_length(all: &[(usize, char)], index: usize) -> usize {
    if all[index].1 != '\u{1f3f4}' {
        return 1;
    }
    let tags = all[index + 1..]
        .iter()
        .take_while(|(_, c)| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}'))
        .take(FLAG_TAGS + 1)
        .count();
    let is_ended = all.get(index + 1 + tags).map(|(_, c)| *c) == Some('\u{e007f}');
    match (3..=FLAG_TAGS).contains(&tags) && is_ended {
        true => tags + 2,
        false => 1,
    }
}

/// Whether a variation selector has something to select.
fn is_selected(base: char, selector: char, after: Option<char>) -> bool {
    match selector {
        // `#` and digits take one as the start of a keycap.
        '\u{fe0e}' | '\u{fe0f}' => {
            is_emoji_base(base)
                || (matches!(base, '#' | '*' | '0'..='9') && after == Some('\u{20e3}'))
        }
        '\u{fe00}'..='\u{fe02}' => takes_any_selector(base),
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(base, '\u{1820}'..='\u{18aa}'),
        '\u{e0100}'..='\u{e01ef}' => scripts::is_han(base),
        _ => false,
    }
}

/// Whether a joiner joins, or keeps apart, what its script or an emoji sequence joins.
fn is_joined(
    all: &[(usize, char)],
    index: usize,
    before: char,
    joiner: char,
    after: Option<char>,
) -> bool {
    let is_emoji_sequence = joiner == '\u{200d}'
        && after.is_some_and(is_emoji)
        && (is_emoji(before)
            || (before == '\u{fe0f}' && index >= 2 && is_emoji_base(all[index - 2].1)));
    // At the end of a word they choose a letter's form; before another joiner they carry bits.
    let is_orthographic = joining(before) != Joining::No
        && !matches!(
            after,
            Some('\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
        );
    is_emoji_sequence || is_orthographic
}

/// How many characters the control sequence has that starts here (ECMA-48 §5.4, §5.6).
fn sequence(all: &[(usize, char)], index: usize) -> usize {
    let at = |n: usize| all.get(index + n).map(|(_, c)| *c);
    let (introducer, start) = match (all[index].1, at(1)) {
        ('\u{1b}', Some(next @ ('[' | ']' | 'P' | 'X' | '^' | '_'))) => (next, 2),
        ('\u{1b}', Some(_)) => {
            let mut n = 1;
            while matches!(at(n), Some(' '..='/')) {
                n += 1;
            }
            // An escape that is none: it alone goes.
            return match at(n) {
                Some('0'..='~') => n + 1,
                _ => 1,
            };
        }
        ('\u{9b}', _) => ('[', 1),
        ('\u{9d}', _) => (']', 1),
        ('\u{1b}', None) => return 1,
        _ => ('P', 1),
    };
    if introducer == '[' {
        let mut n = start;
        while matches!(at(n), Some('0'..='?')) {
            n += 1;
        }
        while matches!(at(n), Some(' '..='/')) {
            n += 1;
        }
        return match at(n) {
            Some('@'..='~') => n + 1,
            _ => start,
        };
    }
    for n in start..start + CONTROL_STRING {
        match (at(n), at(n + 1)) {
            (Some('\u{7}' | '\u{9c}'), _) => return n + 1,
            (Some('\u{1b}'), Some('\\')) => return n + 2,
            // Without an end it is no string, and what follows is text.
            (None | Some('\u{1b}' | '\n'), _) => break,
            _ => {}
        }
    }
    start
}

#[cfg(test)]
mod tests;
