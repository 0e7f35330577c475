//! The classes of characters that the splitting patterns tell apart. The table is laid out by the build
//! script from `src/token/data/classes.runs`; a test holds it to the tables of the regex crates.

/// `\p{Lu}` and `\p{Lt}`.
pub(crate) const UPPER: u8 = 1;
/// `\p{Ll}`.
pub(crate) const LOWER: u8 = 1 << 1;
/// `\p{Lm}` and `\p{Lo}`: letters that count as both.
pub(crate) const BOTH: u8 = 1 << 2;
/// `\p{M}`.
pub(crate) const MARK: u8 = 1 << 3;
/// `\p{N}`.
pub(crate) const NUMBER: u8 = 1 << 4;
/// `\s` but for the two line ends below.
pub(crate) const SPACE: u8 = 1 << 5;
/// `\r` and `\n`.
pub(crate) const NEWLINE: u8 = 1 << 6;
/// Everything else.
pub(crate) const OTHER: u8 = 1 << 7;
/// `\p{L}`.
pub(crate) const LETTER: u8 = UPPER | LOWER | BOTH;

/// Characters in one block.
const BLOCK_BITS: u32 = 7;

static INDEX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.index"));
static BLOCKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.blocks"));

/// The class of each ASCII character; zero for the bytes of longer ones.
static ASCII: [u8; 256] = ascii();

const fn ascii() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => NUMBER,
            b'\r' | b'\n' => NEWLINE,
            b' ' | b'\t' | 0x0b | 0x0c => SPACE,
            _ => OTHER,
        };
        byte += 1;
    }
    classes
}

/// The class of the character that starts at `at`, and its length in bytes; zeros at the end of the
/// text. `text` is UTF-8 and `at` the start of a character.
#[inline]
pub(crate) fn class_at(text: &[u8], at: usize) -> (u8, usize) {
    match text.get(at) {
        None => (0, 0),
        Some(&byte) => match ASCII[usize::from(byte)] {
            0 => long_class_at(text, at),
            class => (class, 1),
        },
    }
}

fn long_class_at(text: &[u8], at: usize) -> (u8, usize) {
    let byte = |n: usize| text.get(at + n).map_or(0, |&byte| u32::from(byte));
    let low = |n: usize| byte(n) & 0x3f;
    let first = byte(0);
    let (character, n_bytes) = if first < 0xe0 {
        ((first & 0x1f) << 6 | low(1), 2)
    } else if first < 0xf0 {
        ((first & 0x0f) << 12 | low(1) << 6 | low(2), 3)
    } else {
        (
            (first & 0x07) << 18 | low(1) << 12 | low(2) << 6 | low(3),
            4,
        )
    };
    (class_of(character), n_bytes)
}

/// The class of a code point.
pub(crate) fn class_of(character: u32) -> u8 {
    let block = INDEX.get((character >> BLOCK_BITS) as usize);
    let within = character as usize & ((1 << BLOCK_BITS) - 1);
    block
        .and_then(|&block| BLOCKS.get(usize::from(block) << BLOCK_BITS | within))
        .copied()
        .unwrap_or(OTHER)
}

/// The end of the run of characters of these classes that starts at `at`.
#[inline]
pub(crate) fn run_end(text: &[u8], mut at: usize, classes: u8) -> usize {
    loop {
        let (class, n_bytes) = class_at(text, at);
        if class & classes == 0 {
            return at;
        }
        at += n_bytes;
    }
}
