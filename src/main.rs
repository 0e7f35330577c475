//! The program: parse, dispatch, exit code. What it does is in [`mcp_whittle`].

use std::process::ExitCode;
use std::time::Duration;

use mcp_whittle::cli::Cli;
use mcp_whittle::commands::{self, Output};
use mcp_whittle::jq;
use mcp_whittle::telemetry;
use mcp_whittle::transport::{guard, stderr};

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == guard::ARGUMENT)
    {
        return guard::run();
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == jq::ARGUMENT)
    {
        return jq::run_child();
    }
    telemetry::install_panic_hook();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return commands::answer_usage(&error, &mut Output::stdout()),
    };
    match commands::dispatch(cli, &mut Output::stdout()) {
        Ok(code) => {
            // A short command must not end before its warnings are written.
            stderr::flush(Duration::from_secs(1));
            code
        }
        Err(error) => commands::exit_code(&error),
    }
}
