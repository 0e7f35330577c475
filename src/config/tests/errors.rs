//! What each error and warning says.

use super::Setup;

/// Each case: what is wrong, and the setup. The snapshot has all messages.
fn wrong_setups() -> Vec<(&'static str, Setup)> {
    let json = |servers: &str| {
        Setup::config(
            "mcp.json",
            format!("{{\n  \"mcpServers\": {{\n{servers}\n  }}\n}}"),
        )
    };
    let toml = |text: &str| Setup::config("w.toml", text).file("mcp.json", "{\"mcpServers\": {}}");
    let toml_with = |text: &str| Setup::config("w.toml", text).arg("--").arg("server");
    let option = |args: &str| Setup::args(args).arg("--").arg("server");
    let variable = |name: &str, value: &str| Setup::args("-- server").env(name, value);
    vec![
        ("nothing", Setup::args("")),
        ("empty command", Setup::args("--").arg("")),
        ("file missing", Setup::args("--config missing.json")),
        ("file empty", Setup::config("mcp.json", "")),
        (
            "file is not UTF-8",
            Setup::config("mcp.json", b"{\n\"\xff\""),
        ),
        (
            "file is cut off",
            Setup::config("mcp.json", "{\n  \"mcpServers\": {\n    \"git\": {"),
        ),
        (
            "file without servers",
            Setup::config("mcp.json", "{\"mcpServer\": {}}"),
        ),
        (
            "no mcpServers at all",
            Setup::config("mcp.json", "{\"x\": 1}"),
        ),
        (
            "empty mcpServers",
            Setup::config("mcp.json", "{\"mcpServers\": {}}"),
        ),
        (
            "mcpServers is a list",
            Setup::config("mcp.json", "{\n\"mcpServers\": []}"),
        ),
        ("JSON is a list", Setup::config("mcp.json", "[]")),
        (
            "duplicate JSON key",
            json("    \"git\": {\"command\": \"a\"},\n    \"git\": {\"command\": \"b\"}"),
        ),
        ("server is a string", json("    \"git\": \"uvx\"")),
        (
            "every server disabled",
            json("    \"git\": {\"command\": \"a\", \"disabled\": true}"),
        ),
        (
            "disabled is text",
            json("    \"git\": {\"command\": \"a\",\n      \"disabled\": \"no\"}"),
        ),
        (
            "empty command in file",
            json("    \"git\": {\n      \"command\": \" \"}"),
        ),
        (
            "command is a list",
            json("    \"git\": {\n      \"command\": [\"uvx\", \"git\"]}"),
        ),
        (
            "argument is a number",
            json("    \"git\": {\"command\": \"a\",\n      \"args\": [\"x\",\n 7]}"),
        ),
        (
            "both command and url",
            json("    \"git\": {\"command\": \"a\", \"url\": \"https://example.com/\"}"),
        ),
        (
            "neither command nor url",
            json("    \"git\": {\"args\": []}"),
        ),
        (
            "type without its key",
            json("    \"git\": {\"type\": \"stdio\", \"url\": \"https://example.com/\"}"),
        ),
        (
            "type against command",
            json("    \"git\": {\"type\": \"http\", \"command\": \"a\"}"),
        ),
        (
            "unknown type",
            json("    \"git\": {\n      \"type\": \"carrier-pigeon\", \"command\": \"a\"}"),
        ),
        (
            "args with url",
            json("    \"git\": {\"url\": \"https://example.com/\", \"args\": []}"),
        ),
        (
            "headers with command",
            json("    \"git\": {\"command\": \"a\", \"headers\": {\"X\": \"y\"}}"),
        ),
        (
            "bad URL",
            json("    \"git\": {\n      \"url\": \"example.com/mcp\"}"),
        ),
        (
            "URL scheme",
            json("    \"git\": {\n      \"url\": \"ftp://example.com/mcp\"}"),
        ),
        (
            "URL with password",
            json("    \"git\": {\n      \"url\": \"https://u:p@example.com/mcp\"}"),
        ),
        (
            "bad header name",
            json("    \"git\": {\"url\": \"https://e/\", \"headers\": {\n      \"X Y\": \"z\"}}"),
        ),
        (
            "bad header value",
            json("    \"git\": {\"url\": \"https://e/\", \"headers\": {\n      \"X\": \"a\\nb\"}}"),
        ),
        (
            "header twice",
            json(
                "    \"git\": {\"url\": \"https://e/\", \"headers\": {\"X\": \"1\",\n      \"x\": \"2\"}}",
            ),
        ),
        (
            "variable not set",
            json("    \"git\": {\"command\": \"a\", \"env\": {\n      \"TOKEN\": \"${NOT_SET}\"}}"),
        ),
        (
            "variable of an editor",
            json("    \"git\": {\"command\": \"a\",\n      \"args\": [\"${input:token}\"]}"),
        ),
        (
            "reference not closed",
            json("    \"git\": {\n      \"command\": \"${HOME\"}"),
        ),
        (
            "env is null",
            json("    \"git\": {\"command\": \"a\", \"env\": {\n      \"A\": null}}"),
        ),
        (
            "server name",
            json("    \"Sequential Thinking\": {\"command\": \"a\"}"),
        ),
        ("empty server name", json("    \"\": {\"command\": \"a\"}")),
        (
            "long server name",
            json(&format!(
                "    \"{}\": {{\"command\": \"a\"}}",
                "n".repeat(49)
            )),
        ),
        (
            "two wrong servers",
            json("    \"a b\": {\"command\": \"x\"},\n    \"c\": {\"comand\": \"x\"}"),
        ),
        ("invalid TOML", toml("surface = full\n")),
        ("unknown TOML key", toml_with("\nsurfaces = \"full\"\n")),
        (
            "unknown TOML section",
            toml_with("[limit]\nmax_frame_bytes = 1\n"),
        ),
        (
            "unknown key in section",
            toml_with("[limits]\nmax_frame_byte = 1\n"),
        ),
        (
            "key in the wrong section",
            toml_with("[log]\nmax_frame_bytes = \"1MiB\"\n"),
        ),
        (
            "key of the top in a section",
            toml_with("[log]\ntokenizer = \"o200k_base\"\n"),
        ),
        ("section is a value", toml_with("limits = 3\n")),
        (
            "unknown server key",
            toml("[servers.git]\ncommand = \"a\"\nargz = []\n"),
        ),
        ("server without name", toml("[[server]]\ncommand = \"a\"\n")),
        (
            "server with one bracket",
            toml("[server]\ncommand = \"a\"\n"),
        ),
        (
            "duplicate server name",
            toml("[servers.git]\ncommand = \"a\"\n[[server]]\nname = \"git\"\ncommand = \"b\"\n"),
        ),
        (
            "named file missing",
            Setup::config("etc/w.toml", "mcp_servers = \"mcp.json\"\n"),
        ),
        (
            "named file empty of servers",
            toml("mcp_servers = \"mcp.json\"\n"),
        ),
        (
            "named file is wrong",
            Setup::config("w.toml", "mcp_servers = \"m.json\"").file("m.json", "{\n,}"),
        ),
        ("TOML without servers", toml("surface = \"full\"\n")),
        ("negative limit", toml_with("[limits]\nmax_sessions = -1\n")),
        ("zero limit", toml_with("[limits]\nmax_sessions = 0\n")),
        ("small size", toml_with("[limits]\nmax_frame_bytes = 0\n")),
        (
            "large size",
            toml_with("[limits]\nmax_frame_bytes = \"17GiB\"\n"),
        ),
        ("fraction", toml_with("[limits]\nmax_frame_bytes = 1.5\n")),
        (
            "size of nothing",
            toml_with("[limits]\nmax_frame_bytes = \"big\"\n"),
        ),
        (
            "time without unit",
            toml_with("[timeouts]\nstart_timeout = 30\n"),
        ),
        (
            "zero time",
            toml_with("[timeouts]\nstart_timeout = \"0s\"\n"),
        ),
        (
            "endless time",
            toml_with("[timeouts]\nstart_timeout = \"none\"\n"),
        ),
        ("switch is text", toml_with("transparent = \"yes\"\n")),
        ("list of numbers", toml_with("[http]\nallow_host = [1]\n")),
        (
            "transparent and shadow",
            toml_with("transparent = true\nshadow = true\n"),
        ),
        (
            "backoff upside down",
            toml_with("[restart]\nmax_backoff = \"100ms\"\n"),
        ),
        (
            "timeout above cap",
            toml_with("[timeouts]\nrequest_timeout = \"2d\"\n"),
        ),
        (
            "no roots",
            toml_with("[tls]\nsystem_roots = false\nbundled_roots = false\n"),
        ),
        ("no CA file", toml_with("[tls]\nca_file = \"ca.pem\"\n")),
        (
            "CA file is something else",
            toml_with("[tls]\nca_file = \"ca.pem\"\n").file("ca.pem", "hello"),
        ),
        ("bad separator", toml_with("separator = \":\"\n")),
        ("empty separator", toml_with("separator = \"\"\n")),
        ("bad path", toml_with("[http]\npath = \"mcp\"\n")),
        ("bad host", option("--allow-host https://example.com")),
        ("bad origin", option("--allow-origin example.com")),
        (
            "same port twice",
            option("--listen 8931 --admin-listen 8931"),
        ),
        ("size too small", option("--max-frame-bytes 1")),
        ("bad variable", variable("MCP_WHITTLE_LISTEN", "everywhere")),
        ("bad choice", variable("MCP_WHITTLE_SURFACE", "leen")),
        ("bad switch", variable("MCP_WHITTLE_TRANSPARENT", "maybe")),
        (
            "command and file",
            Setup::config("m.json", "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}")
                .arg("--")
                .arg("y"),
        ),
        ("header without upstream", option("--header X:y")),
        (
            "header without colon",
            Setup::args("--upstream https://e/ --header X"),
        ),
        (
            "header twice by options",
            Setup::args("--upstream https://e/ --header X:y --header x:z"),
        ),
        (
            "header variable not set",
            Setup::args("--upstream https://e/ --header-env X=NOT_SET"),
        ),
        (
            "header variable malformed",
            Setup::args("--upstream https://e/ --header-env X"),
        ),
        (
            "header file missing",
            Setup::args("--upstream https://e/ --header-file h"),
        ),
        (
            "header file wrong",
            Setup::args("--upstream https://e/ --header-file h").file("h", "X: y\n\nnothing\n"),
        ),
        ("bad upstream", Setup::args("--upstream localhost:3000/mcp")),
        (
            "bad forward proxy",
            Setup::args("--upstream https://e/").env("HTTPS_PROXY", "socks5://p:1"),
        ),
    ]
}

#[test]
fn every_error_says_what_where_and_what_to_do() {
    let mut messages = String::new();
    for (name, setup) in wrong_setups() {
        match setup.load() {
            Ok(_) => panic!("`{name}` was taken"),
            Err(errors) => {
                assert!(!errors.findings.is_empty(), "{name}");
                messages.push_str(&format!("# {name}\n{errors}\n"));
                for warning in &errors.warnings {
                    messages.push_str(&format!("warning: {warning}\n"));
                }
                messages.push('\n');
            }
        }
    }
    insta::assert_snapshot!("errors", messages);
}

#[test]
fn doubtful_things_are_warnings() {
    let json = r#"{"mcpServers": {
  "a": {"command": "npx -y x", "comand": 1, "timeout": 3},
  "b": {"url": "http://example.com/", "headers": {"X": "y", "Content-Type": "z"}}
}, "theme": 1, "inputs": []}"#;
    let loaded = Setup::config("m.json", json)
        .env("MCP_WHITTLE_LOG_LEVL", "x")
        .env("MCP_WHITTLE_SOMETHING_ELSE_ENTIRELY", "x")
        .env("MCP_WHITTLE_HEADER", "X: y")
        .arg("--listen=0.0.0.0:1")
        .loaded();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("warnings", warnings.join("\n"));
}
