//! Edits of messages: the result is JSON where the text was, and what was not named keeps its bytes.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::id::RequestId;
use mcp_whittle::jsonrpc::message::{Kind, Message};
use mcp_whittle::jsonrpc::scan::EnvelopeKey;
use mcp_whittle::jsonrpc::write::{self, Edit, edit_object, splice};

/// Names that are removed and set beside those the text has.
const NAMES: [&str; 4] = ["_meta", "a", "", "na\"me"];

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, edit);
}

/// The property for an editor of objects.
pub fn check(data: &[u8], edit: impl Fn(&Bytes, &[&str], &[(&str, Bytes)]) -> Bytes) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    // The strictest reader decides what was JSON before.
    let Ok(before) = serde_json::from_slice::<Members>(text) else {
        return;
    };
    let raw = Bytes::copy_from_slice(text.trim_ascii());
    let mut names: Vec<&str> = before.0.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(NAMES);
    let pick = |n: u8| names[usize::from(n) % names.len()];
    let remove = [pick(choice & 15), pick(choice >> 4)];
    let value = Bytes::from_static(b"{\"set\":[1, 2]}");
    let set = [(pick(choice.wrapping_mul(7) >> 3), value.clone())];
    for (remove, set) in [
        (&remove[..], &set[..]),
        (&remove[..1], &[]),
        (&[], &set[..]),
        (&[], &[]),
    ] {
        let after = edit(&raw, remove, set);
        let after: Members = serde_json::from_slice(&after)
            .unwrap_or_else(|error| panic!("{error}: -{remove:?} +{set:?} made {after:?}"));
        assert_eq!(
            after.0,
            model(&before.0, remove, set),
            "-{remove:?} +{set:?}"
        );
    }
    envelope(&raw);
}

/// Edits with the functions of the product.
pub fn edit(raw: &Bytes, remove: &[&str], set: &[(&str, Bytes)]) -> Bytes {
    splice(raw, edit_object(raw, 0..raw.len(), remove, set)).to_bytes()
}

fn model(
    before: &[(String, String)],
    remove: &[&str],
    set: &[(&str, Bytes)],
) -> Vec<(String, String)> {
    let mut after = Vec::new();
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    for (name, value) in before {
        match set.iter().find(|(set_name, _)| set_name == name) {
            Some((_, value)) => after.push((name.clone(), text(value))),
            None if remove.contains(&name.as_str()) => {}
            None => after.push((name.clone(), value.clone())),
        }
    }
    for (name, value) in set {
        if !before.iter().any(|(before, _)| before == name) {
            after.push(((*name).to_owned(), text(value)));
        }
    }
    after
}

/// Another id in a message changes nothing but the id; a response made of a result holds that result.
fn envelope(raw: &Bytes) {
    let limits = Limits::default();
    let Ok(message) = Message::parse_single(raw.clone(), limits) else {
        return;
    };
    let id = RequestId::from_text("w\"7");
    if let (Kind::Request(_) | Kind::Response(_), Some(range)) =
        (message.kind(), message.span(EnvelopeKey::Id))
    {
        let edit = Edit {
            range,
            with: id.raw().clone(),
        };
        let spliced = splice(raw, vec![edit]).to_bytes();
        let other = Message::parse_single(spliced, limits).expect("only the id is another");
        assert_eq!(other.id(), Some(&id));
        assert_eq!(other.method(), message.method());
        assert_eq!(other.params(), message.params());
        assert_eq!(other.result(), message.result());
    }
    if let Some(range) = message.span(EnvelopeKey::Result) {
        let made = write::response(&id, raw.slice(range).into()).to_bytes();
        let made = Message::parse_single(made, limits).expect("a result makes a response");
        assert_eq!(made.result(), message.result());
        assert_eq!(made.id(), Some(&id));
    }
    if let Some(params) = message.params()
        && matches!(message.kind(), Kind::Request(_))
    {
        let made = Bytes::from(write::request(&id, message.method(), Some(params)));
        let made = Message::parse_single(made, limits).expect("params make a request");
        assert_eq!(made.params(), Some(params));
        assert_eq!(made.method(), message.method());
    }
}

/// The members of an object in order, values as text, doubles kept.
#[derive(Debug)]
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
