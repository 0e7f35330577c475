//! The process that runs one program: bounds itself, reads program and input, prints, ends.

use std::io::{BufWriter, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::program::Program;
use super::{FAILED, UNREADABLE};

/// Bytes of memory, everything included.
pub(super) const MEMORY: u64 = 768 << 20;
/// Bytes of the stack on which programs run.
const STACK: usize = 64 << 20;
/// Bytes of an error's text.
const WORDS: usize = 800;
/// The child's own main function.
pub fn run() -> ExitCode {
    let seconds = std::env::args().nth(2).and_then(|word| word.parse().ok());
    if bound(seconds.unwrap_or(2)).is_err() {
        return ExitCode::FAILURE;
    }
    let mut sent = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut sent).is_err() {
        return ExitCode::FAILURE;
    }
    let Some((program, input)) = taken_apart(&sent) else {
        return ExitCode::FAILURE;
    };
    let ended = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || evaluate(program, input))
            .map(|thread| thread.join())
    });
    match ended {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err((code, words)))) => {
            let words: String = words.chars().take(WORDS).collect();
            // There is nobody to tell if this fails.
            let _ = std::io::stderr().write_all(words.as_bytes());
            ExitCode::from(code)
        }
        _ => ExitCode::FAILURE,
    }
}

fn bound(seconds: u64) -> rustix::io::Result<()> {
    for (resource, most) in [
        (Resource::As, MEMORY),
        (Resource::Cpu, seconds),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // Those that are open stay so.
        (Resource::Nofile, 3),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

fn taken_apart(sent: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr::memchr(b'\n', sent)?;
    let length: usize = std::str::from_utf8(&sent[..end]).ok()?.parse().ok()?;
    let rest = &sent[end + 1..];
    let program = std::str::from_utf8(rest.get(..length)?).ok()?;
    Some((program, &rest[length..]))
}

fn evaluate(program: &str, input: &[u8]) -> Result<(), (u8, String)> {
    let program = Program::read(program).map_err(|words| (UNREADABLE, words))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    program
        .run(input, &mut out)
        .map_err(|words| (FAILED, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_input_are_taken_apart() {
        assert_eq!(taken_apart(b"2\n.a{}"), Some((".a", &b"{}"[..])));
        assert_eq!(taken_apart(b"0\n{}"), Some(("", &b"{}"[..])));
        for wrong in [&b""[..], b"2", b"3\n.a", b"x\n.a", b"1\n\xff{}"] {
            assert_eq!(taken_apart(wrong), None);
        }
    }
}
