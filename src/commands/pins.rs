//! `pins`: what is trusted of each server's tools, what changed since, and trusting it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::{PinsArgs, PinsCommand};
use crate::policy::pins::{Drift, Pin, diff};
use crate::policy::scan::visible;
use crate::store::Store;
use crate::store::pins::KeptPins;
use crate::telemetry::one_line;

use super::{Output, epoch, start_logging};

/// Digits of a hash that are shown.
const DIGITS: usize = 12;

/// Lists, compares or approves.
///
/// # Errors
/// When there is no state folder, no such server or tool, or a file cannot be written.
pub fn run(command: PinsCommand, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let (PinsCommand::List(args) | PinsCommand::Diff(args) | PinsCommand::Approve(args)) = &command;
    start_logging(&args.log)?;
    let store = epoch::open(args.state_dir.as_deref())?;
    let (kept, n_damaged) = chosen(&store, args)?;
    let code = match &command {
        PinsCommand::List(_) => list(&kept, args, output)?,
        PinsCommand::Diff(_) => differences(&kept, args, output)?,
        PinsCommand::Approve(_) => approve(&store, &kept, args, output)?,
    };
    Ok(match n_damaged {
        0 => code,
        _ => ExitCode::FAILURE,
    })
}

/// The pins that were asked for; also how many files could not be read.
fn chosen(store: &Store, args: &PinsArgs) -> anyhow::Result<(Vec<KeptPins>, usize)> {
    let mut kept = Vec::new();
    let mut n_damaged = 0;
    for pins in store.all_pins().context("the pins cannot be read")? {
        match pins {
            Ok(pins) => kept.push(pins),
            Err(error) => {
                n_damaged += 1;
                tracing::error!("{}", one_line(&error.to_string()));
            }
        }
    }
    let Some(server) = &args.server else {
        return Ok((kept, n_damaged));
    };
    let mut names: Vec<&str> = kept.iter().map(|pins| pins.server.as_str()).collect();
    names.dedup();
    if !names.contains(&server.as_str()) {
        let hint = match names.is_empty() {
            true => "none is pinned yet: pins are made when a client first lists a server's tools"
                .to_owned(),
            false => format!("pinned are {}", names.join(", ")),
        };
        bail!("no server `{}` is pinned\nhint: {hint}", visible(server));
    }
    kept.retain(|pins| pins.server == *server);
    if let Some(tool) = &args.tool
        && !kept.iter().any(|pins| pins.pins.tools.contains_key(tool))
    {
        bail!(
            "`{server}` has no pinned tool `{}`\nhint: `mcp-whittle pins list {server}` has their names",
            visible(tool)
        );
    }
    Ok((kept, n_damaged))
}

fn tools<'a>(
    pins: &'a KeptPins,
    args: &'a PinsArgs,
) -> impl Iterator<Item = (&'a String, &'a Pin)> {
    let is_asked = |name: &String| args.tool.as_ref().is_none_or(|tool| tool == name);
    pins.pins
        .tools
        .iter()
        .filter(move |(name, _)| is_asked(name))
}

fn state(pin: &Pin) -> &'static str {
    match pin.drift() {
        None => "trusted",
        Some(Drift::Changed) => "changed",
        Some(Drift::New) => "new",
    }
}

fn list(kept: &[KeptPins], args: &PinsArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for pins in kept {
        text.push_str(&format!("{} ({})\n", pins.server, pins.whose));
        for (name, pin) in tools(pins, args) {
            let hash = |version: &Option<crate::policy::pins::Version>| {
                version.as_ref().map(|version| version.hash.clone())
            };
            let (trusted, seen) = (hash(&pin.trusted), hash(&pin.seen));
            let short = trusted.as_ref().or(seen.as_ref());
            let short = short
                .and_then(|hash| hash.get(..DIGITS))
                .unwrap_or_default();
            text.push_str(&format!("  {:8} {short} {}\n", state(pin), visible(name)));
            rows.push(json!({
                "server": pins.server,
                "whose": pins.whose,
                "tool": name,
                "state": state(pin),
                "trusted": trusted,
                "seen": seen,
            }));
        }
    }
    if args.json {
        output.write_json(&rows)?;
    } else if kept.is_empty() {
        output.write(
            "nothing is pinned yet: pins are made when a client first lists a server's tools\n",
        )?;
    } else {
        output.write(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn differences(
    kept: &[KeptPins],
    args: &PinsArgs,
    output: &mut Output<'_>,
) -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for pins in kept {
        for (name, pin) in tools(pins, args) {
            let Some(seen) = &pin.seen else { continue };
            let trusted = pin.trusted.as_ref().map(|version| &version.definition[..]);
            let lines = diff(trusted.unwrap_or(b"{}"), &seen.definition);
            let mark = match pin.drift() {
                Some(Drift::New) => '+',
                _ => '~',
            };
            text.push_str(&format!(
                "{mark} {} [{}, {}]\n",
                visible(name),
                pins.server,
                pins.whose
            ));
            for line in &lines {
                text.push_str(&format!("    {line}\n"));
            }
            rows.push(json!({
                "server": pins.server,
                "whose": pins.whose,
                "tool": name,
                "state": state(pin),
                "lines": lines,
            }));
        }
    }
    let is_same = rows.is_empty();
    if args.json {
        output.write_json(&rows)?;
    } else if is_same {
        output.write("nothing differs from what is pinned\n")?;
    } else {
        text.push_str(
            "hint: `mcp-whittle pins approve [SERVER [TOOL]]` trusts what servers say now\n",
        );
        output.write(text)?;
    }
    Ok(match is_same {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn approve(
    store: &Store,
    kept: &[KeptPins],
    args: &PinsArgs,
    output: &mut Output<'_>,
) -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for pins in kept {
        for tool in store.approve_pins(&pins.key, args.tool.as_deref())? {
            text.push_str(&format!(
                "trusted: {} [{}, {}]\n",
                visible(&tool),
                pins.server,
                pins.whose
            ));
            rows.push(json!({ "server": pins.server, "whose": pins.whose, "tool": tool }));
        }
    }
    if args.json {
        output.write_json(&rows)?;
    } else if rows.is_empty() {
        output.write("nothing differs from what is pinned\n")?;
    } else {
        output.write(text)?;
    }
    Ok(ExitCode::SUCCESS)
}
