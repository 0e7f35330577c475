//! The two kinds of configuration files: which of their keys are settings and which are servers.

use std::path::{Path, PathBuf};

use super::document::{self, Entry, Node, Syntax};
use super::environment::EnvSource;
use super::expand::expand;
use super::finding::{Fault, Findings, Origin, did_you_mean};
use super::keys::keys;
use super::server::RawServer;
use super::source::{self, FileReader};

/// Keys of a TOML file besides the settings.
const SERVER_KEYS: [&str; 3] = ["servers", "server", "mcp_servers"];

/// The only section of settings that a JSON file has.
const POLICY: &str = "policy";

/// What a file says, its values not yet read.
#[derive(Default)]
pub(super) struct FileContent {
    /// Settings by the name of their key.
    pub(super) settings: Vec<(&'static str, u32, Node)>,
    /// Servers in the order of the file.
    pub(super) servers: Vec<RawServer>,
}

/// Reads a configuration file; what is wrong becomes findings.
pub(super) fn read(
    path: &Path,
    environment: &impl EnvSource,
    read_file: FileReader<'_>,
    findings: &mut Findings,
) -> FileContent {
    let mut content = FileContent::default();
    let Some((root, syntax)) = parse(path, None, read_file, findings) else {
        return content;
    };
    let outcome = match syntax {
        Syntax::Json => {
            if let Some(policy) = root.get(POLICY) {
                section(policy, path, findings, &mut content);
            }
            json_servers(&root, path, true, findings).map(|servers| content.servers = servers)
        }
        Syntax::Toml => {
            toml(&root, path, environment, read_file, findings, &mut content);
            Ok(())
        }
    };
    if let Err(fault) = outcome {
        findings.error(
            Some(Origin::File {
                path: path.to_owned(),
                line: None,
            }),
            None,
            fault,
        );
    }
    content
}

fn parse(
    path: &Path,
    syntax: Option<Syntax>,
    read_file: FileReader<'_>,
    findings: &mut Findings,
) -> Option<(Node, Syntax)> {
    let parsed = source::read_text(path, read_file).and_then(|text| {
        let syntax = syntax.unwrap_or_else(|| guess_syntax(path, &text));
        document::parse(&text, syntax).map(|root| (root, syntax))
    });
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(fault) => {
            findings.error(
                Some(Origin::File {
                    path: path.to_owned(),
                    line: None,
                }),
                None,
                fault,
            );
            None
        }
    }
}

fn guess_syntax(path: &Path, text: &str) -> Syntax {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Syntax::Toml,
        Some("json" | "jsonc" | "json5") => Syntax::Json,
        _ if text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with(['{', '/']) =>
        {
            Syntax::Json
        }
        _ => Syntax::Toml,
    }
}

/// Finds the servers of the ecosystem's JSON: under `mcpServers`, or `servers` as VS Code has it,
/// alone or inside `mcp`.
fn json_servers(
    root: &Node,
    path: &Path,
    has_policy: bool,
    findings: &mut Findings,
) -> Result<Vec<RawServer>, Fault> {
    let found = [&["mcpServers"][..], &["servers"], &["mcp", "servers"]]
        .into_iter()
        .find_map(|keys| {
            let mut node = root;
            let mut line = root.line;
            for key in keys {
                let entry = node.get(key)?;
                (node, line) = (&entry.node, entry.line);
            }
            Some((keys, line, node))
        });
    let entries = root.as_table()?;
    let Some((keys, line, node)) = found else {
        if has_policy && root.get(POLICY).is_some() {
            return Ok(Vec::new());
        }
        let hint = did_you_mean_any(
            entries.iter().map(|entry| entry.key.as_str()),
            &["mcpServers", "servers"],
        )
        .unwrap_or_else(|| "write `{\"mcpServers\": {\"name\": {\"command\": …}}}`".to_owned());
        return Err(Fault::new("the file has no `mcpServers`").hint(hint));
    };
    let others: Vec<String> = entries
        .iter()
        .filter(|entry| entry.key != keys[0] && !(has_policy && entry.key == POLICY))
        .map(|entry| entry.key.clone())
        .collect();
    if !others.is_empty() {
        let fault = Fault::new(format!("ignored: {}", super::input::quoted(&others)))
            .hint("settings of mcp-whittle stand in a TOML file, which can name this one as `mcp_servers`");
        findings.warning(
            Some(Origin::File {
                path: path.to_owned(),
                line: None,
            }),
            None,
            fault,
        );
    }
    let key = keys.join(".");
    let table = node.as_table().map_err(|fault| fault.at(line))?;
    Ok(table
        .iter()
        .map(|entry| RawServer {
            name: entry.key.clone(),
            key: format!("{key}.{}", entry.key),
            line: entry.line,
            node: entry.node.clone(),
            path: path.to_owned(),
            syntax: Syntax::Json,
        })
        .collect())
}

fn did_you_mean_any<'a>(given: impl Iterator<Item = &'a str>, known: &[&str]) -> Option<String> {
    let mut given = given;
    given.find_map(|key| did_you_mean(key, known.iter().copied()))
}

/// Sorts the keys of our own file into settings and servers.
fn toml(
    root: &Node,
    path: &Path,
    environment: &impl EnvSource,
    read_file: FileReader<'_>,
    findings: &mut Findings,
    content: &mut FileContent,
) {
    let origin = |line| {
        Some(Origin::File {
            path: path.to_owned(),
            line: Some(line),
        })
    };
    for entry in root.as_table().unwrap_or_default() {
        let key = entry.key.as_str();
        let is_section = keys().any(|known| {
            known
                .name
                .split_once('.')
                .is_some_and(|(section, _)| section == key)
        });
        let outcome = if key == "servers" {
            entry.node.as_table().map(|servers| {
                content
                    .servers
                    .extend(servers.iter().map(|server| RawServer {
                        name: server.key.clone(),
                        key: format!("servers.{}", server.key),
                        line: server.line,
                        node: server.node.clone(),
                        path: path.to_owned(),
                        syntax: Syntax::Toml,
                    }));
            })
        } else if key == "server" {
            named_servers(&entry.node, path, findings)
                .map(|servers| content.servers.extend(servers))
        } else if key == "mcp_servers" {
            named_file(&entry.node, path, environment).map(|named: PathBuf| {
                let Some((root, _)) = parse(&named, Some(Syntax::Json), read_file, findings) else {
                    return;
                };
                match json_servers(&root, &named, false, findings) {
                    Ok(servers) => content.servers.extend(servers),
                    Err(fault) => findings.error(
                        Some(Origin::File {
                            path: named,
                            line: None,
                        }),
                        None,
                        fault,
                    ),
                }
            })
        } else if let Some(known) = keys().find(|known| known.name == key) {
            content
                .settings
                .push((known.name, entry.line, entry.node.clone()));
            Ok(())
        } else if !is_section {
            let known = keys().map(|known| known.name.split('.').next().unwrap_or_default());
            Err(unknown_key(key, known.chain(SERVER_KEYS)))
        } else {
            section(entry, path, findings, content);
            Ok(())
        };
        if let Err(fault) = outcome {
            findings.error(origin(entry.line), Some(key), fault);
        }
    }
}

/// Takes the settings of a section.
fn section(entry: &Entry, path: &Path, findings: &mut Findings, content: &mut FileContent) {
    let origin = |line| {
        Some(Origin::File {
            path: path.to_owned(),
            line: Some(line),
        })
    };
    let key = entry.key.as_str();
    let known = keys().filter_map(|known| {
        let (section, leaf) = known.name.split_once('.')?;
        (section == key).then_some((leaf, known.name))
    });
    let leaves = match entry.node.as_table() {
        Ok(leaves) => leaves,
        Err(fault) => return findings.error(origin(entry.line), Some(key), fault),
    };
    for leaf in leaves {
        match known.clone().find(|(name, _)| *name == leaf.key) {
            Some((_, name)) => content.settings.push((name, leaf.line, leaf.node.clone())),
            None => {
                let fault = unknown_key(&leaf.key, known.clone().map(|(leaf, _)| leaf));
                let name = format!("{key}.{}", leaf.key);
                findings.error(origin(leaf.line), Some(&name), fault);
            }
        }
    }
}

/// Says that a key is unknown, and which was meant, or in which section it belongs.
fn unknown_key<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Fault {
    let fault = Fault::new("unknown key");
    let elsewhere = keys().find(|key| key.name.split('.').next_back() == Some(given));
    match (
        did_you_mean(given, known),
        elsewhere.and_then(|key| key.name.split_once('.')),
    ) {
        (Some(hint), _) => fault.hint(hint),
        (None, Some((section, leaf))) => {
            fault.hint(format!("`{leaf}` belongs into the section `[{section}]`"))
        }
        (None, None) => match elsewhere {
            Some(key) => fault.hint(format!(
                "`{}` stands at the top of the file, before every section",
                key.name
            )),
            None => fault.hint(
                "`mcp-whittle config check -- COMMAND` lists every key, docs/configuration.md explains them",
            ),
        },
    }
}

/// Reads `[[server]]`, whose entries have their name inside.
fn named_servers(
    node: &Node,
    path: &Path,
    findings: &mut Findings,
) -> Result<Vec<RawServer>, Fault> {
    let mut servers = Vec::new();
    for node in node
        .as_array()
        .map_err(|fault| fault.hint("write `[[server]]` with two brackets"))?
    {
        let origin = |line| {
            Some(Origin::File {
                path: path.to_owned(),
                line: Some(line),
            })
        };
        let name = match node.get("name") {
            Some(entry) => entry.node.as_text().map_err(|fault| (entry.line, fault)),
            None => Err((
                node.line,
                Fault::new("the server has no `name`")
                    .hint("add `name = \"…\"`, which prefixes its tools"),
            )),
        };
        match name {
            Ok(name) => servers.push(RawServer {
                name: name.to_owned(),
                key: format!("server.{name}"),
                line: node.line,
                node: node.clone(),
                path: path.to_owned(),
                syntax: Syntax::Toml,
            }),
            Err((line, fault)) => findings.error(origin(line), Some("server"), fault),
        }
    }
    Ok(servers)
}

fn named_file(node: &Node, path: &Path, environment: &impl EnvSource) -> Result<PathBuf, Fault> {
    let named = expand(node.as_text()?, environment)?;
    if named.is_empty() {
        return Err(Fault::new("the path is empty"));
    }
    Ok(source::folder(path).join(named))
}
