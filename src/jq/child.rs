//! The process that runs one program: bounds itself, reads program and input, prints, ends.

use std::io::{BufWriter, Read, Write};
use std::process::ExitCode;

use jaq_core::load::{Arena, Error, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read, write};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{FAILED, UNREADABLE};

/// Bytes of memory, everything included.
pub(super) const MEMORY: u64 = 768 << 20;
/// Bytes of the stack on which programs run.
const STACK: usize = 64 << 20;
/// Bytes of an error's text.
const WORDS: usize = 800;
/// Definitions and functions that look at or touch something outside of the program's input: the
/// environment, the clock, standard error, the exit code.
const LEFT_OUT: [&str; 9] = [
    "env",
    "now",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "localtime",
];

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
    let unreadable = |words: String| (UNREADABLE, words);
    let failed = |words: String| (FAILED, words);
    let is_in = |name: &str| !LEFT_OUT.contains(&name);
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|def| is_in(def.name));
    let funs = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(|fun| is_in(fun.0));
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(
            &arena,
            File {
                code: program,
                path: (),
            },
        )
        .map_err(|errors| {
            unreadable(errors.iter().map(|(_, error)| of_loading(error)).collect())
        })?;
    let filter = Compiler::default()
        .with_funs(funs)
        .compile(modules)
        .map_err(|errors| {
            let all = errors.iter().flat_map(|(_, errors)| errors);
            let words: Vec<String> = all
                .map(|(name, what)| format!("there is no {} `{name}`", what.as_str()))
                .collect();
            unreadable(words.join("; "))
        })?;
    let input = read::parse_single(input)
        .map_err(|error| failed(format!("the result cannot be read as JSON: {error}")))?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut out = BufWriter::new(std::io::stdout().lock());
    for value in filter.id.run((context, input)).map(unwrap_valr) {
        let value = value.map_err(|error| failed(error.to_string()))?;
        let written = write::write(&mut out, &write::Pp::default(), 0, &value)
            .and_then(|()| out.write_all(b"\n"));
        if written.is_err() {
            // Nobody reads any more: enough was given.
            return Ok(());
        }
    }
    out.flush().map_err(|error| failed(error.to_string()))
}

fn of_loading(error: &Error<&str>) -> String {
    let at = |text: &str| match text.trim() {
        "" => "the end".to_owned(),
        text => format!("`{}`", text.chars().take(60).collect::<String>()),
    };
    match error {
        Error::Lex(all) => all
            .iter()
            .map(|(expected, found)| format!("expected {} at {}", expected.as_str(), at(found)))
            .collect::<Vec<_>>()
            .join("; "),
        Error::Parse(all) => all
            .iter()
            .map(|(expected, found)| format!("expected {} at {}", expected.as_str(), at(found)))
            .collect::<Vec<_>>()
            .join("; "),
        Error::Io(_) => "there are no modules".to_owned(),
    }
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
