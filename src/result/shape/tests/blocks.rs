//! What becomes of blocks: what stands around their texts, for whom they are, and texts of ours.

use super::*;

/// JSON that is far denser as rows, as a JSON string.
fn table(first: usize) -> String {
    let rows: Vec<String> = (first..first + 30)
        .map(|n| format!(r#"{{"identifier": {n}, "description": "row {n}", "is_active": true}}"#))
        .collect();
    text::to_string(&format!("[{}]", rows.join(", ")))
}

/// Broken variants that this catches: JSON of several resources becomes one text block, and a text in rows is still
/// called JSON.
#[test]
fn what_stands_around_a_text_stays_with_it() {
    let block = |n: usize, kind: &str, text: &str| {
        format!(
            r#"{{"type":"resource","resource":{{"uri":"file:///{n}","mimeType":"{kind}","text":{text},"_meta":{{"n":{n}}}}},"annotations":{{"priority":0.5}}}}"#
        )
    };
    let (json, plain) = ("application/json", "text/plain");
    let result = format!(
        r#"{{"content":[{},{},{{"type":"text","text":{},"_meta":{{"a":1}}}}]}}"#,
        block(0, json, &table(0)),
        block(1, plain, &table(100)),
        table(200)
    );
    let shaped = run(&result, &options(Channel::Text));
    let sent = shaped.result.unwrap();
    assert!(sent.contains(&block(0, json, &table(0))), "{sent}");
    assert!(!sent.contains(&table(100)) && !sent.contains(&table(200)));
    let texts = Parts::of(&sent).unwrap().texts;
    assert_eq!(texts.len(), 3);
    for (block, of) in texts.iter().skip(1).zip([&table(100), &table(200)]) {
        let of: String = serde_json::from_str(of).unwrap();
        let bounds = compact::Bounds::default();
        let read = compact::decode(&block.text, &bounds).unwrap();
        assert_eq!(read.text, compact::normal(&of, &bounds));
    }
    assert!(
        sent.contains(r#""uri":"file:///1","mimeType":"text/plain""#),
        "{sent}"
    );
    assert!(sent.ends_with(r#""_meta":{"a":1}}]}"#), "{sent}");
    // Blocks that only say a text are one, as ever.
    let plain: Vec<String> = (0..3)
        .map(|n| {
            format!(
                r#"{{"type":"text","text":{},"_meta":null}}"#,
                table(n * 100)
            )
        })
        .collect();
    let merged = run(
        &format!(r#"{{"content":[{}]}}"#, plain.join(",")),
        &options(Channel::Text),
    );
    assert_eq!(Parts::of(&merged.result.unwrap()).unwrap().texts.len(), 1);
}

/// Broken variant that this catches: the blocks that came are written anew where the structured part follows them.
#[test]
fn a_resource_keeps_its_uri_where_the_structured_part_follows_it() {
    let resource = r#"{"type":"resource","resource":{"uri":"file:///a","text":"one"}}"#;
    let image = r#"{"type":"image","data":"AA==","mimeType":"image/png"}"#;
    let result = format!(
        r#"{{"content":[{resource},{image}],"structuredContent":{{"rows":[1,2]}},"isError":false}}"#
    );
    let sent = run(&result, &options(Channel::Both)).result.unwrap();
    let last = r#"{"type":"text","text":"{\"rows\":[1,2]}"}"#;
    assert_eq!(
        sent,
        format!(r#"{{"content":[{resource},{last},{image}],"isError":false}}"#)
    );
}

/// Broken variant that this catches: a sample of JSON in a resource that still says it is JSON.
#[test]
fn a_part_of_json_is_not_called_json() {
    let text = text::to_string(&format!("[{}]", rows(400, "row")));
    for (kind, expected) in [
        ("application/json", ""),
        ("text/plain", r#","mimeType":"text/plain""#),
    ] {
        let result = format!(
            r#"{{"content":[{{"type":"resource","resource":{{"uri":"file:///a","mimeType":"{kind}","text":{text}}}}}]}}"#
        );
        let (sent, _) = cut(&result, &options(Channel::Text));
        let head = format!(
            r#"{{"content":[{{"type":"resource","resource":{{"uri":"file:///a"{expected},"text":"SAMPLE"#
        );
        assert!(sent.starts_with(&head), "{sent}");
    }
}

/// Broken variant that this catches: media are replaced without asking for whom they are.
#[test]
fn media_that_are_not_for_the_model_stay() {
    let data = base64();
    let audio = |audience: &str| {
        format!(r#"{{"type":"audio","data":"{data}","mimeType":"audio/wav"{audience}}}"#)
    };
    let blob = |uri: &str| {
        format!(r#"{{"type":"resource","resource":{{"uri":"{uri}","blob":"{data}"}}}}"#)
    };
    for (block, is_replaced) in [
        (audio(r#","annotations":{"audience":["user"]}"#), false),
        (
            audio(r#","annotations":{"audience":["user","assistant"]}"#),
            true,
        ),
        (audio(""), true),
        (blob("ui://charts/view"), false),
        (blob("file:///a"), true),
    ] {
        let result = format!(r#"{{"content":[{{"type":"text","text":"see"}},{block}]}}"#);
        let shelf = Shelf::default();
        let sent = shape(&result, &options(Channel::Text), &shelf, &Bytewise).result;
        assert_eq!(sent.is_some(), is_replaced, "{result}");
        assert_eq!(shelf.kept.into_inner().is_empty(), !is_replaced);
    }
}

/// Broken variant that this catches: what stands instead of a blob is one of the texts, so that lines of the others
/// are counted in it and it is cut with them.
#[test]
fn a_text_of_ours_is_no_line_of_theirs() {
    let lines: Vec<String> = (1..=400).map(|n| format!("line {n} of it")).collect();
    let result = format!(
        r#"{{"content":[{{"type":"audio","data":"{}","mimeType":"audio/wav"}},{{"type":"text","text":{}}}]}}"#,
        base64(),
        text::to_string(&lines.join("\n"))
    );
    let (sent, document) = cut(&result, &options(Channel::Text));
    let texts = Parts::of(&sent).unwrap().texts;
    let [note, sample] = texts.as_slice() else {
        panic!("{sent}");
    };
    assert!(note.text.starts_with("[audio/wav, 2000 bytes"), "{sent}");
    assert!(Bytewise.count(&note.text) + Bytewise.count(&sample.text) <= Tokens::new(1500));
    assert_eq!(document.text(), lines.join("\n"));
    let shown: Vec<&str> = sample.text.lines().collect();
    let mut n_marks = 0;
    for pair in shown.windows(2) {
        if let Some(n) = pair[0].strip_prefix('@') {
            n_marks += 1;
            assert_eq!(pair[1], format!("line {n} of it"), "{sent}");
        }
    }
    assert!(n_marks > 0, "{sent}");
}

/// Broken variants that this catches: for each block all texts are walked, where media are looked for and where
/// texts are written, which hangs here.
#[test]
fn as_many_blocks_as_one_likes_are_shaped() {
    let block = r#"{"type":"text","text":"x"}"#;
    let blocks = vec![block; 50_000].join(",");
    let result = format!(r#"{{"content":[{blocks}],"structuredContent":{{"n":1}}}}"#);
    let sent = run(&result, &options(Channel::Structured)).result.unwrap();
    let text = r#"{"type":"text","text":"{\"n\":1}"}"#;
    assert_eq!(sent, format!(r#"{{"content":[{text}]}}"#));
}
