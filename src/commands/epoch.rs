//! `epoch`: the weights that observed use gives to tools and the shapes of their results, taken over when an operator says so.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::EpochCommand;
use crate::config::{ProcessEnvironment, default_state_dir};
use crate::policy::scan::visible;
use crate::store::Store;
use crate::store::epochs::Epoch;
use crate::token::{Encoding, TiktokenCounter};

use super::Output;

/// Shows, advances or resets the epoch of a state folder.
///
/// # Errors
/// When there is no state folder or it cannot be written.
pub fn run(command: EpochCommand, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let (EpochCommand::Show(args) | EpochCommand::Advance(args) | EpochCommand::Reset(args)) =
        &command;
    let store = open(args.state_dir.as_deref())?;
    let epoch = match &command {
        EpochCommand::Show(_) => store.load_epoch(),
        EpochCommand::Advance(_) => store
            .advance_epoch(
                SystemTime::now(),
                &TiktokenCounter::new(Encoding::O200kBase),
            )
            .context("the epoch could not be written; the old one stays")?,
        EpochCommand::Reset(_) => store
            .reset_epoch()
            .context("the epoch could not be written; the old one stays")?,
    };
    if args.json {
        output.write_json(&json!({
            "epoch": epoch.number,
            "weights": epoch.weights,
            "shapes": epoch.shapes,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = as_text(&epoch);
    if !matches!(command, EpochCommand::Show(_)) {
        text.push_str("Proxies that start from now on use it.\n");
    }
    output.write(text)?;
    Ok(ExitCode::SUCCESS)
}

/// Names of tools, and of members of their results, are their servers' texts.
fn as_text(epoch: &Epoch) -> String {
    let mut text = format!(
        "epoch {}, {} tools with a weight\n",
        epoch.number,
        epoch.weights.len()
    );
    let mut weights: Vec<_> = epoch.weights.iter().collect();
    weights.sort_by_key(|(name, weight)| (std::cmp::Reverse(**weight), *name));
    for (name, weight) in weights {
        text.push_str(&format!("  {weight:>8}  {}\n", visible(name)));
    }
    if !epoch.shapes.is_empty() {
        text.push_str(&format!(
            "shapes of results of {} tools\n",
            epoch.shapes.len()
        ));
    }
    for (tool, shapes) in &epoch.shapes {
        for (principal, shape) in shapes {
            let [tool, principal, shape] = [tool, principal, shape].map(|text| visible(text));
            text.push_str(&format!("  {tool} ({principal}): {shape}\n"));
        }
    }
    text
}

/// Opens the named state folder, or the usual one.
pub(super) fn open(folder: Option<&Path>) -> anyhow::Result<Store> {
    let folder = folder
        .map(Path::to_owned)
        .or_else(|| default_state_dir(&ProcessEnvironment));
    let Some(folder) = folder else {
        bail!(
            "there is no state folder, because neither XDG_STATE_HOME nor HOME is set\nhint: name it with --state-dir"
        );
    };
    Ok(Store::open(&folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: names are printed as their servers sent them, and act on the terminal.
    #[test]
    fn what_servers_say_can_be_printed() {
        let odd = "a\u{1b}[31m\u{202e}b\n";
        let mut epoch = Epoch::default();
        epoch.weights.insert(odd.to_owned(), 3);
        let shapes = [(odd.to_owned(), odd.to_owned())].into_iter().collect();
        epoch.shapes.insert(odd.to_owned(), shapes);
        let text = as_text(&epoch);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert_eq!(text.lines().count(), 4, "{text:?}");
        assert_eq!(text.matches("a\\u{1b}[31m\\u{202e}b\\u{a}").count(), 4);
    }
}
