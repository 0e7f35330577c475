//! A part of a result that fits a cap: whatever the text, it fits, shows nothing that was not there, and
//! its counts add up.

#![expect(clippy::print_stderr, reason = "how many inputs a property saw")]

mod check;
mod inputs;

use mcp_whittle::result::options::Cap;
use mcp_whittle::result::sample::{FLOOR, Kind, Rest, Sampled, fit, fit_within};
use mcp_whittle::token::{Encoding, TiktokenCounter, TokenCounter, Tokens};

use check::check;

pub(crate) const COUNTER: TiktokenCounter = TiktokenCounter::new(Encoding::O200kBase);

fn rest() -> Rest {
    Rest {
        handle: "r_abcdefghijklmnopqrstuvwxyz".to_owned(),
        tool: "read_result".to_owned(),
        whole: None,
        made_by: None,
    }
}

fn sample(text: &str, cap: u64) -> Sampled {
    fit(text, Tokens::new(cap), &rest(), &|_| None, &COUNTER)
}

#[test]
fn every_sample_of_real_text_fits_and_is_true() {
    let inputs = inputs::all();
    let mut n_sampled = 0;
    let mut kinds = std::collections::BTreeSet::new();
    for (name, text) in &inputs {
        for cap in [FLOOR.get(), 700, 5_000] {
            let made = sample(text, cap);
            if made.kind == Kind::Whole {
                continue;
            }
            n_sampled += 1;
            kinds.insert(made.kind.as_str());
            assert!(made.tokens.get() <= cap, "{name} at {cap}: {}", made.tokens);
            assert_eq!(made.tokens, COUNTER.count(&made.text), "{name}");
            assert!(
                made.text
                    .contains("read_result {\"handle\":\"r_abcdefghijklmnopqrstuvwxyz\"")
            );
            if let Err(wrong) = check(text, &made) {
                panic!("{name} at {cap}: {wrong}\n{}", made.text);
            }
            assert_eq!(made, sample(text, cap), "{name} at {cap}: other bytes");
        }
    }
    assert!(
        n_sampled >= 60,
        "only {n_sampled} samples of {} texts",
        inputs.len()
    );
    assert!(kinds.len() >= 5, "only {kinds:?}");
    eprintln!(
        "{n_sampled} samples of {} texts, kinds {kinds:?}",
        inputs.len()
    );
}

/// Each wrong sample differs from a right one in one thing.
#[test]
fn the_check_notices_wrong_samples() {
    let array: Vec<_> = (0..900)
        .map(|n| serde_json::json!({"id": n, "name": format!("user {n}")}))
        .collect();
    let text = serde_json::json!({"total": 900, "items": array}).to_string();
    let right = sample(&text, 700);
    assert_eq!(check(&text, &right), Ok(()));
    let broken = |change: &dyn Fn(&mut Sampled)| {
        let mut made = right.clone();
        change(&mut made);
        check(&text, &made)
    };
    assert!(
        broken(&|made| made.parts[0] = made.parts[0].replacen("user 0", "user x", 1)).is_err(),
        "an invented value"
    );
    assert!(
        broken(&|made| made.parts[0] =
            made.parts[0].replacen("{\"id\":0,\"name\":\"user 0\"},", "", 1))
        .is_err(),
        "an element that is said to be there"
    );
    assert!(
        broken(&|made| made.accounts[0].all += 1).is_err(),
        "a wrong count"
    );
    assert!(
        broken(&|made| made.accounts.clear()).is_err(),
        "a cut that is not told"
    );

    let lines: String = (0..4_000)
        .map(|n| format!("line {n} of a text that is long\n"))
        .collect();
    let right = sample(&lines, 700);
    assert_eq!(check(&lines, &right), Ok(()));
    let mut made = right.clone();
    made.parts[0] = made.parts[0].replacen("is long", "is lon", 1);
    assert!(check(&lines, &made).is_err(), "a cut inside a line");
    let mut made = right.clone();
    made.accounts[0].shown.pop();
    assert!(check(&lines, &made).is_err(), "a line that is not counted");
}

#[test]
fn all_bounds_of_a_cap_hold() {
    let short: String = "a\n".repeat(200_000);
    let long = format!(
        "[{}]",
        vec![format!("\"{}\"", "abcdefghij ".repeat(40)); 2_000].join(",")
    );
    for text in [&short, &long] {
        for cap in [
            Cap::default(),
            Cap {
                tokens: Tokens::new(5_000),
                bytes: 6_000,
                lines: 100,
            },
        ] {
            let made = fit_within(text, &cap, &rest(), &|_| None, &COUNTER);
            assert!(
                cap.holds(&made.text, made.tokens),
                "{} bytes",
                made.text.len()
            );
            assert!(made.text.len() > 500, "{}", made.text);
        }
    }
}

#[test]
fn hostile_texts_end_soon_and_fit() {
    let started = std::time::Instant::now();
    let texts = [
        "[".repeat(100_000),
        "[".repeat(100_000) + &"]".repeat(100_000),
        "{\"a\":".repeat(50_000),
        format!("[{}[]]", "[],".repeat(200_000)),
        "word ".repeat(400_000),
        "é".repeat(500_000),
        "\n".repeat(500_000),
        "\u{0}\u{1}\u{fffd}\u{202e}".repeat(100_000),
        format!("{{\"s\":\"{}\"}}", "line of text\\n".repeat(50_000)),
        format!("[{}]", "\"\\ud800\",".repeat(20_000) + "1"),
        "\"'\"'".repeat(200_000),
        "a:1=2:".repeat(100_000),
        "✖ é".repeat(50_000),
        format!("{{{}\"z\":1}}", "\"k\":1,".repeat(50_000)),
        "diff --git a/x b/x\n@@ -1 +1 @@\n+".repeat(10_000),
        "2026-01-01é23456789012345\n".repeat(5_000),
    ];
    for text in &texts {
        for cap in [FLOOR.get(), 5_000] {
            let made = sample(text, cap);
            let head: String = text.chars().take(20).collect();
            assert!(
                made.tokens.get() <= cap,
                "{head:?} at {cap}: {}",
                made.tokens
            );
        }
    }
    // Generous: unoptimised builds on a shared machine.
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
    assert_eq!(sample("", 200).text, "");
}

/// What a model would read, one text of each kind.
#[test]
fn notes_read_well() {
    let rows: Vec<_> = (0..400)
        .map(|n| serde_json::json!({"id": n, "state": if n == 77 { "failed" } else { "done" }, "ms": n * 37 % 1000}))
        .collect();
    let json = serde_json::json!({"total": 400, "items": rows}).to_string();
    let log: String = (0..400)
        .map(|n| {
            let level = if n % 97 == 13 { "ERROR" } else { "INFO" };
            format!(
                "2026-11-18T13:01:{:02}Z {level} [api] request {n} done ms={}\n",
                n % 60,
                n * 37 % 1000
            )
        })
        .collect();
    insta::assert_snapshot!("sample_of_json", sample(&json, 500).text);
    insta::assert_snapshot!("sample_of_log", sample(&log, 500).text);
}
