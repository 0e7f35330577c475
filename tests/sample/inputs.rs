//! Real texts: what is in this repository (lists that servers sent, source, documents, tables), and the
//! captured results in the folder that `MCP_WHITTLE_RESULTS` names.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a text that is looked at; unoptimised tests would take long over more.
const MOST: usize = 700_000;

/// Names and texts.
pub(super) fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in [
        "testdata/servers",
        "testdata/search",
        "testdata/constraints",
        "testdata/results",
        "docs",
        "src/hub",
    ] {
        files(&root.join(folder), &mut paths);
    }
    paths.extend(["README.md", "CHANGELOG.md", "Cargo.lock"].map(|name| root.join(name)));
    let mut inputs: Vec<(String, String)> = paths
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            let name = path
                .strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string();
            (4_000..MOST).contains(&text.len()).then_some((name, text))
        })
        .collect();
    if let Some(folder) = std::env::var_os("MCP_WHITTLE_RESULTS") {
        let mut paths = Vec::new();
        files(Path::new(&folder), &mut paths);
        inputs.extend(
            paths
                .iter()
                .filter_map(|path| Some((path.display().to_string(), result(path)?))),
        );
    }
    inputs
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The text of a captured result.
fn result(path: &Path) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let blocks = record.pointer("/response/result/content")?.as_array()?;
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| block.get("text")?.as_str())
        .collect();
    let text = texts.join("\n");
    (4_000..MOST).contains(&text.len()).then_some(text)
}
