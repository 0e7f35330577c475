//! Fences of Markdown: between them everything stands as it is. Pure.

/// Knows while lines are read from the first one which of them are fenced (CommonMark 0.31 §4.5). Fences in lists
/// are indented further than there, so only a closing one is held to its indent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fences {
    open: Option<Fence>,
}

#[derive(Debug, Clone, Copy)]
struct Fence {
    sign: u8,
    length: usize,
    indent: usize,
}

impl Fences {
    /// Takes the next line; tells whether it is in a fence or begins or ends one.
    pub(super) fn step(&mut self, line: &str) -> bool {
        let bare = line.trim_start();
        let sign = bare.bytes().next().unwrap_or_default();
        let length = match sign {
            b'`' | b'~' => bare.bytes().take_while(|byte| *byte == sign).count(),
            _ => 0,
        };
        let (rest, indent) = (&bare[length..], line.len() - bare.len());
        if let Some(open) = self.open {
            let is_end = sign == open.sign
                && length >= open.length
                && indent <= open.indent + 3
                && rest.trim().is_empty();
            if is_end {
                self.open = None;
            }
            return true;
        }
        // Three backticks around words of one line are code in it.
        let is_start = length >= 3 && !(sign == b'`' && rest.contains('`'));
        if is_start {
            self.open = Some(Fence {
                sign,
                length,
                indent,
            });
        }
        is_start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fenced(text: &str) -> String {
        let mut fences = Fences::default();
        text.lines()
            .map(|line| if fences.step(line) { 'x' } else { '.' })
            .collect()
    }

    /// Broken variants that this catches: only backticks are fences, and any line that begins with three of them
    /// ends one.
    #[test]
    fn a_fence_ends_with_its_own_sign_and_length() {
        assert_eq!(fenced("a\n```text\nb\n```\nc"), ".xxx.");
        assert_eq!(fenced("~~~\n```\n~~~~ \nc"), "xxx.");
        assert_eq!(fenced("````md\n```\nb\n```\n````\nc"), "xxxxx.");
        assert_eq!(fenced("```\n```rust\n        ```\n```\nc"), "xxxx.");
        assert_eq!(fenced("    ```\n    b\n    ```\nc"), "xxx.");
        assert_eq!(fenced("```code``` in a line\nc"), "..");
        assert_eq!(fenced("``\n~~\n\nc"), "....");
    }
}
