//! Which definitions of a schema nothing can reach. It errs on one side only: whatever might be a
//! reference counts as one, and where references could mean something we do not resolve (`$id`,
//! other documents, a pointer at the definitions themselves) every definition stays.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Range;

use crate::jsonrpc::percent;
use crate::surface::schema::Place;
use crate::surface::schema::is_definitions;
use crate::surface::schema::walk;
use crate::surface::tree::Kind;
use crate::surface::tree::Member;
use crate::surface::tree::Node;

/// What reachability says about one schema document.
#[derive(Debug, Default)]
pub(crate) struct Unreachable {
    /// The members to leave out, by the bytes they take, in text order: single definitions, or the whole of
    /// `$defs` if none of it is left.
    pub(crate) members: Vec<Range<usize>>,
    /// How many definitions those are.
    pub(crate) n_definitions: usize,
    /// Why every definition stays, if one of them may be reached in a way we do not follow.
    pub(crate) doubt: Option<&'static str>,
}

/// What a reference reaches.
enum Target {
    /// One definition, or a place inside it.
    Definition(usize),
    /// Whatever has an anchor.
    Anchor,
}

/// Finds the definitions of `root` that no reference reaches.
pub(crate) fn unreachable<'t>(root: &'t Node<'t>) -> Unreachable {
    let containers = containers(root);
    let candidates: HashMap<usize, &Node<'_>> = containers
        .iter()
        .flat_map(|container| container.value.members())
        .map(|member| (member.at, &member.value))
        .collect();
    if candidates.is_empty() {
        return Unreachable::default();
    }
    match live(root, &containers, &candidates) {
        Err(doubt) => Unreachable {
            doubt: Some(doubt),
            ..Unreachable::default()
        },
        Ok(live) => {
            let mut found = Unreachable::default();
            for container in &containers {
                let definitions = container.value.members();
                let dead = definitions
                    .iter()
                    .filter(|member| !live.contains(&member.at));
                let dead: Vec<Range<usize>> = dead.map(Member::span).collect();
                found.n_definitions += dead.len();
                if dead.len() == definitions.len() && !dead.is_empty() {
                    found.members.push(container.span());
                } else {
                    found.members.extend(dead);
                }
            }
            found
        }
    }
}

/// Returns the outermost objects that hold definitions. What a definition itself defines stays or
/// goes with it.
fn containers<'t>(root: &'t Node<'t>) -> Vec<&'t Member<'t>> {
    let mut all: Vec<&'t Member<'t>> = Vec::new();
    walk(root, Place::Root, &mut |schema, _| {
        let members = schema.members().iter();
        all.extend(
            members.filter(|member| is_definitions(&member.key) && member.value.is_object()),
        );
    });
    all.sort_by_key(|container| container.at);
    let mut outer_end = 0;
    all.retain(|container| {
        let is_outermost = container.at >= outer_end;
        if is_outermost {
            outer_end = container.span().end;
        }
        is_outermost
    });
    all
}

fn live<'t>(
    root: &'t Node<'t>,
    containers: &[&'t Member<'t>],
    candidates: &HashMap<usize, &'t Node<'t>>,
) -> Result<HashSet<usize>, &'static str> {
    let mut has_id = false;
    walk(root, Place::Root, &mut |schema, _| {
        // Draft-04 wrote `id`.
        has_id |= schema.string("id").is_some();
    });
    if has_id || has_key(root, "$id") {
        return Err("`$id` gives references another base");
    }
    let with = |keys: &[&str]| -> Vec<usize> {
        let has_one = |value| keys.iter().any(|key| has_key(value, key));
        let found = candidates.iter().filter(|(_, value)| has_one(value));
        found.map(|(at, _)| *at).collect()
    };
    let anchored = with(&["$anchor", "$dynamicAnchor", "$recursiveAnchor"]);
    // A header annotation where it must not be makes clients refuse the tool (MCP 2026-07-28
    // basic/transports); a definition that does so stays, so that they still do.
    let mut waiting = with(&["x-mcp-header"]);
    let mut live: HashSet<usize> = waiting.iter().copied().collect();
    let mut resolver = Resolver {
        root,
        containers,
        candidates,
        indexes: HashMap::new(),
    };
    let mut seen = HashSet::new();
    let mut references = Vec::new();
    collect_references(root, candidates, &mut references);
    loop {
        for reference in references
            .drain(..)
            .filter(|reference| seen.insert(*reference))
        {
            for target in resolver.targets(reference)? {
                let reached: &[usize] = match &target {
                    Target::Definition(at) => std::slice::from_ref(at),
                    Target::Anchor => &anchored,
                };
                waiting.extend(reached.iter().copied().filter(|at| live.insert(*at)));
            }
        }
        let Some(at) = waiting.pop() else {
            return Ok(live);
        };
        if let Some(value) = candidates.get(&at) {
            collect_references(value, candidates, &mut references);
        }
    }
}

/// Collects every string under a reference keyword, in schemas and in data alike, outside the
/// definitions.
fn collect_references<'t>(
    node: &'t Node<'t>,
    candidates: &HashMap<usize, &'t Node<'t>>,
    references: &mut Vec<&'t str>,
) {
    match &node.kind {
        Kind::Object(members) => {
            for member in members
                .iter()
                .filter(|member| !candidates.contains_key(&member.at))
            {
                if matches!(
                    member.key.as_ref(),
                    "$ref" | "$dynamicRef" | "$recursiveRef"
                ) && let Some(reference) = member.value.as_str()
                {
                    references.push(reference);
                }
                collect_references(&member.value, candidates, references);
            }
        }
        Kind::Array(items) => {
            for item in items {
                collect_references(item, candidates, references);
            }
        }
        Kind::String(_) | Kind::Other => {}
    }
}

/// Resolves references inside one document.
struct Resolver<'c, 't> {
    root: &'t Node<'t>,
    containers: &'c [&'t Member<'t>],
    candidates: &'c HashMap<usize, &'t Node<'t>>,
    /// Members by key of the large objects met so far, so that many references cost no more than
    /// their length.
    indexes: HashMap<*const Node<'t>, HashMap<&'t str, &'t Member<'t>>>,
}

impl<'t> Resolver<'_, 't> {
    /// Returns which definitions a reference reaches, or why that is unknown.
    fn targets(&mut self, reference: &str) -> Result<Vec<Target>, &'static str> {
        let Some(fragment) = reference.strip_prefix('#') else {
            // An empty reference is the document itself; anything else has to be resolved against
            // a base that we do not know.
            return if reference.is_empty() {
                Ok(Vec::new())
            } else {
                Err("a reference leaves the document")
            };
        };
        let decoded =
            percent::decode_strictly(fragment).ok_or("a reference has a broken escape")?;
        let mut targets = Vec::new();
        // Not every validator decodes, so the undecoded spelling counts as well.
        let spellings = [fragment, decoded.as_str()];
        let n_spellings = if fragment == decoded { 1 } else { 2 };
        for spelling in &spellings[..n_spellings] {
            if let Some(pointer) = spelling.strip_prefix('/') {
                targets.extend(self.definition(pointer)?.map(Target::Definition));
            } else if !spelling.is_empty() {
                targets.push(Target::Anchor);
            }
        }
        Ok(targets)
    }

    /// Returns the definition that a JSON Pointer leads to or through. A pointer that leads nowhere
    /// does so before and after.
    fn definition(&mut self, pointer: &str) -> Result<Option<usize>, &'static str> {
        let mut node = self.root;
        for token in pointer.split('/') {
            let key = token.replace("~1", "/").replace("~0", "~");
            if let Kind::Array(items) = &node.kind {
                let Some(item) = key.parse::<usize>().ok().and_then(|n| items.get(n)) else {
                    return Ok(None);
                };
                node = item;
                continue;
            }
            let Some(member) = self.member(node, &key) else {
                return Ok(None);
            };
            if self.candidates.contains_key(&member.at) {
                return Ok(Some(member.at));
            }
            node = &member.value;
        }
        if self
            .containers
            .iter()
            .any(|container| std::ptr::eq(&raw const container.value, node))
        {
            return Err("a reference takes the definitions themselves for a schema");
        }
        Ok(None)
    }

    fn member(&mut self, node: &'t Node<'t>, key: &str) -> Option<&'t Member<'t>> {
        const LARGE: usize = 16;
        if node.members().len() <= LARGE {
            return node.member(key);
        }
        let index = self
            .indexes
            .entry(std::ptr::from_ref(node))
            .or_insert_with(|| {
                let members = node.members().iter();
                members
                    .map(|member| (member.key.as_ref(), member))
                    .collect()
            });
        index.get(key).copied()
    }
}

fn has_key(node: &Node<'_>, key: &str) -> bool {
    match &node.kind {
        Kind::Object(members) => members
            .iter()
            .any(|member| member.key == key || has_key(&member.value, key)),
        Kind::Array(items) => items.iter().any(|item| has_key(item, key)),
        Kind::String(_) | Kind::Other => false,
    }
}
