//! Shows values without what is likely a secret in them. Pure.

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

/// Returns the URL without user name, password and the values of its query.
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
    shown
}

/// Returns the arguments with the value masked after or in an option whose name speaks of a secret,
/// and URLs shown as [`url`] does.
pub(crate) fn arguments(arguments: &[String]) -> Vec<String> {
    let mut follows_secret_option = false;
    arguments
        .iter()
        .map(|argument| {
            let follows = std::mem::take(&mut follows_secret_option);
            if follows && !argument.starts_with('-') {
                return MASK.to_owned();
            }
            match argument.split_once('=') {
                Some((name, _)) if is_secret_name(name) => return format!("{name}={MASK}"),
                // `--header "Authorization: Bearer …"` is one argument with a colon.
                _ if argument
                    .split_once(':')
                    .is_some_and(|(name, _)| is_secret_name(name)) =>
                {
                    let name = argument.split_once(':').map_or("", |(name, _)| name);
                    return format!("{name}: {MASK}");
                }
                _ => {}
            }
            if argument.starts_with('-') && is_secret_name(argument) {
                follows_secret_option = true;
            }
            if argument.contains("://") {
                url(argument)
            } else {
                argument.clone()
            }
        })
        .collect()
}

fn is_secret_name(name: &str) -> bool {
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
}
