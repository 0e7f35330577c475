use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

/// Bytes that look random and are always the same.
fn noise(n: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(n + 32);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&n.to_le_bytes());
    out.resize(n, 0);
    hasher.finalize_xof().fill(&mut out);
    out
}

fn png(n: usize) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), noise(n)].concat()
}

fn replaced(text: &str) -> Option<(String, Vec<Replaced>)> {
    replace(text, |n, _| {
        format!("read_result {{\"handle\":\"r_x\",\"block\":{n}}}")
    })
}

#[test]
fn data_in_a_text_becomes_a_line() {
    let data = STANDARD.encode(png(3000));
    let text = format!("before {data} after");
    let (short, found) = replaced(&text).expect("data");
    let hash = &blake3::hash(&png(3000)).to_hex()[..16];
    assert_eq!(
        short,
        format!(
            "before [image/png, 3008 bytes as base64, blake3 {hash}; whole: read_result {{\"handle\":\"r_x\",\"block\":0}}] after"
        )
    );
    assert_eq!(&text[found[0].range.clone()], data);
}

#[test]
fn values_of_json_stay_values() {
    let data = STANDARD.encode(png(2000));
    let escaped = data.replace('/', "\\/");
    let broken: Vec<&str> = data
        .as_bytes()
        .chunks(76)
        .map(|c| std::str::from_utf8(c).unwrap())
        .collect();
    for value in [
        data.clone(),
        escaped,
        broken.join("\\n"),
        broken.join("\\r\\n"),
    ] {
        let text = format!(r#"{{"id":7,"shot":"{value}","n":[1.50]}}"#);
        let (short, found) = replaced(&text).expect("data");
        let json: serde_json::Value = serde_json::from_str(&short).expect(&short);
        assert!(
            json["shot"]
                .as_str()
                .unwrap()
                .starts_with("[image/png, 2008 bytes"),
            "{short}"
        );
        assert_eq!(found.len(), 1);
        assert!(short.starts_with(r#"{"id":7,"shot":""#) && short.ends_with(r#"","n":[1.50]}"#));
    }
}

/// The `n` of `\\n` and the digits of `\\u00e9` are no letters of what follows them.
#[test]
fn escapes_before_data_are_not_taken_for_it() {
    let data = STANDARD.encode(png(900));
    for before in [
        "x\\n", "\\n", "\\u00e9", "ab\\\\", "\\\\\\t", "\\/", "a\\\"", "",
    ] {
        let text = format!("{{\"a\":\"{before}{data}\"}}");
        let Some((short, _)) = replaced(&text) else {
            assert_eq!(
                before, "\\/",
                "a slash belongs to it, and then it does not decode"
            );
            continue;
        };
        let json: serde_json::Value = serde_json::from_str(&short).expect(&short);
        let value = json["a"].as_str().expect("a text");
        assert!(value.contains("[image/png, 908 bytes"), "{short}");
        assert!(
            short.starts_with(&format!("{{\"a\":\"{before}[")),
            "{short}"
        );
    }
}

#[test]
fn data_uris_go_whole() {
    let data = STANDARD.encode(noise(1000));
    let text = format!("<img src=\"data:image/svg+xml;charset=utf-8;base64,{data}\"/>");
    let (short, _) = replaced(&text).expect("data");
    assert!(
        short.starts_with("<img src=\"[image/svg+xml, 1000 bytes"),
        "{short}"
    );
    assert!(short.ends_with("]\"/>"), "{short}");
    // Also where the data says nothing by itself.
    let flat = STANDARD.encode(vec![0_u8; 1000]);
    assert!(replaced(&format!("data:image/x;base64,{flat}")).is_some());
    assert!(replaced(&flat).is_none(), "zeros alone are no certain data");
}

#[test]
fn lines_of_a_terminal_are_one_run() {
    let data = STANDARD.encode(png(4000));
    let lines: Vec<&str> = data
        .as_bytes()
        .chunks(76)
        .map(|c| std::str::from_utf8(c).unwrap())
        .collect();
    for line_break in ["\n", "\r\n"] {
        let text = format!(
            "$ base64 a.png{line_break}{}{line_break}$ ",
            lines.join(line_break)
        );
        let (short, found) = replaced(&text).expect("data");
        assert_eq!(found.len(), 1, "{short}");
        assert_eq!(found[0].bytes, 4008);
        assert!(short.starts_with(&format!("$ base64 a.png{line_break}[image/png")));
        assert!(short.ends_with(&format!("]{line_break}$ ")), "{short}");
    }
}

#[test]
fn what_is_no_data_stays() {
    let words =
        STANDARD.encode("A text that somebody may want to read, about this and that. ".repeat(20));
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(noise(900));
    let signature = URL_SAFE_NO_PAD.encode(noise(512));
    let hex: String = noise(2000)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = "src/components/Button/index/".repeat(40);
    let camel = "getTheThingOfTheOtherThing2".repeat(40);
    for text in [
        words.as_str(),
        &format!("{header}.{claims}.{signature}"),
        &hex,
        &hex.to_uppercase(),
        &"ACGT".repeat(500),
        &path,
        &camel,
        &"a".repeat(5000),
        &STANDARD.encode(noise(200)),
        &format!("{}x", &STANDARD.encode(noise(900))),
        "",
        "\u{e9}",
    ] {
        assert_eq!(replaced(text), None, "{}", &text[..text.len().min(60)]);
    }
}

#[test]
fn blocks_of_bytes_become_text_blocks() {
    let data = STANDARD.encode(noise(9000));
    let audio = format!(
        r#"{{"type":"audio","data":"{data}","mimeType":"audio/wav","annotations":{{"priority":0.50}}}}"#
    );
    let (text, found) = replace_block(audio.as_bytes(), "REST").expect("audio");
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"type":"text","text":"[audio/wav, 9000 bytes as base64, blake3 {}; whole: REST]","annotations":{{"priority":0.50}}}}"#,
            found.hash
        )
    );
    let resource =
        format!(r#"{{"type":"resource","resource":{{"uri":"file:///a.bin","blob":"{data}"}}}}"#);
    let (text, _) = replace_block(resource.as_bytes(), "REST").expect("a blob");
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("file:///a.bin [application/octet-stream, 9000")
    );
    for odd in [
        r#"{"type":"image","data":"AA"}"#,
        r#"{"type":"audio","data":"AA"}"#,
        "7",
        "{}",
    ] {
        assert_eq!(replace_block(odd.as_bytes(), "REST"), None);
    }
}

#[test]
fn work_is_linear_and_runs_are_bounded() {
    let started = std::time::Instant::now();
    let lines = format!("{}\n", "b".repeat(76)).repeat(100_000);
    assert_eq!(replaced(&lines), None);
    let short_lines = format!("{}\n", "bC3".repeat(20)).repeat(100_000);
    assert_eq!(replaced(&short_lines), None);
    let heads = "data:;base64,".repeat(500_000);
    assert_eq!(replaced(&heads), None);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let many = format!("{} ", STANDARD.encode(png(400))).repeat(RUNS + 5);
    assert_eq!(replaced(&many).expect("data").1.len(), RUNS);
}

proptest! {
    /// Nothing outside of the runs changes, and putting the runs back gives the text. Caught by this: a run
    /// that begins a letter late, and `written` left where the last run began.
    #[test]
    fn the_rest_of_a_text_stays(
        parts in prop::collection::vec(("[ -~\u{e9}\n]{0,80}", 0_usize..900), 0..6),
    ) {
        let mut text = String::new();
        for (words, n) in &parts {
            text.push_str(words);
            text.push(' ');
            text.push_str(&STANDARD.encode(png(*n)));
            text.push(' ');
        }
        match replaced(&text) {
            None => prop_assert!(parts.iter().all(|(_, n)| STANDARD.encode(png(*n)).len() < LEAST)),
            Some((short, found)) => {
                let sizes = parts.iter().map(|(_, n)| png(*n));
                let long = sizes.filter(|data| STANDARD.encode(data).len() >= LEAST);
                let expected: Vec<usize> = long.map(|data| data.len()).collect();
                let bytes: Vec<usize> = found.iter().map(|run| run.bytes).collect();
                prop_assert_eq!(bytes, expected);
                let mut back = short.clone();
                for run in found.iter().rev() {
                    let from = back.rfind("bytes as base64").expect("a placeholder");
                    let start = back[..from].rfind('[').expect("its start");
                    let end = from + back[from..].find("}]").expect("its end") + 2;
                    back.replace_range(start..end, &text[run.range.clone()]);
                }
                prop_assert_eq!(back, text);
            }
        }
    }
}
