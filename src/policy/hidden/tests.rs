use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::jsonrpc::write::splice;

fn cleaned(raw: &str) -> (String, Cleaned) {
    let cleaned = clean_definition(raw.as_bytes());
    let raw = Bytes::copy_from_slice(raw.as_bytes());
    let text = splice(&raw, cleaned.edits.clone()).to_bytes();
    (String::from_utf8(text.to_vec()).unwrap(), cleaned)
}

/// What languages and emoji need stays, byte for byte.
#[test]
fn what_scripts_and_emoji_need_stays() {
    for text in [
        "plain ASCII, \ttabs\nand lines\r\n",
        "Grüße, naïve café, 日本語、한국어, ไทย",
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{915}\u{94d}\u{200d}\u{937} \u{915}\u{94d}\u{200c}\u{937}",
        "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
        "👨\u{200d}👩\u{200d}👧 👩🏽\u{200d}💻 🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f}\u{200d}🔥",
        "1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} ✔\u{fe0f} ©\u{fe0e} ⚠\u{fe0f}",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "葛\u{e0100}城 \u{2229}\u{fe00}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{200f} (a)\u{200e}",
        "\u{e2a}\u{e27}\u{200b}\u{e31}",
        "\u{2800}\u{2801}\u{2803}\u{2800}",
        "\u{1820}\u{180b}",
        "\u{1112}\u{1160}",
    ] {
        assert_eq!(find(text), [], "{text:?}");
        assert_eq!(clean(text), text);
    }
}

#[track_caller]
fn check(text: &str, shown: &str, kind: Kind) {
    assert_eq!(clean(text), shown, "{text:?}");
    assert!(
        find(text).iter().all(|hidden| hidden.kind == kind),
        "{:?}",
        find(text)
    );
}

#[test]
fn what_nobody_sees_goes() {
    check("a\u{e0069}\u{e0067}b", "ab", Kind::Tag);
    check(
        "🏴\u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065}\u{e0020}x",
        "🏴x",
        Kind::Tag,
    );
    check(
        "a\u{fe01}b ✔\u{fe0f}\u{fe0f}",
        "ab ✔\u{fe0f}",
        Kind::Selector,
    );
    check("x\u{e0150}\u{e0151}", "x", Kind::Selector);
    check(
        "a\u{200b}\u{200c}\u{200d}b\u{2060}\u{feff}",
        "ab",
        Kind::ZeroWidth,
    );
    check(
        "\u{645}\u{200c}\u{200c}\u{200d}\u{62e}",
        "\u{645}\u{62e}",
        Kind::ZeroWidth,
    );
    check(
        "Deletes \u{202e}yltn\u{202c} \u{2066}x\u{2069}\u{200e}",
        "Deletes yltn x",
        Kind::Direction,
    );
    check(
        "re\u{ad}ad\u{3164}\u{115f}\u{2061}\u{2800}",
        "read",
        Kind::Invisible,
    );
    check("a\u{1b}[8mb\u{1b}[0m\u{9b}31mc\u{1b}(B", "abc", Kind::Ansi);
    check(
        "\u{1b}]8;;http://e/\u{1b}\\click\u{1b}]8;;\u{7}",
        "click",
        Kind::Ansi,
    );
    check(
        "\u{1b}P+q54\u{1b}\\a\u{1b}]52;no end",
        "a52;no end",
        Kind::Ansi,
    );
    check(
        "rm -rf\rls\u{8}\u{0}\u{7f}\u{85}",
        "rm -rfls",
        Kind::Control,
    );
    assert_eq!(decode_tags("x\u{e0068}\u{e0069}y"), "hi");
}

/// A sequence that another one was put into is one once that is gone.
#[test]
fn nested_ones_go_as_well_and_end_soon() {
    let nested = "\u{1b}".repeat(2000) + &"[m".repeat(2000);
    let shown = clean(&nested);
    assert!(!shown.contains('\u{1b}'));
    assert_eq!(find(&shown), []);
    assert_eq!(clean("a\u{1b}\u{200b}[8mb"), "a[8mb");
}

#[test]
fn prose_is_cleaned_and_names_and_values_stay() {
    let raw = "{ \"name\":\"re\u{ad}ad\", \"title\" : \"T\\u200b\", \"n\": 1.50,\"description\":\"a\\u202eb \\u00e9\",\
        \"annotations\":{\"title\":\"x\u{feff}\",\"y\":\"z\u{feff}\"},\
        \"inputSchema\":{\"properties\":{\"description\":{\"description\":\"d\u{e0061}\",\"enum\":[\"f\u{e0061}\"]}},\
        \"items\":[{\"title\":\"t\u{200b}\"}],\"default\":{\"description\":\"k\u{200b}\"}}}";
    let (text, cleaned) = cleaned(raw);
    assert_eq!(
        text,
        "{ \"name\":\"re\u{ad}ad\", \"title\" : \"T\", \"n\": 1.50,\"description\":\"ab é\",\
        \"annotations\":{\"title\":\"x\",\"y\":\"z\u{feff}\"},\
        \"inputSchema\":{\"properties\":{\"description\":{\"description\":\"d\",\"enum\":[\"f\u{e0061}\"]}},\
        \"items\":[{\"title\":\"t\"}],\"default\":{\"description\":\"k\u{200b}\"}}}"
    );
    assert_eq!((cleaned.removed.total(), cleaned.kept.total()), (5, 4));
    assert_eq!(
        cleaned.removed.to_string(),
        "1 tag characters, 3 zero-width characters, 1 direction controls"
    );
}

/// Half a character in a string hides nothing behind it, and goes itself; other bytes stay.
///
/// Broken variant that this catches: a string with `\ud800` in it is passed over, and all that it hides is shown.
#[test]
fn half_a_character_hides_nothing() {
    let raw = concat!(
        r#"{ "name":"t","description":"a\ud800 \ud83d\ude00\ud83d \u200b\udc00b\\\\ud800", "x":"\ud800\u200b","#,
        r#""descript\udc00ion":"k\u200b","inputSchema":{"properties":{"p\ud800\u200b":{"title":"\ud800q\u0041"}}}}"#
    );
    let (text, cleaned) = cleaned(raw);
    let shown = concat!(
        r#"{ "name":"t","description":"a 😀 b\\\\ud800", "x":"\ud800\u200b","#,
        r#""descript\udc00ion":"k\u200b","inputSchema":{"properties":{"p\ud800\u200b":{"title":"qA"}}}}"#
    );
    assert_eq!(text, shown);
    assert_eq!(
        cleaned.removed.to_string(),
        "1 zero-width characters, 4 halves of characters"
    );
    assert_eq!(
        cleaned.kept.to_string(),
        "3 zero-width characters, 3 halves of characters"
    );
    for raw in [r#""\ud800\x""#, r#""\ud80""#, r#""\""#, "\"", "7"] {
        assert_eq!(read_leniently(raw.as_bytes()), None, "{raw}");
    }
}

/// However deep a text stands, it is looked at.
///
/// Broken variants that this catches: nothing below 128 containers is cleaned or withheld; the walk needs a stack as
/// deep as the definition.
#[test]
fn no_nesting_is_too_deep() {
    for depth in [200, 510, 100_000] {
        let raw = format!(
            "{{\"inputSchema\":{}{{\"description\":\"a\u{200b}\",\"enum\":[\"b\u{200b}\"]}}{}}}",
            "{\"items\":".repeat(depth),
            "}".repeat(depth)
        );
        let (text, cleaned) = cleaned(&raw);
        assert!(text.contains("\"description\":\"a\""), "{depth}");
        assert_eq!((cleaned.removed.total(), cleaned.kept.total()), (1, 1));
    }
}

/// A text with things to find in it, and in odd neighbourhoods.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[ -~]{0,4}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "\u{200b}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{1b}[",
            "\u{1b}",
            "[m",
            "\u{e0061}",
            "\u{202e}",
            "👨",
            "🏴",
            "\u{e007f}",
            "\u{645}",
            "\u{915}",
            "\u{7}",
            "]",
            "\\",
            "\r",
            "\n",
            "#",
            "\u{20e3}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

/// What stays is a part of what was there, in order, and every character that goes is one that could be
/// hidden, or stands in a control sequence.
fn only_hidden_goes(text: &str, shown: &str) -> bool {
    let mut rest = shown.chars().peekable();
    for c in text.chars() {
        if rest.peek() == Some(&c) {
            rest.next();
        }
    }
    rest.peek().is_none()
        && (text.contains([
            '\u{1b}', '\u{90}', '\u{98}', '\u{9b}', '\u{9d}', '\u{9e}', '\u{9f}',
        ]) || {
            let visible =
                |text: &str| -> String { text.chars().filter(|c| !could_hide(*c)).collect() };
            visible(text) == visible(shown)
        })
}

proptest! {
    #[test]
    fn nothing_else_goes_and_nothing_stays(text in texts()) {
        let shown = clean(&text);
        prop_assert!(find(&shown).is_empty());
        prop_assert!(only_hidden_goes(&text, &shown), "{:?} -> {:?}", text, shown);
        let raw = format!("{{\"description\":{}}}", crate::jsonrpc::text::to_string(&text));
        let (out, cleaned) = cleaned(&raw);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(value["description"].as_str(), Some(&*shown));
        prop_assert_eq!(cleaned.edits.is_empty(), shown == text);
    }
}

/// The broken variant: it takes out everything that is not ASCII.
#[test]
fn the_property_catches_a_cleaner_that_takes_too_much() {
    let text = "na\u{ef}ve\u{200b}";
    let shown: String = text.chars().filter(char::is_ascii).collect();
    assert!(!only_hidden_goes(text, &shown));
    assert!(only_hidden_goes(text, &clean(text)));
}
