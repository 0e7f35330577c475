//! The shape of a tool's JSON results, learned from those that passed: which members there are and how they are
//! nested, such as `{items:[{id,title,user:{login}}],total}`. Pure; never a value.
//!
//! Members' names come from a server and may be data: keys of a map can be people, addresses or secrets. So a name is
//! kept only where it is written like one of a program's, is short, and does not look like an id; objects that look
//! like maps have no names at all. What is written down later is only what several results had. All of it is bounded:
//! levels, members, elements and bytes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::token::{TokenCounter, Tokens};

/// Bytes of JSON that is looked at.
pub const MOST_BYTES: usize = 1 << 20;
/// Levels of objects; what is deeper is not told apart.
const DEPTH: usize = 4;
/// Levels of arrays and objects together.
const LEVELS: usize = 10;
/// Members of one shape, over all its objects.
const MEMBERS: usize = 64;
/// Elements of an array that are looked at, the first.
const ELEMENTS: usize = 32;
/// Bytes of a member's name.
const NAME_BYTES: usize = 40;
/// Members of one kind from which on an object is taken for a map: of objects that are all alike, and of plain
/// values.
const ALIKE: usize = 3;
const PLAIN: usize = 12;
/// Tokens of a shape that is written down.
const TOKENS: u64 = 150;
/// Bytes of it, the most that is tried first.
const TEXTS: [usize; 4] = [480, 360, 240, 120];

/// What results of one tool had in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// How many results it was learned from.
    pub results: u32,
    root: Node,
}

/// A value: what it was in those results. Nothing = neither object nor array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// It was an object.
    #[serde(default, skip_serializing_if = "is_not")]
    is_object: bool,
    /// Members by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    members: BTreeMap<String, Member>,
    /// Members whose names are data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others: Option<Box<Node>>,
    /// Elements, all as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    elements: Option<Box<Node>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// How many results had it.
    n: u32,
    #[serde(default)]
    value: Node,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_not(flag: &bool) -> bool {
    !*flag
}

impl Learned {
    /// Learns from one result's JSON; none where it is too long, no JSON, or neither object nor array.
    pub fn of(json: &str) -> Option<Self> {
        if json.len() > MOST_BYTES {
            return None;
        }
        let left = Cell::new(MEMBERS);
        let seed = Seed {
            objects: 0,
            levels: 0,
            left: &left,
        };
        let mut reader = serde_json::Deserializer::from_str(json);
        let mut root = seed.deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        root.fold_maps();
        (root.is_object || root.elements.is_some()).then_some(Self { results: 1, root })
    }

    /// Adds what other results had.
    pub fn add(&mut self, other: &Self) {
        self.results = self.results.saturating_add(other.results);
        self.root.merge(&other.root, &|a, b| a.saturating_add(b));
        self.root.bound();
    }

    /// The same as one result: what it was learned from counts once, for adding up over principals. Only what at
    /// least `least` results had stays.
    #[must_use]
    pub fn as_one(&self, least: u32) -> Self {
        let mut root = self.root.clone();
        root.keep(least);
        root.set_counts();
        Self { results: 1, root }
    }

    /// Writes what at least `least` results had, what most of them had first; none where that is nothing. `…` stands
    /// for what has no room or lies deeper, `<key>` for names that are data.
    pub fn text(&self, least: u32, counter: &dyn TokenCounter) -> Option<String> {
        let mut root = self.root.clone();
        root.keep(least);
        if !root.names_something() {
            return None;
        }
        TEXTS.into_iter().find_map(|bytes| {
            let mut chosen = root.clone();
            chosen.shorten(bytes);
            let mut text = String::new();
            chosen.write(&root, 0, &mut text);
            counter
                .count_up_to(&text, Tokens::new(TOKENS))
                .map(|_| text)
        })
    }
}

impl Node {
    /// Takes in another value; `count` says what becomes of the counts of one member.
    ///
    /// Once a value was a map, all of it is one; the counts within it may then be lower than what is true.
    fn merge(&mut self, other: &Self, count: &dyn Fn(u32, u32) -> u32) {
        let folded;
        let mut other = other;
        if other.others.is_some() {
            self.fold();
        } else if self.others.is_some() {
            folded = {
                let mut folded = other.clone();
                folded.fold();
                folded
            };
            other = &folded;
        }
        self.is_object |= other.is_object;
        for (name, member) in &other.members {
            let own = self.members.entry(name.clone()).or_default();
            own.n = count(own.n, member.n);
            own.value.merge(&member.value, count);
        }
        for (own, other) in [
            (&mut self.others, &other.others),
            (&mut self.elements, &other.elements),
        ] {
            if let Some(other) = other {
                own.get_or_insert_default().merge(other, count);
            }
        }
    }

    /// An object with a name that is data has only such.
    fn fold(&mut self) {
        for (_, member) in std::mem::take(&mut self.members) {
            let others = self.others.get_or_insert_default();
            others.merge(&member.value, &u32::max);
        }
    }

    /// Finds objects that look like maps.
    fn fold_maps(&mut self) {
        for member in self.members.values_mut() {
            member.value.fold_maps();
        }
        for inner in [&mut self.others, &mut self.elements].into_iter().flatten() {
            inner.fold_maps();
        }
        let mut values = self.members.values().map(|member| &member.value);
        let is_map = match values.next() {
            None => false,
            Some(first) if first.is_plain() => {
                self.members.len() >= PLAIN && values.all(Self::is_plain)
            }
            Some(first) => self.members.len() >= ALIKE && values.all(|value| value.is_like(first)),
        };
        if is_map {
            self.others.get_or_insert_default();
            self.fold();
        }
    }

    fn is_plain(&self) -> bool {
        !self.is_object && self.elements.is_none()
    }

    /// Tells whether two values have the same members.
    fn is_like(&self, other: &Self) -> bool {
        let inner = |node: &Self| {
            (
                node.is_object,
                node.elements.is_some(),
                node.others.is_some(),
            )
        };
        inner(self) == inner(other)
            && self.members.keys().eq(other.members.keys())
            && match (&self.elements, &other.elements) {
                (Some(one), Some(other)) => one.is_like(other),
                _ => true,
            }
    }

    /// Drops what is beyond the bound of members, those of fewest results first.
    fn bound(&mut self) {
        let mut counts = Vec::new();
        self.visit(&mut |member| counts.push(member.n));
        if counts.len() <= MEMBERS {
            return;
        }
        counts.sort_unstable_by(|one, other| other.cmp(one));
        self.keep(counts[MEMBERS].saturating_add(1));
        // All of them equal: the first names stay.
        let mut left = MEMBERS;
        self.cut(&mut left);
    }

    fn visit(&self, look: &mut dyn FnMut(&Member)) {
        for member in self.members.values() {
            look(member);
            member.value.visit(look);
        }
        for inner in [&self.others, &self.elements].into_iter().flatten() {
            inner.visit(look);
        }
    }

    fn cut(&mut self, left: &mut usize) {
        self.members.retain(|_, _| {
            let stays = *left > 0;
            *left = left.saturating_sub(1);
            stays
        });
        for member in self.members.values_mut() {
            member.value.cut(left);
        }
        for inner in [&mut self.others, &mut self.elements].into_iter().flatten() {
            inner.cut(left);
        }
    }

    fn keep(&mut self, least: u32) {
        self.members.retain(|_, member| member.n >= least);
        for member in self.members.values_mut() {
            member.value.keep(least);
        }
        for inner in [&mut self.others, &mut self.elements].into_iter().flatten() {
            inner.keep(least);
        }
    }

    fn set_counts(&mut self) {
        for member in self.members.values_mut() {
            member.n = 1;
            member.value.set_counts();
        }
        for inner in [&mut self.others, &mut self.elements].into_iter().flatten() {
            inner.set_counts();
        }
    }

    fn names_something(&self) -> bool {
        let mut n = 0;
        self.visit(&mut |_| n += 1);
        n > 0
    }

    /// Keeps members for so many bytes: the upper levels first, in a level those of most results.
    fn shorten(&mut self, bytes: usize) {
        let mut left = bytes;
        let mut level: Vec<&mut Self> = vec![self];
        while !level.is_empty() {
            let mut next: Vec<&mut Self> = Vec::new();
            for node in level {
                let mut order: Vec<(std::cmp::Reverse<u32>, String)> = node
                    .members
                    .iter()
                    .map(|(name, member)| (std::cmp::Reverse(member.n), name.clone()))
                    .collect();
                order.sort_unstable();
                let mut stays = BTreeSet::new();
                for (_, name) in order {
                    // With its comma and brackets.
                    let cost = name.len() + 4;
                    if cost > left {
                        left = 0;
                        break;
                    }
                    left -= cost;
                    stays.insert(name);
                }
                node.members.retain(|name, _| stays.contains(name));
                next.extend(node.members.values_mut().map(|member| &mut member.value));
                for inner in [&mut node.others, &mut node.elements].into_iter().flatten() {
                    next.push(inner);
                }
            }
            level = next;
        }
    }

    /// Writes what is left of `whole`.
    fn write(&self, whole: &Self, levels: usize, text: &mut String) {
        if levels > LEVELS {
            return text.push('…');
        }
        if let Some(elements) = &self.elements {
            text.push('[');
            if !elements.is_plain()
                && let Some(whole) = &whole.elements
            {
                elements.write(whole, levels + 1, text);
            }
            text.push(']');
            // A value that is one thing here and another there is written as the first of them.
            return;
        }
        if !self.is_object {
            return;
        }
        text.push('{');
        if let (Some(others), Some(whole)) = (&self.others, &whole.others) {
            text.push_str("<key>");
            others.write_value(whole, levels, text);
            text.push('}');
            return;
        }
        let mut members: Vec<(&String, &Member)> = self.members.iter().collect();
        members.sort_by_key(|(name, member)| (std::cmp::Reverse(member.n), *name));
        for (at, (name, member)) in members.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(name);
            if let Some(whole) = whole.members.get(*name) {
                member.value.write_value(&whole.value, levels, text);
            }
        }
        if self.members.len() < whole.members.len() || whole.members.is_empty() {
            text.push_str(if members.is_empty() { "…" } else { ",…" });
        }
        text.push('}');
    }

    fn write_value(&self, whole: &Self, levels: usize, text: &mut String) {
        if !self.is_plain() {
            text.push(':');
            self.write(whole, levels + 1, text);
        }
    }
}

/// Tells whether a name is one that a program gave: letters, digits, `_` and `-`, and nothing that looks like an id,
/// a date or a random word.
fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let is_written_so = (1..=NAME_BYTES).contains(&bytes.len())
        && (bytes[0].is_ascii_alphabetic() || bytes[0] == b'_')
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_hex = bytes.len() >= 6 && digits > 0 && bytes.iter().all(u8::is_ascii_hexdigit);
    is_written_so && digits <= 3 && !is_hex
}

/// Reads a value's shape from a stream: no value is ever built.
#[derive(Clone, Copy)]
struct Seed<'a> {
    objects: usize,
    levels: usize,
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        if self.levels > LEVELS {
            IgnoredAny::deserialize(from)?;
            return Ok(Node::default());
        }
        from.deserialize_any(self)
    }
}

/// A value that is neither object nor array says nothing.
macro_rules! plain {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method<E>(self, _: $kind) -> Result<Node, E> {
            Ok(Node::default())
        })*
    };
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    plain! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let inner = Self {
            levels: self.levels + 1,
            ..self
        };
        let mut elements = Node::default();
        let mut n = 0;
        while n < ELEMENTS
            && let Some(element) = from.next_element_seed(inner)?
        {
            elements.merge(&element, &u32::max);
            n += 1;
        }
        while from.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node {
            elements: Some(Box::new(elements)),
            ..Node::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let mut node = Node {
            is_object: true,
            ..Node::default()
        };
        let inner = Self {
            objects: self.objects + 1,
            levels: self.levels + 1,
            ..self
        };
        while let Some(name) = from.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.objects >= DEPTH {
                from.next_value::<IgnoredAny>()?;
                continue;
            }
            if !is_name(&name) {
                let value = from.next_value_seed(inner)?;
                let others = node.others.get_or_insert_default();
                others.merge(&value, &u32::max);
                continue;
            }
            let is_known = node.members.contains_key(name.as_ref());
            if !is_known && self.left.get() == 0 {
                from.next_value::<IgnoredAny>()?;
                continue;
            }
            if !is_known {
                self.left.set(self.left.get() - 1);
            }
            let value = from.next_value_seed(inner)?;
            let member = node.members.entry(name.into_owned()).or_default();
            member.n = 1;
            member.value.merge(&value, &u32::max);
        }
        if node.others.is_some() {
            node.fold();
        }
        Ok(node)
    }
}

#[cfg(test)]
mod tests;
