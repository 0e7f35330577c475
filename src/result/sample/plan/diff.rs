//! Diffs: files with hunks and changed lines counted, headers and changed lines before context. Pure.

use super::super::lines::Group;
use super::super::lines::Lines;
use super::super::short::short;

/// Files that are named, at most.
const FILES: usize = 60;

/// Whether a line is the head of a hunk of the unified format.
pub(super) fn is_hunk(line: &str) -> bool {
    line.starts_with("@@ -") && line[4..].contains(" @@")
}

fn is_header(line: &str) -> bool {
    [
        "diff ",
        "--- ",
        "+++ ",
        "index ",
        "rename ",
        "new file",
        "deleted file",
        "Binary files",
        "similarity ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

struct File {
    name: String,
    line: usize,
    hunks: usize,
    plus: usize,
    minus: usize,
}

pub(super) fn plan(lines: &Lines<'_>, limit: usize) -> (Vec<String>, Vec<Group>) {
    let mut files: Vec<File> = Vec::new();
    let (mut plus, mut minus, mut n_hunks) = (0, 0, 0);
    let (mut names, mut hunks, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_in_header = false;
    for (index, line) in lines.iter().enumerate() {
        let at = index as u32;
        let starts = line.starts_with("diff ") || (line.starts_with("--- ") && !is_in_header);
        if starts {
            files.push(File {
                name: String::new(),
                line: index + 1,
                hunks: 0,
                plus: 0,
                minus: 0,
            });
            is_in_header = true;
        }
        if is_hunk(line) {
            is_in_header = false;
            n_hunks += 1;
            if let Some(file) = files.last_mut() {
                file.hunks += 1;
            }
            push(&mut hunks, at, limit);
        } else if is_header(line) && is_in_header {
            if let (Some(name), Some(file)) = (
                line.strip_prefix("+++ ")
                    .or_else(|| line.strip_prefix("diff --git ")),
                files.last_mut(),
            ) && name != "/dev/null"
            {
                file.name = short(
                    name.rsplit(" b/")
                        .next()
                        .unwrap_or(name)
                        .trim_start_matches("b/"),
                    80,
                );
            }
            push(&mut names, at, limit);
        } else if line.starts_with('+') {
            plus += 1;
            if let Some(file) = files.last_mut() {
                file.plus += 1;
            }
            push(&mut changed, at, limit);
        } else if line.starts_with('-') {
            minus += 1;
            if let Some(file) = files.last_mut() {
                file.minus += 1;
            }
            push(&mut changed, at, limit);
        }
    }
    let mut facts = vec![format!(
        "{} files, {n_hunks} hunks, +{plus} -{minus} lines",
        files.len()
    )];
    if !files.is_empty() {
        let named: Vec<String> = files
            .iter()
            .take(FILES)
            .map(|file| {
                format!(
                    "{} +{} -{} at line {}",
                    file.name, file.plus, file.minus, file.line
                )
            })
            .collect();
        facts.extend(named);
        if files.len() > FILES {
            facts.push(format!("and {} files more", files.len() - FILES));
        }
    }
    let (front, back) = super::ends(lines.count(), limit);
    let names = names
        .into_iter()
        .filter(|&at| lines.get(at as usize).starts_with("diff "))
        .collect::<Vec<_>>();
    (
        facts,
        vec![
            Group::new(20, front),
            Group::new(20, names),
            Group::new(15, hunks),
            Group::new(35, changed),
            Group::new(10, back),
        ],
    )
}

fn push(list: &mut Vec<u32>, at: u32, limit: usize) {
    if list.len() < limit {
        list.push(at);
    }
}
