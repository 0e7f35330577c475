//! The secrets that this process knows, so that no line of its log has one: values of headers, of variables
//! and options whose names speak of secrets, and of URLs. Shell.

use secrecy::ExposeSecret;

use crate::config::{EnvSource, ProcessEnvironment, ServerTransport, Settings};
use crate::policy::redact::{MASK, Redactor, is_secret_name};

/// Secrets shorter than this are words that would go from lines by chance.
const LEAST: usize = 8;

/// Returns what takes the secrets of these settings, and what looks like one, out of lines of the log.
pub fn of_logs(settings: &Settings) -> Redactor {
    with_known(Redactor::of_logs(), settings)
}

/// The same for results of tools.
pub fn of_results(settings: &Settings) -> Redactor {
    with_known(Redactor::of_results(), settings)
}

fn with_known(redactor: Redactor, settings: &Settings) -> Redactor {
    let mut known = Vec::new();
    for server in &settings.servers {
        match &server.transport {
            ServerTransport::Stdio { args, env, .. } => {
                known.extend(arguments(args));
                let secret = env.iter().filter(|(name, _)| is_secret_name(name));
                known.extend(secret.map(|(_, value)| value.expose_secret().to_owned()));
            }
            ServerTransport::Http { url, headers, .. } => {
                known.extend(masked(url, &Redactor::default().url(url)));
                for (_, value) in headers {
                    // `Bearer x` is told as `x` as well.
                    known.extend(value.expose_secret().split(' ').map(str::to_owned));
                    known.push(value.expose_secret().to_owned());
                }
            }
        }
    }
    for value in settings.telemetry.secrets() {
        known.extend(value.expose_secret().split(' ').map(str::to_owned));
        known.push(value.expose_secret().to_owned());
    }
    for name in ProcessEnvironment.names() {
        if is_secret_name(&name)
            && let Some(value) = ProcessEnvironment.get(&name)
        {
            known.extend(value.into_string());
        }
    }
    known.retain(|secret| secret.len() >= LEAST);
    // The longest first, so that a part of one is not all that goes of it.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    known.dedup();
    known
        .iter()
        .fold(redactor, |redactor, secret| redactor.with_secret(secret))
}

fn arguments(args: &[String]) -> Vec<String> {
    let shown = Redactor::default().arguments(args);
    args.iter()
        .zip(&shown)
        .flat_map(|(argument, shown)| masked(argument, shown))
        .collect()
}

/// The parts of a text that masks stand for.
fn masked(text: &str, shown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut parts = shown.split(MASK).peekable();
    while let Some(part) = parts.next() {
        let Some(after) = rest.strip_prefix(part) else {
            break;
        };
        rest = after;
        let Some(next) = parts.peek() else { break };
        let end = match next.is_empty() {
            true => rest.len(),
            false => rest.find(next).unwrap_or(rest.len()),
        };
        found.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_arguments_and_urls_are_known() {
        let args = [
            "--token",
            "abcdefgh1",
            "--key=x",
            "API_KEY=abcdefgh2",
            "https://u:pw345678@h/x?key=abcdefgh3&y",
        ];
        let known = arguments(&args.map(str::to_owned));
        for secret in ["abcdefgh1", "abcdefgh2", "u:pw345678", "abcdefgh3"] {
            assert!(known.iter().any(|one| one == secret), "{secret}: {known:?}");
        }
    }
}
