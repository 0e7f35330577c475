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

use bodies::{frame, http_operations, operations, splice, sse};

/// Random inputs of each target.
const RANDOM: u64 = 3000;

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
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let corpus = corpus(target);
    let mut inputs = corpus.clone();
    for seed in 0..RANDOM {
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
    for input in inputs(target) {
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
