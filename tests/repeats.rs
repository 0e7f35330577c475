//! Answers that repeat, images and blobs, over captured results: `MCP_WHITTLE_RESULTS=<folder of folders with
//! {server, session, seq, request, response}>`. Without it there is nothing captured here, and only what is
//! made up beside the code is tested. `--nocapture` shows the numbers.

#![allow(
    clippy::print_stdout,
    reason = "the numbers are for whoever asks for them"
)]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use mcp_whittle::result::{blobs, images, repeat};
use mcp_whittle::token::{Encoding, TiktokenCounter, TokenCounter};
use serde_json::Value;

const REST: &str = r#"read_result {"handle":"r_abcdefghijklmnopqrstuvwxyz"}"#;

struct Captured {
    name: String,
    call: String,
    seq: i64,
    text: String,
    blocks: Vec<Bytes>,
}

fn captured() -> Vec<Captured> {
    let Some(root) = std::env::var_os("MCP_WHITTLE_RESULTS") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                found.extend(read(&path));
            }
        }
    }
    found.sort_by(|a, b| (&a.call, a.seq, &a.name).cmp(&(&b.call, b.seq, &b.name)));
    found
}

fn read(path: &Path) -> Option<Captured> {
    let file: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let result = &file["response"]["result"];
    let blocks = result["content"].as_array()?;
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    let params = &file["request"]["params"];
    Some(Captured {
        name: path.display().to_string(),
        call: format!(
            "{} {} {} {}",
            file["server"], file["session"], params["name"], params["arguments"]
        ),
        seq: file["seq"].as_i64().unwrap_or_default(),
        text: texts.join("\n"),
        blocks: blocks
            .iter()
            .map(|block| block.to_string().into())
            .collect(),
    })
}

/// Every pair of following answers to one call: a difference gives the new answer when it is applied, and is
/// less than half of it.
#[test]
fn following_answers_of_one_call() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let all = captured();
    let mut sums: BTreeMap<&str, (usize, u64, u64)> = BTreeMap::new();
    for pair in all.windows(2).filter(|pair| pair[0].call == pair[1].call) {
        let (old, new) = (&pair[0].text, &pair[1].text);
        let in_full = counter.count(new);
        let (form, tokens) = if old == new {
            let said = counter.count(&repeat::unchanged(REST));
            ("unchanged", said.min(in_full))
        } else if let Some(found) = repeat::difference(old, new, in_full, REST, &counter) {
            check(old, new, &found.text);
            assert!(found.tokens.get() * 2 < in_full.get(), "{}", pair[1].name);
            println!("{} tokens for {in_full}: {}", found.tokens, pair[1].name);
            ("delta", found.tokens)
        } else {
            ("full", in_full)
        };
        let sum = sums.entry(form).or_default();
        *sum = (sum.0 + 1, sum.1 + in_full.get(), sum.2 + tokens.get());
    }
    for (form, (n, before, after)) in sums {
        println!("{form}: {n} answers, {before} tokens, {after} sent");
    }
}

/// Each captured answer with one place changed, one line gone and one more.
#[test]
fn captured_answers_with_a_small_change() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let (mut n, mut n_found, mut before, mut after) = (0, 0, 0, 0);
    for captured in captured() {
        let old = &captured.text;
        let Some(new) = changed(old) else { continue };
        n += 1;
        let in_full = counter.count(&new);
        if let Some(found) = repeat::difference(old, &new, in_full, REST, &counter) {
            check(old, &new, &found.text);
            // A broken variant: the same difference without its first change.
            let lines: Vec<&str> = found.text.lines().collect();
            let broken = [&lines[..1], &lines[2..]].concat().join("\n");
            let got = repeat::apply(old, &broken);
            assert!(
                got.is_none_or(|got| !is_same(&got, &new)),
                "{}",
                captured.name
            );
            n_found += 1;
            before += in_full.get();
            after += found.tokens.get();
        }
    }
    println!("{n} answers changed, {n_found} as a difference: {before} tokens, {after} sent");
    assert!(n == 0 || n_found * 3 > n, "only {n_found} of {n}");
}

fn changed(old: &str) -> Option<String> {
    let middle = (old.len() / 2..old.len()).find(|at| old.is_char_boundary(*at))?;
    let at = middle
        + old[middle..]
            .find("\": \"")
            .or_else(|| old[middle..].find(": "))?
        + 2;
    let at = at + old[at..].find(|c: char| c.is_ascii_lowercase())?;
    let mut new = old.to_owned();
    new.replace_range(at..=at, "Q");
    Some(new)
}

#[track_caller]
fn check(old: &str, new: &str, difference: &str) {
    let got = repeat::apply(old, difference).expect("it fits");
    assert!(is_same(&got, new), "{difference}");
}

fn is_same(got: &str, new: &str) -> bool {
    let value = |text: &str| {
        serde_json::from_str::<Value>(text)
            .ok()
            .filter(|value| !value.is_string())
    };
    got == new || value(got).is_some_and(|got| value(new).is_some_and(|new| got == new))
}

/// What of captured results is data, and what becomes of their images.
#[test]
fn captured_images_and_blobs() {
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let mut n = 0;
    for captured in captured() {
        n += 1;
        if let Some((short, found)) = blobs::replace(&captured.text, |_, _| REST.to_owned()) {
            let (before, after) = (counter.count(&captured.text), counter.count(&short));
            println!("{before} to {after} tokens: {} {found:?}", captured.name);
            assert!(after < before);
        }
        for block in &captured.blocks {
            if let Some(scaled) = images::scale(block, &images::Vision::default()) {
                let (from, to) = (scaled.from, scaled.to);
                println!(
                    "{from:?} to {to:?}, {} to {} tokens: {}",
                    scaled.before, scaled.after, captured.name
                );
            }
        }
    }
    println!("{n} results");
}
