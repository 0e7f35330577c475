//! Shows values without what is likely a secret in them. Pure.

use crate::policy::redact::{MASK as FOUND, Redactor, is_secret_name as names_secret};

/// What stands in place of a secret.
pub(crate) const MASK: &str = "***";

/// Words that mark an argument, a query parameter or a variable as secret.
const SECRET_WORDS: [&str; 10] = [
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "api-key",
    "api_key",
    "access-key",
    "auth",
    "credential",
];

/// Returns the URL without user name, password, the values of its query and what looks like a token.
pub(crate) fn url(url: &str) -> String {
    let (head, query) = match url.split_once('?') {
        Some((head, query)) => (head, Some(query)),
        None => (url, None),
    };
    let mut shown = match head.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            match authority.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
                None => head.to_owned(),
            }
        }
        None => head.to_owned(),
    };
    if let Some(query) = query {
        let parameters: Vec<String> = query
            .split('&')
            .map(|parameter| match parameter.split_once('=') {
                Some((name, _)) => format!("{name}={MASK}"),
                None => MASK.to_owned(),
            })
            .collect();
        shown.push('?');
        shown.push_str(&parameters.join("&"));
    }
    without_tokens(&shown)
}

fn without_tokens(text: &str) -> String {
    let shown = Redactor::of_configuration().text(text);
    shown.replace(FOUND, MASK)
}

/// Returns the arguments with the value masked after or in an option whose name speaks of a secret, what looks like
/// a token masked anywhere, and URLs shown as [`url`] does.
pub(crate) fn arguments(arguments: &[String]) -> Vec<String> {
    let mut follows_secret_option = false;
    arguments
        .iter()
        .map(|argument| {
            let follows = std::mem::take(&mut follows_secret_option);
            if follows && !argument.starts_with('-') {
                return MASK.to_owned();
            }
            // `--header "Authorization: Basic …="` is one argument with both signs, of which the first counts. Behind
            // `://` no names are looked for.
            let names = &argument[..argument.find("://").unwrap_or(argument.len())];
            let mut start = 0;
            let secret = names.match_indices(['=', ':']).find(|(at, _)| {
                let name = &names[start..*at];
                start = at + 1;
                is_secret_name(name)
            });
            if let Some((at, sign)) = secret {
                let space = if sign == ":" { " " } else { "" };
                return format!("{}{sign}{space}{MASK}", &names[..at]);
            }
            // `--url=https://h/auth` has its value in it.
            if argument.starts_with('-')
                && !argument.contains(['=', ':'])
                && is_secret_name(argument)
            {
                follows_secret_option = true;
            }
            if argument.contains("://") {
                url(argument)
            } else {
                without_tokens(argument)
            }
        })
        .collect()
}

fn is_secret_name(name: &str) -> bool {
    if names_secret(name) {
        return true;
    }
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || name.ends_with("-key")
        || name.ends_with("_key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_arguments(given: &[&str], expected: &[&str]) {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(arguments(&given), expected);
    }

    #[test]
    fn urls_lose_credentials_and_query_values() {
        assert_eq!(url("https://example.com/mcp"), "https://example.com/mcp");
        assert_eq!(
            url("https://ann:pw@example.com/mcp"),
            "https://***@example.com/mcp"
        );
        assert_eq!(
            url("https://example.com/mcp?apiKey=abc&x"),
            "https://example.com/mcp?apiKey=***&***"
        );
        assert_eq!(
            url("https://example.com/@scope/x"),
            "https://example.com/@scope/x"
        );
    }

    #[test]
    fn arguments_lose_secrets() {
        check_arguments(&["-y", "@scope/server", "."], &["-y", "@scope/server", "."]);
        check_arguments(&["--api-key", "abc", "run"], &["--api-key", "***", "run"]);
        check_arguments(&["--token=abc"], &["--token=***"]);
        check_arguments(&["-e", "GITHUB_TOKEN=abc"], &["-e", "GITHUB_TOKEN=***"]);
        check_arguments(
            &["--header", "Authorization: Bearer abc"],
            &["--header", "Authorization: ***"],
        );
        check_arguments(&["--token", "--verbose"], &["--token", "--verbose"]);
        check_arguments(&["postgresql://ann:pw@db/x"], &["postgresql://***@db/x"]);
    }

    /// Broken variants that this catches: an argument is split at its first `=`, which is the end of a header's
    /// base64; a token is shown where no name speaks of it.
    #[test]
    fn arguments_lose_headers_and_tokens() {
        check_arguments(
            &["--header", "Authorization: Basic dXNlcjpwdw=="],
            &["--header", "Authorization: ***"],
        );
        check_arguments(&["Cookie: a=b; c=d"], &["Cookie: ***"]);
        check_arguments(&["env:MY_TOKEN=abc"], &["env:MY_TOKEN=***"]);
        check_arguments(
            &[
                "run",
                "ghp_abcdefghij0123456789",
                "--as=ghp_abcdefghij0123456789",
            ],
            &["run", "***", "--as=***"],
        );
        check_arguments(
            &[
                "--url=https://u:pw@h/auth?x=1",
                "https://h/ghp_abcdefghij0123456789/mcp",
            ],
            &["--url=https://***@h/auth?x=***", "https://h/***/mcp"],
        );
        check_arguments(&["/home/ann/src:/work"], &["/home/ann/src:/work"]);
    }
}
