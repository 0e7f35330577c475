//! The hash of the vocabulary's index. The build script lays the index out with it and the counter
//! looks up with it, so this file is part of both and uses nothing but `core`.
//!
//! Bytes are read as little-endian words whose bytes past the end are cleared; two words at a time are
//! folded by one multiplication (the way of wyhash and rapidhash, Wang Yi, public domain).

/// Odd constants with even bit density; any such would do.
const SEEDS: [u64; 3] = [
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
];

/// The eight bytes at `at`, as far as there are any; zeros follow.
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes, at),
    }
}

#[cold]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    let tail = bytes.get(at..).unwrap_or_default();
    let mut word = 0;
    for (n, &byte) in tail.iter().take(8).enumerate() {
        word |= u64::from(byte) << (8 * n);
    }
    word
}

/// Keeps the first `n_bytes` of a word; from 8 on all of it.
#[inline]
pub(crate) const fn first_bytes(word: u64, n_bytes: usize) -> u64 {
    if n_bytes >= 8 {
        word
    } else {
        word & !(u64::MAX << (8 * n_bytes))
    }
}

/// Hashes what two words hold, of a text of `n_bytes`.
#[inline]
pub(crate) fn hash_words(first: u64, second: u64, n_bytes: usize) -> u64 {
    fold(first ^ SEEDS[0], second ^ SEEDS[1] ^ n_bytes as u64)
}

/// Hashes the `n_bytes` at `at`, which may be any number.
pub(crate) fn hash(bytes: &[u8], at: usize, n_bytes: usize) -> u64 {
    let mut state = 0;
    let mut done = 0;
    // All but the last one or two words.
    while n_bytes - done > 16 {
        state = fold(
            word(bytes, at + done) ^ state ^ SEEDS[2],
            word(bytes, at + done + 8) ^ SEEDS[1],
        );
        done += 16;
    }
    let rest = n_bytes - done;
    let first = first_bytes(word(bytes, at + done), rest);
    let second = if rest > 8 {
        first_bytes(word(bytes, at + done + 8), rest - 8)
    } else {
        0
    };
    hash_words(first ^ state, second, n_bytes)
}

#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

/// Bytes on each side of a border of characters that tell whether a token reaches over it.
pub(crate) const CONTEXT: usize = 3;

/// The bit of what a token has around a border of characters, of `n_bits`: `left` bytes before it and `right`
/// after, each at most [`CONTEXT`], which is then "or more". They start at the low byte of `bytes`; what
/// follows is not looked at.
#[inline]
pub(crate) const fn context(bytes: u64, left: usize, right: usize, n_bits: usize) -> usize {
    let sides = ((left << 2 | right) as u64) << 48;
    let mixed = (first_bytes(bytes, left + right) | sides).wrapping_mul(SEEDS[2]);
    group(mixed ^ mixed << 29, n_bits)
}

/// Whether a border of characters can be between these two bytes, of which one is not ASCII.
#[inline]
pub(crate) const fn is_wide_border(left: u8, right: u8) -> bool {
    (left | right) & 0x80 != 0 && right & 0xc0 != 0x80
}

/// The number of low bits of a slot that hold an offset; the rest holds a tag of the hash.
pub(crate) const OFFSET_BITS: u32 = 21;

/// The tag of a hash, where a slot keeps it.
#[inline]
pub(crate) const fn tag(hash: u64) -> u32 {
    (hash as u32) & (u32::MAX << OFFSET_BITS)
}

/// The group of a hash, of `n_groups`.
#[inline]
pub(crate) const fn group(hash: u64, n_groups: usize) -> usize {
    (((hash >> 32) * n_groups as u64) >> 32) as usize
}

/// The slot of a hash whose group has this displacement, of `n_slots`.
#[inline]
pub(crate) const fn slot(hash: u64, displacement: u16, n_slots: usize) -> usize {
    let mixed = (hash ^ displacement as u64).wrapping_mul(SEEDS[2]);
    (((mixed >> 32) * n_slots as u64) >> 32) as usize
}
