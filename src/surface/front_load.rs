//! Long descriptions for clients that cut them off: the purpose first, then what constrains a call, then the
//! rest. No word goes; the client cuts what matters least. Pure.

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{Edit, splice};
use crate::surface::constraints::constraint;
use crate::surface::sentences::{BlockKind, blocks};

/// A text that is longer (bytes) stays as it is: nobody wrote it for a model.
const MAX_TEXT: usize = 64 * 1024;

/// Returns the tool with what matters within the first `limit` bytes of its description; `None` where it is
/// short enough, or cannot be ordered so.
pub fn front_loaded(raw_tool: &Bytes, limit: usize) -> Option<Bytes> {
    let range = members::member(raw_tool, "description")?;
    if range.len() <= limit {
        return None;
    }
    let description = text::string_value(&raw_tool[range.clone()])?;
    let with = text::to_string(&ordered(&description, limit)?).into();
    Some(splice(raw_tool, vec![Edit { range, with }]).to_bytes())
}

/// The sentences of a text with its purpose and its constraints in front, as far as they fit.
fn ordered(text: &str, limit: usize) -> Option<String> {
    if text.len() <= limit || text.len() > MAX_TEXT {
        return None;
    }
    let blocks = blocks(text);
    let sentences: Vec<(usize, BlockKind, &str)> = blocks
        .iter()
        .enumerate()
        .flat_map(|(at, block)| {
            let sentences = block.sentences.iter();
            sentences.map(move |span| (at, block.kind, &text[span.clone()]))
        })
        .collect();
    let is_prose = |kind: BlockKind| matches!(kind, BlockKind::Paragraph | BlockKind::Item);
    let purpose = sentences
        .iter()
        .position(|(_, kind, _)| is_prose(*kind))
        .unwrap_or(0);
    let mut is_front = vec![false; sentences.len()];
    let mut left = limit;
    let constraints = (0..sentences.len()).filter(|at| {
        let (_, kind, sentence) = sentences[*at];
        *at != purpose && is_prose(kind) && constraint(sentence).is_some()
    });
    for at in std::iter::once(purpose).chain(constraints) {
        // One for what stands before it.
        let length = sentences.get(at)?.2.len() + 1;
        if length <= left {
            left -= length;
            is_front[at] = true;
        }
    }
    if !is_front[purpose] {
        return None;
    }
    let mut ordered = String::with_capacity(text.len());
    let mut block = None;
    for wants_front in [true, false] {
        for (at, (of, _, sentence)) in sentences.iter().enumerate() {
            if is_front[at] != wants_front {
                continue;
            }
            match block {
                None => {}
                Some(before) if before == *of => ordered.push(' '),
                Some(_) => ordered.push('\n'),
            }
            ordered.push_str(sentence);
            block = Some(*of);
        }
    }
    Some(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filler(n: usize) -> String {
        (0..n)
            .map(|at| format!("This is background number {at} about how it came to be. "))
            .collect()
    }

    #[test]
    fn purpose_and_constraints_come_within_the_limit_and_no_word_goes() {
        let text = format!(
            "# Mover\n\nMoves a file. {}\n\n{}\n\n- The target must not exist.\n- It is nice.\nPaths must be absolute.",
            filler(4),
            filler(40)
        );
        let ordered = ordered(&text, 2048).unwrap();
        let start = &ordered[..2048];
        assert!(start.starts_with("Moves a file."), "{start}");
        for constraint in ["The target must not exist.", "Paths must be absolute."] {
            assert!(start.contains(constraint), "{start}");
            // The broken variant that this catches: the text as it was, cut.
            assert!(!text[..2048].contains(constraint));
        }
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!(words(&ordered), words(&text));
    }

    #[test]
    fn what_fits_or_cannot_be_ordered_stays() {
        assert_eq!(ordered("Short.", 2048), None);
        assert_eq!(ordered(&"x".repeat(3000), 2048), None);
        assert_eq!(ordered(&filler(10_000), 2048), None);
        assert_eq!(ordered("\n \n", 1), None);
        for tool in ["7", "{}", r#"{"description":7}"#] {
            assert_eq!(front_loaded(&Bytes::from(tool), 0), None);
        }
        let tool = format!(
            r#"{{"name":"t","description":"Moves. {}It must run \u00e9.","x":1.0}}"#,
            filler(50)
        );
        let loaded = front_loaded(&Bytes::from(tool), 2048).unwrap();
        let loaded = std::str::from_utf8(&loaded).unwrap();
        assert!(
            loaded.starts_with(r#"{"name":"t","description":"Moves. It must run "#),
            "{loaded}"
        );
        assert!(loaded.ends_with(r#"","x":1.0}"#), "{loaded}");
    }
}
