//! The secrets that this process knows, so that no line of its log has one: values of headers, variables, options
//! and parameters of URLs whose names speak of secrets, and what stands before the host of a URL. A value under any
//! other name is a word like any other, which results and lines have to keep. Shell.

use secrecy::{ExposeSecret, SecretString};

use crate::config::{EnvSource, ProcessEnvironment, ServerTransport, Settings};
use crate::policy::redact::{MASK, Redactor, is_secret_name};

/// Secrets shorter than this are words that would go from lines by chance.
const LEAST: usize = 8;
/// Variables that every shell sets: the working folder and the one before it, no passwords.
const FOLDERS: [&str; 2] = ["PWD", "OLDPWD"];
/// Last words of names of headers and parameters that hold secrets, though members of such names are mostly none:
/// `Ocp-Apim-Subscription-Key`, `?key=`, `?sig=`.
const SECRET_WORDS: [&str; 4] = ["key", "auth", "sig", "signature"];

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
                let secret = env.iter().filter(|(name, _)| is_secret_variable(name));
                known.extend(secret.map(|(_, value)| value.expose_secret().to_owned()));
            }
            ServerTransport::Http { url, headers, .. } => {
                known.extend(of_url(url));
                known.extend(of_headers(headers));
            }
        }
    }
    for value in settings.telemetry.secrets() {
        known.extend(with_words(value.expose_secret()));
    }
    for name in ProcessEnvironment.names() {
        if is_secret_variable(&name)
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

fn is_secret_variable(name: &str) -> bool {
    is_secret_name(name) && !FOLDERS.contains(&name)
}

/// Tells whether the value of a header, or of a parameter of a URL, is secret.
fn is_secret_parameter(name: &str) -> bool {
    let last = name.rsplit(['-', '_']).next().unwrap_or(name);
    is_secret_name(name)
        || SECRET_WORDS
            .iter()
            .any(|word| last.eq_ignore_ascii_case(word))
}

/// A value and its words, as `Bearer x` is told as `x` as well.
fn with_words(value: &str) -> Vec<String> {
    let value = value.trim();
    let mut all: Vec<String> = value.split(' ').map(str::to_owned).collect();
    all.push(value.to_owned());
    all
}

fn of_headers(headers: &[(String, SecretString)]) -> Vec<String> {
    headers
        .iter()
        .filter(|(name, _)| is_secret_parameter(name))
        .flat_map(|(_, value)| with_words(value.expose_secret()))
        .collect()
}

/// What stands before the host, under a name of the query that speaks of secrets, or looks like one anywhere.
fn of_url(url: &str) -> Vec<String> {
    let redactor = Redactor::of_configuration();
    let (head, query) = url.split_once('?').unwrap_or((url, ""));
    let mut known = masked(head, &redactor.url(head));
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some((name, value)) if is_secret_parameter(name) => known.push(value.to_owned()),
            _ => known.extend(masked(parameter, &redactor.text(parameter))),
        }
    }
    known
}

fn arguments(args: &[String]) -> Vec<String> {
    let redactor = Redactor::of_configuration();
    let shown = redactor.arguments(args);
    let mut known = Vec::new();
    for (argument, shown) in args.iter().zip(&shown) {
        // Of a URL everything in its query is masked, whatever its name.
        if argument.contains("://") && *shown == redactor.url(argument) {
            known.extend(of_url(argument));
        } else {
            let values = masked(argument, shown);
            known.extend(values.iter().flat_map(|value| with_words(value)));
        }
    }
    known
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

    /// Broken variant that this catches: the working folder of the shell counts as a password, and goes from
    /// results and lines.
    #[test]
    fn the_working_folder_is_no_secret() {
        for name in ["PWD", "OLDPWD", "HOME"] {
            assert!(!is_secret_variable(name), "{name}");
        }
        for name in ["pwd", "DB_PASSWORD", "GITHUB_TOKEN"] {
            assert!(is_secret_variable(name), "{name}");
        }
    }

    /// Broken variant that this catches: words of every header count as secrets, and those under secret names are
    /// known only with their scheme.
    #[test]
    fn headers_are_secret_by_their_names() {
        let headers = [
            ("X-GitHub-Api-Version", "2022-11-28"),
            ("User-Agent", "mcp-whittle"),
            ("Accept-Language", "de-DE, en;q=0.5"),
            ("Authorization", "Bearer abcdefgh1"),
            ("proxy-authorization", "Basic abcdefgh2"),
            ("Cookie", "a=abcdefgh3"),
            ("Ocp-Apim-Subscription-Key", "abcdefgh4"),
        ];
        let known =
            of_headers(&headers.map(|(name, value)| (name.to_owned(), SecretString::from(value))));
        assert!(
            known
                .iter()
                .all(|one| one.contains("abcdefgh") || one.len() < LEAST)
        );
        for secret in ["abcdefgh1", "abcdefgh2", "a=abcdefgh3", "abcdefgh4"] {
            assert!(known.iter().any(|one| one == secret), "{secret}: {known:?}");
        }
    }

    /// Broken variants that this catches: all of a query is taken for a secret, also in an argument, and the home
    /// directory in a path.
    #[test]
    fn urls_and_paths_keep_their_plain_words() {
        let url =
            "https://h/home/ann/x?toolsets=repositories&readonly&api_key=abcdefgh1&sig=abcdefgh2";
        let args = [url, "/home/ann/project", "--mail=ann.lee@example.com"];
        let expected = ["abcdefgh1", "abcdefgh2"];
        assert_eq!(of_url(url), expected);
        assert_eq!(arguments(&args.map(str::to_owned)), expected);
        let token = "ghp_abcdefghij0123456789";
        assert_eq!(of_url(&format!("https://h/x?a=1&{token}")), [token]);
        let header = "Authorization: Bearer abcdefgh3".to_owned();
        assert!(arguments(&[header]).contains(&"abcdefgh3".to_owned()));
    }
}
