//! `${NAME}` in texts of a server's entry. Pure: the environment is an argument.

use super::environment::EnvSource;
use super::finding::Fault;

/// Replaces `${NAME}`, `${env:NAME}`, `${NAME:-default}` and `${env:NAME:-default}`.
///
/// As in a shell, the default stands for a variable that is unset or empty. A `$` that does not
/// begin `${` stays, and `$${` is a literal `${`. What a variable holds is not expanded again.
pub(super) fn expand(text: &str, environment: &impl EnvSource) -> Result<String, Fault> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            expanded.push_str(&rest[..start - 1]);
            expanded.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        expanded.push_str(&rest[..start]);
        let reference = &rest[start + 2..];
        let Some(end) = reference.find('}') else {
            return Err(Fault::new("`${` without `}`").hint("write `$${` for a literal `${`"));
        };
        expanded.push_str(&resolve(&reference[..end], environment)?);
        rest = &reference[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn resolve(reference: &str, environment: &impl EnvSource) -> Result<String, Fault> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let name = name.strip_prefix("env:").unwrap_or(name);
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_');
    if !is_name {
        // Editors have further kinds, such as `${input:…}` and `${workspaceFolder}`.
        return Err(
            Fault::new(format!("`${{{name}}}` is not an environment variable"))
                .hint("use `${NAME}` or `${NAME:-default}`; write `$${` for a literal `${`"),
        );
    }
    let value = match environment.get(name) {
        Some(value) => Some(value.into_string().map_err(|_| {
            Fault::new(format!(
                "the environment variable `{name}` is not valid UTF-8"
            ))
        })?),
        None => None,
    };
    match (value, default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(
            Fault::new(format!("the environment variable `{name}` is not set"))
                .hint(format!("set it, or give a default: `${{{name}:-…}}`")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Vec<(String, String)> {
        [("HOME", "/home/ann"), ("EMPTY", ""), ("TRICK", "${HOME}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(expand(text, &environment()).as_deref(), Ok(expected));
    }

    #[track_caller]
    fn check_fault(text: &str, problem: &str) {
        match expand(text, &environment()) {
            Ok(expanded) => panic!("expanded to `{expanded}`"),
            Err(fault) => assert!(fault.problem.contains(problem), "{}", fault.problem),
        }
    }

    #[test]
    fn references_are_replaced() {
        check("plain $HOME $", "plain $HOME $");
        check("${HOME}/a${env:HOME}", "/home/ann/a/home/ann");
        check("${NOT_SET:-x:-y}", "x:-y");
        check("${NOT_SET:-}", "");
        check("${EMPTY:-x}|${EMPTY}", "x|");
        check("$${HOME} ${HOME}", "${HOME} /home/ann");
        check("${TRICK}", "${HOME}");
        check("ü${HOME}ü", "ü/home/annü");
    }

    #[test]
    fn wrong_references_are_named() {
        check_fault("${NOT_SET}", "`NOT_SET` is not set");
        check_fault("a ${HOME", "without `}`");
        check_fault(
            "${input:token}",
            "`${input:token}` is not an environment variable",
        );
        check_fault("${}", "not an environment variable");
    }
}
