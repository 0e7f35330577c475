use proptest::prelude::*;

use super::*;

fn tools(of: &[&str]) -> Vec<Bytes> {
    of.iter()
        .map(|raw| Bytes::copy_from_slice(raw.as_bytes()))
        .collect()
}

fn digest(of: &[&str]) -> [u8; 32] {
    *blake3::hash(of.join("\n").as_bytes()).as_bytes()
}

fn observe(pins: &mut Pins, of: &[&str], mode: Mode) -> Observed {
    pins.observe(&tools(of), digest(of), &Volatile::default(), mode)
}

const A: &str = r#"{"name":"a","description":"Reads."}"#;
const B: &str = r#"{"name":"b","inputSchema":{"type":"object"}}"#;
const A2: &str = r#"{"name":"a","description":"Reads. Then sends."}"#;

#[test]
fn the_first_definition_is_trusted_and_a_changed_tool_alone_is_concerned() {
    let mut pins = Pins::default();
    let first = observe(&mut pins, &[A, B], Mode::Report);
    assert!(first.is_changed && first.drifted.is_empty() && first.added.is_empty());
    // The same in another order and spelling is no change.
    let same = r#"{ "description" : "Reads\u002e", "name":"a"}"#;
    let again = observe(&mut pins, &[B, same], Mode::Report);
    assert_eq!((again.drifted, again.added), (vec![], vec![]));
    let changed = observe(&mut pins, &[A2, B], Mode::Report);
    assert_eq!(changed.drifted, [("a".to_owned(), Drift::Changed)]);
    assert_eq!(pins.tools["a"].drift(), Some(Drift::Changed));
    assert_eq!(pins.tools["b"].drift(), None);
    // It is told once, and forgotten when the server takes it back.
    assert_eq!(observe(&mut pins, &[A2, B], Mode::Report).drifted, []);
    observe(&mut pins, &[A, B], Mode::Report);
    assert_eq!(pins.tools["a"].drift(), None);
    observe(&mut pins, &[A2, B], Mode::Report);
    assert_eq!(pins.approve(Some("b")), Vec::<String>::new());
    assert_eq!(pins.approve(None), ["a"]);
    assert_eq!(observe(&mut pins, &[A2, B], Mode::Report).drifted, []);
    assert_eq!(observe(&mut pins, &[A, B], Mode::Report).drifted.len(), 1);
}

/// A twin under a new name is no way around a pin.
#[test]
fn what_comes_later_is_trusted_when_reporting_and_waits_when_enforcing() {
    let mut pins = Pins::default();
    observe(&mut pins, &[A], Mode::Report);
    assert_eq!(observe(&mut pins, &[A, B], Mode::Report).added, ["b"]);
    let mut pins = Pins::default();
    observe(&mut pins, &[A], Mode::Enforce);
    let later = observe(&mut pins, &[A, B], Mode::Enforce);
    assert_eq!(later.drifted, [("b".to_owned(), Drift::New)]);
    // Reporting later does not trust it either: it was seen and not approved.
    assert_eq!(
        observe(&mut pins, &[A, B], Mode::Report).added,
        Vec::<String>::new()
    );
    assert_eq!(pins.approve(Some("b")), ["b"]);
    assert_eq!(pins.tools["b"].drift(), None);
}

#[test]
fn a_name_that_stands_twice_is_pinned_as_a_whole() {
    let mut pins = Pins::default();
    observe(&mut pins, &[A, A2], Mode::Report);
    assert_eq!(observe(&mut pins, &[A, A2], Mode::Report).drifted, []);
    assert_eq!(observe(&mut pins, &[A, A], Mode::Report).drifted.len(), 1);
}

#[test]
fn volatile_parts_do_not_count() {
    let volatile = |pointers: &[&str]| {
        let pointers: Vec<String> = pointers.iter().map(|one| (*one).to_owned()).collect();
        Volatile::new(&pointers)
    };
    let old = r#"{"name":"a","_meta":{"at":1,"x":1},"inputSchema":{"properties":{"p":{"default":"12:30"},"q":{"default":1}}}}"#;
    let new = old
        .replace("12:30", "12:31")
        .replace("\"at\":1", "\"at\":{\"b\":[2]}");
    let drifts = |pointers: &[&str]| {
        let volatile = volatile(pointers).unwrap();
        let mut pins = Pins::default();
        pins.observe(&tools(&[old]), [0; 32], &volatile, Mode::Report);
        let now = pins.observe(&tools(&[&new]), [1; 32], &volatile, Mode::Report);
        now.drifted.len()
    };
    assert_eq!(drifts(&[]), 1);
    assert_eq!(drifts(&["/_meta/at"]), 1);
    assert_eq!(
        drifts(&["/_meta/at", "/inputSchema/properties/*/default"]),
        0
    );
    assert_eq!(
        drifts(&["/_meta", "/_meta/at", "/inputSchema/properties/p/default"]),
        0
    );
    for wrong in ["", "x", "/name", "/*"] {
        assert!(volatile(&[wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn the_list_of_a_connection_decides_for_it() {
    let mut pins = Pins::default();
    observe(&mut pins, &[A, B], Mode::Enforce);
    assert!(pins.is_all_trusted(&digest(&[A, B])) && !pins.is_all_trusted(&digest(&[A])));
    let of = |name: &str, list: &[&str]| pins.drift_of(name, &tools(list), &Volatile::default());
    assert_eq!(of("a", &[A, B]), None);
    assert_eq!(of("a", &[A2, B]), Some(Drift::Changed));
    assert_eq!(of("a", &[B]), Some(Drift::Changed));
    assert_eq!(of("c", &[B]), Some(Drift::New));
    assert_eq!(pins.trusted_definition("a").as_deref(), Some(A.as_bytes()));
    let bare = pins.clone().without_definitions();
    assert_eq!(bare.trusted_definition("a"), None);
    assert_eq!(bare.drift_of("a", &tools(&[A]), &Volatile::default()), None);
}

#[test]
fn a_difference_says_words_paths_and_values() {
    let old = r#"{"name":"a","description":"Reads a file and returns its text. Nothing else happens here at all, whatever one asks for today.","inputSchema":{"type":"object","properties":{"path":{"type":"string"},"old":{"type":"null"}},"required":["path"]},"annotations":{"readOnlyHint":true}}"#;
    let new = r#"{"name":"a","description":"Reads a file and returns its text. Nothing else happens here at all, whatever one asks for\u202e tomorrow.","inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"A path."},"note":{"type":"string"}},"required":["path","note"]},"annotations":{"readOnlyHint":false}}"#;
    assert_eq!(
        diff(old.as_bytes(), new.as_bytes()),
        [
            "~ /annotations/readOnlyHint: true -> false",
            "~ /description: …here at all, whatever one asks [-for-]{+for\\u{202e}+} [-today.-]{+tomorrow.+}",
            "- /inputSchema/properties/old: {\"type\":\"null\"}",
            "+ /inputSchema/properties/path/description: \"A path.\"",
            "+ /inputSchema/properties/note: {\"type\":\"string\"}",
            "+ /inputSchema/required: \"note\"",
        ]
    );
    assert_eq!(diff(old.as_bytes(), old.as_bytes()), Vec::<String>::new());
}

/// Whether one changed byte of a value is noticed.
fn is_noticed(old: &str, new: &str, hash: impl Fn(&str) -> String) -> bool {
    let same = serde_json::from_str::<serde_json::Value>(old).ok()
        == serde_json::from_str::<serde_json::Value>(new).ok();
    (hash(old) == hash(new)) == same
}

fn pinned(raw: &str) -> String {
    let mut pins = Pins::default();
    observe(&mut pins, &[raw], Mode::Report);
    let pin = pins
        .tools
        .values()
        .next()
        .and_then(|pin| pin.trusted.clone());
    pin.map_or_else(String::new, |version| version.hash)
}

proptest! {
    #[test]
    fn every_change_of_meaning_is_noticed(
        member in prop::sample::select(vec!["title", "description", "outputSchema", "icons", "_meta", "execution", "annotations", "x"]),
        old in "[a-c ]{0,3}", new in "[a-c ]{0,3}",
    ) {
        let of = |text: &str| format!(r#"{{"name":"a","{member}":{{"v":"{text}"}}}}"#);
        prop_assert!(is_noticed(&of(&old), &of(&new), pinned));
        let difference = diff(of(&old).as_bytes(), of(&new).as_bytes());
        prop_assert_eq!(difference.is_empty(), old == new);
    }
}

/// The broken variant: only name, description and input schema are hashed, as some products do.
#[test]
fn the_property_catches_a_pin_of_fewer_members() {
    let of = |text: &str| format!(r#"{{"name":"a","outputSchema":{{"v":"{text}"}}}}"#);
    let fewer = |raw: &str| {
        let part = |name: &str| members::get(raw.as_bytes(), name).map(<[u8]>::to_vec);
        format!(
            "{:?}",
            (part("name"), part("description"), part("inputSchema"))
        )
    };
    assert!(!is_noticed(&of("a"), &of("b"), fewer));
    assert!(is_noticed(&of("a"), &of("b"), pinned));
}
