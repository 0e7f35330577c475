//! The program: parse, dispatch, exit code. What it does is in [`mcp_whittle`].

use std::process::ExitCode;
use std::time::Duration;

use mcp_whittle::cli::Cli;
use mcp_whittle::commands::{self, Output};
use mcp_whittle::jq;
use mcp_whittle::telemetry;
use mcp_whittle::transport::{guard, stderr};

/// glibc's keeps what thousands of sessions needed for a moment, wherever something small behind it is still in use
/// (docs/soak.md); the one of musl is slow with threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Few arenas, since a sidecar has few cores, and free pages go back to the system within a second.
#[expect(
    unsafe_code,
    reason = "the allocator reads it under this name at its start (jemalloc(3), TUNING)"
)]
// SAFETY: nothing else has this name; it is a pointer to text that ends with a zero byte, as is asked for.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 47] = b"narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

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
