//! Lays out what the token counter looks up: of each vocabulary an index over its tokens, and the
//! classes of characters as a table in two stages. The sources are the files in `src/token/data`; its
//! README says what they hold.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::Path;

#[path = "../src/token/bpe/hash.rs"]
mod hash;

/// Tokens that share a displacement, on average: more make the search for it longer, fewer cost pages.
const PER_GROUP: usize = 4;
/// Slots for 100 tokens. The fuller, the longer the search for the last displacements.
const SLOTS_PER_100: usize = 103;
/// Bytes of the table that knows how long the tokens with a certain beginning get.
const N_REACHES: usize = 1 << 16;
/// The beginnings for which it does.
const BEGINNINGS: [usize; 5] = [8, 16, 32, 64, 128];
/// Bits for each member of the set of what tokens have around a border of characters: the fewer, the more often a
/// border is taken for one that a token reaches over, which costs time and never a count.
const BITS_PER_CONTEXT: usize = 24;
/// Characters in one block of the table of classes.
const BLOCK: usize = 128;

/// Writes all tables into `out`.
pub(crate) fn write(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let data = root.join("src/token/data");
    println!("cargo:rerun-if-changed={}", data.display());
    for name in ["o200k_base", "cl100k_base"] {
        let tokens = fs::read(data.join(format!("{name}.tokens")))?;
        let entries = entries(&tokens).ok_or("a vocabulary is cut short")?;
        let (slots, displacements) = index(&tokens, &entries)?;
        fs::write(out.join(format!("{name}.slots")), slots)?;
        fs::write(out.join(format!("{name}.displacements")), displacements)?;
        fs::write(out.join(format!("{name}.pairs")), pairs(&tokens, &entries))?;
        fs::write(
            out.join(format!("{name}.reach")),
            reaches(&tokens, &entries),
        )?;
        let (borders, contexts) = borders(&tokens, &entries);
        fs::write(out.join(format!("{name}.borders")), borders)?;
        fs::write(out.join(format!("{name}.contexts")), contexts)?;
    }
    let (blocks, classes) = classes(&fs::read(data.join("classes.runs"))?)?;
    fs::write(out.join("classes.index"), blocks)?;
    fs::write(out.join("classes.blocks"), classes)?;
    Ok(())
}

/// Where each token starts and how long it is. An entry is its length, the length of its left part,
/// its bytes; a length of zero ends the list.
fn entries(tokens: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut entries = Vec::new();
    let mut at = 0;
    loop {
        let n_bytes = usize::from(*tokens.get(at)?);
        if n_bytes == 0 {
            return Some(entries);
        }
        entries.push((at, n_bytes));
        at += 2 + n_bytes;
    }
}

/// A perfect hash: each group of tokens has a displacement that puts all of them into free slots, found
/// by trying, the largest groups first (Belazzougui, Botelho and Dietzfelbinger, "Hash, displace, and
/// compress", 2009). A slot holds a tag of the hash and the entry's offset plus one.
fn index(tokens: &[u8], entries: &[(usize, usize)]) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let mut slots = vec![0_u32; entries.len() * SLOTS_PER_100 / 100];
    let mut displacements = vec![0_u16; entries.len() / PER_GROUP];
    let mut groups = vec![Vec::new(); displacements.len()];
    for &(at, n_bytes) in entries {
        if at + 1 >= 1 << hash::OFFSET_BITS {
            return Err("the vocabulary is too large for the slots".into());
        }
        let hash = hash::hash(tokens, at + 2, n_bytes);
        groups[hash::group(hash, displacements.len())].push((hash, at as u32 + 1));
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(groups[group].len()));
    let mut taken = Vec::new();
    for group in order {
        let found = (0..=u16::MAX).find(|&displacement| {
            taken.clear();
            groups[group].iter().all(|&(hash, _)| {
                let slot = hash::slot(hash, displacement, slots.len());
                let is_free = slots[slot] == 0 && !taken.contains(&slot);
                taken.push(slot);
                is_free
            })
        });
        displacements[group] = found.ok_or("two tokens have the same hash")?;
        for (&slot, &(hash, place)) in taken.iter().zip(&groups[group]) {
            slots[slot] = hash::tag(hash) | place;
        }
    }
    let displacements = displacements.into_iter().flat_map(u16::to_le_bytes);
    let slots = slots.into_iter().flat_map(u32::to_le_bytes);
    Ok((slots.collect(), displacements.collect()))
}

/// For the beginnings of tokens, by hash: the length of the longest token that has it. Beginnings share
/// bytes, the longest wins; zero where there is none.
fn reaches(tokens: &[u8], entries: &[(usize, usize)]) -> Vec<u8> {
    let mut reaches = vec![0_u8; N_REACHES];
    for &(at, n_bytes) in entries {
        for beginning in BEGINNINGS.into_iter().filter(|n| *n <= n_bytes) {
            let hash = hash::hash(tokens, at + 2, beginning);
            let reach = &mut reaches[hash::group(hash, N_REACHES)];
            *reach = (*reach).max(n_bytes as u8);
        }
    }
    reaches
}

/// By two bytes, the first one higher: the offset of that token plus one, or the greatest number.
fn pairs(tokens: &[u8], entries: &[(usize, usize)]) -> Vec<u8> {
    let mut pairs = vec![u32::MAX; 1 << 16];
    for &(at, _) in entries.iter().filter(|(_, n_bytes)| *n_bytes == 2) {
        let pair = u16::from_be_bytes([tokens[at + 2], tokens[at + 3]]);
        pairs[usize::from(pair)] = at as u32 + 1;
    }
    pairs.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// What tokens have on both sides of a border of two characters that are not both ASCII, up to
/// [`hash::CONTEXT`] bytes on each: by the two bytes at it which numbers of bytes there are, and all that they are
/// as bits by hash.
fn borders(tokens: &[u8], entries: &[(usize, usize)]) -> (Vec<u8>, Vec<u8>) {
    let mut masks = vec![0_u16; 1 << 16];
    let mut found = HashSet::new();
    for &(at, n_bytes) in entries {
        let token = &tokens[at + 2..at + 2 + n_bytes];
        for border in 1..n_bytes {
            let (one, other) = (token[border - 1], token[border]);
            if !hash::is_wide_border(one, other) {
                continue;
            }
            let left = border.min(hash::CONTEXT);
            let right = (n_bytes - border).min(hash::CONTEXT);
            masks[usize::from(one) << 8 | usize::from(other)] |=
                1 << ((left - 1) * hash::CONTEXT + right - 1);
            let bytes = hash::word(&token[..border + right], border - left);
            found.insert((bytes, left, right));
        }
    }
    let mut contexts = vec![0_u8; (found.len() * BITS_PER_CONTEXT).div_ceil(8)];
    for (bytes, left, right) in found {
        let bit = hash::context(bytes, left, right, contexts.len() * 8);
        contexts[bit >> 3] |= 1 << (bit & 7);
    }
    let masks = masks.into_iter().flat_map(u16::to_le_bytes);
    (masks.collect(), contexts)
}

/// The number of each block, and the blocks that differ.
fn classes(runs: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let mut all = Vec::with_capacity(0x11_0000);
    // A run is its class and three bytes of length, little-endian.
    for run in runs.chunks_exact(4) {
        let n = u32::from_le_bytes([run[1], run[2], run[3], 0]);
        all.extend(std::iter::repeat_n(run[0], n as usize));
    }
    if all.len() != 0x11_0000 {
        return Err("the classes do not cover all characters".into());
    }
    let (mut index, mut blocks) = (Vec::new(), Vec::new());
    let mut known: HashMap<&[u8], u8> = HashMap::new();
    for block in all.chunks_exact(BLOCK) {
        let next = u8::try_from(known.len());
        let number = match known.get(block) {
            Some(number) => *number,
            None => {
                let number = next?;
                known.insert(block, number);
                blocks.extend_from_slice(block);
                number
            }
        };
        index.push(number);
    }
    Ok((index, blocks))
}
