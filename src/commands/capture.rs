//! `capture`: writes what servers offer to a folder, and with `--conversation` what is said meanwhile.

mod conversation;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

use crate::capture::{Meta, Recording, write_folder};
use crate::cli::CaptureArgs;
use crate::config::{ServerSettings, ServerTransport, Settings};
use crate::driver::local::{LocalClient, LocalError};
use crate::jsonrpc::error::METHOD_NOT_FOUND;
use crate::mcp::capabilities;
use crate::mcp::method::{self, ListKind};
use crate::policy::redact::Redactor;
use crate::telemetry::one_line;

use super::{Output, load_settings};

/// Writes what servers offer to a folder.
///
/// # Errors
/// When the settings are wrong, a server cannot be asked, or the folder cannot be written.
pub fn run(args: CaptureArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let settings = load_settings(&args.proxy_args())?.settings;
    if args.conversation && settings.servers.len() > 1 {
        anyhow::bail!(
            "a conversation is captured with one server; {} are configured\nhint: give its command after `--`",
            settings.servers.len()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(capture(&settings, &args));
    runtime.shutdown_background();
    result?;
    Ok(ExitCode::SUCCESS)
}

async fn capture(settings: &Settings, args: &CaptureArgs) -> anyhow::Result<()> {
    for server in &settings.servers {
        let alone = LocalClient::alone(settings, server);
        let mut recording = Recording::new(meta(server));
        offered(&alone, &mut recording)
            .await
            .with_context(|| format!("cannot capture `{}`", server.name))?;
        if args.conversation {
            for exchange in conversation::record(alone).await? {
                // The handshake has a file of its own.
                if matches!(
                    exchange.method.as_str(),
                    method::INITIALIZE | method::DISCOVER
                ) && exchange.messages.is_empty()
                {
                    continue;
                }
                if let Err(error) = recording.add_exchange(exchange) {
                    tracing::warn!("a part of the conversation was left out: {error}");
                }
            }
            let redacted = recording.redact(&redactor(server));
            tracing::info!(
                "{} secrets were taken out; read the folder before you publish it",
                redacted.total()
            );
        }
        let folder = folder_of(&args.out, settings, server);
        write_folder(&recording, &folder)?;
        let counts: Vec<String> = recording
            .counts()
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        tracing::info!("wrote {}: {}", folder.display(), counts.join(", "));
    }
    Ok(())
}

fn folder_of(out: &Path, settings: &Settings, server: &ServerSettings) -> PathBuf {
    if settings.servers.len() == 1 {
        out.to_owned()
    } else {
        out.join(server.name.as_str().replace('/', "_"))
    }
}

/// Asks for everything that a server says it has.
async fn offered(settings: &Settings, recording: &mut Recording) -> anyhow::Result<()> {
    let mut client = LocalClient::start(settings.clone());
    let result = async {
        let handshake = client.initialize().await?;
        recording.set_handshake(handshake.raw().clone())?;
        let said = handshake.body("capabilities").unwrap_or_default().to_vec();
        for kind in ListKind::ALL {
            if !capabilities::has(&said, &[kind.capability()]) {
                continue;
            }
            match client.list(kind).await {
                Ok(listing) => {
                    if let Some(cut) = &listing.cut {
                        tracing::warn!("{}", one_line(cut));
                    }
                    let pages = listing.pages.iter().map(|page| page.raw().clone());
                    recording.set_list(kind, pages.collect::<Vec<_>>())?;
                }
                Err(LocalError::Refused { code, .. }) if code == METHOD_NOT_FOUND => {}
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::Ok(())
    }
    .await;
    client.close().await;
    result
}

fn meta(server: &ServerSettings) -> Meta {
    let meta = Meta::new(today());
    match &server.transport {
        ServerTransport::Stdio { command, args, .. } => {
            let mut all = vec![command.clone()];
            all.extend(args.iter().cloned());
            meta.with_command(&all)
        }
        ServerTransport::Http { url, .. } => meta.with_url(url),
    }
}

fn redactor(server: &ServerSettings) -> Redactor {
    use secrecy::ExposeSecret;
    let values = match &server.transport {
        ServerTransport::Stdio { env, .. } => env,
        ServerTransport::Http { headers, .. } => headers,
    };
    let mut redactor = Redactor::default();
    for (_, value) in values {
        redactor = redactor.with_secret(value.expose_secret());
    }
    match home() {
        Some(home) => redactor.with_home(&home),
        None => redactor,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the home folder is looked up to be taken out, not as a setting"
)]
fn home() -> Option<String> {
    std::env::var("HOME").ok().filter(|home| home.len() > 1)
}

/// Returns today's date in UTC as `YYYY-MM-DD` (civil-from-days, H. Hinnant's algorithm).
fn today() -> String {
    let days = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
