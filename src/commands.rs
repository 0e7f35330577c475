//! One file per subcommand: arguments, call, print. Shell.
//!
//! Requested data goes to stdout through [`Output`] only; everything else is a log on stderr. In
//! proxy mode nothing here writes to stdout: it belongs to the protocol.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::{
    CacheCommand, Cli, Command, ConfigCommand, EvalCommand, GenerateCommand, LogArgs,
    PolicyCommand, ProxyArgs,
};
use crate::config::{self, ConfigErrors, Loaded, LogSettings, ProcessEnvironment};
use crate::telemetry;

pub mod cache_check;
pub mod cache_store;
pub mod capture;
pub mod config_check;
pub mod copy_self;
pub mod count;
pub mod demo;
pub mod epoch;
pub mod eval_retrieval;
pub mod generate;
pub mod inject;
mod listen;
pub mod lock;
pub mod pins;
pub mod policy_check;
pub mod policy_simulate;
pub mod replay;
pub mod run;
pub mod scan;
pub mod search;
pub mod stats;
pub mod summarize;
pub mod webhook;

/// Exit code of a wrong command line or configuration.
const USAGE: u8 = 2;
/// Exit code of a check that could not be made, so that it is not taken for one that found something.
const UNCHECKED: u8 = 3;

/// Where requested data goes: stdout, or memory in tests. The only writer of stdout besides the
/// protocol's.
pub struct Output<'a> {
    writer: Box<dyn Write + 'a>,
}

/// Why requested data could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader has gone, as `head` does. That is no failure.
    #[error("stdout was closed")]
    Closed,
    /// Something else.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

impl<'a> Output<'a> {
    /// Writes to the process's stdout.
    pub fn stdout() -> Self {
        Self {
            writer: Box::new(io::stdout().lock()),
        }
    }

    /// Writes to anything else.
    pub fn to(writer: impl Write + 'a) -> Self {
        Self {
            writer: Box::new(writer),
        }
    }

    /// Writes and flushes bytes.
    ///
    /// # Errors
    /// When the reader has gone or writing fails.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), OutputError> {
        self.writer
            .write_all(bytes.as_ref())
            .and_then(|()| self.writer.flush())
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => OutputError::Closed,
                _ => OutputError::Write(error),
            })
    }

    /// Writes a value as indented JSON and a newline.
    ///
    /// # Errors
    /// When the value cannot be JSON, the reader has gone or writing fails.
    pub fn write_json(&mut self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        Ok(self.write(text)?)
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// Whatever the command could not do; [`exit_code`] turns it into a code.
pub fn dispatch(cli: Cli, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => run::run(cli.proxy, output),
        Some(Command::Count(args)) => count::run(args, output),
        Some(Command::Capture(args)) => capture::run(args, output),
        Some(Command::Replay(args)) => replay::run(args, output),
        Some(Command::Demo(args)) => demo::run(args, output),
        Some(Command::Search(args)) => search::run(args, output),
        Some(Command::Stats(args)) => stats::run(args, output),
        Some(Command::Epoch(command)) => epoch::run(command, output),
        Some(Command::Summarize(args)) => summarize::run(args, output),
        Some(Command::Lock(args)) => lock::run(args, output),
        Some(Command::Cache(CacheCommand::Check(args))) => cache_check::run(args, output),
        Some(Command::Cache(CacheCommand::Stats(args))) => {
            cache_store::run(&args, cache_store::Wanted::Stats, output)
        }
        Some(Command::Cache(CacheCommand::Purge(args))) => {
            cache_store::run(&args, cache_store::Wanted::Purge, output)
        }
        Some(Command::Eval(EvalCommand::Retrieval(args))) => eval_retrieval::run(args, output),
        Some(Command::Inject(args)) => inject::run(args, output),
        Some(Command::Webhook(args)) => webhook::run(args, output),
        Some(Command::CopySelf(args)) => copy_self::run(args, output),
        Some(Command::Pins(command)) => pins::run(command, output),
        Some(Command::Scan(args)) => scan::run(args, output),
        Some(Command::Policy(PolicyCommand::Check(args))) => policy_check::run(args, output),
        Some(Command::Policy(PolicyCommand::Simulate(args))) => policy_simulate::run(&args, output),
        Some(Command::Config(ConfigCommand::Check(args))) => config_check::run(args, output),
        Some(Command::Generate(GenerateCommand::Completions { shell })) => {
            generate::completions(shell, output)
        }
        Some(Command::Generate(GenerateCommand::Man)) => generate::man(output),
    }
}

/// Loads the settings from options, environment and files, starts logging and logs the warnings.
///
/// # Errors
/// [`ConfigErrors`] when the configuration is wrong.
pub fn load_settings(args: &ProxyArgs) -> anyhow::Result<Loaded> {
    started_with(config::load(args, &ProcessEnvironment, &config::read_file)?)
}

/// As [`load_settings`], for commands that ask no server.
fn load_settings_alone(args: &ProxyArgs) -> anyhow::Result<Loaded> {
    started_with(config::load_without_servers(
        args,
        &ProcessEnvironment,
        &config::read_file,
    )?)
}

fn started_with(loaded: Loaded) -> anyhow::Result<Loaded> {
    crate::transport::stderr::redact_with(telemetry::secrets::of_logs(&loaded.settings));
    telemetry::start(&loaded.settings.log);
    for warning in &loaded.warnings {
        log_warning(warning);
    }
    let summaries = &loaded.settings.shaping.summaries;
    if summaries.texts.n_unreviewed + summaries.texts.n_refused > 0 {
        tracing::warn!(
            "summaries: {summaries}; hint: read each beside its original; see `mcp-whittle summarize --help`"
        );
    }
    Ok(loaded)
}

fn log_warning(warning: &config::Finding) {
    let place = config::Finding {
        hint: None,
        ..warning.clone()
    };
    match &warning.hint {
        Some(hint) => tracing::warn!("{place}; hint: {hint}"),
        None => tracing::warn!("{place}"),
    }
}

/// Starts logging for a command that has no settings.
///
/// # Errors
/// [`ConfigErrors`] when a variable for the logs is wrong.
pub fn start_logging(args: &LogArgs) -> anyhow::Result<LogSettings> {
    let settings = config::load_log(args, &ProcessEnvironment)?;
    telemetry::start(&settings);
    Ok(settings)
}

/// Answers a command line that clap refused, or that asked for help or the version.
pub fn answer_usage(error: &clap::Error, output: &mut Output<'_>) -> ExitCode {
    let rendered = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match output.write(&rendered) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit_code(&error.into()),
        },
        _ => {
            tell(&format!("{rendered}{}", usage_hint(error)));
            ExitCode::from(USAGE)
        }
    }
}

/// Says what is missing where a word stands that is no option.
fn usage_hint(error: &clap::Error) -> String {
    let word = match (
        error.kind(),
        error
            .get(ContextKind::InvalidArg)
            .or(error.get(ContextKind::InvalidSubcommand)),
    ) {
        (
            ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument,
            Some(ContextValue::String(word)),
        ) => word,
        _ => return String::new(),
    };
    if word.starts_with('-') {
        String::new()
    } else if Cli::command().find_subcommand(word).is_some() {
        format!("\nhint: options of a subcommand come after it: mcp-whittle {word} [OPTIONS]\n")
    } else if takes_command(error) {
        "\nhint: put the command that starts your server after `--`: mcp-whittle -- COMMAND\n"
            .to_owned()
    } else {
        String::new()
    }
}

/// Whether what was called runs a server: its usage says so.
fn takes_command(error: &clap::Error) -> bool {
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string().contains("COMMAND"),
        _ => true,
    }
}

/// Tells people on stderr what went wrong and returns the exit code: 0 when only the reader of
/// stdout has gone, 2 for a wrong configuration, else 1.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if matches!(error.downcast_ref(), Some(OutputError::Closed)) {
        return ExitCode::SUCCESS;
    }
    if let Some(errors) = error.downcast_ref::<ConfigErrors>() {
        for finding in &errors.findings {
            tell(&format!("error: {finding}\n"));
        }
        for finding in &errors.warnings {
            tell(&format!("warning: {finding}\n"));
        }
        return ExitCode::from(USAGE);
    }
    tell(&format!("error: {error:#}\n"));
    ExitCode::FAILURE
}

/// Tells people what kept a check from being made, and returns its code: 2 for a wrong configuration,
/// else what `code` says.
fn unchecked(error: &anyhow::Error, code: u8) -> ExitCode {
    if error.is::<ConfigErrors>() || error.is::<OutputError>() {
        return exit_code(error);
    }
    tell(&format!("error: {error:#}\n"));
    ExitCode::from(code)
}

fn tell(text: &str) {
    crate::transport::stderr::flush(std::time::Duration::from_secs(1));
    // If stderr is closed there is nobody left to tell.
    let text = crate::transport::stderr::redacted(text.as_bytes());
    let _ = io::stderr().lock().write_all(&text);
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Finding, Origin};

    fn answered(args: &[&str]) -> (ExitCode, String) {
        let error = match Cli::try_parse_from(args) {
            Ok(cli) => panic!("{cli:?}"),
            Err(error) => error,
        };
        let mut written = Vec::new();
        let code = answer_usage(&error, &mut Output::to(&mut written));
        (code, String::from_utf8_lossy(&written).into_owned())
    }

    #[test]
    fn only_what_was_asked_for_is_written() {
        let (code, written) = answered(&["mcp-whittle", "--version"]);
        assert_eq!(
            (code, written),
            (
                ExitCode::SUCCESS,
                format!("mcp-whittle {}\n", env!("CARGO_PKG_VERSION"))
            )
        );
        let (code, written) = answered(&["mcp-whittle", "--help"]);
        assert_eq!(code, ExitCode::SUCCESS);
        for part in [
            "Exit codes:",
            "Examples:",
            "MCP_WHITTLE_MAX_FRAME_BYTES",
            "--header-env",
        ] {
            assert!(written.contains(part), "{part}");
        }
        for wrong in [
            &["mcp-whittle", "--listne"][..],
            &["mcp-whittle", "npx"],
            &["mcp-whittle", "config"],
        ] {
            assert_eq!(
                answered(wrong),
                (ExitCode::from(USAGE), String::new()),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn wrong_words_have_a_hint() {
        #[track_caller]
        fn check(args: &[&str], expected: &str) {
            let error = Cli::try_parse_from(args).expect_err("the arguments are wrong");
            assert_eq!(usage_hint(&error).trim(), expected);
        }
        check(
            &["mcp-whittle", "npx", "-y"],
            "hint: put the command that starts your server after `--`: mcp-whittle -- COMMAND",
        );
        check(
            &["mcp-whittle", "--surface=full", "count"],
            "hint: options of a subcommand come after it: mcp-whittle count [OPTIONS]",
        );
        check(&["mcp-whittle", "--listne"], "");
    }

    /// A reader that has gone, as after `head`.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn errors_have_their_codes() {
        let closed = Output::to(Gone)
            .write("x")
            .expect_err("the reader has gone");
        assert_eq!(exit_code(&closed.into()), ExitCode::SUCCESS);
        let finding = Finding {
            origin: Some(Origin::Default),
            key: None,
            problem: "wrong in a test".to_owned(),
            hint: None,
        };
        let config = ConfigErrors {
            findings: vec![finding],
            warnings: Vec::new(),
        };
        assert_eq!(exit_code(&config.into()), ExitCode::from(USAGE));
        assert_eq!(
            exit_code(&anyhow::anyhow!("failed in a test")),
            ExitCode::FAILURE
        );
    }
}
