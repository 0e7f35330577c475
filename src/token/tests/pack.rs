//! Writes the files in `src/token/data` and holds them to their sources: the vocabularies to
//! tiktoken-rs, the classes to the Unicode tables of the regex crates that tiktoken-rs splits with.

use std::fs;
use std::path::PathBuf;

use regex_syntax::hir::{Class, HirKind};
use tiktoken_rs::CoreBPE;

use crate::token::Encoding;
use crate::token::split::classes::{BOTH, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, UPPER};
use crate::token::tests::oracle;

/// Zeros behind the last token: the end of the list, and room to read whole words.
const END: usize = 17;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/token/data")
        .join(name)
}

/// The tokens by rank: length, length of the left part, bytes.
fn tokens_file(vocabulary: &CoreBPE) -> Vec<u8> {
    let tokens: Vec<Vec<u8>> = (0..)
        .map_while(|rank| vocabulary.decode_bytes(&[rank]).ok())
        // The special tokens come behind a gap, or right behind and then after more than bytes.
        .take_while(|bytes| !bytes.starts_with(b"<|endof"))
        .collect();
    let ranks = tokens.iter().enumerate().map(|(n, bytes)| (&bytes[..], n));
    let ranks: std::collections::HashMap<&[u8], usize> = ranks.collect();
    let mut file = Vec::new();
    for (rank, token) in tokens.iter().enumerate() {
        file.push(u8::try_from(token.len()).expect("no token is that long"));
        file.push(left_part(&ranks, token, rank));
        file.extend_from_slice(token);
    }
    file.extend([0; END]);
    file
}

/// Merges the bytes of a token by lower ranks only: what is left are the two parts that make it.
fn left_part(ranks: &std::collections::HashMap<&[u8], usize>, token: &[u8], rank: usize) -> u8 {
    let mut ends: Vec<usize> = (0..=token.len()).collect();
    loop {
        let pairs = (0..ends.len().saturating_sub(2)).filter_map(|n| {
            let merged = ranks.get(&token[ends[n]..ends[n + 2]]).copied()?;
            (merged < rank).then_some((merged, n))
        });
        let Some((_, n)) = pairs.min() else { break };
        ends.remove(n + 1);
    }
    if token.len() == 1 {
        return 0;
    }
    assert_eq!(ends.len(), 3, "{rank} is not made of two tokens: {token:?}");
    u8::try_from(ends[1]).expect("no token is that long")
}

fn classes_file() -> Vec<u8> {
    let mut classes = vec![OTHER; 0x11_0000];
    for (pattern, class) in [
        (r"[\p{Lu}\p{Lt}]", UPPER),
        (r"\p{Ll}", LOWER),
        (r"[\p{Lm}\p{Lo}]", BOTH),
        (r"\p{M}", MARK),
        (r"\p{N}", NUMBER),
        (r"\s", SPACE),
        (r"[\r\n]", NEWLINE),
    ] {
        let hir = regex_syntax::parse(pattern).expect("the pattern is valid");
        let HirKind::Class(Class::Unicode(class_of)) = hir.kind() else {
            panic!("{pattern} is not a class");
        };
        for range in class_of.ranges() {
            for slot in &mut classes[range.start() as usize..=range.end() as usize] {
                assert!(*slot == OTHER || class == NEWLINE, "classes overlap");
                *slot = class;
            }
        }
    }
    let runs = classes.chunk_by(|one, next| one == next);
    runs.flat_map(|run| (u32::from(run[0]) | (run.len() as u32) << 8).to_le_bytes())
        .collect()
}

#[test]
fn the_vocabularies_are_those_of_tiktoken() {
    write_the_files();
    for encoding in Encoding::ALL {
        let made = tokens_file(oracle(encoding));
        let kept = fs::read(path(&format!("{encoding}.tokens"))).expect("it is in the repository");
        assert!(
            made == kept,
            "{encoding}: the files have to be written again"
        );
    }
}

#[test]
fn the_classes_are_those_of_regex() {
    let kept = fs::read(path("classes.runs")).expect("it is in the repository");
    assert!(classes_file() == kept, "the files have to be written again");
}

/// Writes the files anew where that was asked for at build time: after a new version of tiktoken-rs or of
/// Unicode.
fn write_the_files() {
    if option_env!("MCP_WHITTLE_WRITE_TOKENS").is_none() {
        return;
    }
    for encoding in Encoding::ALL {
        let file = tokens_file(oracle(encoding));
        fs::write(path(&format!("{encoding}.tokens")), file).expect("the folder can be written");
    }
    fs::write(path("classes.runs"), classes_file()).expect("the folder can be written");
}
