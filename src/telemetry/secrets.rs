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

/// Letters and digits in a row from which on a value counts as a secret under any name.
const LEAST_OPAQUE: usize = 16;
/// What stands before a secret in a header.
const SCHEMES: [&str; 7] = [
    "bearer", "basic", "digest", "token", "apikey", "api-key", "key",
];

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
    is_secret_name(name)
        || SECRET_WORDS
            .iter()
            .any(|word| last_word(name).eq_ignore_ascii_case(word))
}

/// `key` of `Ocp-Apim-Subscription-Key` and of `subscriptionKey`.
fn last_word(name: &str) -> &str {
    let last = name.rsplit(['-', '_']).next().unwrap_or(name);
    let mut start = 0;
    for (at, pair) in last.as_bytes().windows(2).enumerate() {
        if pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase() {
            start = at + 1;
        }
    }
    &last[start..]
}

/// Tells whether a value is one that nobody writes by hand: a long run of letters and digits mixed.
fn is_opaque(value: &str) -> bool {
    value
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|piece| {
            piece.len() >= LEAST_OPAQUE
                && piece.bytes().any(|b| b.is_ascii_digit())
                && piece.bytes().any(|b| b.is_ascii_alphabetic())
        })
}

/// A value, and what stands behind its scheme: `Bearer x` is told as `x` as well.
fn with_words(value: &str) -> Vec<String> {
    let value = value.trim();
    let behind = value.split_once(' ').filter(|(scheme, _)| {
        SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    });
    let behind = behind.map(|(_, rest)| rest.trim().to_owned());
    behind.into_iter().chain([value.to_owned()]).collect()
}

fn of_headers(headers: &[(String, SecretString)]) -> Vec<String> {
    let redactor = Redactor::of_configuration();
    headers
        .iter()
        .flat_map(|(name, value)| {
            let value = value.expose_secret();
            let words = with_words(value);
            // Behind a scheme stands a secret, whatever the header is called.
            match is_secret_parameter(name) || words.len() > 1 || is_opaque(value) {
                true => words,
                false => masked(value, &redactor.text(value)),
            }
        })
        .collect()
}

/// What stands before the host, under a name of the query that speaks of secrets, or looks like one anywhere.
fn of_url(url: &str) -> Vec<String> {
    let redactor = Redactor::of_configuration();
    let (head, query) = url.split_once('?').unwrap_or((url, ""));
    let mut known = masked(head, &redactor.url(head));
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some((name, value)) if is_secret_parameter(name) || is_opaque(value) => {
                known.push(value.to_owned());
            }
            Some((_, value)) => known.extend(masked(value, &redactor.text(value))),
            None => known.extend(masked(parameter, &redactor.text(parameter))),
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

    /// Broken variants that this catches: a secret under a plain name is shown because of the name, and a plain value
    /// goes from results because it is long.
    #[test]
    fn what_nobody_writes_by_hand_is_secret_under_any_name() {
        let known = of_url(
            "https://h/mcp?config=eyJkIjoxMjM0NTY3ODkwfQ&subscriptionKey=abcdefgh12&toolsets=repositories&since=2022-11-28",
        );
        assert_eq!(known, ["eyJkIjoxMjM0NTY3ODkwfQ", "abcdefgh12"]);
        let headers = [
            ("X-Upstream", "Bearer abcdefgh12345678"),
            ("X-Session-Id", "9f8e7d6c5b4a3f2e"),
            ("X-Source", "my-service-2024-prod-europe"),
        ];
        let known =
            of_headers(&headers.map(|(name, value)| (name.to_owned(), SecretString::from(value))));
        assert_eq!(
            known,
            [
                "abcdefgh12345678",
                "Bearer abcdefgh12345678",
                "9f8e7d6c5b4a3f2e"
            ]
        );
        let known = arguments(&["--passphrase", "the password of everything"].map(str::to_owned));
        assert_eq!(known, ["the password of everything"]);
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
