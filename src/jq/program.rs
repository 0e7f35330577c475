//! One program in the language of jq: read, and run on one input. Pure but for what it writes to.

use std::io::Write;

use jaq_core::load::{Arena, Error, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, unwrap_valr};
use jaq_json::{Val, read, write};

/// Definitions and functions that look at or touch something outside of the program's input: the
/// environment, the clock, standard error, the exit code.
pub const LEFT_OUT: [&str; 9] = [
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

/// A program that can be read.
///
/// It bounds nothing: a program may loop, explode or call itself until the stack ends. Only a process that
/// may end runs one, see [`super::run`].
pub struct Program(Filter<data::JustLut<Val>>);

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// What is wrong with it, for a model.
    pub fn read(program: &str) -> Result<Self, String> {
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
            .map_err(|errors| -> String {
                errors.iter().map(|(_, error)| of_loading(error)).collect()
            })?;
        let filter = Compiler::default()
            .with_funs(funs)
            .compile(modules)
            .map_err(|errors| {
                let all = errors.iter().flat_map(|(_, errors)| errors);
                let words: Vec<String> = all
                    .map(|(name, what)| format!("there is no {} `{name}`", what.as_str()))
                    .collect();
                words.join("; ")
            })?;
        Ok(Self(filter))
    }

    /// Runs it on one JSON text and writes what it gives, a line for each value. Ends early and well where
    /// `out` takes no more.
    ///
    /// # Errors
    /// Why it failed, for a model.
    pub fn run(&self, input: &[u8], out: &mut impl Write) -> Result<(), String> {
        let input = read::parse_single(input)
            .map_err(|error| format!("the result cannot be read as JSON: {error}"))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        for value in self.0.id.run((context, input)).map(unwrap_valr) {
            let value = value.map_err(|error| error.to_string())?;
            let written = write::write(&mut *out, &write::Pp::default(), 0, &value)
                .and_then(|()| out.write_all(b"\n"));
            if written.is_err() {
                // Nobody reads any more: enough was given.
                return Ok(());
            }
        }
        out.flush().map_err(|error| error.to_string())
    }
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
