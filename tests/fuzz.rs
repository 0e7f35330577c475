//! The properties that fuzzing looks for, over the committed corpora and random inputs; and broken parts,
//! which show that the properties would notice.

#[path = "../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "a library of its own in the workspace of fuzzing"
)]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use bodies::{
    config, definitions, frame, http_operations, jq, judge, jwt, kube, notation, operations,
    pointer, query, record, recording, shape, splice, sse, state, texts,
};

/// Random inputs of each target.
const RANDOM: u64 = 3000;
/// The same where one input takes an unoptimised build milliseconds.
const RANDOM_OF_SLOW: u64 = 150;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| {
            let entry = entry.expect("the folder stays while the test runs");
            std::fs::read(entry.path()).expect("a committed file can be read")
        })
        .collect();
    assert!(!inputs.is_empty(), "{folder} is empty");
    inputs.sort();
    inputs
}

/// The corpus, pieces of it put together anew, and noise. The seed is fixed: a failure repeats.
fn inputs(target: &str, n_random: u64) -> Vec<Vec<u8>> {
    let corpus = corpus(target);
    let mut inputs = corpus.clone();
    for seed in 0..n_random {
        let mut random = StdRng::seed_from_u64(seed);
        let mut input = corpus[random.random_range(0..corpus.len())].clone();
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..=input.len());
            match random.random_range(0..4) {
                0 if at < input.len() => input[at] = random.random(),
                1 => input.truncate(at),
                2 => {
                    let noise: [u8; 16] = random.random();
                    input.splice(at..at, noise);
                }
                _ => {
                    let other = &corpus[random.random_range(0..corpus.len())];
                    let from = random.random_range(0..=other.len());
                    input.splice(at..at, other[from..].iter().copied());
                }
            }
        }
        input.truncate(4096);
        inputs.push(input);
    }
    inputs
}

#[track_caller]
fn holds(target: &str, run: fn(&[u8])) {
    holds_for(target, RANDOM, run);
}

#[track_caller]
fn holds_for(target: &str, n_random: u64, run: fn(&[u8])) {
    for input in inputs(target, n_random) {
        let shown = input.escape_ascii().to_string();
        assert!(
            catch_unwind(|| run(&input)).is_ok(),
            "{target} fails for {shown}"
        );
    }
}

#[track_caller]
fn is_caught(target: &str, run_broken: impl Fn(&[u8])) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = corpus(target)
        .iter()
        .any(|input| catch_unwind(AssertUnwindSafe(|| run_broken(input))).is_err());
    std::panic::set_hook(hook);
    assert!(caught, "a broken {target} is not noticed");
}

#[test]
fn frames_do_not_depend_on_chunks() {
    holds("frame", frame::run);
}

#[test]
fn events_do_not_depend_on_chunks() {
    holds("sse", sse::run);
}

#[test]
fn edits_keep_what_they_do_not_name() {
    holds("splice", splice::run);
}

#[test]
fn every_request_is_answered_once() {
    holds("operations", operations::run);
}

#[test]
fn every_http_stream_has_one_outcome() {
    holds("http_operations", http_operations::run);
}

#[test]
fn configuration_is_read_or_refused() {
    holds("config", config::run);
}

#[test]
fn damaged_state_is_a_miss() {
    holds_for("state", RANDOM_OF_SLOW * 4, state::run);
}

#[test]
fn values_of_shared_tiers_are_whole_or_nothing() {
    holds("record", record::run);
}

#[test]
fn short_texts_are_written_as_they_were_read() {
    holds_for("texts", RANDOM_OF_SLOW * 4, texts::run);
}

#[test]
fn every_rung_is_the_same_tool() {
    holds_for("definitions", RANDOM_OF_SLOW, definitions::run);
}

#[test]
fn dense_notations_read_back() {
    holds_for("notation", RANDOM_OF_SLOW, notation::run);
}

#[test]
fn shaped_results_are_results_and_lose_nothing_unsaid() {
    holds_for("shape", RANDOM_OF_SLOW, shape::run);
}

#[test]
fn kept_results_are_read_within_the_cap() {
    holds_for("query", RANDOM_OF_SLOW, query::run);
}

#[test]
fn pointers_and_patterns_find_what_others_find() {
    holds_for("pointer", RANDOM_OF_SLOW * 4, pointer::run);
}

#[test]
fn programs_are_read_or_refused_and_reach_nothing() {
    holds_for("jq", RANDOM_OF_SLOW, jq::run);
}

#[test]
fn signed_tokens_count_only_where_all_is_right() {
    holds_for("jwt", RANDOM_OF_SLOW * 2, jwt::run);
    // A gate that lets nobody in would hold too.
    let n_in = corpus("jwt")
        .iter()
        .filter(|input| jwt::principal(&jwt::signs(input)).is_some())
        .count();
    assert_eq!(n_in, 3);
}

#[test]
fn rules_hold_however_arguments_are_written() {
    holds("judge", judge::run);
}

#[test]
fn reviews_are_answered_and_patches_apply() {
    holds_for("kube", RANDOM_OF_SLOW * 2, kube::run);
}

#[test]
fn recordings_are_read_or_refused() {
    holds_for("recording", RANDOM_OF_SLOW * 4, recording::run);
}

/// Every folder of inputs belongs to a target that `fuzz/run` can build, and the other way round.
#[test]
fn targets_and_corpora_belong_together() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(format!("{root}/{folder}")).expect("a folder of fuzzing");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("a committed file").file_name())
            .map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned())
            .filter(|name| name != "SOURCE.md")
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("corpus"), names("targets"));
    let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).expect("a manifest");
    for name in names("targets") {
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name}"
        );
    }
}

#[test]
fn broken_readers_and_writers_are_noticed() {
    // A loader that refuses without a word, and one that shows a terminal what stood in the file.
    is_caught("config", |input| {
        config::check(input, |name, text| {
            config::read(name, text).map_err(|_| Vec::new())
        });
    });
    is_caught("config", |input| {
        config::check(input, |_, text| {
            Err(vec![String::from_utf8_lossy(text).into_owned()])
        });
    });
    // A store that loses the last tool of a list.
    is_caught("state", |input| {
        state::check(input, |snapshot| {
            let mut kept = state::through_a_file(snapshot)?;
            std::sync::Arc::make_mut(kept.lists[0].as_mut()?)
                .items
                .pop();
            Some(kept)
        });
    });
    // A tier that does not look at what it opens.
    is_caught("record", |input| {
        record::check(input, |sealed| Some(sealed.to_vec()));
    });
    // A header that is sent as it is.
    is_caught("texts", |input| texts::check(input, str::to_owned));
    // A lean form that wants another type.
    is_caught("definitions", |input| {
        definitions::check(input, |raw| {
            raw.replace(r#""type": "string""#, r#""type": "array""#)
        });
    });
    // A notation that loses a digit.
    is_caught("notation", |input| {
        notation::check(input, |text| {
            let bounds = mcp_whittle::result::compact::Bounds::default();
            let counter = mcp_whittle::token::TiktokenCounter::default();
            let mut made = mcp_whittle::result::compact::compact(text, &counter, &bounds)?;
            made.text = made.text.replacen('1', "", 1);
            made.is_exact = false;
            Some(made)
        });
    });
}

#[test]
fn broken_gates_and_searches_are_noticed() {
    use mcp_whittle::result::query::Answer;

    // A gate that does not look at signatures, and one that does not look at the audience.
    let unchecked = |token: &str, is_for_us: &dyn Fn(&serde_json::Value) -> bool| {
        use base64::Engine as _;
        let claims = token.split('.').nth(1)?;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
        let claims: serde_json::Value = serde_json::from_slice(&claims.ok()?).ok()?;
        is_for_us(&claims).then(|| {
            let (issuer, subject) = (claims["iss"].as_str(), claims["sub"].as_str());
            format!(
                "jwt:{}#{}",
                issuer.unwrap_or_default(),
                subject.unwrap_or_default()
            )
        })
    };
    is_caught("jwt", |input| {
        jwt::check(input, |token| unchecked(token, &|_| true));
    });
    is_caught("jwt", |input| {
        jwt::check(input, |token| {
            unchecked(token, &|claims| {
                claims["aud"] == "https://tools.example/mcp"
            })
        });
    });
    // A reader of programs that refuses without a word, and one that lets everything be named.
    is_caught("jq", |input| jq::check(input, |_| Err(String::new())));
    is_caught("jq", |input| jq::check(input, |_| Ok(())));
    // A pointer that leads past its value, and a search that loses a line.
    let broken = |name: &str, change: fn(Answer) -> Option<Answer>| {
        is_caught("pointer", |input| {
            pointer::check(input, &|arguments, kept| {
                let answer = pointer::read(arguments, kept)?;
                match arguments.get(name) {
                    Some(_) => change(answer),
                    None => Some(answer),
                }
            });
        });
    };
    broken("pointer", |_| None);
    broken("pointer", |mut answer| {
        answer.text = format!("[{}]", answer.text);
        Some(answer)
    });
    broken("count", |mut answer| {
        answer.text = answer.text.replacen("matches: ", "matches: 1", 1);
        Some(answer)
    });
}

#[test]
fn broken_shaping_and_judging_is_noticed() {
    use mcp_whittle::result::{query as reading, shape as shaping};

    let counter = mcp_whittle::token::TiktokenCounter::default();
    // A shaper that leaves a bracket out, and one that says it kept what it did not.
    is_caught("shape", |input| {
        shape::check(input, &|result, options, outside| {
            let mut shaped = shaping::shape(result, options, outside, &counter);
            shaped.result = shaped.result.map(|out| out.replacen(']', "", 1));
            shaped
        });
    });
    is_caught("shape", |input| {
        shape::check(input, &|result, options, outside| {
            let mut shaped = shaping::shape(result, options, outside, &counter);
            shaped.handle = shaped.handle.or_else(|| Some("r_x".to_owned()));
            shaped
        });
    });
    // Pages that overlap by a byte.
    is_caught("query", |input| {
        query::check(input, &|text, is_json, number, limits| {
            let mut page = reading::page(text, is_json, number, limits)?;
            page.span.start = page.span.start.saturating_sub(usize::from(number > 1));
            Ok(page)
        });
    });
    // A policy that looks at the last of two members with one name only.
    is_caught("judge", |input| {
        judge::check(input, |arguments| {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(arguments);
            read.is_ok_and(|read| !read["path"].as_str().unwrap_or("").starts_with("/etc/"))
        });
    });
    // A webhook that refuses, and one whose patch takes the wrong container out.
    is_caught("kube", |input| {
        kube::check(input, |_| {
            Some(br#"{"response":{"uid":"u1","allowed":false}}"#.to_vec())
        });
    });
    is_caught("kube", |input| {
        kube::check(input, |_| {
            use base64::Engine as _;
            let patch = base64::engine::general_purpose::STANDARD
                .encode(r#"[{"op":"remove","path":"/spec/containers/0"}]"#);
            let body = format!(r#"{{"response":{{"uid":"u1","allowed":true,"patch":"{patch}"}}}}"#);
            Some(body.into_bytes())
        });
    });
    // A server that plays every answer twice.
    is_caught("recording", |input| {
        recording::check(input, |_, _| {
            let answer = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
            vec![answer.clone(), answer]
        });
    });
}

#[test]
fn broken_parts_are_noticed() {
    // A decoder that loses a byte where a chunk ends.
    is_caught("frame", |input| {
        frame::check(input, |chunks, limits| {
            let cut: Vec<&[u8]> = chunks
                .iter()
                .map(|chunk| &chunk[..chunk.len().saturating_sub(1)])
                .collect();
            frame::decode(&cut, limits)
        });
    });
    // A decoder that gives an event twice.
    is_caught("sse", |input| {
        sse::check(input, |chunks, limit| {
            let mut seen = sse::decode(chunks, limit)?;
            seen.extend(seen.first().cloned());
            Some(seen)
        });
    });
    // An editor that leaves the comma of what it removed.
    is_caught("splice", |input| {
        splice::check(input, |raw, remove, set| {
            let edited = splice::edit(raw, remove, set);
            if edited.len() < raw.len() {
                let text = String::from_utf8_lossy(&edited).replacen('}', ",}", 1);
                return Bytes::from(text);
            }
            edited
        });
    });
    // A hub that loses an answer, and one that repeats it.
    is_caught("operations", |input| {
        operations::check(input, |n| usize::from(n != 0))
    });
    is_caught("operations", |input| operations::check(input, |_| 2));
    // A hub that loses an outcome, one that gives it twice, and one that gives it to a neighbour.
    is_caught("http_operations", |input| {
        http_operations::check(input, |n, stream| match n {
            0 => Vec::new(),
            _ => vec![stream],
        });
    });
    is_caught("http_operations", |input| {
        http_operations::check(input, |_, stream| vec![stream, stream]);
    });
    is_caught("http_operations", |input| {
        http_operations::check(input, |n, stream| match n {
            3 => vec![stream - 1],
            _ => vec![stream],
        });
    });
}
