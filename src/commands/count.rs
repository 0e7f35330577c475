//! `count`: counts what the tools of servers cost, before and after reduction.

mod explain;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;

use crate::capture::folder::hint_on_reading;
use crate::cli::{CountArgs, CountSort};
use crate::config::{
    self, ProcessEnvironment, ServerSettings, ServerTransport, Settings, Tokenizer,
};
use crate::driver::local::{Listing, LocalClient};
use crate::jsonrpc::members;
use crate::mcp::method::ListKind;
use crate::policy::{Call, Policy};
use crate::session::Principal;
use crate::surface::plan::{self, Budget, Part, Surface};
use crate::telemetry::one_line;
use crate::token::report::{Detail, Report, ServerTools, Sort, TextOptions};
use crate::token::{Encoding, ModelFit, TiktokenCounter};

use super::lock::read_bounded;
use super::{Output, load_settings, start_logging};

/// How often a slow server is mentioned.
const SLOW: Duration = Duration::from_secs(5);
/// Bytes of a file with tools, at most.
const FILE_BYTES: usize = 256 << 20;

/// Counts what the tools of servers cost, before and after reduction.
///
/// # Errors
/// When the settings are wrong, or no server can be asked.
pub fn run(args: CountArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let (listed, plan, tokenizer, failures) = match &args.tools {
        Some(path) => {
            start_logging(&args.source.log)?;
            let listed = from_file(path)?;
            let loaded = config::load_shaping(&args.shaping, &ProcessEnvironment)?;
            (listed, loaded.shaping.plan(|_| None), loaded.tokenizer, 0)
        }
        None => {
            let settings = load_settings(&args.proxy_args())?.settings;
            let asked = from_servers(&settings)?;
            let plan = settings.shaping.plan(|_| None);
            (asked.listed, plan, settings.tokenizer, asked.n_missing)
        }
    };
    let encoding = encoding(tokenizer);
    let budget = plan.as_ref().map_or(Budget::Auto, |plan| plan.budget);
    let surface = plan.map(|settings| {
        let parts: Vec<Part> = listed.iter().map(part_of).collect();
        plan::plan(&parts, &settings, &TiktokenCounter::new(encoding))
    });
    let servers = shown(listed, surface.as_ref());
    let fit = match &args.model {
        Some(model) => ModelFit::of(model).counted_with(encoding),
        None => ModelFit::of_encoding(encoding),
    };
    let report =
        Report::build(&servers, &TiktokenCounter::new(encoding), &fit).sorted(match args.sort {
            CountSort::Cost => Sort::Cost,
            CountSort::Name => Sort::Name,
        });
    if args.json {
        output.write_json(&report)?;
    } else {
        let options = TextOptions {
            detail: Detail::Auto,
            ..TextOptions::default()
        };
        output.write(report.to_text(&options))?;
    }
    if args.explain {
        let text = surface.as_ref().map_or_else(
            || "\nNothing was chosen: the definitions are shown as they come.\n".to_owned(),
            |surface| explain::explain(surface, budget, &args.prices),
        );
        output.write(text)?;
    }
    Ok(if failures > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The vocabulary of a setting.
pub(super) fn encoding(tokenizer: Tokenizer) -> Encoding {
    match tokenizer {
        Tokenizer::O200kBase => Encoding::O200kBase,
        Tokenizer::Cl100kBase => Encoding::Cl100kBase,
    }
}

/// The tools of a server for planning.
pub(super) fn part_of((server, tools): &(String, Vec<String>)) -> Part {
    Part {
        server: server.clone(),
        tools: tools.iter().map(|tool| Bytes::from(tool.clone())).collect(),
    }
}

/// Puts what is shown beside what was sent; our own tools are a server of their own.
fn shown(listed: Listed, surface: Option<&Surface>) -> Vec<ServerTools> {
    let text = |shown: &Bytes| String::from_utf8_lossy(shown).into_owned();
    let mut servers = Vec::new();
    for (at, (server, tools)) in listed.into_iter().enumerate() {
        let shown = match surface {
            Some(surface) => surface.tools[at]
                .iter()
                .map(|tool| tool.text.as_ref().map(text).unwrap_or_default())
                .collect(),
            None => tools.clone(),
        };
        servers.push(ServerTools {
            server,
            tools,
            shown,
        });
    }
    if let Some(surface) = surface {
        let own = [
            ("(search and call)", surface.meta_tools.as_slice()),
            ("(read results)", surface.read_result.as_slice()),
        ];
        for (server, tools) in own.into_iter().filter(|(_, tools)| !tools.is_empty()) {
            servers.push(ServerTools {
                server: server.to_owned(),
                tools: Vec::new(),
                shown: tools.iter().map(text).collect(),
            });
        }
    }
    servers
}

/// Servers by name, each with its raw tools.
pub(super) type Listed = Vec<(String, Vec<String>)>;

/// What servers were asked for, and what is not among it.
pub(super) struct Asked {
    pub(super) listed: Listed,
    /// Servers that did not list their tools.
    pub(super) n_missing: usize,
    /// Servers whose list was cut short.
    pub(super) n_cut: usize,
}

impl Asked {
    /// Tools of files, of which nothing is missing.
    pub(super) fn whole(listed: Listed) -> Self {
        Self {
            listed,
            n_missing: 0,
            n_cut: 0,
        }
    }
}

/// Asks every server. What is cut short, and what the policy withholds from the user of this machine, is left out,
/// and that is told.
pub(super) fn from_servers(settings: &Settings) -> anyhow::Result<Asked> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let results = runtime.block_on(async {
        let mut tasks = Vec::new();
        for server in &settings.servers {
            let mut settings = LocalClient::alone(settings, server);
            // Asked afterwards, so that it can be said what it leaves out.
            settings.policy = Arc::default();
            let server = server.clone();
            tasks.push(tokio::spawn(async move {
                let listed = with_progress(&server, tools_of(settings)).await;
                (server.name.as_str().to_owned(), listed)
            }));
        }
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await);
        }
        results
    });
    let mut listed = Vec::new();
    let (mut n_missing, mut n_cut) = (0, 0);
    for result in results {
        let (name, listing) = result.context("a server could not be asked")?;
        match listing {
            Ok(listing) => {
                if let Some(cut) = &listing.cut {
                    n_cut += 1;
                    tracing::warn!(server = name, "{}", one_line(cut));
                }
                let tools = permitted(&settings.policy, &name, listing.texts());
                listed.push((name, tools));
            }
            Err(error) => {
                n_missing += 1;
                tracing::error!(server = name, "{}", one_line(&format!("{error:#}")));
            }
        }
    }
    if listed.is_empty() {
        bail!(
            "no server listed its tools\nhint: {}",
            hint(&settings.servers)
        );
    }
    Ok(Asked {
        listed,
        n_missing,
        n_cut,
    })
}

/// Leaves out what a policy withholds.
fn permitted(policy: &Policy, server: &str, tools: Vec<String>) -> Vec<String> {
    if !policy.may_withhold() {
        return tools;
    }
    let all = tools.len();
    let left: Vec<String> = tools
        .into_iter()
        .filter(|tool| {
            members::get_text(tool.as_bytes(), "name").is_some_and(|name| {
                !policy.withholds(&Call {
                    principal: &Principal::OsUser,
                    server,
                    tool: &name,
                    definition: Some(tool.as_bytes()),
                    arguments: None,
                })
            })
        })
        .collect();
    let withheld = all - left.len();
    if withheld > 0 {
        tracing::warn!(
            server,
            "{withheld} of {all} tools are withheld by the policy and left out here too (as the principal `user` sees them)"
        );
    }
    left
}

/// What to do when nobody listed tools.
fn hint(servers: &[ServerSettings]) -> &'static str {
    let is_http =
        |server: &ServerSettings| matches!(server.transport, ServerTransport::Http { .. });
    if servers.iter().all(is_http) {
        "check that the URL is the MCP endpoint of a server that speaks streamable HTTP, and its credentials (--header)"
    } else if servers.iter().any(is_http) {
        "check the URLs, and run the commands by themselves to see what they say"
    } else {
        "run the command by itself to see what it says"
    }
}

async fn tools_of(settings: Settings) -> anyhow::Result<Listing> {
    let mut client = LocalClient::start(settings);
    let listed = async {
        client.initialize().await?;
        client.list(ListKind::Tools).await
    }
    .await;
    client.close().await;
    Ok(listed?)
}

/// Says that a server is slow while it is waited for.
async fn with_progress<T>(server: &ServerSettings, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut waited = Duration::ZERO;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SLOW) => {
                waited += SLOW;
                tracing::info!(
                    server = server.name.as_str(),
                    "still waiting after {} s (package runners download first)",
                    waited.as_secs()
                );
            }
        }
    }
}

/// Reads tools from a file: a `tools/list` response or result, its array, JSON-RPC lines, or a captured
/// folder.
pub(super) fn from_file(path: &Path) -> anyhow::Result<Listed> {
    let file = if path.is_dir() {
        path.join("tools.json")
    } else {
        path.to_owned()
    };
    let bytes = bytes_of(&file, FILE_BYTES)?;
    let mut tools = Vec::new();
    let mut found = false;
    for value in values(&bytes) {
        let result = members::get(value, "result").unwrap_or(value);
        let array = members::get(result, "tools").unwrap_or(result);
        if array.first() != Some(&b'[') {
            continue;
        }
        found = true;
        for at in members::elements(array) {
            tools.push(String::from_utf8_lossy(&array[at]).into_owned());
        }
    }
    if !found {
        bail!(
            "`{}` holds no tools: neither a `tools/list` response or result, nor a `tools` array\nhint: `mcp-whittle capture --out DIR -- COMMAND` writes such files",
            file.display()
        );
    }
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    let name = name.map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    Ok(vec![(name, tools)])
}

/// Reads a file within a bound, whatever it says of its length: a device or a pipe says nothing.
fn bytes_of(file: &Path, max: usize) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let bytes = read_bounded(file, max).map_err(|error| {
        let hint = hint_on_reading(error.kind());
        anyhow!("cannot read `{shown}`: {error}{hint}")
    })?;
    if bytes.len() > max {
        bail!("`{shown}` is larger than {max} bytes\nhint: name a file with a list of tools");
    }
    Ok(bytes)
}

/// The JSON values of a file: one in all, or one on each line.
fn values(bytes: &[u8]) -> Vec<&[u8]> {
    let whole = bytes.trim_ascii();
    if serde_json::from_slice::<&serde_json::value::RawValue>(whole).is_ok() {
        return vec![whole];
    }
    whole
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| serde_json::from_slice::<&serde_json::value::RawValue>(line).is_ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: the bound holds for the length that the file system tells, which is 0 here.
    #[test]
    fn what_has_no_length_is_read_within_the_bound() {
        let error = bytes_of(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/dev/zero` is larger than 1000 bytes\nhint: name a file with a list of tools"
        );
        assert!(bytes_of(Path::new("/dev/null"), 0).unwrap().is_empty());
    }
}
