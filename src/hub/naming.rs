//! Names that clients see, and which server they mean.
//!
//! Rules: with a prefix every name is `server` + separator + name. A name longer than the limit is cut
//! and ends in a hash of the whole. Where two shown names would be equal, the first server in
//! configured order keeps it and later ones get a hash. URIs stay as they are; the first server that
//! lists one owns it, and a later one's twin is shown under `whittle+server:uri`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::jsonrpc::{members, text, write};
use crate::surface::plan::Part;

use super::settings::NamingSettings;

/// Task ids that are remembered, at most.
const TASKS: usize = 10_000;
/// Starts the form under which a twin URI is shown.
const TWIN_SCHEME: &str = "whittle+";

/// A shown name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Index of the server.
    pub(super) server: usize,
    /// The server's own name for it.
    pub(super) name: String,
}

/// What the names of one set mean.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Shared by sets that see the same, see [`super::same_lists`].
    tools: Arc<HashMap<String, Target>>,
    prompts: HashMap<String, Target>,
    uris: HashMap<String, Target>,
    templates: Vec<(String, usize)>,
    tasks: HashMap<String, usize>,
    task_order: VecDeque<String>,
}

/// Which names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Tool,
    Prompt,
    Uri,
}

impl Names {
    fn table(&mut self, kind: NameKind) -> &mut HashMap<String, Target> {
        match kind {
            NameKind::Tool => Arc::make_mut(&mut self.tools),
            NameKind::Prompt => &mut self.prompts,
            NameKind::Uri => &mut self.uris,
        }
    }

    /// Returns what the names of tools mean.
    pub(super) fn tools(&self) -> &Arc<HashMap<String, Target>> {
        &self.tools
    }

    /// Gives names of tools their meaning before they are listed anew.
    pub(super) fn set_tools(&mut self, tools: Arc<HashMap<String, Target>>) {
        self.tools = tools;
    }

    /// Forgets the names of one kind before they are listed anew.
    pub(super) fn clear(&mut self, kind: NameKind) {
        match kind {
            NameKind::Tool => self.tools = Arc::default(),
            _ => self.table(kind).clear(),
        }
    }

    /// Returns the name under which a server's tool or prompt is shown, and remembers it.
    pub(super) fn show(
        &mut self,
        kind: NameKind,
        server: usize,
        server_name: &str,
        name: &str,
        settings: &NamingSettings,
    ) -> String {
        let target = Target {
            server,
            name: name.to_owned(),
        };
        let plain = match kind {
            NameKind::Uri => name.to_owned(),
            _ if settings.is_prefixed => shown_name(server_name, name, settings),
            _ => name.to_owned(),
        };
        let table = self.table(kind);
        let shown = match table.get(&plain) {
            Some(other) if *other != target => match kind {
                NameKind::Uri => format!("{TWIN_SCHEME}{server_name}:{name}"),
                _ => with_hash(
                    &format!("{server_name}{}{name}", settings.separator),
                    &format!("{server_name}\n{name}"),
                    settings.max_name,
                ),
            },
            _ => plain,
        };
        table.insert(shown.clone(), target);
        shown
    }

    /// Returns what a shown name means. A name that was never listed is taken apart at the prefix.
    pub(super) fn resolve(
        &self,
        kind: NameKind,
        shown: &str,
        servers: &[&str],
        settings: &NamingSettings,
    ) -> Option<Target> {
        let table = match kind {
            NameKind::Tool => &self.tools,
            NameKind::Prompt => &self.prompts,
            NameKind::Uri => &self.uris,
        };
        if let Some(target) = table.get(shown) {
            return Some(target.clone());
        }
        if kind == NameKind::Uri {
            let rest = shown.strip_prefix(TWIN_SCHEME)?;
            let (server_name, uri) = rest.split_once(':')?;
            let server = servers.iter().position(|server| *server == server_name)?;
            return Some(Target {
                server,
                name: uri.to_owned(),
            });
        }
        if !settings.is_prefixed {
            return None;
        }
        servers
            .iter()
            .enumerate()
            .filter_map(|(server, server_name)| {
                let name = shown
                    .strip_prefix(server_name)?
                    .strip_prefix(&settings.separator)?;
                Some((
                    server_name.len(),
                    Target {
                        server,
                        name: name.to_owned(),
                    },
                ))
            })
            .max_by_key(|(length, _)| *length)
            .map(|(_, target)| target)
    }

    /// Remembers the templates of all servers.
    pub(super) fn set_templates(&mut self, templates: Vec<(String, usize)>) {
        self.templates = templates;
    }

    /// Returns the server whose template a URI fits: the one with the longest text before the first
    /// variable (RFC 6570 level 1 is enough to tell servers apart).
    pub(super) fn by_template(&self, uri: &str) -> Option<usize> {
        self.templates
            .iter()
            .filter_map(|(template, server)| {
                let literal = template.split('{').next().unwrap_or_default();
                (template == uri || (literal.len() < template.len() && uri.starts_with(literal)))
                    .then_some((literal.len(), *server))
            })
            .max_by_key(|(length, server)| (*length, std::cmp::Reverse(*server)))
            .map(|(_, server)| server)
    }

    /// Remembers which server made a task.
    pub(super) fn remember_task(&mut self, task: &str, server: usize) {
        if self.tasks.insert(task.to_owned(), server).is_none() {
            self.task_order.push_back(task.to_owned());
            if self.task_order.len() > TASKS
                && let Some(oldest) = self.task_order.pop_front()
            {
                self.tasks.remove(&oldest);
            }
        }
    }

    /// Returns the server that made a task.
    pub(super) fn task(&self, task: &str) -> Option<usize> {
        self.tasks.get(task).copied()
    }
}

/// Returns the tools of servers in configured order with the names that clients see; nothing else of
/// them changes.
pub fn named_tools(sent: &[Part], settings: &NamingSettings) -> Vec<Part> {
    let mut names = Names::default();
    let mut named = Vec::with_capacity(sent.len());
    for (server, part) in sent.iter().enumerate() {
        let mut rename = |item: &Bytes| {
            let Some(span) = members::member(item, "name") else {
                return item.clone();
            };
            let Some(name) = text::string_value(&item[span.clone()]) else {
                return item.clone();
            };
            let shown = names.show(NameKind::Tool, server, &part.server, &name, settings);
            if shown == name {
                return item.clone();
            }
            let edit = write::Edit {
                range: span,
                with: text::to_string(&shown).into(),
            };
            write::splice(item, vec![edit]).to_bytes()
        };
        named.push(Part {
            server: part.server.clone(),
            tools: part.tools.iter().map(&mut rename).collect(),
        });
    }
    named
}

/// Tells whether every client takes a name. Some refuse, or refuse a whole list for, one with other
/// characters than these, or a longer one (the rule of the large models' interfaces).
pub(super) fn is_taken_by_all(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}

fn shown_name(server: &str, name: &str, settings: &NamingSettings) -> String {
    let whole = format!("{server}{}{name}", settings.separator);
    if whole.chars().count() <= settings.max_name {
        return whole;
    }
    with_hash(&whole, &whole, settings.max_name)
}

/// Cuts a name so that it fits with `_` and 8 hex digits of a hash of `identity` behind it.
fn with_hash(whole: &str, identity: &str, max: usize) -> String {
    let hash = blake3::hash(identity.as_bytes()).to_hex();
    let kept: String = whole.chars().take(max.saturating_sub(9)).collect();
    format!("{kept}_{}", &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(is_prefixed: bool) -> NamingSettings {
        NamingSettings {
            is_prefixed,
            separator: "--".into(),
            max_name: 64,
        }
    }

    const SERVERS: [&str; 3] = ["a", "a--b", "c"];

    fn show(names: &mut Names, kind: NameKind, server: usize, name: &str, prefix: bool) -> String {
        names.show(kind, server, SERVERS[server], name, &settings(prefix))
    }

    #[test]
    fn shown_names_fit_are_unique_and_resolve() {
        let mut names = Names::default();
        let long = "x".repeat(100);
        let shown: Vec<(String, usize, &str)> = [
            (0, "b--t"),
            (1, "t"),
            (0, "t"),
            (2, long.as_str()),
            (2, "t"),
        ]
        .map(|(server, name)| {
            (
                show(&mut names, NameKind::Tool, server, name, true),
                server,
                name,
            )
        })
        .to_vec();
        let mut unique: Vec<&str> = shown.iter().map(|(s, ..)| s.as_str()).collect();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), shown.len());
        for (shown, server, name) in &shown {
            assert!(shown.chars().count() <= 64, "{shown}");
            let target = names
                .resolve(NameKind::Tool, shown, &SERVERS, &settings(true))
                .unwrap();
            assert_eq!((target.server, target.name.as_str()), (*server, *name));
        }
        assert_eq!(shown[0].0, "a--b--t", "the first in order keeps the name");
    }

    #[test]
    fn names_never_listed_are_taken_apart_at_the_longest_server() {
        let names = Names::default();
        let resolve = |shown: &str| {
            names
                .resolve(NameKind::Tool, shown, &SERVERS, &settings(true))
                .map(|t| (t.server, t.name))
        };
        assert_eq!(resolve("a--b--t"), Some((1, "t".into())));
        assert_eq!(resolve("a--t"), Some((0, "t".into())));
        assert_eq!(resolve("d--t"), None);
    }

    #[test]
    fn twins_without_prefix_and_twin_uris_find_their_server() {
        let mut names = Names::default();
        assert_eq!(show(&mut names, NameKind::Tool, 0, "t", false), "t");
        let twin = show(&mut names, NameKind::Tool, 2, "t", false);
        assert!(twin.starts_with("c--t_"), "{twin}");
        assert_eq!(
            show(&mut names, NameKind::Uri, 0, "file:///x", false),
            "file:///x"
        );
        let uri = show(&mut names, NameKind::Uri, 2, "file:///x", false);
        assert_eq!(uri, "whittle+c:file:///x");
        let target = names
            .resolve(NameKind::Uri, &uri, &SERVERS, &settings(false))
            .unwrap();
        assert_eq!((target.server, target.name.as_str()), (2, "file:///x"));
    }

    #[test]
    fn tools_are_named_as_lists_name_them() {
        let part = |server: &str, tools: &[&'static str]| Part {
            server: server.into(),
            tools: tools
                .iter()
                .map(|tool| Bytes::from_static(tool.as_bytes()))
                .collect(),
        };
        let sent = [
            part("a", &[r#"{"x":1, "name":"t"}"#, r#"{"name":"t"}"#, "7"]),
            part("c", &[r#"{"name":"t"}"#]),
        ];
        let texts = |prefix| -> Vec<String> {
            named_tools(&sent, &settings(prefix))
                .iter()
                .flat_map(|part| &part.tools)
                .map(|tool| String::from_utf8_lossy(tool).into_owned())
                .collect()
        };
        let prefixed = [r#"{"x":1, "name":"a--t"}"#, r#"{"name":"a--t"}"#, "7"];
        assert_eq!(texts(true)[..3], prefixed);
        assert_eq!(texts(true)[3], r#"{"name":"c--t"}"#);
        let plain = texts(false);
        assert_eq!(plain[0], r#"{"x":1, "name":"t"}"#);
        assert!(plain[3].starts_with(r#"{"name":"c--t_"#), "{}", plain[3]);
    }

    #[test]
    fn templates_tell_servers_apart() {
        let mut names = Names::default();
        names.set_templates(vec![
            ("x://{id}".into(), 0),
            ("x://deep/{id}".into(), 1),
            ("{+any}".into(), 2),
        ]);
        assert_eq!(names.by_template("x://1"), Some(0));
        assert_eq!(names.by_template("x://deep/1"), Some(1));
        assert_eq!(names.by_template("y://1"), Some(2));
    }
}
