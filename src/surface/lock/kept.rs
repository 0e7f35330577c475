//! How many constraints of a definition stand in what is shown of it. Reads both sides afresh, apart
//! from what made the rendering.

use crate::surface::constraints::{Reader, clauses};
use crate::surface::ladder::Rung;
use crate::surface::lean::Limits;
use crate::surface::schema::{Place, walk};
use crate::surface::tree::{Kind, Node};

/// Clauses that are written down.
pub(super) const MAX_LOST: usize = 20;
/// Characters of one of them.
pub(super) const MAX_CLAUSE: usize = 200;

/// What was counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) all: u64,
    pub(super) kept: u64,
    pub(super) lost: Vec<String>,
}

/// Tells whether a rung promises to keep every constraint.
pub(super) fn promises(rung: Rung) -> bool {
    rung <= Rung::Short
}

/// Counts the constraints of `original`, and those in `shown`. What is no tool that can be read has none.
pub(super) fn kept(original: &str, shown: Option<&str>, rung: Rung) -> Kept {
    let limits = Limits::default();
    let read = |text| Node::parse(text, limits.max_depth, limits.max_nodes).ok();
    let Some(tool) = read(original) else {
        return Kept::default();
    };
    let mut reader = shown.map(|shown| {
        let mut all = String::new();
        match read(shown) {
            Some(node) => strings(&node, &mut all),
            None => all.push_str(shown),
        }
        Reader::of(&all)
    });
    let mut counted = Kept::default();
    for text in texts(&tool) {
        let all = clauses(text);
        counted.all += all.len() as u64;
        let Some(reader) = &mut reader else { continue };
        let lost = if shown == Some(original) {
            Vec::new()
        } else {
            reader.lost(text)
        };
        counted.kept += (all.len() - lost.len()) as u64;
        if promises(rung) {
            let room = MAX_LOST.saturating_sub(counted.lost.len());
            let clause = |text: &str| text.chars().take(MAX_CLAUSE).collect::<String>();
            counted
                .lost
                .extend(lost.iter().take(room).map(|lost| clause(lost.text)));
        }
    }
    counted
}

/// The descriptions of a tool and of everything in its input schema.
fn texts<'t>(tool: &'t Node<'_>) -> Vec<&'t str> {
    let mut texts: Vec<&str> = tool.string("description").into_iter().collect();
    if let Some(schema) = tool.member("inputSchema") {
        walk(&schema.value, Place::Root, &mut |schema, _| {
            texts.extend(schema.string("description"));
        });
    }
    texts
}

fn strings(node: &Node<'_>, all: &mut String) {
    match &node.kind {
        Kind::String(text) => {
            all.push_str(text);
            all.push_str("\n\n");
        }
        Kind::Array(items) => items.iter().for_each(|item| strings(item, all)),
        Kind::Object(members) => members
            .iter()
            .for_each(|member| strings(&member.value, all)),
        Kind::Other => {}
    }
}
