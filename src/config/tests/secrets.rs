//! No secret in what is shown: settings, table, warnings, errors.

use crate::config::{Loaded, render_table, to_json};

use super::Setup;

/// A configuration with a canary in every place that may hold a secret.
fn secret_setup() -> Setup {
    let json = r#"{"mcpServers": {
        "a": {"command": "x", "args": ["--token", "canary1", "--key=canary2", "https://canary3@h/?k=canary4"],
              "env": {"TOKEN": "canary5", "OTHER": "${SECRET}"}},
        "b": {"url": "https://example.com/?key=canary6",
              "headers": {"Authorization": "Bearer canary7", "X": "${SECRET}", "Host": "canary8"}}
    }}"#;
    Setup::config("mcp.json", json)
        .env("SECRET", "canary9")
        .env("HTTPS_PROXY", "http://u:canary10@p:1")
}

fn everything_shown(loaded: &Loaded) -> String {
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    format!(
        "{loaded:?}\n{:#?}\n{}\n{}\n{}",
        loaded.settings,
        render_table(&loaded.effective()),
        to_json(&loaded.effective()),
        warnings.join("\n")
    )
}

#[test]
fn secrets_are_never_shown() {
    let shown = everything_shown(&secret_setup().loaded());
    assert!(!shown.contains("canary"), "{shown}");
    let by_options =
        Setup::args("--upstream http://example.com/?k=canary --header X:canary --header-env Y=S")
            .env("S", "canary")
            .loaded();
    assert_eq!(by_options.warnings.len(), 1);
    assert!(!everything_shown(&by_options).contains("canary"));
    let by_command = Setup::args("-- npx server --api-key canary -e GITHUB_TOKEN=canary").loaded();
    assert!(!everything_shown(&by_command).contains("canary"));
}

/// Sibling of `secrets_are_never_shown`: its check does see a value that is not masked.
#[test]
fn a_value_that_is_no_secret_is_shown() {
    let loaded = Setup::args("-- npx server --name canary").loaded();
    assert!(everything_shown(&loaded).contains("canary"));
}

#[test]
fn errors_do_not_show_secrets() {
    for setup in [
        Setup::args("--upstream https://u:canary@example.com/"),
        Setup::args("--upstream https://example.com/?k=canary#x"),
        Setup::args("--upstream https://example.com/ --header canary"),
        Setup::args("--upstream https://example.com/ --header-env X=S").env("S", "canary\n"),
        Setup::args("--upstream https://example.com/ --header-file h")
            .file("h", "canary\nX: can\u{1}ary\n"),
        Setup::args("--upstream https://example.com/").env("HTTPS_PROXY", "socks5://u:canary@p"),
        Setup::config(
            "m.json",
            r#"{"mcpServers": {"a": {"url": "x", "headers": {"X": "canary\n"}}}}"#,
        ),
        Setup::config(
            "m.json",
            r#"{"mcpServers": {"a": {"command": "x", "env": {"A=": "canary"}}}}"#,
        ),
        Setup::config(
            "m.json",
            r#"{"mcpServers": {"a": {"command": "x", "env": {"A": ["canary"]}}}}"#,
        ),
    ] {
        match setup.load() {
            Ok(_) => panic!("{:?} was taken", setup.args),
            Err(errors) => assert!(
                !format!("{errors} {errors:?}").contains("canary"),
                "{errors}"
            ),
        }
    }
}
