//! What a text looks like: its skeleton after UTS 39 §4 (confusable detection), from tables that are laid out
//! when the program is built. They hold no pointers, so they cost nothing until they are looked at.

use unicode_normalization::UnicodeNormalization;

const KEYS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/confusables.keys"));
const ENDS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/confusables.ends"));
const TEXTS: &str = include_str!(concat!(env!("OUT_DIR"), "/confusables.texts"));
const IGNORED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/confusables.ignored"));

/// Returns the skeleton of a text: two texts that can be taken for one another have the same.
pub(super) fn skeleton(text: &str) -> String {
    let mut looks = String::with_capacity(text.len());
    for c in text.nfd() {
        match prototype(c) {
            Some(other) => looks.push_str(other),
            None if is_ignored(c) => {}
            None => looks.push(c),
        }
    }
    // What characters look like may have marks, which have an order of their own.
    match looks.is_ascii() {
        true => looks,
        false => looks.nfd().collect(),
    }
}

/// What a character looks like, where that is not itself.
fn prototype(c: char) -> Option<&'static str> {
    let (keys, _) = KEYS.as_chunks::<4>();
    let (ends, _) = ENDS.as_chunks::<2>();
    let at = keys
        .binary_search_by_key(&(c as u32), |key| u32::from_le_bytes(*key))
        .ok()?;
    let end = |at: usize| {
        ends.get(at)
            .map(|end| usize::from(u16::from_le_bytes(*end)))
    };
    let start = at.checked_sub(1).and_then(end).unwrap_or(0);
    TEXTS.get(start..end(at)?)
}

/// Whether a character is drawn as nothing (Default_Ignorable_Code_Point).
fn is_ignored(c: char) -> bool {
    let (runs, _) = IGNORED.as_chunks::<8>();
    let bounds = |run: &[u8; 8]| {
        let (ends, _) = run.as_chunks::<4>();
        (u32::from_le_bytes(ends[0]), u32::from_le_bytes(ends[1]))
    };
    let after = runs.partition_point(|run| bounds(run).1 < c as u32);
    runs.get(after).is_some_and(|run| bounds(run).0 <= c as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs(text: &str) -> String {
        unicode_security::skeleton(text).collect()
    }

    #[test]
    fn every_character_looks_as_unicode_security_says() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            assert_eq!(skeleton(&text), theirs(&text), "U+{:04X}", c as u32);
        }
    }

    /// Marks that come together by what stands around them are put in order.
    #[test]
    fn texts_look_as_unicode_security_says() {
        for text in [
            "",
            "read_file",
            "rеаd_fіlе",
            "Ⅷ ﷺ ㎏ é\u{327}\u{301}",
            "a\u{200b}\u{e0041}b",
            "\u{1e9b}\u{323}",
            "ä\u{323}\u{34f}ö\u{20d2}",
            "\u{149}\u{302}\u{316}",
        ] {
            assert_eq!(skeleton(text), theirs(text), "{text}");
        }
        let all: String = ('\0'..=char::MAX)
            .filter(|c| !c.is_ascii() && (*c as u32) < 0x2000)
            .flat_map(|c| [c, '\u{316}'])
            .collect();
        assert_eq!(skeleton(&all), theirs(&all));
    }
}
