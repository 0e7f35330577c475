//! That a long text is UTF-8, found while its bytes arrive and are still in the processor's nearest cache.

/// Bytes that are scanned and checked together: half of the smallest first-level caches still in use leaves room for
/// the rest.
pub(super) const PIECE: usize = 16 << 10;

/// How much of a text is known to be UTF-8.
#[derive(Debug, Default)]
pub(super) struct TextCheck {
    checked: usize,
    /// Something was wrong: the whole text is judged at its end, which says where.
    is_doubtful: bool,
}

impl TextCheck {
    /// Looks at what came since, of all that came `so_far`.
    pub(super) fn advance(&mut self, so_far: &[u8]) {
        if self.is_doubtful {
            return;
        }
        let fresh = &so_far[self.checked..];
        let fresh = &fresh[..whole(fresh)];
        if simdutf8::basic::from_utf8(fresh).is_ok() {
            self.checked += fresh.len();
        } else {
            self.is_doubtful = true;
        }
    }

    /// Returns how many bytes at the begin of the text are whole characters.
    pub(super) fn checked(&self) -> usize {
        self.checked
    }
}

/// Returns how many of these bytes are left without a character at the end that is not all there. Of bytes that are
/// no UTF-8 it may leave as many.
fn whole(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).enumerate();
    for (after, byte) in last {
        let length = match byte {
            0x00..=0x7f => return bytes.len(),
            // Not the first of a character.
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        let there = after + 1;
        return bytes.len() - if there < length { there } else { 0 };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the text is UTF-8, found by looking at each cut of it and at the rest.
    fn agrees(text: &[u8], cuts: impl Iterator<Item = usize>) {
        let mut check = TextCheck::default();
        for cut in cuts {
            check.advance(&text[..cut]);
            let (begin, rest) = text.split_at(check.checked());
            assert!(std::str::from_utf8(begin).is_ok(), "{text:x?} until {cut}");
            assert_eq!(
                std::str::from_utf8(rest).is_ok(),
                std::str::from_utf8(text).is_ok(),
                "{text:x?} until {cut}"
            );
        }
    }

    #[test]
    fn what_is_checked_and_the_rest_are_text_when_the_whole_is() {
        let pieces: [&[u8]; 14] = [
            b"a",
            "é".as_bytes(),
            "€".as_bytes(),
            "😀".as_bytes(),
            b"\x80",
            b"\xbf\xbf",
            b"\xc3",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
            b"\xff",
            b"\xc0\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            "ab€".as_bytes(),
        ];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    let text = [one, two, three].concat();
                    agrees(&text, 0..=text.len());
                    for cut in 0..=text.len() {
                        agrees(&text, [cut, text.len()].into_iter());
                    }
                }
            }
        }
    }

    #[test]
    fn good_text_is_checked_but_for_an_unfinished_character() {
        let text = "aé€😀".repeat(50);
        let mut check = TextCheck::default();
        for cut in 0..=text.len() {
            check.advance(&text.as_bytes()[..cut]);
            assert!(cut - check.checked() < 4, "{cut}");
            assert!(text.is_char_boundary(check.checked()));
        }
        assert_eq!(check.checked(), text.len());
    }
}
