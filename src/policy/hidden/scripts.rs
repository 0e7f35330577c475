//! What scripts need of characters that are not seen: blocks of Unicode, coarsely. A block too many lets one
//! joiner between two letters of it stay, which carries nothing that could be read.

/// Whether letters of a script join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joining {
    No,
    Yes,
}

/// Tells whether a character belongs to a script in which joiners are written (Unicode 16 chapters 9, 12, 13,
/// 16; UTS 39 §3.1.1).
pub(super) fn joining(c: char) -> Joining {
    let is_joining = matches!(c,
        // Arabic, Syriac, Thaana, N'Ko, Mandaic and their supplements.
        '\u{620}'..='\u{8ff}'
        // Devanagari to Sinhala.
        | '\u{900}'..='\u{dff}'
        // Tibetan, Myanmar.
        | '\u{f40}'..='\u{fbc}' | '\u{1000}'..='\u{109f}'
        // Tagalog to Khmer, Mongolian.
        | '\u{1700}'..='\u{17b3}' | '\u{17b6}'..='\u{17d3}' | '\u{1820}'..='\u{18aa}'
        // Balinese to Lepcha.
        | '\u{1b00}'..='\u{1c4f}'
        // Devanagari Extended, Javanese, Myanmar Extended, Meetei Mayek.
        | '\u{a8e0}'..='\u{a8ff}' | '\u{a980}'..='\u{a9fe}' | '\u{aa60}'..='\u{aaff}'
        // Arabic presentation forms.
        | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        // Rohingya, Kaithi to Dives Akuru, Adlam.
        | '\u{10d00}'..='\u{10d3f}' | '\u{11000}'..='\u{1195f}' | '\u{1e900}'..='\u{1e95f}');
    match is_joining {
        true => Joining::Yes,
        false => Joining::No,
    }
}

/// Tells whether a break mark is written between letters of its script, which has no spaces.
pub(super) fn takes_break(c: char) -> bool {
    matches!(c, '\u{e01}'..='\u{eff}' | '\u{f00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{1aad}')
}

/// Tells whether a letter runs from right to left.
pub(super) fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{5be}'..='\u{5f4}' | '\u{620}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// Tells whether a character is drawn as an emoji, or is a part of one: pictures, skin tones, flags.
pub(super) fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}') || is_symbol_emoji(c)
}

/// Tells whether a character takes the selector of emoji or text style (UTS 51 §1.4.3).
pub(super) fn is_emoji_base(c: char) -> bool {
    is_emoji(c)
}

/// Symbols of older blocks that are emoji as well.
fn is_symbol_emoji(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{2460}'..='\u{24ff}'
        | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}')
}

/// Han ideographs, which take selectors of their database.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// Tells whether a character takes one of the first three selectors: mathematical signs, punctuation of East
/// Asia, Han, Myanmar, Phags-pa (StandardizedVariants.txt).
pub(super) fn takes_any_selector(c: char) -> bool {
    is_han(c)
        || matches!(c, '\u{2018}'..='\u{201d}' | '\u{2205}'..='\u{22ff}' | '\u{2a3c}'..='\u{2ae4}' | '\u{3001}'..='\u{3002}' | '\u{1000}'..='\u{109f}' | '\u{aa60}'..='\u{aa7f}' | '\u{a840}'..='\u{a877}' | '\u{ff01}'..='\u{ff1f}')
}
