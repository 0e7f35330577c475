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

/// How many lines a hunk has of the old file and of the new one: `@@ -1,6 +1,7 @@`.
fn lengths(line: &str) -> Option<(u64, u64)> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let length = |range: &str| match range.split_once(',') {
        Some((_, length)) => length.parse().ok(),
        None => range.parse::<u64>().is_ok().then_some(1),
    };
    Some((length(old)?, length(new)?))
}

/// Whether a line is the head of a hunk of a merge: `@@@ -1,4 -1,6 +1,9 @@@`.
fn is_combined_hunk(line: &str) -> bool {
    line.starts_with("@@@ -") && line[5..].contains(" @@@")
}

/// Whether a file without a line before its names begins at `index`, also inside a hunk that has fewer lines than
/// it says.
fn is_file(lines: &Lines<'_>, index: usize) -> bool {
    lines.get(index).starts_with("--- ")
        && index + 2 < lines.count()
        && lines.get(index + 1).starts_with("+++ ")
        && lines.get(index + 2).starts_with("@@ -")
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
    // Lines that the hunk still has of the old file and of the new one; without them a removed SQL comment is the
    // head of a file, and a list in a message a change.
    let (mut old, mut new) = (0_u64, 0_u64);
    for (index, line) in lines.iter().enumerate() {
        let at = index as u32;
        if old > 0 || new > 0 {
            let sign = line.bytes().next().unwrap_or(b' ');
            if matches!(sign, b' ' | b'+' | b'-' | b'\\') && !is_file(lines, index) {
                match sign {
                    b'+' => {
                        new = new.saturating_sub(1);
                        plus += 1;
                        if let Some(file) = files.last_mut() {
                            file.plus += 1;
                        }
                        push(&mut changed, at, limit);
                    }
                    b'-' => {
                        old = old.saturating_sub(1);
                        minus += 1;
                        if let Some(file) = files.last_mut() {
                            file.minus += 1;
                        }
                        push(&mut changed, at, limit);
                    }
                    b' ' => (old, new) = (old.saturating_sub(1), new.saturating_sub(1)),
                    _ => {}
                }
                continue;
            }
            // It has fewer lines than it says.
            (old, new) = (0, 0);
        }
        let is_named = || index + 1 < lines.count() && lines.get(index + 1).starts_with("+++ ");
        let starts =
            line.starts_with("diff ") || (line.starts_with("--- ") && !is_in_header && is_named());
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
        if is_hunk(line) || is_combined_hunk(line) {
            is_in_header = false;
            // Where the length cannot be read, the hunk is as long as its lines are those of one.
            (old, new) = lengths(line).unwrap_or((u64::MAX, u64::MAX));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: a removed line that begins with two more signs is the head of a file, lists in
    /// the message and the signature of a patch are removed lines, and what a hunk says of its length is not read.
    #[test]
    fn changes_are_counted_inside_hunks() {
        let text = "Subject: [PATCH] x\n\n- a bullet\n---\n m.sql | 4 ++--\n\n\
            diff --git a/m.sql b/m.sql\nindex 1..2 100644\n--- a/m.sql\n+++ b/m.sql\n\
            @@ -1,3 +1,3 @@\n context\n--- old comment\n-SELECT 1;\n+-- new comment\n+SELECT 2;\n\
            @@ -9 +9,2 @@ in a function\n-x\n\\ No newline at end of file\n++++ y\n+z\n\
            --- a/n.sql\n+++ b/n.sql\n@@ -1,3 +1 @@\n-a\n\n-b\n-- \n2.40.1\n";
        let (facts, _) = plan(&Lines::of(text), 50);
        assert_eq!(
            facts,
            [
                "2 files, 3 hunks, +4 -5 lines",
                "m.sql +4 -3 at line 7",
                "n.sql +0 -2 at line 22",
            ]
        );
    }

    /// Broken variants that this catches: a hunk that has fewer lines than it says takes the files behind it for its
    /// own, and changes in hunks of merges, or of an unknown length, are none.
    #[test]
    fn lengths_that_are_wrong_or_unknown_lose_nothing() {
        let files: String = (0..150)
            .map(|n| format!("--- a/f{n}\n+++ b/f{n}\n@@ -1,9 +1,9 @@\n ctx\n-a{n}\n+b{n}\n"))
            .collect();
        let (facts, _) = plan(&Lines::of(&files), 50);
        assert_eq!(facts[0], "150 files, 150 hunks, +150 -150 lines");
        assert_eq!(facts[2], "f1 +1 -1 at line 7");
        let others = "diff --cc y\nindex 1,2..3\n--- a/y\n+++ b/y\n@@@ -1,2 -1,2 +1,4 @@@ fn x\n\
            ++new 0\n++new 1\n - a\n--b\n\
            diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -... +... @@\n-old\n+new\n\
            @@ -... +... @@\n+more\n+most\n";
        let (facts, _) = plan(&Lines::of(others), 50);
        assert_eq!(
            facts,
            [
                "2 files, 3 hunks, +5 -2 lines",
                "y +2 -1 at line 1",
                "x +3 -1 at line 10",
            ]
        );
    }
}
