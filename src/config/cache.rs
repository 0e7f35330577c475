//! The settings of the result cache: what is granted for calls, and where answers are kept.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::cache::rules::{Audience, Pattern, Rules, ServerRule, ToolRule};

use super::document::{Entry, Node, Value};
use super::finding::{Fault, did_you_mean};
use super::input::Input;
use super::text::{self, show_duration};

/// Longest time that the operator may grant.
pub(super) const MOST_TTL: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a file with a secret, at most.
const SECRET_BYTES: u64 = 4096;
/// Least bytes of the secret that replicas share.
const LEAST_SECRET: usize = 32;

/// The result cache.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// What is granted for calls.
    pub rules: Rules,
    /// Bytes in memory; 0 keeps nothing.
    pub max_bytes: u64,
    /// Longest time that anything is fresh, whoever said so.
    pub max_ttl: Duration,
    /// How long it is kept that a resource does not exist; none keeps nothing.
    pub negative_ttl: Option<Duration>,
    /// Bytes in the state folder, which processes of one user share; 0 keeps nothing there.
    pub disk_bytes: u64,
    /// What replicas share.
    pub redis: Option<RedisSettings>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            max_bytes: 64 << 20,
            max_ttl: Duration::from_secs(3600),
            negative_ttl: None,
            disk_bytes: 0,
            redis: None,
        }
    }
}

/// A Redis or Valkey server.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://host:port/db` or `rediss://…` (TLS), without user name or password.
    pub url: String,
    /// A PEM file with the authorities that TLS trusts; none = the system's.
    pub ca: Option<PathBuf>,
    /// The ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// What all keys begin with.
    pub prefix: String,
    /// What replicas share; none = answers and handles are this process's own.
    pub secret: Option<SecretString>,
}

impl PartialEq for RedisSettings {
    fn eq(&self, other: &Self) -> bool {
        let shown = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|secret| secret.expose_secret().to_owned())
        };
        (&self.url, &self.ca, &self.username, &self.prefix)
            == (&other.url, &other.ca, &other.username, &other.prefix)
            && shown(&self.password) == shown(&other.password)
            && shown(&self.secret) == shown(&other.secret)
    }
}

impl fmt::Display for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::redact::url(&self.url))
    }
}

/// Reads `cache.tools`: a table in a file, `TOOL=TIME` elsewhere.
pub(super) fn tools(input: &Input<'_>) -> Result<Vec<ToolRule>, Fault> {
    if let Input::Node(node, _) = input
        && let Value::Table(entries) = &node.value
    {
        return entries.iter().map(tool_of_entry).collect();
    }
    input
        .list()?
        .iter()
        .map(|text| tool_of_text(text))
        .collect()
}

/// Shows the rules for tools.
pub(super) fn show_tools(rules: &[ToolRule]) -> String {
    let all: Vec<String> = rules
        .iter()
        .map(|rule| format!("{}={}", rule.pattern.as_str(), show_duration(rule.ttl)))
        .collect();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}

fn tool_of_text(text: &str) -> Result<ToolRule, Fault> {
    let expected = || {
        Fault::new(format!("expected `TOOL=TIME`, found `{text}`"))
            .hint("for example `--cache-tools 'read_*=60s'`; `*` stands for any characters, and `SERVER/TOOL` means one server's")
    };
    let (pattern, ttl) = text.rsplit_once('=').ok_or_else(expected)?;
    let pattern = Pattern::new(pattern).ok_or_else(expected)?;
    Ok(ToolRule {
        pattern,
        ttl: ttl_of(ttl)?,
        audience: Audience::Principal,
        vary: Vec::new(),
        invalidated_by: None,
        stale_if_error: Duration::ZERO,
    })
}

fn tool_of_entry(entry: &Entry) -> Result<ToolRule, Fault> {
    let at = |fault: Fault| match fault.line {
        Some(_) => fault,
        None => fault.at(entry.line),
    };
    let pattern = Pattern::new(&entry.key)
        .ok_or_else(|| Fault::new("the pattern is empty").at(entry.line))?;
    // The short form: "server/tool" = "60s".
    if let Value::Text(text) = &entry.node.value {
        return Ok(ToolRule {
            pattern,
            ..tool_of_text(&format!("x={text}")).map_err(at)?
        });
    }
    let known = ["ttl", "scope", "vary", "invalidated_by", "stale_if_error"];
    let table = Table::new(&entry.node, &known).map_err(at)?;
    let ttl = table
        .text("ttl")?
        .ok_or_else(|| {
            Fault::new(format!("`{}` has no `ttl`", entry.key))
                .hint("say how long an answer is fresh: `ttl = \"60s\"`")
        })
        .and_then(ttl_of)
        .map_err(at)?;
    let audience = match table.text("scope")? {
        None | Some("principal") => Audience::Principal,
        Some("session") => Audience::Session,
        Some("shared") => Audience::Shared,
        Some(other) => {
            return Err(at(Fault::new(format!(
                "`scope` is `session`, `principal` or `shared`, found `{other}`"
            ))));
        }
    };
    let invalidated_by = match table.node("invalidated_by") {
        Some(node) => {
            let texts = Input::Node(node, Path::new("")).list()?;
            let patterns: Vec<Pattern> =
                texts.iter().filter_map(|text| Pattern::new(text)).collect();
            Some(patterns)
        }
        None => None,
    };
    Ok(ToolRule {
        pattern,
        ttl,
        audience,
        vary: match table.node("vary") {
            Some(node) => Input::Node(node, Path::new("")).list()?,
            None => Vec::new(),
        },
        invalidated_by,
        stale_if_error: match table.text("stale_if_error")? {
            Some(text) => ttl_of(text).map_err(at)?,
            None => Duration::ZERO,
        },
    })
}

/// Reads a time that may be zero (`0s`: the tool reads only, and nothing is kept).
fn ttl_of(text: &str) -> Result<Duration, Fault> {
    let ttl = text::parse_duration(text.trim())
        .map_err(|problem| Fault::new(format!("{problem}, found `{text}`")))?;
    if ttl > MOST_TTL {
        return Err(Fault::new(format!(
            "`{text}` is too long; the most is `{}`",
            show_duration(MOST_TTL)
        )));
    }
    Ok(ttl)
}

/// Reads `cache.servers`: which servers' hints are believed.
pub(super) fn servers(input: &Input<'_>) -> Result<Vec<ServerRule>, Fault> {
    let Input::Node(node, _) = input else {
        return Err(Fault::new("this is a table of a file")
            .hint("write `[cache.servers.NAME]` with `trusted = true` and `ttl = \"60s\"`"));
    };
    let mut rules = Vec::new();
    for entry in node.as_table()? {
        let table = Table::new(&entry.node, &["trusted", "ttl"])?;
        let is_trusted = match table.node("trusted") {
            Some(node) => node.as_bool()?,
            None => false,
        };
        let ttl = table.text("ttl")?.map(ttl_of).transpose()?;
        match (is_trusted, ttl) {
            (true, Some(ttl)) => rules.push(ServerRule {
                server: entry.key.clone(),
                ttl,
            }),
            (true, None) => {
                return Err(Fault::new(format!("`{}` has no `ttl`", entry.key))
                    .at(entry.line)
                    .hint("hints say nothing about time: add `ttl = \"60s\"`"));
            }
            (false, _) => {}
        }
    }
    Ok(rules)
}

/// Shows the servers whose hints are believed.
pub(super) fn show_servers(rules: &[ServerRule]) -> String {
    let all: Vec<String> = rules
        .iter()
        .map(|rule| format!("{}={}", rule.server, show_duration(rule.ttl)))
        .collect();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}

/// Reads `cache.redis`: a table in a file, a URL elsewhere.
pub(super) fn redis(input: &Input<'_>) -> Result<RedisSettings, Fault> {
    let mut settings = RedisSettings {
        url: String::new(),
        ca: None,
        username: None,
        password: None,
        prefix: "mcp-whittle".to_owned(),
        secret: None,
    };
    let table = match input {
        Input::Node(node, _) if matches!(node.value, Value::Table(_)) => *node,
        _ => {
            settings.url = redis_url(&input.text()?)?;
            return Ok(settings);
        }
    };
    let known = [
        "url",
        "ca",
        "username",
        "password_file",
        "prefix",
        "secret_file",
    ];
    let table = Table::new(table, &known)?;
    let url = table.text("url")?.ok_or_else(|| {
        Fault::new("`cache.redis` has no `url`").hint("write `url = \"rediss://host:6379\"`")
    })?;
    settings.url = redis_url(url)?;
    settings.ca = table.text("ca")?.map(|path| input.path(path));
    settings.username = table.text("username")?.map(str::to_owned);
    settings.password = match table.text("password_file")? {
        Some(path) => Some(secret_file(&input.path(path), 1)?),
        None => None,
    };
    if let Some(prefix) = table.text("prefix")? {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
        if prefix.is_empty() || prefix.len() > 64 || !prefix.chars().all(is_plain) {
            return Err(Fault::new(format!("`prefix` cannot be `{prefix}`"))
                .hint("1 to 64 letters, digits, `-`, `_`, `:` and `.`"));
        }
        settings.prefix = prefix.to_owned();
    }
    settings.secret = match table.text("secret_file")? {
        Some(path) => Some(secret_file(&input.path(path), LEAST_SECRET)?),
        None => None,
    };
    if settings.ca.is_some() && !settings.url.starts_with("rediss://") {
        return Err(Fault::new("`ca` is given, but the URL is not `rediss://`")
            .hint("without TLS nobody checks an authority"));
    }
    Ok(settings)
}

fn redis_url(url: &str) -> Result<String, Fault> {
    let rest = url
        .strip_prefix("redis://")
        .or_else(|| url.strip_prefix("rediss://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        return Err(Fault::new(format!(
            "`{}` is not a URL of Redis",
            super::redact::url(url)
        ))
        .hint("write `redis://host:6379/0`, or `rediss://` for TLS"));
    };
    if rest.contains('@') {
        return Err(Fault::new("the URL of Redis has a user name or password")
            .hint("use `username` and `password_file`"));
    }
    if rest.contains(['?', '#']) {
        return Err(
            Fault::new("the URL of Redis has more than host, port and database")
                .hint("take out `?` or `#` and what follows"),
        );
    }
    Ok(url.to_owned())
}

fn secret_file(path: &Path, least: usize) -> Result<SecretString, Fault> {
    let shown = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(SECRET_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| {
            Fault::new(format!("`{shown}` cannot be read: {error}"))
                .hint("check the path and its permissions")
        })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.len() < least || text.len() as u64 > SECRET_BYTES {
        return Err(Fault::new(format!(
            "`{shown}` has {} bytes; {least} to {SECRET_BYTES} are needed",
            text.len()
        ))
        .hint("`openssl rand -hex 32` makes one"));
    }
    Ok(SecretString::from(text.to_owned()))
}

/// A table whose keys are all known.
struct Table<'a>(&'a Node);

impl<'a> Table<'a> {
    fn new(node: &'a Node, known: &[&str]) -> Result<Self, Fault> {
        for entry in node.as_table()? {
            if !known.contains(&entry.key.as_str()) {
                let fault = Fault::new(format!("unknown key `{}`", entry.key)).at(entry.line);
                return Err(match did_you_mean(&entry.key, known.iter().copied()) {
                    Some(hint) => fault.hint(hint),
                    None => fault.hint("docs/cache.md lists them"),
                });
            }
        }
        Ok(Self(node))
    }

    fn node(&self, key: &str) -> Option<&'a Node> {
        self.0.get(key).map(|entry| &entry.node)
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, Fault> {
        self.node(key).map(Node::as_text).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Syntax, parse};
    use super::*;

    fn node(text: &str, key: &str) -> Node {
        let root = parse(text, Syntax::Toml).unwrap_or_else(|fault| panic!("{}", fault.problem));
        root.get(key).unwrap().node.clone()
    }

    #[test]
    fn rules_are_read_whole_or_short() {
        let node = node(
            r#"
            [tools]
            "git/status" = { ttl = "60s", scope = "session", vary = ["x/y"], invalidated_by = ["git/commit"], stale_if_error = "5m" }
            "get_*" = "0s"
            "#,
            "tools",
        );
        let rules = tools(&Input::Node(&node, Path::new(""))).ok().unwrap();
        assert_eq!(rules[0].audience, Audience::Session);
        assert_eq!(rules[0].vary, ["x/y"]);
        assert_eq!(rules[0].invalidated_by.as_ref().unwrap().len(), 1);
        assert_eq!(rules[0].stale_if_error, Duration::from_secs(300));
        assert_eq!(show_tools(&rules), "git/status=1m, */get_*=0s");
        let typed = tools(&Input::Typed(&["read_*=5m".to_owned()]))
            .ok()
            .unwrap();
        assert_eq!(show_tools(&typed), "*/read_*=5m");
    }

    #[test]
    fn mistakes_are_named() {
        let fault = |text: &str| {
            let node = node(text, "tools");
            match tools(&Input::Node(&node, Path::new(""))) {
                Ok(_) => panic!("{text} was taken"),
                Err(fault) => fault.problem,
            }
        };
        assert!(fault("[tools]\n\"a\" = {}").contains("no `ttl`"));
        assert!(fault("[tools]\n\"a\" = { tl = \"1s\" }").contains("`tl`"));
        assert!(fault("[tools]\n\"a\" = \"1\"").contains("unit"));
        assert!(fault("[tools]\n\"a\" = \"2d\"").contains("too long"));
        assert!(fault("[tools]\n\"a\" = { ttl = \"1s\", scope = \"all\" }").contains("`all`"));
        assert!(tools(&Input::Typed(&["x".to_owned()])).is_err());
        let trusted = node("[s.a]\ntrusted = true\n", "s");
        assert!(servers(&Input::Node(&trusted, Path::new(""))).is_err());
    }

    #[test]
    fn redis_has_no_password_in_its_url_and_a_long_secret() {
        for url in ["http://x", "redis://", "redis://u:p@h", "redis://h?x=1"] {
            assert!(redis(&Input::Variable(url)).is_err(), "{url}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("short"), "x").unwrap();
        std::fs::write(folder.path().join("long"), "x".repeat(64) + "\n").unwrap();
        let of = |file: &str| {
            let text = format!("[redis]\nurl = \"redis://h\"\nsecret_file = \"{file}\"\n");
            let node = node(&text, "redis");
            redis(&Input::Node(&node, folder.path()))
        };
        assert!(of("short").is_err() && of("none").is_err());
        let settings = of("long").ok().unwrap();
        assert!(!format!("{settings:?}").contains("xxx"));
    }
}
