//! Texts and structured part together: what is compared, shown in part, and read again.

use super::*;

/// Broken variant that this catches: `View::Text` for a model that reads both parts, so that lines of the
/// structured part are beyond the end of what is kept.
#[test]
fn what_was_cut_of_both_parts_is_read_by_the_call_that_the_note_names() {
    let lines: Vec<String> = rows(30, "a line of the text")
        .split(',')
        .map(str::to_owned)
        .collect();
    for text in [lines.join("\n"), "[\"another\", \"JSON\"]".to_owned()] {
        let structured = format!("{{\n\"rows\":[{}]}}", rows(400, "row").replace(',', ",\n"));
        let result = format!(
            r#"{{"content":[{{"type":"text","text":{}}}],"structuredContent":{structured}}}"#,
            text::to_string(&text)
        );
        let (sent, document) = cut(&result, &options(Channel::Both));
        assert!(!sent.contains("structuredContent"), "{sent}");
        assert_eq!(document.text(), format!("{text}\n{structured}"));
        let shown = Parts::of(&sent).unwrap().joined();
        assert!(!rest_of(&shown, &document).is_empty());
        assert_eq!(document.json(), Some(structured.as_str()));
    }
}

/// Broken variants that this catches: the view of whatever is kept first (a text whose base64 is replaced), and
/// samples of the texts where lines of them moved, for a model that reads the structured part.
#[test]
fn what_was_cut_of_the_structured_part_is_read_where_media_went_first() {
    let data = base64();
    let broken: Vec<&str> = (0..data.len() - 76)
        .step_by(76)
        .map(|at| &data[at..at + 76])
        .collect();
    for (channel, media) in [
        (Channel::Structured, data.clone()),
        (Channel::Structured, broken.join("\n")),
        (Channel::Both, data.clone()),
        (Channel::Both, broken.join("\n")),
    ] {
        let text = format!("a picture:\n{media}\n(and so on)");
        let structured = format!("{{\"rows\":[{}]}}", rows(400, "row"));
        let result = format!(
            r#"{{"content":[{{"type":"text","text":{}}}],"structuredContent":{structured}}}"#,
            text::to_string(&text)
        );
        let (sent, document) = cut(&result, &options(channel));
        let shown = Parts::of(&sent).unwrap().joined();
        assert!(shown.contains("row 399"), "{channel:?} {shown}");
        assert_eq!(document.json(), Some(structured.as_str()));
        let rest = rest_of(&shown, &document);
        assert!(rest.contains("row "), "{channel:?} {rest}");
        assert_eq!(
            document.text().contains(&data[..76]),
            channel == Channel::Both
        );
    }
}

/// Broken variant that this catches: a comma behind `content`, though what stood there is dropped.
#[test]
fn a_result_that_is_only_a_structured_part_becomes_a_text() {
    let value = "{\"rows\":[1,2]}";
    for (rest, expected) in [("", ""), (r#","isError":false"#, r#","isError":false"#)] {
        let result = format!(r#"{{"structuredContent":{value}{rest}}}"#);
        for channel in [Channel::Structured, Channel::Both] {
            let sent = run(&result, &options(channel)).result.unwrap();
            let text = r#"{"type":"text","text":"{\"rows\":[1,2]}"}"#;
            assert_eq!(sent, format!(r#"{{"content":[{text}]{expected}}}"#));
        }
    }
}

/// Broken variants that this catches: answers are compared by their texts alone, and a structured part goes that was
/// not compared.
#[test]
fn an_answer_whose_structured_part_changed_is_no_repeat() {
    use repeat::{Bounds, CallKey, Form, Repeats};

    let now = std::time::Instant::now();
    let key = CallKey::of(&Principal::OsUser, 1, "s", "t", b"{}").unwrap();
    let answer = |text: &str, state: &str| {
        format!(
            r#"{{"content":[{text}],"structuredContent":{{"state":"{state}","rows":[{}]}}}}"#,
            rows(60, state)
        )
    };
    let text = format!(r#"{{"type":"text","text":"{}"}}"#, prose(300));
    let form = |channel: Channel, text: &str, states: [&str; 2]| {
        let mut repeats = Repeats::new(Bounds::default());
        repeats_of(&mut repeats, now, key, &answer(text, states[0]), channel);
        repeats_of(&mut repeats, now, key, &answer(text, states[1]), channel)
    };
    for text in [text.as_str(), ""] {
        for channel in [Channel::Structured, Channel::Both] {
            let (changed, sent) = form(channel, text, ["open", "shut"]);
            assert_eq!(changed, Form::Full, "{sent}");
            assert!(sent.contains("shut 59"), "{sent}");
            let (same, sent) = form(channel, text, ["open", "open"]);
            assert_eq!(same, Form::Unchanged, "{sent}");
            assert!(!sent.contains("open 59"), "{sent}");
        }
    }
    // Who reads texts alone is told of them alone; the other part is for programs.
    let (same, sent) = form(Channel::Text, &text, ["open", "shut"]);
    assert_eq!(same, Form::Unchanged, "{sent}");
    assert!(sent.contains("shut 59"), "{sent}");
}

/// Gives an answer to a call; returns its form and what was sent.
fn repeats_of(
    repeats: &mut repeat::Repeats,
    now: std::time::Instant,
    key: repeat::CallKey,
    result: &str,
    channel: Channel,
) -> (repeat::Form, String) {
    let options = Options {
        repeats: Some(repeats.last(now, &key)),
        keeps_structured: false,
        may_abbreviate: false,
        ..options(channel)
    };
    let shaped = run(result, &options);
    let (answer, form) = shaped.given.unwrap();
    repeats.given(now, key, &answer, form);
    (form, shaped.result.unwrap_or_else(|| result.to_owned()))
}

/// Broken variants that this catches: a sample of all of the result where a part was asked for, places of the part
/// named as places of the whole, and what the operator's part is of gone with the sample.
#[test]
fn a_part_that_is_too_long_is_sampled_itself() {
    let rows: Vec<String> = (0..300)
        .map(|n| format!(r#"{{"id":{n},"name":"row {n}","note":"unwanted {n}"}}"#))
        .collect();
    let rows = format!("[{}]", rows.join(","));
    let result = format!(
        r#"{{"content":[{{"type":"text","text":{}}}],"structuredContent":{{"result":{rows}}}}}"#,
        text::to_string(&rows)
    );
    for (is_default, n_texts) in [(false, 1), (true, 2)] {
        let wanted = Options {
            projection: Some(Projection {
                fields: vec!["id".into(), "name".into()],
                jq: None,
                is_default,
            }),
            ..options(Channel::Structured)
        };
        let (sent, document) = cut(&result, &wanted);
        assert!(!sent.contains("unwanted"), "{sent}");
        let texts = Parts::of(&sent).unwrap().texts;
        assert_eq!(texts.len(), n_texts, "{sent}");
        let all: u64 = texts
            .iter()
            .map(|text| Bytewise.count(&text.text).get())
            .sum();
        assert!(all <= 1500, "{all}");
        let rest = rest_of(&texts[0].text, &document);
        assert!(rest.contains(r#"{"id":150,"name":"row 150"}"#), "{rest}");
        assert!(!rest.contains("unwanted"), "{rest}");
        if is_default {
            assert!(texts[1].text.starts_with("[only id, name, as configured"));
        }
    }
}

/// Broken variant that this catches: `fields` selects from the texts for a model that reads the structured part.
#[test]
fn a_part_is_of_what_the_model_reads() {
    let texts = [r#"{"summary":"300 items","id":"none"}"#, "300 items"];
    for (text, channel) in texts
        .into_iter()
        .flat_map(|text| [Channel::Structured, Channel::Both].map(|channel| (text, channel)))
    {
        let rows: Vec<String> = (0..300)
            .map(|n| format!(r#"{{"id":{n},"note":"unwanted {n}"}}"#))
            .collect();
        let result = format!(
            r#"{{"content":[{{"type":"text","text":{}}}],"structuredContent":{{"items":[{}]}}}}"#,
            text::to_string(text),
            rows.join(",")
        );
        let wanted = Options {
            projection: Some(Projection {
                fields: vec!["id".into()],
                jq: None,
                is_default: false,
            }),
            is_compacted: false,
            ..options(channel)
        };
        let sent = run(&result, &wanted).result.unwrap();
        let shown = Parts::of(&sent).unwrap().joined();
        assert!(
            shown.starts_with(r#"{"items":[{"id":0},{"id":1},"#),
            "{shown}"
        );
        assert!(
            !sent.contains("unwanted") && !sent.contains("none"),
            "{sent}"
        );
    }
}

/// Broken variants that this catches: a call that reads another JSON than the part is of, and one that is longer than
/// what it is to save.
#[test]
fn a_part_names_the_call_that_makes_it() {
    let of = |fields: &[&str], jq: Option<&str>| Projection {
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        jq: jq.map(str::to_owned),
        is_default: false,
    };
    let list = Document::of(&plain("[1]"), View::Text);
    let object = Document::of(&plain("{}"), View::Text);
    let page = r#""page":1"#;
    let long = "x".repeat(500);
    for (wanted, document, expected) in [
        (of(&["a", "b"], None), &list, r#""fields":["a","b"]"#),
        (of(&[], Some(".[0]")), &list, r#""jq":".[0]""#),
        (of(&["a"], None), &object, page),
        (of(&["a"], Some(".")), &list, page),
        (of(&[], Some(&long)), &list, page),
    ] {
        assert_eq!(made_by(&wanted, document), expected, "{wanted:?}");
    }
}
