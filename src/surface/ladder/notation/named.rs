//! Which parts of a schema get a name of their own: those that are referred to more than once, or
//! from elsewhere than where they stand. Everything else is written in place. Follows only
//! references into the same schema (`#/…`); whatever else there is makes the schema unsayable.

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;

use crate::surface::ladder::notation::Unsayable;
use crate::surface::schema::Place;
use crate::surface::schema::walk;
use crate::surface::tree::Kind;
use crate::surface::tree::Node;

/// References inside references are followed in place to this depth; below they get names.
const MAX_INLINE_DEPTH: usize = 24;

/// What a reference leads to.
pub(crate) enum Reached<'t, 'a> {
    /// A type that is written elsewhere.
    Name(String),
    /// A type that only this reference uses.
    Inline(&'t Node<'a>),
}

/// The parts of one schema that references lead to.
pub(crate) struct Named<'t, 'a> {
    by_reference: HashMap<String, &'t Node<'a>>,
    /// Node by address → what is known of it.
    targets: HashMap<usize, Target<'t, 'a>>,
    /// Node by address → the node by address whose type it shares.
    same_as: HashMap<usize, usize>,
    names: HashSet<String>,
    /// How often a name was wished for already.
    wishes: HashMap<String, usize>,
    queue: VecDeque<usize>,
}

struct Target<'t, 'a> {
    node: &'t Node<'a>,
    wished: String,
    name: Option<String>,
    n_references: usize,
    /// Stands among `$defs`, so that nothing but references shows it.
    is_definition: bool,
}

fn address(node: &Node<'_>) -> usize {
    node.raw.as_ptr() as usize
}

impl<'t, 'a> Named<'t, 'a> {
    pub(crate) fn of(root: &'t Node<'a>) -> Result<Self, Unsayable> {
        let mut references: HashMap<&'t str, usize> = HashMap::new();
        let mut definitions: HashSet<usize> = HashSet::new();
        let mut is_readable = true;
        walk(root, Place::Root, &mut |schema, place| {
            if matches!(place, Place::Definition(_)) {
                definitions.insert(address(schema));
            }
            if let Some(member) = schema.member("$ref") {
                match member.value.as_str() {
                    Some(reference) => *references.entry(reference).or_default() += 1,
                    None => is_readable = false,
                }
            }
            // These would change what references mean.
            let changes = [
                "$id",
                "id",
                "$anchor",
                "$dynamicAnchor",
                "$dynamicRef",
                "$recursiveRef",
            ];
            is_readable &= !changes
                .iter()
                .any(|keyword| schema.member(keyword).is_some());
        });
        if !is_readable {
            return Err(Unsayable::Reference);
        }
        let mut named = Self {
            by_reference: HashMap::new(),
            targets: HashMap::new(),
            same_as: HashMap::new(),
            names: HashSet::new(),
            wishes: HashMap::new(),
            queue: VecDeque::new(),
        };
        let mut members = MemberIndex::default();
        for (reference, n_references) in references {
            let (node, wished) =
                resolve(root, reference, &mut members).ok_or(Unsayable::Reference)?;
            named.by_reference.insert(reference.to_owned(), node);
            let target = named.targets.entry(address(node)).or_insert(Target {
                node,
                wished: String::new(),
                name: None,
                n_references: 0,
                is_definition: definitions.contains(&address(node)),
            });
            // Two spellings may lead to one node; the smaller name wins whatever the order.
            if target.wished.is_empty() || wished < target.wished {
                target.wished = wished;
            }
            target.n_references += n_references;
        }
        named.repeats(root, &definitions);
        Ok(named)
    }

    /// Gives one name to types that are written out more than once, word for word.
    fn repeats(&mut self, root: &'t Node<'a>, definitions: &HashSet<usize>) {
        let mut seen: HashMap<&'a str, Vec<(&'t Node<'a>, &'t str)>> = HashMap::new();
        let mut order: Vec<&'a str> = Vec::new();
        collect(root, "Type", &mut |node, wished| {
            let all = seen.entry(node.raw).or_default();
            if all.is_empty() {
                order.push(node.raw);
            }
            all.push((node, wished));
            all.len() == 1
        });
        for raw in order {
            let Some(all) = seen.get(raw).filter(|all| all.len() > 1) else {
                continue;
            };
            let is_free = |node: &Node<'_>| {
                !definitions.contains(&address(node)) && !self.targets.contains_key(&address(node))
            };
            let Some((first, wished)) = all.iter().find(|(node, _)| is_free(node)).copied() else {
                continue;
            };
            let at = address(first);
            let same: Vec<usize> = all
                .iter()
                .filter(|(node, _)| is_free(node))
                .map(|(node, _)| address(node))
                .collect();
            if same.len() < 2 {
                continue;
            }
            self.targets.insert(
                at,
                Target {
                    node: first,
                    wished: type_name(wished),
                    name: None,
                    n_references: 1,
                    is_definition: false,
                },
            );
            self.same_as
                .extend(same.into_iter().map(|other| (other, at)));
        }
    }

    /// Returns what a reference leads to, and remembers the type if it has to be written.
    pub(crate) fn reference(
        &mut self,
        reference: &str,
        depth: usize,
    ) -> Result<Reached<'t, 'a>, Unsayable> {
        let node = *self
            .by_reference
            .get(reference)
            .ok_or(Unsayable::Reference)?;
        let target = self
            .targets
            .get(&address(node))
            .ok_or(Unsayable::Reference)?;
        let is_sole = target.is_definition && target.n_references == 1;
        if is_sole && depth < MAX_INLINE_DEPTH && target.name.is_none() {
            return Ok(Reached::Inline(node));
        }
        Ok(Reached::Name(self.name(address(node))))
    }

    /// Returns the name of a schema that stands here but is referred to from elsewhere.
    pub(crate) fn name_in_place(&mut self, schema: &Node<'_>) -> Option<String> {
        let at = address(schema);
        let at = self.same_as.get(&at).copied().unwrap_or(at);
        let target = self.targets.get(&at)?;
        (!target.is_definition).then(|| self.name(at))
    }

    /// Returns a type that still has to be written.
    pub(crate) fn next_to_write(&mut self) -> Option<(String, &'t Node<'a>)> {
        let target = self.targets.get(&self.queue.pop_front()?)?;
        Some((target.name.clone()?, target.node))
    }

    fn name(&mut self, at: usize) -> String {
        let Some(target) = self.targets.get_mut(&at) else {
            return String::from("any");
        };
        if let Some(name) = &target.name {
            return name.clone();
        }
        let mut name = target.wished.clone();
        while !self.names.insert(name.clone()) {
            let n_wishes = self.wishes.entry(target.wished.clone()).or_insert(1);
            *n_wishes += 1;
            name = format!("{}{n_wishes}", target.wished);
        }
        target.name = Some(name.clone());
        self.queue.push_back(at);
        name
    }
}

/// Bytes of JSON below which a type is not worth a name.
const MIN_REPEATED: usize = 160;

/// Calls `visit` with every schema that is big enough to be worth a name and has no references,
/// and with the last property's name above it; goes deeper where `visit` says so.
fn collect<'t, 'a>(
    schema: &'t Node<'a>,
    wished: &'t str,
    visit: &mut dyn FnMut(&'t Node<'a>, &'t str) -> bool,
) {
    if schema.raw.len() < MIN_REPEATED {
        return;
    }
    for member in schema.members() {
        let key = &*member.key;
        match key {
            "properties" | "patternProperties" | "$defs" | "definitions" => {
                for property in member.value.members() {
                    below(&property.value, &property.key, visit);
                }
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                if let Kind::Array(items) = &member.value.kind {
                    for item in items {
                        below(item, wished, visit);
                    }
                }
            }
            "items" | "additionalProperties" => below(&member.value, wished, visit),
            _ => {}
        }
    }
}

fn below<'t, 'a>(
    schema: &'t Node<'a>,
    wished: &'t str,
    visit: &mut dyn FnMut(&'t Node<'a>, &'t str) -> bool,
) {
    let is_big = schema.is_object() && schema.raw.len() >= MIN_REPEATED;
    if is_big && visit(schema, wished) {
        collect(schema, wished, visit);
    }
}

/// Members by name, of objects that are looked into often.
#[derive(Default)]
struct MemberIndex<'t, 'a>(HashMap<usize, HashMap<&'t str, &'t Node<'a>>>);

impl<'t, 'a> MemberIndex<'t, 'a> {
    fn member(&mut self, node: &'t Node<'a>, key: &str) -> Option<&'t Node<'a>> {
        let members = self.0.entry(address(node)).or_insert_with(|| {
            let members = node.members().iter();
            members
                .map(|member| (member.key.as_ref(), &member.value))
                .collect()
        });
        members.get(key).copied()
    }
}

/// Follows a JSON Pointer in a URI fragment; also says what to call the type.
fn resolve<'t, 'a>(
    root: &'t Node<'a>,
    reference: &str,
    members: &mut MemberIndex<'t, 'a>,
) -> Option<(&'t Node<'a>, String)> {
    let pointer = reference.strip_prefix("#/")?;
    if pointer.contains('%') {
        return None;
    }
    let mut node = root;
    let mut wished = String::new();
    for token in pointer.split('/') {
        let key = token.replace("~1", "/").replace("~0", "~");
        node = match &node.kind {
            Kind::Object(_) => members.member(node, &key)?,
            Kind::Array(items) => items.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
        let is_name = !matches!(
            &*key,
            "items" | "properties" | "additionalProperties" | "anyOf"
        ) && key.parse::<usize>().is_err();
        if is_name {
            wished = key;
        }
    }
    if !node.is_object() {
        return None;
    }
    Some((node, type_name(&wished)))
}

/// The name of a type: what is a letter, digit or `_`, with a capital first.
fn type_name(wished: &str) -> String {
    let mut name = String::with_capacity(wished.len());
    let mut is_start = true;
    for character in wished.chars() {
        if !character.is_alphanumeric() && character != '_' {
            is_start = true;
        } else if is_start {
            name.extend(character.to_uppercase());
            is_start = false;
        } else {
            name.push(character);
        }
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_numeric()) {
        name.insert_str(0, "Type");
    }
    name
}
