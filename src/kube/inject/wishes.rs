//! What a pod's annotations ask for, read strictly. Pure.
//!
//! An annotation of ours that is unknown, or whose value cannot be meant, is an [`Invalid`] that names
//! it: guessing would inject something else than was asked for.

use serde_json::{Map, Value};

use super::quantity;
use super::text::{Invalid, is_dns_label, is_image_name, is_variable_name};
use crate::surface::plan::Budget;

/// Where the sidecar listens for clients of a server whose named port it takes over.
const LISTEN_PORT: u16 = 15180;
/// Where probes find it; clear of Istio's 15000–15090, Linkerd's 4140–4191 and Dapr's ports.
const ADMIN_PORT: u16 = 15191;
/// Longest text of one annotation in bytes.
const MAX_TEXT: usize = 16 << 10;

/// How mcp-whittle stands in a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Before a server that listens on a port.
    Server,
    /// Behind a client that finds its servers in environment variables.
    Client,
    /// Around the command of a stdio server.
    Stdio,
}

impl Mode {
    /// The word for it in annotations.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Stdio => "stdio",
        }
    }
}

/// The port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// By the name of a container port, which the sidecar takes over.
    Named(String),
    /// By number; the server listens on loopback only.
    Number(u16),
}

/// Everything annotations can ask for, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// `mode`; without it a port named `mcp` decides.
    pub mode: Option<Mode>,
    /// `container`.
    pub container: Option<String>,
    /// `port`.
    pub port: Port,
    /// `path` of the server's endpoint.
    pub path: String,
    /// `listen-port`.
    pub listen_port: u16,
    /// `admin-port`; further client sidecars take the numbers after it.
    pub admin_port: u16,
    /// `app-bind: loopback`.
    pub is_loopback_app: bool,
    /// `upstream-env`.
    pub upstream_env: Vec<String>,
    /// `set-env`.
    pub set_env: Vec<(String, String)>,
    /// `command`.
    pub command: Option<Vec<String>>,
    /// `expose`.
    pub expose: Option<u16>,
    /// `config`: the name of a ConfigMap.
    pub config: Option<String>,
    /// `resources` of our container.
    pub resources: Option<Value>,
    /// `image`.
    pub image: Option<String>,
    /// Values of options of the same names: `budget`, `profile`, `log-level`.
    pub options: Vec<(&'static str, String)>,
    /// `allow-host`.
    pub allow_host: Vec<String>,
    /// `allow-origin`.
    pub allow_origin: Vec<String>,
    /// `native-sidecar`; nothing for `auto`.
    pub is_native: Option<bool>,
    /// `order: first`.
    pub is_first: bool,
    /// The annotations that are there.
    pub given: Vec<&'static str>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            mode: None,
            container: None,
            port: Port::Named("mcp".to_owned()),
            path: "/mcp".to_owned(),
            listen_port: LISTEN_PORT,
            admin_port: ADMIN_PORT,
            is_loopback_app: false,
            upstream_env: Vec::new(),
            set_env: Vec::new(),
            command: None,
            expose: None,
            config: None,
            resources: None,
            image: None,
            options: Vec::new(),
            allow_host: Vec::new(),
            allow_origin: Vec::new(),
            is_native: None,
            is_first: false,
            given: Vec::new(),
        }
    }
}

/// An annotation: its name, the modes it means something in, what reads it.
struct Known {
    name: &'static str,
    modes: &'static [Mode],
    read: fn(&mut Wishes, &str) -> Result<(), String>,
}

const ALL: &[Mode] = &[Mode::Server, Mode::Client, Mode::Stdio];
const SIDECAR: &[Mode] = &[Mode::Server, Mode::Client];

const KNOWN: &[Known] = &[
    known("mode", ALL, |wishes, text| {
        wishes.mode = Some(one_of(
            text,
            &[
                ("server", Mode::Server),
                ("client", Mode::Client),
                ("stdio", Mode::Stdio),
            ],
        )?);
        Ok(())
    }),
    known("container", ALL, |wishes, text| {
        wishes.container = Some(label(text)?);
        Ok(())
    }),
    known("port", &[Mode::Server], |wishes, text| {
        wishes.port = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            Port::Number(port(text)?)
        } else if text.len() <= 15 && is_dns_label(text) {
            Port::Named(text.to_owned())
        } else {
            return Err("expected the name or the number of a container port".to_owned());
        };
        Ok(())
    }),
    known("path", &[Mode::Server], |wishes, text| {
        let is_path = text.starts_with('/')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
        if !is_path {
            return Err("expected a path such as /mcp".to_owned());
        }
        wishes.path = text.to_owned();
        Ok(())
    }),
    known("listen-port", SIDECAR, |wishes, text| {
        wishes.listen_port = port(text)?;
        Ok(())
    }),
    known("admin-port", SIDECAR, |wishes, text| {
        wishes.admin_port = port(text)?;
        Ok(())
    }),
    known("app-bind", &[Mode::Server], |wishes, text| {
        wishes.is_loopback_app = one_of(text, &[("loopback", true)])?;
        Ok(())
    }),
    known("upstream-env", &[Mode::Client], |wishes, text| {
        for name in text.split(',').map(str::trim) {
            if !is_variable_name(name) {
                return Err("expected names of variables, with commas between them".to_owned());
            }
            wishes.upstream_env.push(name.to_owned());
        }
        Ok(())
    }),
    known("set-env", &[Mode::Client], |wishes, text| {
        for pair in text.split_whitespace() {
            let (name, url) = pair
                .split_once('=')
                .filter(|(name, url)| is_variable_name(name) && is_url(url))
                .ok_or("expected NAME=https://…, with spaces or newlines between several")?;
            wishes.set_env.push((name.to_owned(), url.to_owned()));
        }
        Ok(())
    }),
    known("command", &[Mode::Stdio], |wishes, text| {
        let command: Vec<String> = serde_json::from_str(text)
            .map_err(|_| "expected a JSON array of texts, e.g. [\"node\",\"server.js\"]")?;
        if command.first().is_none_or(String::is_empty) {
            return Err("the array names no program".to_owned());
        }
        wishes.command = Some(command);
        Ok(())
    }),
    known("expose", &[Mode::Stdio], |wishes, text| {
        wishes.expose = Some(port(text)?);
        Ok(())
    }),
    known("config", ALL, |wishes, text| {
        let is_name = text.len() <= 253 && text.split('.').all(is_dns_label);
        if !is_name {
            return Err("expected the name of a ConfigMap".to_owned());
        }
        wishes.config = Some(text.to_owned());
        Ok(())
    }),
    known("resources", ALL, |wishes, text| {
        wishes.resources = Some(resources(text)?);
        Ok(())
    }),
    known("image", ALL, |wishes, text| {
        if !is_image_name(text) {
            return Err("expected the name of an image".to_owned());
        }
        wishes.image = Some(text.to_owned());
        Ok(())
    }),
    known("budget", ALL, |wishes, text| {
        if text.parse::<Budget>().is_err() {
            return Err("expected a number of tokens such as 4000 or 4k, auto, or none".to_owned());
        }
        wishes.options.push(("--budget", text.to_owned()));
        Ok(())
    }),
    known("profile", ALL, |wishes, text| {
        wishes.options.push(("--profile", label(text)?));
        Ok(())
    }),
    known("log-level", ALL, |wishes, text| {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let level = one_of(text, &levels.map(|level| (level, level)))?;
        wishes.options.push(("--log-level", level.to_owned()));
        Ok(())
    }),
    known("allow-host", ALL, |wishes, text| {
        wishes.allow_host = words(text)?;
        Ok(())
    }),
    known("allow-origin", ALL, |wishes, text| {
        wishes.allow_origin = words(text)?;
        Ok(())
    }),
    known("native-sidecar", SIDECAR, |wishes, text| {
        wishes.is_native = one_of(
            text,
            &[("auto", None), ("true", Some(true)), ("false", Some(false))],
        )?;
        Ok(())
    }),
    known("order", SIDECAR, |wishes, text| {
        wishes.is_first = one_of(text, &[("last", false), ("first", true)])?;
        Ok(())
    }),
];

const fn known(
    name: &'static str,
    modes: &'static [Mode],
    read: fn(&mut Wishes, &str) -> Result<(), String>,
) -> Known {
    Known { name, modes, read }
}

impl Wishes {
    /// Reads the annotations whose names begin with `prefix` and a slash. `status` is ours.
    ///
    /// # Errors
    /// The first annotation that is unknown or wrong.
    pub fn read(annotations: Option<&Map<String, Value>>, prefix: &str) -> Result<Self, Invalid> {
        let mut wishes = Self::default();
        for (key, value) in annotations.into_iter().flatten() {
            let Some(name) = key
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('/'))
                .filter(|name| *name != "status")
            else {
                continue;
            };
            let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
                let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
                return Err(Invalid::new(
                    format!("the annotation `{}` is unknown", shown(key)),
                    format!("these are known: {}", names.join(", ")),
                ));
            };
            let wrong = |why: &str| {
                Invalid::new(
                    format!("the annotation `{key}` cannot be used: {why}"),
                    "correct it or take it away",
                )
            };
            let text = value
                .as_str()
                .ok_or_else(|| wrong("its value is not a text; put it into quotes"))?;
            if text.len() > MAX_TEXT {
                return Err(wrong("it is longer than 16 KiB"));
            }
            (known.read)(&mut wishes, text.trim()).map_err(|why| wrong(&why))?;
            wishes.given.push(known.name);
        }
        Ok(wishes)
    }

    /// The annotations that mean nothing in this mode.
    pub fn unused_in(&self, mode: Mode) -> Vec<&'static str> {
        let is_used = |name: &&str| {
            KNOWN
                .iter()
                .any(|known| known.name == *name && known.modes.contains(&mode))
        };
        let given = self.given.iter().copied();
        given.filter(|name| !is_used(name)).collect()
    }
}

/// The start of a text from outside, for a message.
fn shown(text: &str) -> String {
    text.chars()
        .take(100)
        .filter(|character| !character.is_control())
        .collect()
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("expected {}", words.join(" or "))
        })
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| "expected a port from 1 to 65535".to_owned())
}

fn label(text: &str) -> Result<String, String> {
    if is_dns_label(text) {
        Ok(text.to_owned())
    } else {
        Err("expected a name of lower-case letters, digits and `-`".to_owned())
    }
}

/// Words of options, with commas between them; nothing in them that an option could be.
fn words(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(str::trim)
        .map(|word| {
            let is_word = !word.is_empty()
                && !word.starts_with('-')
                && !word.contains("$(")
                && word.bytes().all(|byte| byte.is_ascii_graphic());
            is_word.then(|| word.to_owned())
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "expected names, with commas between them".to_owned())
}

/// Whether a text is an HTTP URL without references to variables.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains("$(")
        && !text.contains('#')
}

/// Reads requests and limits; what they hold is kept, but a request may not exceed its limit.
fn resources(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|_| "expected JSON such as {\"limits\":{\"memory\":\"256Mi\"}}")?;
    let groups = value
        .as_object()
        .ok_or("expected an object with requests and limits")?;
    for (group, amounts) in groups {
        if !["requests", "limits"].contains(&group.as_str()) {
            return Err("expected an object with requests and limits".to_owned());
        }
        let amounts = amounts
            .as_object()
            .ok_or("requests and limits are objects")?;
        for (name, amount) in amounts {
            if !["cpu", "memory", "ephemeral-storage"].contains(&name.as_str()) {
                return Err("only cpu, memory and ephemeral-storage can be given".to_owned());
            }
            let amount = quantity::thousandths(amount)
                .ok_or_else(|| format!("the amount of {name} is no quantity such as 128Mi"))?;
            let limit = value["limits"]
                .get(name)
                .and_then(quantity::thousandths)
                .unwrap_or(u128::MAX);
            if group == "requests" && amount > limit {
                return Err(format!("more {name} is requested than the limit allows"));
            }
        }
    }
    Ok(value)
}
