//! A text as lines, and the part of them that fits so many bytes: whole lines in order, a mark where
//! lines are missing. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::short::short;

/// Where each line begins.
pub(super) struct Lines<'a> {
    pub(super) text: &'a str,
    starts: Vec<u32>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of `text`, which has fewer than 2^32 bytes.
    pub(super) fn of(text: &'a str) -> Self {
        let mut starts = vec![0];
        starts.extend(
            memchr::memchr_iter(b'\n', text.as_bytes())
                .map(|at| at as u32 + 1)
                .filter(|&start| (start as usize) < text.len()),
        );
        Self { text, starts }
    }

    pub(super) fn count(&self) -> usize {
        if self.text.is_empty() {
            0
        } else {
            self.starts.len()
        }
    }

    /// The line at `index` (0-based) without its end.
    pub(super) fn get(&self, index: usize) -> &'a str {
        let start = self.starts[index] as usize;
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.text.len(), |&next| next as usize);
        let line = &self.text[start..end];
        match line.strip_suffix('\n') {
            Some(line) => line.strip_suffix('\r').unwrap_or(line),
            None => line,
        }
    }

    /// The mark before the number of a line that does not follow the one before it: `@`, or as many of it as no
    /// line of the text has before a number of its own.
    pub(super) fn mark(&self) -> String {
        let taken: BTreeSet<usize> = self
            .iter()
            .filter_map(|line| {
                let digits = line.trim_start_matches('@');
                let is_like_ours =
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                is_like_ours.then_some(line.len() - digits.len())
            })
            .collect();
        let n = (1..).find(|n| !taken.contains(n)).unwrap_or(1);
        "@".repeat(n)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.count()).map(|index| self.get(index))
    }
}

/// Lines that belong together, the most telling first, and their share of the bytes in hundredths.
pub(super) struct Group {
    pub(super) share: usize,
    pub(super) lines: Vec<u32>,
}

impl Group {
    pub(super) fn new(share: usize, lines: impl IntoIterator<Item = u32>) -> Self {
        Self {
            share,
            lines: lines.into_iter().collect(),
        }
    }
}

/// Lines picked for a part.
pub(super) struct Picked {
    pub(super) text: String,
    /// Lines (0-based) in it, ascending.
    pub(super) shown: Vec<u32>,
    /// Those of them of which only head and tail are shown.
    pub(super) shortened: Vec<u32>,
}

/// Bytes of the number behind a mark.
const MARK: usize = 7;

/// Picks lines by group in about `budget` bytes. A line of more than `longest` bytes, which no part
/// could show, is shown by head and tail. `mark`: [`Lines::mark`].
pub(super) fn pick(
    lines: &Lines<'_>,
    groups: &[Group],
    budget: usize,
    longest: usize,
    mark: &str,
) -> Picked {
    let n_long = lines
        .iter()
        .filter(|line| line.len() > longest)
        .take(8)
        .count();
    let clip = Clip {
        longest,
        to: (budget / (n_long + 1)).min(longest),
    };
    let mut taken: BTreeSet<u32> = BTreeSet::new();
    let mut left = budget;
    let shares: usize = groups.iter().map(|group| group.share).sum::<usize>().max(1);
    // First each group its share, then what is left in order of the groups.
    for round in 0..2 {
        for group in groups {
            let mut share = match round {
                0 => budget * group.share / shares,
                _ => left,
            }
            .min(left);
            let before = share;
            let mut misses = 0;
            for &line in &group.lines {
                if line as usize >= lines.count() || taken.contains(&line) {
                    continue;
                }
                let is_next = line > 0 && taken.contains(&(line - 1));
                let cost = cost(lines.get(line as usize), clip)
                    + if is_next { 0 } else { MARK + mark.len() };
                if cost > share {
                    misses += 1;
                    if misses > 16 {
                        break;
                    }
                    continue;
                }
                share -= cost;
                taken.insert(line);
            }
            left -= before - share;
        }
    }
    write(lines, taken, clip, mark)
}

/// What becomes of lines that are too long.
#[derive(Clone, Copy)]
struct Clip {
    longest: usize,
    to: usize,
}

fn cost(line: &str, clip: Clip) -> usize {
    1 + if line.len() > clip.longest {
        clip.to
    } else {
        line.len()
    }
}

fn write(lines: &Lines<'_>, taken: BTreeSet<u32>, clip: Clip, mark: &str) -> Picked {
    let mut picked = Picked {
        text: String::new(),
        shown: Vec::new(),
        shortened: Vec::new(),
    };
    let mut next = 0;
    for line in taken {
        if line != next {
            let _ = writeln!(picked.text, "{mark}{}", line + 1);
        }
        next = line + 1;
        let text = lines.get(line as usize);
        if text.len() > clip.longest {
            picked
                .text
                .push_str(&short(text, clip.to.saturating_sub(24)));
            picked.shortened.push(line);
        } else {
            picked.text.push_str(text);
        }
        picked.text.push('\n');
        picked.shown.push(line);
    }
    picked
}

/// Positions as ranges: `1-4, 9`. At most `limit` ranges, then how many more.
pub(super) fn ranges(positions: &[u32], offset: u32, limit: usize) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &position in positions {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == position => *end = position,
            _ => runs.push((position, position)),
        }
    }
    let mut out = String::new();
    for (index, (start, end)) in runs.iter().take(limit).enumerate() {
        if index > 0 {
            out.push(',');
        }
        let _ = match start == end {
            true => write!(out, "{}", start + offset),
            false => write!(out, "{}-{}", start + offset, end + offset),
        };
    }
    if runs.len() > limit {
        let rest: u32 = runs[limit..]
            .iter()
            .map(|(start, end)| end - start + 1)
            .sum();
        let _ = write!(out, " and {rest} more");
    }
    out
}

/// The longest run of positions below `n` that is not in `shown`; the first of equals.
pub(super) fn longest_gap(shown: &[u32], n: u32) -> Option<(u32, u32)> {
    let mut next = 0;
    let mut best: Option<(u32, u32)> = None;
    for position in shown.iter().copied().chain([n]) {
        if position > next && best.is_none_or(|(start, end)| position - next > end - start + 1) {
            best = Some((next, position - 1));
        }
        next = position + 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: the mark is `@`, also where a line of the text looks like it.
    #[test]
    fn marks_are_no_lines_of_the_text() {
        let mark = |text: &str| Lines::of(text).mark();
        assert_eq!(mark("a\n@b\n@\n@1 x\n12\n"), "@");
        assert_eq!(mark("a\n@742\r\nb\n"), "@@");
        assert_eq!(mark("@@@7\n@742\nb"), "@@");
        assert_eq!(mark("@@7\n@742\nb"), "@@@");
        let lines = Lines::of("@9\nb\nc\n@1\n");
        let groups = [Group::new(100, [0, 3])];
        let picked = pick(&lines, &groups, 100, 100, &lines.mark());
        assert_eq!(picked.text, "@9\n@@4\n@1\n");
    }
}
