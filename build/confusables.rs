//! Lays out which characters look alike (UTS 39): what unicode-security knows as 230 KB of pointers, which the
//! loader would write at each start, as bytes without any.

use std::error::Error;
use std::fs;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// Writes the tables into `out`: `confusables.keys` (characters in order, 4 bytes each, little endian),
/// `confusables.ends` (where the text of each ends, 2 bytes), `confusables.texts` (what they look like, one
/// behind the other), `confusables.ignored` (first and last of each run of characters that do not count).
///
/// Only characters that canonical decomposition leaves alone are in them: it is done first.
pub(crate) fn write(out: &Path) -> Result<(), Box<dyn Error>> {
    let (mut keys, mut ends, mut texts) = (Vec::new(), Vec::new(), String::new());
    let mut ignored: Vec<(u32, u32)> = Vec::new();
    for c in '\0'..=char::MAX {
        let mut buffer = [0; 4];
        let own: &str = c.encode_utf8(&mut buffer);
        if !own.chars().nfd().eq([c]) {
            continue;
        }
        let looks: String = skeleton(own).collect();
        if looks.is_empty() {
            match ignored.last_mut() {
                Some((_, last)) if *last + 1 == c as u32 => *last = c as u32,
                _ => ignored.push((c as u32, c as u32)),
            }
        } else if looks != own {
            texts.push_str(&looks);
            keys.extend((c as u32).to_le_bytes());
            ends.extend(u16::try_from(texts.len())?.to_le_bytes());
        }
    }
    let ignored: Vec<u8> = ignored
        .iter()
        .flat_map(|(first, last)| [first.to_le_bytes(), last.to_le_bytes()].concat())
        .collect();
    fs::write(out.join("confusables.keys"), keys)?;
    fs::write(out.join("confusables.ends"), ends)?;
    fs::write(out.join("confusables.texts"), texts)?;
    fs::write(out.join("confusables.ignored"), ignored)?;
    Ok(())
}
