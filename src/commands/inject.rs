//! `inject`: manifests in, manifests with mcp-whittle in their pods out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::InjectArgs;
use crate::kube::manifest::{self, Consent, Done, MAX_BYTES, ManifestError};
use crate::telemetry::one_line;

use super::{Output, start_logging};

/// Prints the manifests of a file after injection; says on stderr what became of each pod.
///
/// # Errors
/// When the file cannot be read or understood, or a pod asks for what cannot be done. Then nothing is
/// printed, so that nothing half done is applied.
pub fn run(args: InjectArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    let text = read(&args.file)?;
    let consent = if args.all {
        Consent::All
    } else {
        Consent::ByLabel
    };
    let injected = match manifest::inject(&args.injector.injector(), &text, consent) {
        Ok(injected) => injected,
        Err(error) => bail!("{}: {}", args.file.display(), explained(&error)),
    };
    for report in &injected.reports {
        let object = one_line(&report.object);
        match &report.done {
            Done::Injected { mode, warnings } => {
                tracing::info!("{object}: injected ({})", mode.word());
                for warning in warnings {
                    tracing::warn!("{object}: {}", one_line(warning));
                }
            }
            Done::LeftAlone(reason) => tracing::info!("{object}: left alone: {}", one_line(reason)),
        }
    }
    if injected.reports.is_empty() {
        tracing::warn!("no pods in {}", args.file.display());
    }
    // What was said stands before the manifests, also when both go to a terminal.
    crate::transport::stderr::flush(Duration::from_secs(1));
    output.write(injected.text)?;
    Ok(ExitCode::SUCCESS)
}

/// The error with what to do.
fn explained(error: &ManifestError) -> String {
    let hint = match error {
        ManifestError::Invalid { invalid, .. } => invalid.hint.as_str(),
        ManifestError::Syntax { .. } => "check the manifest there",
        ManifestError::TooLong | ManifestError::TooMany => "inject it in several parts",
        ManifestError::Failed { .. } => "please report this with the manifest",
    };
    format!("{error}\nhint: {hint}")
}

fn read(path: &Path) -> anyhow::Result<String> {
    // One byte more than is taken, so that too long is told from just fitting.
    let limit = MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let told = || format!("cannot read `{}`", path.display());
    result.with_context(told)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{}: not UTF-8\nhint: save it as UTF-8", told()),
    }
}
