//! References into a union that goes: what they lead to moves into `$defs`, and they lead there. Pure.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::catalog::tool_view::members;
use crate::jsonrpc::percent::decode_strictly;
use crate::surface::lean::Limits;
use crate::surface::root_union::{UNIONS, push, target};
use crate::surface::schema::{Place, walk};
use crate::surface::tree::{Edit, Member, Node};

/// Parts of unions that move.
const MAX_MOVED: usize = 64;
/// Bytes that they have together; one may stand in another.
const MAX_MOVED_BYTES: usize = 1 << 20;

/// Returns a schema that was made of `document` without its unions, with every reference into them led to where
/// its target is now. The same text where there is none; `None` where one cannot be led anywhere.
pub(super) fn with_moved(schema: String, document: &str) -> Option<String> {
    if !schema.contains("\"$ref\"") {
        return Some(schema);
    }
    let mut moving = Moving::new(&schema, document);
    let text = moving.led(&schema)?;
    let mut moved: Vec<(String, String)> = Vec::new();
    while let Some((name, raw)) = moving.queue.pop_front() {
        moved.push((name, moving.led(raw)?));
    }
    if !moving.asked_anchors.is_subset(&moving.anchors) {
        return None;
    }
    if moved.is_empty() {
        return Some(schema);
    }
    let mut written = String::with_capacity(text.len());
    let mut has_definitions = false;
    for member in members(&text).ok()? {
        if member.key == "$defs" {
            has_definitions = true;
            push(&mut written, "$defs", &extended(member.raw, &moved)?);
        } else {
            push(&mut written, &member.key, member.raw);
        }
    }
    if !has_definitions {
        push(&mut written, "$defs", &extended("{}", &moved)?);
    }
    written.push('}');
    Some(written)
}

/// Definitions with more behind them.
fn extended(definitions: &str, more: &[(String, String)]) -> Option<String> {
    let mut object = String::new();
    for member in members(definitions).ok()? {
        push(&mut object, &member.key, member.raw);
    }
    for (name, raw) in more {
        push(&mut object, name, raw);
    }
    object.push('}');
    Some(object)
}

struct Moving<'a> {
    document: &'a str,
    /// Names among `$defs`.
    taken: HashSet<String>,
    /// Reference → the name under which its target stands.
    names: HashMap<String, String>,
    /// What has a name and was not looked through yet.
    queue: VecDeque<(String, &'a str)>,
    n_bytes: usize,
    /// Anchors that stay, and those that references name.
    anchors: HashSet<String>,
    asked_anchors: HashSet<String>,
}

impl<'a> Moving<'a> {
    fn new(schema: &str, document: &'a str) -> Self {
        let root = members(schema).unwrap_or_default();
        let definitions = root.iter().filter(|member| member.key == "$defs");
        let taken = definitions
            .flat_map(|member| members(member.raw).unwrap_or_default())
            .map(|member| member.key.into_owned())
            .collect();
        Self {
            document,
            taken,
            names: HashMap::new(),
            queue: VecDeque::new(),
            n_bytes: 0,
            anchors: HashSet::new(),
            asked_anchors: HashSet::new(),
        }
    }

    /// Leads the references of one text.
    fn led(&mut self, text: &str) -> Option<String> {
        let limits = Limits::default();
        let root = Node::parse(text, limits.max_depth, limits.max_nodes).ok()?;
        let mut references: Vec<(usize, String)> = Vec::new();
        let anchors = &mut self.anchors;
        walk(&root, Place::Root, &mut |schema, _| {
            for keyword in ["$anchor", "$dynamicAnchor"] {
                anchors.extend(schema.string(keyword).map(str::to_owned));
            }
            // So are they written up to draft 7.
            for keyword in ["$id", "id"] {
                let name = schema.string(keyword).and_then(|id| id.strip_prefix('#'));
                anchors.extend(name.map(str::to_owned));
            }
            if let Some(member) = schema.member("$ref")
                && let Some(reference) = member.value.as_str()
            {
                references.push((member.at, reference.to_owned()));
            }
        });
        let mut edits: HashMap<usize, String> = HashMap::new();
        for (at, reference) in references {
            if let Some(reference) = into_a_union(&reference) {
                let name = self.name_of(&reference)?;
                let reference = serde_json::Value::from(format!("#/$defs/{name}"));
                edits.insert(at, reference.to_string());
            } else if let Some(anchor) = reference.strip_prefix('#')
                && !anchor.is_empty()
                && !anchor.starts_with('/')
            {
                self.asked_anchors.insert(anchor.to_owned());
            }
        }
        if edits.is_empty() {
            return Some(text.to_owned());
        }
        let edit = |member: &Member<'_>| match edits.get(&member.at) {
            Some(reference) => Edit::Replace(Cow::Owned(reference.clone())),
            None => Edit::Keep,
        };
        let mut led = String::with_capacity(text.len());
        root.render_edited(&edit, &mut led);
        Some(led)
    }

    /// The name among `$defs` of what a reference leads to.
    fn name_of(&mut self, reference: &str) -> Option<String> {
        if let Some(name) = self.names.get(reference) {
            return Some(name.clone());
        }
        let raw = target(self.document, reference)?;
        let is_schema = raw.starts_with('{') || matches!(raw, "true" | "false");
        self.n_bytes += raw.len();
        if !is_schema || self.names.len() == MAX_MOVED || self.n_bytes > MAX_MOVED_BYTES {
            return None;
        }
        let name = (1_usize..)
            .map(|n| format!("branch_{n}"))
            .find(|name| !self.taken.contains(name))?;
        self.taken.insert(name.clone());
        self.names.insert(reference.to_owned(), name.clone());
        self.queue.push_back((name.clone(), raw));
        Some(name)
    }
}

/// The reference without percent signs, if it leads into a union at the root.
fn into_a_union(reference: &str) -> Option<String> {
    let fragment = decode_strictly(reference.strip_prefix('#')?)?;
    let first = fragment.strip_prefix('/')?.split('/').next()?;
    UNIONS.contains(&first).then(|| format!("#{fragment}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::surface::root_union::merged;

    fn merged_schema(schema: &Value) -> Option<Value> {
        let tool = json!({"name": "t", "inputSchema": schema}).to_string();
        let tool: Value = serde_json::from_str(&merged(&tool)?).expect("JSON");
        Some(tool["inputSchema"].clone())
    }

    /// Broken variant that this catches: one that leaves references as they were; their schema does not compile.
    #[test]
    fn references_into_a_branch_lead_to_its_parts_as_before() {
        let schema = json!({
            "type": "object",
            "$defs": {
                "branch_1": {"type": "boolean"},
                "of_a": {"$ref": "#/anyOf/0/properties/a"},
            },
            "properties": {"own": {"const": {"$ref": "#/anyOf/0"}}},
            "anyOf": [
                {"properties": {
                    "a": {"type": "integer"},
                    "b": {"$ref": "#/%61nyOf/0/properties/a"},
                    "flag": {"$ref": "#/$defs/branch_1"},
                    "defined": {"$ref": "#/$defs/of_a"},
                }},
                {"properties": {"tree": {"$ref": "#/anyOf/1/$defs/tree~1s"}},
                 "$defs": {"tree/s": {"type": "array", "items": {"$ref": "#/anyOf/1/$defs/tree~1s"}}}},
            ],
        });
        let object = merged_schema(&schema).expect("a union");
        assert_eq!(object.get("anyOf"), None);
        assert_eq!(object["properties"]["own"], schema["properties"]["own"]);
        let judge = jsonschema::validator_for(&object).expect("nothing dangles");
        for (instance, is_taken) in [
            (json!({"b": 1, "defined": 2, "flag": true}), true),
            (json!({"b": "x"}), false),
            (json!({"defined": "x"}), false),
            (json!({"flag": 1}), false),
            (json!({"tree": [[], [[]]]}), true),
            (json!({"tree": [[1]]}), false),
        ] {
            assert_eq!(judge.is_valid(&instance), is_taken, "{instance}");
        }
        let text = object.to_string();
        assert_eq!(text.matches("#/anyOf").count(), 1, "data stays: {text}");
    }

    /// Broken variant that this catches: one that drops the union whatever becomes of references into it.
    #[test]
    fn a_union_stays_where_a_reference_into_it_cannot_be_led_elsewhere() {
        let with = |reference: &str, more: Value| {
            let mut branch = json!({"properties": {"a": {"$ref": reference}}});
            branch["$defs"] = more;
            merged_schema(&json!({"type": "object", "anyOf": [branch]}))
        };
        for reference in [
            "#/anyOf/9",
            "#/anyOf/x",
            "#/anyOf",
            "#/anyOf/0/no",
            "#named",
        ] {
            let anchored = json!({"x": {"$anchor": "named"}});
            assert_eq!(with(reference, anchored), None, "{reference}");
        }
        // What leads elsewhere is not ours to judge.
        for reference in ["#", "https://x.example/y", "#/$defs/none"] {
            assert!(with(reference, json!({})).is_some(), "{reference}");
        }
        let many: serde_json::Map<String, Value> = (0..65)
            .map(|n| {
                let reference = format!("#/anyOf/{n}");
                (format!("p{n}"), json!({ "$ref": reference }))
            })
            .collect();
        let branches = vec![json!({}); 65];
        let many = json!({"type": "object", "properties": many, "anyOf": branches});
        assert_eq!(merged_schema(&many), None, "what moves is bounded");
    }
}
