//! Where the bytes stand that matter to a scan, as bit masks of 64-byte blocks (the first stage of
//! simdjson, Langdale and Lemire 2019).

use super::deep::BLOCK;

/// One bit for each byte of a block, the first one lowest. A control character may count as structure;
/// whoever looks at the byte sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// `{}[]:,`
    pub(super) structure: u64,
    pub(super) spaces: u64,
}

/// Looks at as many blocks as there are in both.
pub(super) fn find(blocks: &[[u8; BLOCK]], marks: &mut [Marks]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "instructions that not every x86-64 has")]
        // SAFETY: this processor has them.
        unsafe {
            return avx2::find(blocks, marks);
        }
    }
    portable::find(blocks, marks);
}

/// Returns how many blocks a string goes on for without its end being in them. `escape` is one where the first byte
/// is escaped, and afterwards where the one behind those blocks is.
///
/// Most bytes of a large message are inside a long text, where only quotes and backslashes say anything.
pub(super) fn skip_string(blocks: &[[u8; BLOCK]], escape: &mut u64) -> usize {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "instructions that not every x86-64 has")]
        // SAFETY: this processor has them.
        unsafe {
            return avx2::skip_string(blocks, escape);
        }
    }
    portable::skip_string(blocks, escape)
}

/// Returns which bytes a backslash escapes, and carries an escape into the next block.
#[inline(always)]
pub(super) fn escaped(backslashes: u64, escape: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let carried = std::mem::take(escape);
    if backslashes == 0 {
        return carried;
    }
    let backslashes = backslashes & !carried;
    let after = backslashes << 1 | carried;
    // Runs that begin at an odd place end an even number of places later, or the other way round.
    let odd_starts = backslashes & !EVEN & !after;
    let (ends, overflow) = odd_starts.overflowing_add(backslashes);
    *escape = u64::from(overflow);
    (EVEN ^ (ends << 1)) & after
}

/// Goes through blocks until one has a quote that is not escaped.
#[inline(always)]
fn skip(
    blocks: &[[u8; BLOCK]],
    escape: &mut u64,
    find: impl Fn(&[u8; BLOCK]) -> (u64, u64),
) -> usize {
    for (n, block) in blocks.iter().enumerate() {
        let (quotes, backslashes) = find(block);
        let mut after = *escape;
        if quotes & !escaped(backslashes, &mut after) != 0 {
            return n;
        }
        *escape = after;
    }
    blocks.len()
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x,
        _mm256_set1_epi8, _mm256_setr_epi8, _mm256_shuffle_epi8,
    };

    use super::{BLOCK, Marks};

    #[target_feature(enable = "avx2")]
    pub(super) fn find(blocks: &[[u8; BLOCK]], marks: &mut [Marks]) {
        // Each byte is compared with the one entry that its low four bits select.
        #[rustfmt::skip]
        let spaces = twice([b' ', 0, 0, 0, 0, 0, 0, 0, 0, b'\t', b'\n', 0, 0, b'\r', 0, 0]);
        let structure = twice([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b':', b'{', b',', b'}', 0, 0]);
        let bracket_bit = _mm256_set1_epi8(0x20);
        let quote = _mm256_set1_epi8(b'"'.cast_signed());
        let backslash = _mm256_set1_epi8(b'\\'.cast_signed());
        for (block, marks) in blocks.iter().zip(marks) {
            let (low, high) = load(block);
            *marks = Marks {
                quotes: equal(low, high, quote, quote),
                backslashes: equal(low, high, backslash, backslash),
                structure: equal(
                    _mm256_or_si256(low, bracket_bit),
                    _mm256_or_si256(high, bracket_bit),
                    _mm256_shuffle_epi8(structure, low),
                    _mm256_shuffle_epi8(structure, high),
                ),
                spaces: equal(
                    low,
                    high,
                    _mm256_shuffle_epi8(spaces, low),
                    _mm256_shuffle_epi8(spaces, high),
                ),
            };
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn skip_string(blocks: &[[u8; BLOCK]], escape: &mut u64) -> usize {
        let quote = _mm256_set1_epi8(b'"'.cast_signed());
        let backslash = _mm256_set1_epi8(b'\\'.cast_signed());
        super::skip(blocks, escape, |block| {
            let (low, high) = load(block);
            (
                equal(low, high, quote, quote),
                equal(low, high, backslash, backslash),
            )
        })
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn twice(table: [u8; 16]) -> __m256i {
        let t = table.map(u8::cast_signed);
        _mm256_setr_epi8(
            t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13],
            t[14], t[15], t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11],
            t[12], t[13], t[14], t[15],
        )
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load(block: &[u8; BLOCK]) -> (__m256i, __m256i) {
        let words = block.as_chunks::<8>().0;
        let word = |n: usize| i64::from_le_bytes(words[n]);
        (
            _mm256_set_epi64x(word(3), word(2), word(1), word(0)),
            _mm256_set_epi64x(word(7), word(6), word(5), word(4)),
        )
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn equal(low: __m256i, high: __m256i, with_low: __m256i, with_high: __m256i) -> u64 {
        let bits = |one, other| {
            let mask = _mm256_movemask_epi8(_mm256_cmpeq_epi8(one, other));
            u64::from(mask.cast_unsigned())
        };
        bits(low, with_low) | bits(high, with_high) << 32
    }
}

mod portable {
    use super::{BLOCK, Marks};

    pub(super) fn find(blocks: &[[u8; BLOCK]], marks: &mut [Marks]) {
        for (block, marks) in blocks.iter().zip(marks) {
            *marks = Marks {
                quotes: mask(block, |byte| byte == b'"'),
                backslashes: mask(block, |byte| byte == b'\\'),
                // One bit tells brackets from braces.
                structure: mask(block, |byte| {
                    (byte | 0x20 == b'{') | (byte | 0x20 == b'}') | (byte == b':') | (byte == b',')
                }),
                spaces: mask(block, |byte| {
                    (byte == b' ') | (byte == b'\t') | (byte == b'\n') | (byte == b'\r')
                }),
            };
        }
    }

    pub(super) fn skip_string(blocks: &[[u8; BLOCK]], escape: &mut u64) -> usize {
        super::skip(blocks, escape, |block| {
            (
                mask(block, |byte| byte == b'"'),
                mask(block, |byte| byte == b'\\'),
            )
        })
    }

    /// Sets a bit for each byte that is something. Eight flags become eight bits by one
    /// multiplication; a loop with nothing else in it is compiled to comparisons of 16 bytes.
    #[inline(always)]
    fn mask(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let mut flags = [0u8; BLOCK];
        for (flag, byte) in flags.iter_mut().zip(block) {
            *flag = u8::from(is(*byte));
        }
        let words = flags.as_chunks::<8>().0.iter().enumerate();
        words.fold(0, |mask, (n, word)| {
            mask | (u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56) << (8 * n)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(block: &[u8; BLOCK], of: &[u8]) -> u64 {
        let places = block.iter().enumerate();
        places.fold(0, |mask, (at, byte)| {
            mask | u64::from(of.contains(byte)) << at
        })
    }

    fn expected(block: &[u8; BLOCK]) -> Marks {
        Marks {
            quotes: bits(block, b"\""),
            backslashes: bits(block, b"\\"),
            structure: bits(block, b"{}[]:,"),
            spaces: bits(block, b" \t\r\n"),
        }
    }

    /// Runs of backslashes that lie across blocks, and quotes behind them, at every place.
    #[test]
    fn a_string_goes_on_until_a_quote_that_is_not_escaped() {
        type Skip = fn(&[[u8; BLOCK]], &mut u64) -> usize;
        let mut ended = 0;
        for skip in [skip_string as Skip, portable::skip_string as Skip] {
            for run in 0..6 {
                for at in 0..2 * BLOCK {
                    for first in [0, 1] {
                        let mut text = [b'x'; 3 * BLOCK];
                        text[at..at + run].fill(b'\\');
                        text[at + run] = b'"';
                        // Byte by byte.
                        let mut is_escaped = first == 1;
                        let mut states = vec![is_escaped];
                        let mut end = text.len();
                        for (n, byte) in text.iter().enumerate() {
                            if *byte == b'"' && !is_escaped {
                                end = n;
                                break;
                            }
                            is_escaped = *byte == b'\\' && !is_escaped;
                            states.push(is_escaped);
                        }
                        let whole = end / BLOCK;
                        let mut escape = first;
                        let (blocks, _) = text.as_chunks::<BLOCK>();
                        assert_eq!(skip(blocks, &mut escape), whole, "{run} at {at}, {first}");
                        assert_eq!(escape == 1, states[whole * BLOCK], "{run} at {at}, {first}");
                        ended += usize::from(whole < 3);
                    }
                }
            }
        }
        assert!(ended > 1_000, "{ended}");
    }

    /// Every byte at every place, among all others. What is no structure may be marked only where it is a
    /// control character.
    #[test]
    fn every_byte_is_marked_as_what_it_is() {
        type Find = fn(&[[u8; BLOCK]], &mut [Marks]);
        for find in [find as Find, portable::find as Find] {
            for first in 0..=255u8 {
                let mut block = [0; BLOCK];
                for (at, byte) in block.iter_mut().enumerate() {
                    *byte = first.wrapping_add((at * 5) as u8);
                }
                let mut marks = [Marks::default()];
                find(&[block], &mut marks);
                let expected = expected(&block);
                let controls: Vec<u8> = (0..0x20).collect();
                let found = Marks {
                    structure: marks[0].structure & !bits(&block, &controls),
                    ..marks[0]
                };
                assert_eq!(found, expected, "{}", block.escape_ascii());
            }
        }
    }
}
