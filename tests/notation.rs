//! The denser notations of results say what was sent: a decoder in Python that shares no code with
//! ours (`testdata/notation/decode.py`) reads every one of them back from the sent text alone. Run over
//! more results with `MCP_WHITTLE_RESULTS=<folder of results or of folders with results>`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_whittle::result::compact::{Bounds, Form, compact, compact_list, decode};
use mcp_whittle::token::{TiktokenCounter, TokenCounter, Tokens};
use serde_json::Value;

/// The text blocks of one captured result.
struct Captured {
    name: String,
    blocks: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn captured(folder: &Path) -> Vec<Captured> {
    let mut found = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            found.extend(captured(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(read(&path));
        }
    }
    found
}

fn read(path: &Path) -> Captured {
    let text = fs::read_to_string(path).expect("a readable file");
    let file: Value = serde_json::from_str(&text).expect("a captured result");
    let blocks = file["response"]["result"]["content"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|block| block["text"].as_str().map(str::to_owned))
        .collect();
    let name = path.file_stem().expect("a name").to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).expect("a folder");
    Captured {
        name: format!("{}--{name}", folder.to_string_lossy()),
        blocks,
    }
}

/// JSON without the white space between its tokens, by a rule of its own.
fn without_space(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if in_string || !matches!(c, ' ' | '\t' | '\r' | '\n') {
            out.push(c);
        }
        if c == '"' && !is_escaped {
            in_string = !in_string;
        }
        is_escaped = in_string && c == '\\' && !is_escaped;
    }
    out
}

/// A way to lose something.
type Broken = fn(&str) -> String;

/// A text that was sent and what it must say.
struct Sent {
    name: String,
    text: String,
    says: String,
}

/// Compacts every text; the number of texts is the second part.
fn sent(results: &[Captured]) -> (Vec<Sent>, usize) {
    let (counter, bounds) = (TiktokenCounter::default(), Bounds::default());
    let mut out = Vec::new();
    let mut n_texts = 0;
    for result in results {
        let blocks: Vec<&str> = result.blocks.iter().map(String::as_str).collect();
        if let Some(list) = compact_list(&blocks, &counter, &bounds) {
            assert!(list.tokens < list.before, "{}", result.name);
            out.push(Sent {
                name: format!("{}--list", result.name),
                text: list.text,
                says: without_space(&format!("[{}]", blocks.join(","))),
            });
        }
        for (n, block) in blocks.iter().enumerate() {
            n_texts += 1;
            let Some(dense) = compact(block, &counter, &bounds) else {
                continue;
            };
            assert!(dense.tokens < dense.before, "{}", result.name);
            if dense.is_exact {
                assert!(
                    counter.count(&dense.text) < counter.count(block),
                    "{}",
                    result.name
                );
            }
            let says = match dense.form {
                Form::Minified | Form::Rows | Form::Abbreviated => without_space(block),
                Form::Python => (*block).to_owned(),
                // What goes of other text is named by `normal`; the rest must be there.
                _ => mcp_whittle::result::compact::normal(block, &bounds),
            };
            let back = decode(&dense.text, &bounds).expect("our own notation");
            assert_eq!(back.text, says, "{} by our decoder", result.name);
            out.push(Sent {
                name: format!("{}--{n}", result.name),
                text: dense.text,
                says,
            });
        }
    }
    (out, n_texts)
}

/// Runs the Python decoder; None where there is no Python.
fn decoded(sent: &[Sent]) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = sent
        .iter()
        .map(|text| {
            let path = folder.path().join(&text.name);
            fs::write(&path, &text.text).expect("a file");
            path
        })
        .collect();
    let output = Command::new("python3")
        .arg(root().join("testdata/notation/decode.py"))
        .args(&paths)
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read = |path: &PathBuf| {
        let path = format!("{}.decoded", path.display());
        fs::read_to_string(path).expect("a decoded file")
    };
    Some(paths.iter().map(read).collect())
}

#[test]
fn a_decoder_of_its_own_reads_every_result_back() {
    let folder = std::env::var_os("MCP_WHITTLE_RESULTS")
        .map_or_else(|| root().join("testdata/results"), PathBuf::from);
    let (sent, n_texts) = sent(&captured(&folder));
    let Some(decoded) = decoded(&sent) else {
        return; // Without Python there is nothing to compare.
    };
    for (sent, decoded) in sent.iter().zip(&decoded) {
        assert_eq!(&sent.says, decoded, "{}", sent.name);
    }
    assert!(sent.len() * 10 > n_texts * 2, "{} of {n_texts}", sent.len());
}

/// The decoder is no formality: it gives something else for a text that lost something.
#[test]
fn a_text_that_lost_something_is_seen() {
    let broken: [(&str, Broken); 3] = [
        ("a missing key as null", |text| text.replace(",,", ",null,")),
        ("cells without quotes", |text| {
            text.replace(",\"0", ",0").replace(",\"1", ",1")
        }),
        ("a row less", |text| {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.remove(lines.len() / 2);
            lines.join("\n")
        }),
    ];
    let (good, _) = sent(&captured(&root().join("testdata/results")));
    for (what, broken) in broken {
        let is_seen = good.iter().any(|text| {
            let bad = Sent {
                text: broken(&text.text),
                name: text.name.clone(),
                says: String::new(),
            };
            // An error of the decoder does not count here: it must read something else.
            std::panic::catch_unwind(|| decoded(&[bad]))
                .is_ok_and(|decoded| decoded.is_none_or(|decoded| decoded[0] != text.says))
        });
        assert!(is_seen, "{what}");
    }
}

#[test]
fn the_python_decoder_is_short() {
    let text = fs::read_to_string(root().join("testdata/notation/decode.py")).expect("the decoder");
    assert!(text.lines().count() <= 100);
}

/// The number of tokens that the whole of the committed results takes must not grow unnoticed.
#[test]
fn committed_results_keep_their_size() {
    let (counter, bounds) = (TiktokenCounter::default(), Bounds::default());
    let (mut before, mut after) = (Tokens::ZERO, Tokens::ZERO);
    for result in captured(&root().join("testdata/results")) {
        for block in &result.blocks {
            let n = counter.count(block);
            before += n;
            after += compact(block, &counter, &bounds).map_or(n, |dense| dense.tokens);
        }
    }
    let share = after.get() * 100 / before.get().max(1);
    assert!(share <= 40, "{before} -> {after} tokens, {share} %");
}
