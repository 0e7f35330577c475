//! The part of the scan that no envelope needs, 64 bytes at a time.
//!
//! Below the second level the scan remembers nothing; it only checks that strings end, containers
//! match, and commas and colons stand where they must. Most bytes of a large message are there. Whole
//! blocks are turned into bit masks ([`super::marks`]) and only the places they name are looked at. A block that leaves the depth, or that is wrong in any way, is given back
//! untouched: the byte-wise scan reads it again and says what is wrong and where.

use super::marks::{self, Marks};
use super::{Scanner, State};

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;
/// Blocks whose marks are found together, at most.
const BATCH: usize = 64;
/// Levels from which on nothing is remembered.
const FLOOR: usize = 3;
/// Containers fit one word of the stack up to here.
const CEILING: usize = 62;

/// What may come next; the state of the byte-wise scan with the container known.
mod next {
    pub(super) const VALUE_IN_ARRAY: u8 = 0;
    pub(super) const FIRST_ELEMENT: u8 = 1;
    pub(super) const FIRST_KEY: u8 = 2;
    pub(super) const NEXT_KEY: u8 = 3;
    pub(super) const COLON: u8 = 4;
    pub(super) const VALUE_IN_OBJECT: u8 = 5;
    pub(super) const AFTER_IN_OBJECT: u8 = 6;
    pub(super) const AFTER_IN_ARRAY: u8 = 7;
    /// An object opens.
    pub(super) const PUSH_OBJECT: u8 = 8;
    /// An array opens.
    pub(super) const PUSH_ARRAY: u8 = 9;
    /// A container closes.
    pub(super) const POP: u8 = 10;
    /// The byte-wise scan has to look.
    pub(super) const WRONG: u8 = 11;
}

/// What begins at a byte: string, scalar, `{`, `[`, `}`, `]`, `:`, `,`, or nothing that may.
const CLASSES: [u8; 256] = {
    let mut classes = [8; 256];
    classes[b'"' as usize] = 0;
    let scalars = b"-0123456789tfnNI";
    let mut n = 0;
    while n < scalars.len() {
        classes[scalars[n] as usize] = 1;
        n += 1;
    }
    let structure = b"{[}]:,";
    let mut n = 0;
    while n < structure.len() {
        classes[structure[n] as usize] = 2 + n as u8;
        n += 1;
    }
    classes
};

/// What follows, by state and class. Rows are a power of two long so that no bound is checked.
#[rustfmt::skip]
const FOLLOWS: [[u8; 16]; 8] = {
    use next::*;
    const W: u8 = WRONG;
    const fn row(r: [u8; 9]) -> [u8; 16] {
        let mut out = [W; 16];
        let mut n = 0;
        while n < 9 {
            out[n] = r[n];
            n += 1;
        }
        out
    }
    [
        //   string           scalar           {            [           }    ]    :                ,               other
        row([AFTER_IN_ARRAY,  AFTER_IN_ARRAY,  PUSH_OBJECT, PUSH_ARRAY, W,   W,   W,               W,              W]),
        row([AFTER_IN_ARRAY,  AFTER_IN_ARRAY,  PUSH_OBJECT, PUSH_ARRAY, W,   POP, W,               W,              W]),
        row([COLON,           W,               W,           W,          POP, W,   W,               W,              W]),
        row([COLON,           W,               W,           W,          W,   W,   W,               W,              W]),
        row([W,               W,               W,           W,          W,   W,   VALUE_IN_OBJECT, W,              W]),
        row([AFTER_IN_OBJECT, AFTER_IN_OBJECT, PUSH_OBJECT, PUSH_ARRAY, W,   W,   W,               W,              W]),
        row([W,               W,               W,           W,          POP, W,   W,               NEXT_KEY,       W]),
        row([W,               W,               W,           W,          W,   POP, W,               VALUE_IN_ARRAY, W]),
    ]
};

/// What follows two places that neither open nor close anything; everything else is looked at singly.
static PAIRS: [[u8; 256]; 8] = {
    let mut pairs = [[next::WRONG; 256]; 8];
    let mut state = 0;
    while state < 8 {
        let mut first = 0;
        while first < 9 {
            let between = FOLLOWS[state][first];
            let mut second = 0;
            while second < 9 && between < next::PUSH_OBJECT {
                let follows = FOLLOWS[between as usize][second];
                if follows < next::PUSH_OBJECT {
                    pairs[state][first << 4 | second] = follows;
                }
                second += 1;
            }
            first += 1;
        }
        state += 1;
    }
    pairs
};

/// Where a walk stands between two blocks.
#[derive(Debug, Clone, Copy)]
struct Walk {
    state: u8,
    depth: usize,
    ceiling: usize,
    /// One bit for each open container: 1 = object.
    containers: u64,
    /// All ones inside a string.
    in_string: u64,
    /// One if the next byte is escaped.
    escape: u64,
    /// One inside a scalar.
    in_scalar: u64,
}

impl Scanner {
    /// Reads whole blocks from `from` on, as long as they stay below what is remembered. Returns where
    /// the byte-wise scan goes on.
    pub(super) fn deep(&mut self, chunk: &[u8], from: usize) -> usize {
        let Some(mut walk) = self.walk() else {
            return from;
        };
        let mut at = from;
        let mut marks = [Marks::default(); BATCH];
        // Few at first: often the next block leaves the depth.
        let mut batch = 1;
        'blocks: loop {
            let blocks = chunk[at..].as_chunks::<BLOCK>().0;
            if walk.in_string != 0 {
                // A copy, so that the walk can stay in registers.
                let mut escape = walk.escape;
                let inside = marks::skip_string(blocks, &mut escape);
                walk.escape = escape;
                at += inside * BLOCK;
            }
            let blocks = chunk[at..].as_chunks::<BLOCK>().0;
            let blocks = &blocks[..blocks.len().min(batch)];
            if blocks.is_empty() {
                break;
            }
            marks::find(blocks, &mut marks);
            for (block, marks) in blocks.iter().zip(&marks) {
                let mut ahead = walk;
                if !ahead.block(block, *marks) {
                    break 'blocks;
                }
                walk = ahead;
                at += BLOCK;
            }
            batch = BATCH.min(batch * 4);
        }
        if at > from {
            self.take(walk);
        }
        at
    }

    fn walk(&self) -> Option<Walk> {
        if self.depth == 0 || self.depth > CEILING || self.capture_id {
            return None;
        }
        let is_object = self.in_object();
        let pick = |object, array| if is_object { object } else { array };
        let after = pick(next::AFTER_IN_OBJECT, next::AFTER_IN_ARRAY);
        let mut walk = Walk {
            state: after,
            depth: self.depth,
            ceiling: self.limits.depth.min(CEILING),
            containers: self.stack[0],
            in_string: 0,
            escape: 0,
            in_scalar: 0,
        };
        match self.state {
            State::Value => walk.state = pick(next::VALUE_IN_OBJECT, next::VALUE_IN_ARRAY),
            State::FirstElement => walk.state = next::FIRST_ELEMENT,
            State::FirstKey => walk.state = next::FIRST_KEY,
            State::NextKey => walk.state = next::NEXT_KEY,
            State::Colon => walk.state = next::COLON,
            State::AfterValue => {}
            State::String { key, escape } => {
                if key && self.depth < FLOOR {
                    return None;
                }
                if key {
                    walk.state = next::COLON;
                }
                walk.in_string = u64::MAX;
                walk.escape = u64::from(escape);
            }
            State::Scalar => walk.in_scalar = 1,
            State::Done | State::Failed => return None,
        }
        // Above the floor only the inside of a string is of no interest.
        (self.depth >= FLOOR || walk.in_string != 0).then_some(walk)
    }

    fn take(&mut self, walk: Walk) {
        self.depth = walk.depth;
        self.stack[0] = walk.containers;
        self.state = if walk.in_string != 0 {
            State::String {
                key: walk.state == next::COLON,
                escape: walk.escape == 1,
            }
        } else if walk.in_scalar == 1 {
            State::Scalar
        } else {
            match walk.state {
                next::FIRST_ELEMENT => State::FirstElement,
                next::FIRST_KEY => State::FirstKey,
                next::NEXT_KEY => State::NextKey,
                next::COLON => State::Colon,
                next::AFTER_IN_OBJECT | next::AFTER_IN_ARRAY => State::AfterValue,
                _ => State::Value,
            }
        };
    }
}

impl Walk {
    /// Reads a block; `false` where the byte-wise scan has to.
    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK], marks: Marks) -> bool {
        let backslashes = marks.backslashes;
        let escaped = marks::escaped(backslashes, &mut self.escape);
        let quotes = marks.quotes & !escaped;
        if quotes == 0 && self.in_string != 0 {
            return true;
        }
        if self.depth < FLOOR {
            return false;
        }
        // From an opening quote up to before its closing one.
        let inside = prefix_xor(quotes) ^ self.in_string;
        self.in_string = 0u64.wrapping_sub(inside >> 63);
        if backslashes & !inside != 0 {
            return false;
        }
        let outside = !inside & !quotes;
        let structure = marks.structure & outside;
        let scalars = outside & !structure & !marks.spaces;
        let scalar_starts = scalars & !(scalars << 1 | self.in_scalar);
        self.in_scalar = scalars >> 63;
        let mut places = structure | scalar_starts | quotes & inside;
        let class_at = |places: u64| {
            let at = places.trailing_zeros() as usize;
            CLASSES[usize::from(block[at % BLOCK])]
        };
        while places != 0 {
            let class = class_at(places);
            places &= places - 1;
            if places != 0 {
                let pair = class << 4 | class_at(places);
                let follows = PAIRS[usize::from(self.state & 7)][usize::from(pair)];
                if follows < next::PUSH_OBJECT {
                    self.state = follows;
                    places &= places - 1;
                    continue;
                }
            }
            let follows = FOLLOWS[usize::from(self.state & 7)][usize::from(class & 15)];
            if follows < next::PUSH_OBJECT {
                self.state = follows;
            } else if !self.nest(follows) {
                return false;
            }
        }
        true
    }

    /// Opens or closes a container.
    fn nest(&mut self, follows: u8) -> bool {
        match follows {
            next::PUSH_OBJECT | next::PUSH_ARRAY => {
                self.depth += 1;
                let bit = 1 << self.depth;
                if follows == next::PUSH_OBJECT {
                    self.containers |= bit;
                    self.state = next::FIRST_KEY;
                } else {
                    self.containers &= !bit;
                    self.state = next::FIRST_ELEMENT;
                }
                self.depth <= self.ceiling
            }
            next::POP => {
                self.depth -= 1;
                self.state = if self.containers >> self.depth & 1 == 1 {
                    next::AFTER_IN_OBJECT
                } else {
                    next::AFTER_IN_ARRAY
                };
                self.depth >= FLOOR
            }
            _ => false,
        }
    }
}

/// Sets every bit from each set bit up to before the next one.
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::BLOCK;
    use crate::jsonrpc::Limits;
    use crate::jsonrpc::scan::{Head, ScanError, Scanner};

    type Seen = (Result<Head, ScanError>, Option<Vec<u8>>);

    fn scan(text: &[u8], chunk: usize) -> Seen {
        let mut scanner = Scanner::new(Limits {
            depth: 12,
            ..Limits::default()
        });
        for chunk in text.chunks(chunk) {
            scanner.feed(chunk);
        }
        // The id is part of the head that `finish` hands out.
        let id = scanner.id().map(<[u8]>::to_vec);
        (scanner.finish(), id)
    }

    /// Chunks shorter than a block never take the fast way, so they are the model.
    fn differs(text: &[u8], fast: impl Fn(&[u8]) -> Seen) -> bool {
        scan(text, BLOCK - 1) != fast(text) || scan(text, 1) != fast(text)
    }

    /// Texts that are nearly JSON-RPC: pieces that fit often, and often do not.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just("{\"k\":"), 4 => Just("["), 4 => Just("]"), 4 => Just("}"), 6 => Just(","),
            2 => Just(":"), 4 => Just("1"), 2 => Just("true"), 6 => Just("\"a \\\" b\""),
            3 => Just("\"plain text that is longer than a few bytes\""), 2 => Just("\\"), 2 => Just("\""),
            2 => Just("\"\\\\\""), 3 => Just(" "), 1 => Just("\t\r\n"), 4 => Just("\"k\":"),
            4 => Just("{\"a\":[1,{\"b\":\"c\"}],\"d\":null}"), 1 => Just("x"), 2 => Just("-0.5e+7"),
            1 => Just("\u{e9}\u{1f600}"), 1 => Just("[[[[[[[[[[[["), 1 => Just("]]]]]]]]]]]]"),
        ];
        let head = prop_oneof![
            Just("{\"id\":7,\"result\":{\"content\":["),
            Just("{\"id\":7,\"result\":{\"t\":\""),
            Just("{\"result\":{\"content\":[{\"text\":\""),
            Just("{\"id\":["),
            Just("["),
        ];
        (head, prop::collection::vec(piece, 0..120)).prop_map(|(head, pieces)| {
            let mut text = head.as_bytes().to_vec();
            for piece in pieces {
                text.extend_from_slice(piece.as_bytes());
            }
            text.extend_from_slice(b"]},\"id\":7}");
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn blocks_see_what_bytes_see(text in text()) {
            prop_assert_eq!(scan(&text, usize::MAX), scan(&text, BLOCK - 1), "{}", text.escape_ascii());
            prop_assert!(!differs(&text, |text| scan(text, usize::MAX)));
            prop_assert!(!differs(&text, |text| scan(text, 100)));
        }
    }

    #[test]
    fn valid_texts_are_read_the_same_at_every_offset() {
        let body = r#"{"a":[1,2.5e9,true,null,"x\\\"y\\"],"b":{"c":[],"d":{},"e":"\u00e9é"} , "f" : [ [ ] , { } ]}"#;
        for pad in 0..2 * BLOCK {
            let text = format!(
                "{{\"jsonrpc\":\"2.0\",\"result\":{{\"p\":\"{}\",\"content\":[{body},{body},{body}]}},\"id\":7}}",
                "p".repeat(pad)
            );
            let (head, id) = scan(text.as_bytes(), usize::MAX);
            assert_eq!(head.unwrap().body.len(), 2, "{text}");
            assert_eq!(id.as_deref(), Some(&b"7"[..]));
            assert!(!differs(text.as_bytes(), |text| scan(text, usize::MAX)));
        }
    }

    /// The broken variants: a scan that does not know escapes, and one that loses a byte between blocks.
    #[test]
    fn broken_scans_are_caught() {
        let body = "\"a \\\" b\",".repeat(20);
        let text = format!("{{\"id\":7,\"result\":{{\"content\":[{body}1]}}}}");
        assert!(differs(text.as_bytes(), |text| {
            let unescaped: Vec<u8> = text
                .iter()
                .map(|b| if *b == b'\\' { b'x' } else { *b })
                .collect();
            scan(&unescaped, usize::MAX)
        }));
        assert!(differs(text.as_bytes(), |text| {
            scan(&[&text[..BLOCK], &text[BLOCK + 1..]].concat(), usize::MAX)
        }));
    }
}
