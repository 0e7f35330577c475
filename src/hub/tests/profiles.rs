//! Profiles by URL path: each path has its list, its sessions and its frozen surface; nothing else hangs on
//! it.

use super::surface::{hidden, reader, with_surface};
use super::*;
use crate::hub::action::HttpHead;
use crate::surface::plan::Form;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn searching() -> Profiles {
    let searches = Form {
        searches_itself: true,
        ..Form::default()
    };
    Profiles {
        configured: "generic".to_owned(),
        forms: [("generic", Form::default()), ("searcher", searches)]
            .map(|(name, form)| (name.to_owned(), form))
            .into(),
        ..Profiles::default()
    }
}

/// One server over HTTP, all of whose tools are hidden from those who do not search themselves.
fn world(is_shared: bool) -> World {
    let mut settings = HubSettings {
        profiles: searching(),
        ..with_surface(&["s"], EraChoice::Legacy, hidden())
    };
    settings.servers[0].is_shared = is_shared;
    World::of(settings, None)
}

/// What a client on a path got: statuses with their bodies, messages, and values of headers.
struct Client {
    path: Option<&'static str>,
    session: Option<String>,
    stream: u64,
}

impl Client {
    fn on(path: Option<&'static str>, stream: u64) -> Self {
        Self {
            path,
            session: None,
            stream,
        }
    }

    fn head(&self) -> HttpHead {
        HttpHead {
            session: self.session.clone(),
            profile: self.path.map(str::to_owned),
            is_loopback: true,
            ..HttpHead::default()
        }
    }

    /// Posts, and lets the server answer what it is asked.
    fn post(&mut self, world: &mut World, line: &str, tools: &[String]) -> String {
        self.stream += 1;
        let parsed = Message::parse(Bytes::copy_from_slice(line.as_bytes()), Limits::default());
        world
            .hub
            .handle_http_post(world.now, self.stream, &self.head(), parsed);
        let mut got = String::new();
        for _ in 0..8 {
            while let Some(action) = world.hub.poll_action() {
                match action {
                    Action::Send {
                        stream, message, ..
                    } if stream == self.stream => got.push_str(&text(&message.to_bytes())),
                    Action::Status {
                        stream,
                        status,
                        body,
                    } if stream == self.stream => {
                        let body = body.map(|body| text(&body.to_bytes())).unwrap_or_default();
                        got.push_str(&format!("{status} {body}"));
                    }
                    Action::Header { value, .. } => self.session = Some(value),
                    Action::SendUpstream {
                        upstream, message, ..
                    } => world.to_server.push((upstream, text(&message.to_bytes()))),
                    Action::Connect { upstream, .. } => {
                        world.connects += 1;
                        world.hub.handle_upstream_connected(world.now, upstream);
                    }
                    Action::LoadSnapshot { upstream, .. } => {
                        world.hub.handle_snapshot(world.now, upstream, None);
                    }
                    Action::MakeSurface {
                        key,
                        parts,
                        settings,
                    } => world.making.push((key, parts, settings)),
                    _ => {}
                }
            }
            for (upstream, line) in world.sent() {
                let answer = if line.contains("\"initialize\"") {
                    INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(&line)))
                } else if line.contains("\"tools/list\"") {
                    let (id, tools) = (id(&line), tools.join(","));
                    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{tools}]}}}}"#)
                } else {
                    continue;
                };
                let raw = Bytes::from(answer);
                let parsed = Message::parse(raw.clone(), Limits::default());
                let parsed = parsed.map_err(|error| (error, raw));
                world
                    .hub
                    .handle_upstream_frame(world.now, upstream, None, parsed);
            }
            for (key, parts, settings) in std::mem::take(&mut world.making) {
                let made = super::surface::made(&parts, &settings);
                world.hub.handle_surface(world.now, key, made);
            }
        }
        got
    }
}

#[test]
fn each_path_has_its_list() {
    for is_shared in [false, true] {
        let mut world = world(is_shared);
        let tools = [reader("dial"), reader("gauge")];
        let mut plain = Client::on(None, 100);
        let mut searcher = Client::on(Some("searcher"), 200);
        plain.post(&mut world, INITIALIZE, &tools);
        searcher.post(&mut world, INITIALIZE, &tools);
        for _ in 0..2 {
            let list = plain.post(&mut world, LIST, &tools);
            assert!(
                list.contains("search_tools") && !list.contains("\"dial\""),
                "{list}"
            );
            let list = searcher.post(&mut world, LIST, &tools);
            assert!(
                !list.contains("search_tools") && list.contains("\"dial\""),
                "{list}"
            );
        }
        assert_eq!(world.connects, if is_shared { 2 } else { 3 });
        // Frozen is what this path saw, not what another one did: ours are no tools here.
        let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search_tools","arguments":{"queries":["dial"]}}}"#;
        assert!(plain.post(&mut world, call, &tools).contains("[read] dial"));
        let unknown = searcher.post(&mut world, call, &tools);
        assert!(!unknown.contains("[read] dial"), "{unknown}");
    }
}

#[test]
fn a_session_belongs_to_its_path() {
    let mut world = world(false);
    let tools = [reader("dial")];
    let mut plain = Client::on(None, 100);
    plain.post(&mut world, INITIALIZE, &tools);
    let opened = plain.session.clone().expect("a session");
    for path in [Some("searcher"), Some("generic")] {
        let mut other = Client::on(path, 200);
        other.session = Some(opened.clone());
        let refused = other.post(&mut world, LIST, &tools);
        assert!(
            refused.starts_with("404 ") && refused.contains("unknown session"),
            "{refused}"
        );
    }
    assert!(
        plain
            .post(&mut world, LIST, &tools)
            .contains("search_tools")
    );
}

#[test]
fn a_name_that_is_no_profile_is_answered_with_those_there_are() {
    let mut world = world(false);
    let mut client = Client::on(Some("serchr"), 100);
    let refused = client.post(&mut world, INITIALIZE, &[]);
    assert!(refused.starts_with("404 "), "{refused}");
    assert!(
        refused.contains("`serchr`") && refused.contains("generic, searcher"),
        "{refused}"
    );
    assert!(client.session.is_none());
    for (n, handle) in [Hub::handle_http_get, Hub::handle_http_delete]
        .into_iter()
        .enumerate()
    {
        handle(&mut world.hub, world.now, 200 + n as u64, &client.head());
        let status =
            std::iter::from_fn(|| world.hub.poll_action()).find_map(|action| match action {
                Action::Status { status, .. } => Some(status),
                _ => None,
            });
        assert_eq!(status, Some(404));
    }
}

#[test]
fn settings_that_change_reach_every_path() {
    let mut world = world(false);
    let tools = [reader("dial")];
    let mut searcher = Client::on(Some("searcher"), 200);
    searcher.post(&mut world, INITIALIZE, &tools);
    assert!(searcher.post(&mut world, LIST, &tools).contains("\"dial\""));
    let settings = HubSettings {
        profiles: Profiles {
            forms: [("searcher".to_owned(), Form::default())].into(),
            ..searching()
        },
        ..with_surface(&["s"], EraChoice::Legacy, hidden())
    };
    world.hub.replace_settings(world.now, settings);
    assert!(
        searcher
            .post(&mut world, LIST, &tools)
            .contains("search_tools")
    );
}
