//! Who may speak to the listener, and whose credentials go where.

use std::path::PathBuf;

use super::Setup;
use crate::config::ListenAddress;

const JWT: &str =
    "[auth]\nissuer = \"https://id.example\"\naudience = \"me\"\njwks = \"keys.json\"\n";

/// Settings of a file in front of `--upstream`.
fn upstream(toml: &str, more: &str) -> Setup {
    let args = format!("--config w.toml --listen 8931 --upstream http://127.0.0.1:3000/mcp {more}");
    Setup::args(&args).file("w.toml", toml)
}

#[track_caller]
fn check_forwards(setup: &Setup, expected: bool) {
    assert_eq!(setup.server().forwards_authorization, expected);
}

#[track_caller]
fn check_error(setup: &Setup, words: &[&str]) {
    let text = match setup.load() {
        Ok(_) => panic!("it was taken"),
        Err(errors) => errors.to_string(),
    };
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(text.contains("hint:"), "{text}");
}

#[test]
fn credentials_go_on_where_they_were_not_made_for_us() {
    check_forwards(&upstream("", ""), true);
    check_forwards(&upstream("", "--forward-authorization never"), false);
    check_forwards(&upstream("", "--header X-Key:1"), true);
    check_forwards(&upstream("", "--header Authorization:x"), false);
    check_forwards(&upstream("", "--auth-tokens t"), false);
    check_forwards(&upstream(JWT, ""), false);
    check_forwards(&upstream(JWT, "--forward-authorization always"), true);
    let on_pipes = Setup::args("--upstream http://127.0.0.1:3000/mcp");
    check_forwards(&on_pipes, false);
    let file = |server: &str| {
        let text = format!("[servers.a]\nurl = \"https://a.example/\"\n{server}");
        Setup::config("w.toml", text).arg("--listen=8931")
    };
    check_forwards(&file(""), false);
    check_forwards(&file("forward_authorization = true"), true);
}

#[test]
fn one_server_at_most_sees_a_token_and_none_sees_ours() {
    let second = "forward_authorization = true\n[servers.b]\nurl = \"https://b.example/\"\nforward_authorization = true\n";
    let file = |server: &str| {
        let text = format!("[servers.a]\nurl = \"https://a.example/\"\n{server}");
        Setup::config("w.toml", text).arg("--listen=8931")
    };
    check_error(&file(second), &["`a` and to `b`"]);
    check_error(
        &file("headers = { Authorization = \"x\" }\nforward_authorization = true"),
        &["`Authorization` of our own"],
    );
    check_error(
        &file("").arg("--forward-authorization=always"),
        &["--upstream"],
    );
    check_error(
        &upstream("", "--auth-tokens t --forward-authorization always"),
        &["made for this listener"],
    );
    let child = "[servers.a]\ncommand = \"x\"\nforward_authorization = true\n";
    check_error(&Setup::config("w.toml", child), &["needs a `url`"]);
}

#[test]
fn what_is_half_said_is_refused() {
    for (text, words) in [
        (
            "[auth]\nissuer = \"https://id.example\"\naudience = \"me\"\n",
            "keys are not named",
        ),
        (
            "[auth]\nissuer = \"https://id.example\"\njwks = \"k\"\n",
            "for whom",
        ),
        ("[auth]\njwks = \"k\"\n", "without an issuer"),
        ("[auth]\nscopes = [\"a\"]\n", "only signed tokens"),
        ("[auth]\njwks = \"http://id.example/keys\"\n", "https only"),
        (
            "[auth]\nalgorithms = [\"HS256\"]\n",
            "`HS256` is not one of",
        ),
        ("[auth]\nalgorithms = [\"none\"]\n", "`none` is not one of"),
        (
            "[auth]\nissuer = \"https://id.example/#x\"\n",
            "cannot be an issuer",
        ),
        (
            "[auth]\nresource = \"tools.example.com\"\n",
            "not an http or https URL",
        ),
        ("[auth]\nscopes = [\"a b\"]\n", "cannot be a scope"),
        ("[http]\ntls_cert = \"c\"\n", "no key"),
        ("[http]\ntls_key = \"c\"\n", "no certificate"),
        ("[http]\ntls_client_ca = \"c\"\n", "over TLS only"),
    ] {
        check_error(&upstream(text, ""), &[words]);
    }
}

#[test]
fn keys_are_where_they_were_said_to_be() {
    let loaded = upstream(JWT, "").loaded();
    let listen = loaded.settings.listen.expect("a listener");
    assert_eq!(listen.auth.audiences(), ["me"]);
    assert!(listen.auth.is_on());
    let here = "[auth]\nissuer = \"i\"\nresource = \"https://me.example/mcp\"\njwks = \"http://127.0.0.1:1/k\"\n";
    let listen = upstream(here, "")
        .loaded()
        .settings
        .listen
        .expect("a listener");
    assert_eq!(listen.auth.audiences(), ["https://me.example/mcp"]);
    let socket = Setup::args("--listen unix:/run/w.sock -- x").loaded();
    let listen = socket.settings.listen.expect("a listener");
    assert_eq!(
        listen.addr,
        ListenAddress::Socket(PathBuf::from("/run/w.sock"))
    );
    assert_eq!(listen.addr.to_string(), "unix:/run/w.sock");
}

#[test]
fn open_doors_are_pointed_out() {
    let warnings = |args: &str| {
        let warnings = Setup::args(args).loaded().warnings;
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        texts.join("\n")
    };
    let open = "whoever can reach this address";
    let all = "--listen 0.0.0.0:1 --allow-host x";
    assert!(warnings(&format!("{all} -- x")).contains(open));
    assert!(!warnings(&format!("{all} --auth-tokens t -- x")).contains(open));
    assert!(!warnings(&format!("{all} --upstream http://127.0.0.1:2/")).contains(open));
    assert!(!warnings("--listen 1 -- x").contains(open));
    assert!(warnings("--auth-tokens t -- x").contains("no effect without a listener"));
}
