//! Programs in the language of jq: whatever a model writes is read, or refused in words; nothing of the machine can
//! be named; a small program that cannot run away gives the same values each time, each of them one line.

use mcp_whittle::jq::{LEFT_OUT, Program};

/// Bytes of a program that is run; what doubles a text fits so often into it that it stays small.
const PROGRAM: usize = 40;
/// Bytes of an input that it is run on.
const INPUT: usize = 400;
/// Bytes of what it may give before nobody reads any more.
const OUTPUT: usize = 1 << 20;
/// Bytes of the words for a program that cannot be read, for each byte of it, and for none.
const WORDS: usize = 64;

/// Words of programs that are run: those that end soon on a small input.
const HARMLESS: [&str; 38] = [
    "add",
    "all",
    "and",
    "any",
    "arrays",
    "as",
    "elif",
    "else",
    "empty",
    "end",
    "false",
    "first",
    "flatten",
    "from_entries",
    "group_by",
    "has",
    "if",
    "join",
    "keys",
    "last",
    "length",
    "map",
    "max",
    "min",
    "not",
    "null",
    "objects",
    "or",
    "reverse",
    "select",
    "sort",
    "sort_by",
    "then",
    "to_entries",
    "tojson",
    "true",
    "type",
    "unique",
];

/// The property for one input: a program, a byte of 0, the JSON that it reads. Panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, |program| Program::read(program).map(drop));
    let Some((program, input)) = parts(data) else {
        return;
    };
    if program.len() > PROGRAM || input.len() > INPUT || !is_harmless(program) {
        return;
    }
    let Ok(read) = Program::read(program) else {
        return;
    };
    let (first, second) = (printed(&read, input), printed(&read, input));
    assert_eq!(first, second, "another time it gives something else");
    match first {
        Ok(lines) => {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok();
            assert!(lines.is_empty() || lines.ends_with(b"\n"));
            if is_json && program.trim() == "." {
                assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 1);
            }
        }
        Err(words) => assert!(!words.is_empty(), "it failed without a word: {program}"),
    }
}

/// The property for what reads programs.
pub fn check(data: &[u8], read: impl Fn(&str) -> Result<(), String>) {
    let Some((program, _)) = parts(data) else {
        return;
    };
    if let Err(words) = read(program) {
        assert!(
            !words.trim().is_empty(),
            "refused without a word: {program}"
        );
        let most = WORDS * (program.len() + 1);
        assert!(words.len() <= most, "{} bytes of words", words.len());
    }
    // Whoever defines a name has one of his own.
    if program.contains("def") {
        return;
    }
    let name = LEFT_OUT[program.len() % LEFT_OUT.len()];
    // One of them each time, as reading takes a millisecond: which one, the input says.
    let reaching = match data.len() % 4 {
        0 => format!("({program}) | $ENV"),
        1 => format!("import \"{name}\" as x; {program}"),
        2 => format!("include \"{name}\"; {program}"),
        _ => format!("({program}) | {name}"),
    };
    assert!(read(&reaching).is_err(), "it can be read: {reaching}");
}

fn parts(data: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let program = std::str::from_utf8(parts.next()?).ok()?;
    Some((program, parts.next().unwrap_or(b"null")))
}

/// Tells whether a program has nothing with which it could run away: no loops, no definitions, no products,
/// no large numbers.
fn is_harmless(program: &str) -> bool {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    program.chars().all(|c| !"*/$@#".contains(c))
        && !program.contains("..")
        && program
            .split(|c: char| !is_of_word(c))
            .filter(|word| !word.is_empty())
            .all(|word| {
                let is_small = word.len() < 3 && word.bytes().all(|byte| byte.is_ascii_digit());
                is_small || word.len() == 1 || HARMLESS.contains(&word)
            })
}

fn printed(program: &Program, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Bounded(Vec::new());
    program.run(input, &mut out)?;
    Ok(out.0)
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
