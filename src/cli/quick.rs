//! The short ways to a command line that runs the proxy: its options alone, without the subcommands, which are
//! most of what clap would build at each start, and of these first the ones that say where the servers are, which is
//! all that most lines have. Whatever they do not take, right or wrong, goes the whole way.

use std::ffi::OsString;

use clap::Parser;

use super::{Cli, ProxyArgs, SourceArgs};

/// Which servers, and nothing else. Nothing it says is ever shown.
#[derive(Debug, Parser)]
#[command(name = "mcp-whittle")]
struct Servers {
    #[command(flatten)]
    source: SourceArgs,
}

/// The options of the proxy. Nothing it says is ever shown.
#[derive(Debug, Parser)]
#[command(name = "mcp-whittle")]
struct Quick {
    #[command(flatten)]
    proxy: ProxyArgs,
}

/// Reads options of the proxy by one of the short ways.
fn read(arguments: &[OsString]) -> Option<ProxyArgs> {
    if let Ok(Servers { source }) = Servers::try_parse_from(arguments) {
        return Some(ProxyArgs {
            source,
            ..ProxyArgs::default()
        });
    }
    Quick::try_parse_from(arguments)
        .ok()
        .map(|Quick { proxy }| proxy)
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// Those of [`clap::Parser::try_parse_from`], requests for help and the version among them.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        match read(&arguments) {
            Some(proxy) => Ok(Self {
                proxy,
                command: None,
            }),
            None => Self::try_parse_from(arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways read the same, and what only the whole way knows is not taken by the short ones.
    #[test]
    fn the_short_way_reads_what_the_whole_way_reads() {
        let proxy: [&[&str]; 10] = [
            &["--", "npx", "-y", "server"],
            &["--", "count", "--help"],
            &["--listen", "127.0.0.1:0", "--upstream", "http://h/mcp"],
            &["--config", "count"],
            &["--no-state", "--log-level", "debug", "--", "x", "--config"],
            &[
                "--state-dir",
                "d",
                "--header-env",
                "a=B",
                "--upstream",
                "http://h/mcp",
            ],
            &["--config=lock", "--budget", "4k"],
            &["--transparent", "--log-level", "debug", "--", "x"],
            &[
                "--pin",
                "a=lean",
                "--pin",
                "b=name",
                "--no-state",
                "--",
                "x",
            ],
            &[],
        ];
        let with_name = |arguments: &[&str]| -> Vec<OsString> {
            let all = std::iter::once("mcp-whittle").chain(arguments.iter().copied());
            all.map(OsString::from).collect()
        };
        for arguments in proxy {
            let arguments = with_name(arguments);
            let whole = Cli::try_parse_from(&arguments).expect("right");
            assert!(read(&arguments).is_some(), "{arguments:?}");
            let short = Cli::read(arguments.clone()).expect("right");
            assert_eq!(format!("{short:?}"), format!("{whole:?}"));
        }
        let others: [&[&str]; 9] = [
            &["count", "--", "x"],
            &["config", "check"],
            &["--config", "file", "lock"],
            &["--log-level", "debug", "count", "--", "x"],
            &["--help"],
            &["-V"],
            &["--no-such-option"],
            &["word"],
            &["--budget"],
        ];
        for arguments in others {
            let arguments = with_name(arguments);
            assert!(read(&arguments).is_none(), "{arguments:?}");
            let say = |result: Result<Cli, clap::Error>| match result {
                Ok(cli) => format!("{cli:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(
                say(Cli::read(arguments.clone())),
                say(Cli::try_parse_from(arguments))
            );
        }
    }
}
