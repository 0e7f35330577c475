//! Lists as surfaces: made, awaited, frozen, staged, made anew.

use super::*;
use crate::surface::made::Made;
use crate::surface::plan::Budget;
use crate::token::{TokenCounter, Tokens};

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}"#;
pub(super) const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A token for each byte: fast, and as good as any here.
struct Bytewise;

impl TokenCounter for Bytewise {
    fn name(&self) -> &str {
        "bytes"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::new(text.len() as u64)
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|tokens| *tokens <= limit)
    }
}

/// A set budget, with all tools hidden.
pub(super) fn hidden() -> plan::Settings {
    plan::Settings {
        budget: Budget::Tokens(4000),
        pins: vec!["*=hidden".parse().unwrap()],
        ..plan::Settings::default()
    }
}

/// Makes a surface as the driver would.
pub(super) fn made(parts: &[Part], settings: &plan::Settings) -> Arc<Made> {
    Arc::new(Made::of(parts, settings, &Bytewise))
}

/// No budget: definitions are made lean.
pub(super) fn lean() -> plan::Settings {
    plan::Settings {
        budget: Budget::Unlimited,
        ..plan::Settings::default()
    }
}

pub(super) fn with_surface(
    servers: &[&str],
    era: EraChoice,
    surface: plan::Settings,
) -> HubSettings {
    HubSettings {
        surface: Some(surface),
        ..settings(servers, era)
    }
}

/// A tool that takes one integer `x` and says that it only reads.
pub(super) fn reader(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","description":"Reads a {name}.","inputSchema":{{"type":"object","properties":{{"x":{{"type":"integer"}}}},"required":["x"]}},"annotations":{{"readOnlyHint":true}}}}"#
    )
}

impl World {
    /// Makes all surfaces that are wanted.
    pub(super) fn make(&mut self) {
        for (key, parts, settings) in std::mem::take(&mut self.making) {
            let made = made(&parts, &settings);
            self.hub.handle_surface(self.now, key, made);
            self.act();
        }
    }

    /// Lets a legacy client shake hands; every server answers. Returns the connections.
    pub(super) fn shake(&mut self) -> Vec<UpstreamId> {
        self.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}"#);
        let mut upstreams = Vec::new();
        for (upstream, line) in self.sent() {
            self.welcome(upstream, &line);
            upstreams.push(upstream);
        }
        self.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.got();
        self.sent();
        upstreams
    }

    /// Answers a handshake in its era.
    pub(super) fn welcome(&mut self, upstream: UpstreamId, line: &str) {
        let answer = if line.contains("server/discover") {
            format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{DISCOVERED}}}"#,
                id(line)
            )
        } else {
            INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", id(line)))
        };
        self.server(upstream, &answer);
    }

    /// Answers every list that a server was asked for with these tools.
    pub(super) fn list(&mut self, upstream: UpstreamId, tools: &[String]) -> usize {
        let sent = self.sent();
        let mut n = 0;
        for (one, line) in sent {
            if one == upstream && line.contains("\"tools/list\"") {
                let tools = tools.join(",");
                self.server(
                    one,
                    &format!(
                        r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{tools}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}}}}"#,
                        id(&line)
                    ),
                );
                n += 1;
            } else {
                self.to_server.push((one, line));
            }
        }
        n
    }

    /// A hub with one server whose tools were listed.
    pub(super) fn listed(
        era: EraChoice,
        surface: plan::Settings,
        tools: &[String],
    ) -> (Self, UpstreamId) {
        let mut world = World::of(with_surface(&["s"], era, surface), None);
        let upstream = world.shake()[0];
        world.client(LIST);
        assert_eq!(world.list(upstream, tools), 1);
        world.make();
        world.got_one();
        (world, upstream)
    }

    pub(super) fn changed(&mut self, upstream: UpstreamId, tools: &[String]) {
        self.server(
            upstream,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
        );
        assert_eq!(self.list(upstream, tools), 1);
    }

    /// Lists again, with the servers saying what they said before.
    pub(super) fn list_again(&mut self, upstreams: &[(UpstreamId, &[String])]) -> String {
        self.client(LIST);
        for (upstream, tools) in upstreams {
            self.list(*upstream, tools);
        }
        self.make();
        self.got_one()
    }
}

#[test]
fn a_list_waits_for_its_surface_and_is_answered_once() {
    let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
    let upstream = world.shake()[0];
    world.client(LIST);
    world.client(&LIST.replace("\"id\":1", "\"id\":2"));
    world.list(upstream, &[reader("a")]);
    assert!(world.got().is_empty(), "it is being made");
    assert_eq!(world.making.len(), 1, "once for both");
    world.make();
    let got = world.got();
    assert_eq!(got.len(), 2);
    assert!(
        got[0].contains("search_tools") && !got[0].contains("\"a\""),
        "{got:?}"
    );
    world.pass(Duration::from_secs(60));
    assert!(world.got().is_empty());
}

/// Broken variant that this catches: the name stands in the log as its server sent it, and turns the line around.
#[test]
fn a_name_that_clients_refuse_is_told_so_that_it_can_be_printed() {
    let (world, _) = World::listed(EraChoice::Auto, lean(), &[reader("a\u{202e}b")]);
    let told = world
        .notes
        .iter()
        .filter(|note| note.contains("some clients refuse"));
    let told: Vec<&String> = told.collect();
    assert_eq!(told.len(), 1, "{:?}", world.notes);
    assert!(told[0].contains("`a\\u{202e}b`"), "{told:?}");
}

#[test]
fn a_cancelled_list_is_not_answered_when_its_surface_is_made() {
    let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
    let upstream = world.shake()[0];
    world.client(LIST);
    world.list(upstream, &[reader("a")]);
    world
        .client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    world.make();
    assert!(world.got().is_empty());
    assert_eq!(world.hub.in_flight(), 0);
    assert!(world.hub.surface_waiting.is_empty());
}

#[test]
fn a_surface_that_takes_too_long_is_shown_as_it_came_and_stays_so() {
    let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
    let upstream = world.shake()[0];
    world.client(LIST);
    let tools = [reader("a"), reader("b")];
    world.list(upstream, &tools);
    world.pass(super::super::surface::MAKING);
    let list = world.got_one();
    assert!(list.contains(&tools.join(",")), "{list}");
    assert!(!list.contains("search_tools"));
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("shown as they came"))
    );
    // What comes too late changes nothing under the conversation.
    world.make();
    assert!(world.got().is_empty());
    let again = world.list_again(&[(upstream, &tools)]);
    assert_eq!(again, list);
}

#[test]
fn a_surface_that_never_comes_holds_up_no_end() {
    let mut world = World::of(with_surface(&["s"], EraChoice::Auto, hidden()), None);
    let upstream = world.shake()[0];
    world.client(LIST);
    world.list(upstream, &[reader("a")]);
    world.hub.begin_drain(world.now);
    world.act();
    world.pass(HubTimeouts::default().shutdown_grace);
    assert!(world.got_one().contains("error"));
    world.make();
    assert!(world.got().is_empty());
    assert_eq!(world.hub.in_flight(), 0);
}

#[test]
fn in_shadow_mode_nothing_waits_and_nothing_changes() {
    let mut settings = with_surface(&["s"], EraChoice::Auto, hidden());
    settings.is_shadow = true;
    let mut world = World::of(settings, None);
    let upstream = world.shake()[0];
    world.client(LIST);
    let tools = [reader("search_tools"), reader("b")];
    world.list(upstream, &tools);
    assert!(
        world.got_one().contains(&tools.join(",")),
        "before anything was made"
    );
    assert_eq!(world.making.len(), 1);
    world.make();
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.contains("would be shown"))
    );
    // Calls go as they came, wrong arguments and all, and the server's error comes back as it is.
    for name in ["search_tools", "call_read_tool", "b"] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"{name}","arguments":{{"x":"no"}}}}}}"#
        );
        world.client(&call);
        assert_eq!(world.sent_one().1, call);
        let error = r#"{"jsonrpc":"2.0","id":9,"result":{"content":[],"isError":true}}"#;
        world.server(upstream, error);
        assert_eq!(world.got_one(), error);
    }
}

#[test]
fn under_a_set_budget_a_change_is_staged_and_without_one_it_is_told() {
    for (surface, is_staged) in [(hidden(), true), (lean(), false)] {
        let (mut world, upstream) = World::listed(EraChoice::Auto, surface, &[reader("a")]);
        world.changed(upstream, &[reader("a"), reader("b")]);
        let told = world.got();
        assert_eq!(told.is_empty(), is_staged, "{told:?}");
        let list = world.list_again(&[(upstream, &[reader("a"), reader("b")])]);
        assert_eq!(list.contains("\"b\""), !is_staged, "{list}");
    }
}

#[test]
fn under_a_set_budget_a_modern_servers_change_is_staged_too() {
    let (mut world, upstream) = World::listed(EraChoice::Modern, hidden(), &[reader("a")]);
    let mut listen = world.sent().into_iter().map(|(_, line)| line);
    let listen = listen.rfind(|line| line.contains("subscriptions/listen"));
    let number = listen.map_or_else(|| "2000000001".to_owned(), |line| id(&line));
    let changed = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{number}}}}}}}"#
    );
    world.server(upstream, &changed);
    world.list(upstream, &[reader("b")]);
    assert!(world.got().is_empty());
}

#[test]
fn a_list_without_a_server_is_not_frozen() {
    let mut world = World::of(with_surface(&["a", "b"], EraChoice::Auto, hidden()), None);
    world.client(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#);
    let sent = world.sent();
    world.welcome(sent[0].0, &sent[0].1);
    world.pass(HubTimeouts::default().merge);
    world.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    world.got();
    world.sent();
    world.client(LIST);
    world.list(sent[0].0, &[reader("t")]);
    world.pass(HubTimeouts::default().merge);
    world.make();
    assert!(world.got_one().contains(r#"["b"]"#));
    // The late server comes: clients are told once, and then the list stays.
    world.welcome(sent[1].0, &sent[1].1);
    world.list(sent[1].0, &[reader("u")]);
    assert!(world.got_one().contains("list_changed"));
    let both: [(UpstreamId, &[String]); 2] =
        [(sent[0].0, &[reader("t")]), (sent[1].0, &[reader("u")])];
    let list = world.list_again(&both);
    world.client(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"search_tools","arguments":{"queries":["reads a u"]}}}"#);
    assert!(world.got_one().contains("b__u"));
    world.changed(sent[1].0, &[reader("v")]);
    assert!(world.got().is_empty());
    assert_eq!(world.list_again(&both), list);
}

#[test]
fn an_empty_or_failed_list_is_not_frozen() {
    for (answer, freezes) in [
        (r#""result":{"tools":[]}"#, false),
        (r#""error":{"code":-32603,"message":"not yet"}"#, false),
        (
            r#""error":{"code":-32601,"message":"Method not found"}"#,
            true,
        ),
    ] {
        let mut world = World::of(with_surface(&["a", "b"], EraChoice::Auto, hidden()), None);
        let upstreams = world.shake();
        world.client(LIST);
        world.list(upstreams[0], &[reader("t")]);
        let (b, line) = world.sent_one();
        world.server(
            b,
            &format!(r#"{{"jsonrpc":"2.0","id":{},{answer}}}"#, id(&line)),
        );
        world.make();
        assert!(world.got_one().contains("search_tools"));
        world.server(
            b,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
        );
        world.list(b, &[reader("u")]);
        world.got();
        let list = world.list_again(&[(upstreams[0], &[reader("t")]), (b, &[reader("u")])]);
        world.client(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"search_tools","arguments":{"queries":["reads a u"]}}}"#);
        let found = world.got_one();
        assert_eq!(found.contains("b__u"), !freezes, "{answer}: {list} {found}");
    }
}

#[test]
fn each_era_has_its_own_frozen_list() {
    let odd = r#"{"name":"t","description":"d","inputSchema":{"type":"object"},"outputSchema":{"type":"array","title":"odd"}}"#.to_owned();
    let surface = plan::Settings {
        budget: Budget::Tokens(1_000_000),
        ..plan::Settings::default()
    };
    let mut world = World::of(with_surface(&["s"], EraChoice::Modern, surface), None);
    let upstream = world.shake()[0];
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{META}}}}}"#
    ));
    world.list(upstream, std::slice::from_ref(&odd));
    world.make();
    assert!(world.got_one().contains("outputSchema"));
    let legacy = world.list_again(&[(upstream, &[odd])]);
    assert!(!legacy.contains("outputSchema"), "{legacy}");
}

#[test]
fn a_name_keeps_its_meaning_while_the_list_stays() {
    let mut settings = with_surface(&["a", "b"], EraChoice::Auto, hidden());
    settings.naming.is_prefixed = false;
    let mut world = World::of(settings, None);
    let upstreams = world.shake();
    let (a, b) = (upstreams[0], upstreams[1]);
    world.list_again(&[(a, &[reader("t")]), (b, &[reader("u")])]);
    world.changed(a, &[reader("t"), reader("u")]);
    world.list_again(&[(a, &[reader("t"), reader("u")]), (b, &[reader("u")])]);
    world.sent();
    for (name, owner) in [("u", b), ("t", a)] {
        world.client(&format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{{"x":1}}}}}}"#));
        let (to, line) = world.sent_one();
        assert_eq!(to, owner, "{name}");
        world.server(
            to,
            &format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#,
                id(&line)
            ),
        );
        world.got_one();
    }
}

#[test]
fn new_settings_start_a_new_list() {
    // Another server under a set budget.
    let mut world = World::of(with_surface(&["a", "b"], EraChoice::Auto, hidden()), None);
    let upstreams = world.shake();
    let tools: [(UpstreamId, &[String]); 2] = [
        (upstreams[0], &[reader("t")]),
        (upstreams[1], &[reader("u")]),
    ];
    world.list_again(&tools);
    let mut settings = with_surface(&["a", "b", "c"], EraChoice::Auto, hidden());
    world.hub.replace_settings(world.now, settings.clone());
    world.act();
    assert!(
        world
            .got()
            .iter()
            .any(|line| line.contains("tools/list_changed"))
    );
    let (c, line) = world.sent_one();
    world.welcome(c, &line);
    world.sent();
    world.client(LIST);
    world.list(upstreams[0], &[reader("t")]);
    world.list(upstreams[1], &[reader("u")]);
    world.list(c, &[reader("v")]);
    world.make();
    world.got();
    world.client(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"search_tools","arguments":{"queries":["reads a v"]}}}"#);
    assert!(world.got_one().contains("c__v"));
    // Another budget: clients are told, and the list follows.
    settings.surface = Some(lean());
    world.hub.replace_settings(world.now, settings.clone());
    world.act();
    assert!(world.got_one().contains("tools/list_changed"));
    world.client(LIST);
    world.list(upstreams[0], &[reader("t")]);
    world.list(upstreams[1], &[reader("u")]);
    world.list(c, &[reader("v")]);
    world.make();
    let list = world.got_one();
    assert!(
        list.contains("c__v") && !list.contains("search_tools"),
        "{list}"
    );
    // The same settings again: nobody is told anything.
    world.hub.replace_settings(world.now, settings);
    world.act();
    assert!(world.got().is_empty());
}

#[test]
fn the_same_tools_give_the_same_bytes_whoever_comes_first() {
    let mut lists = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let mut world = World::of(with_surface(&["a", "b"], EraChoice::Auto, hidden()), None);
        let upstreams = world.shake();
        world.client(LIST);
        for at in order {
            world.list(upstreams[at], &[reader(["t", "u"][at])]);
        }
        world.make();
        lists.push(world.got_one());
    }
    assert_eq!(lists[0], lists[1]);
}

/// A name that clients may refuse is listed and called as it is, and the operator is told once.
#[test]
fn names_that_clients_may_refuse_stay_and_are_told() {
    let odd = ["files.read", "a b", "\u{e9}", ""];
    let mut tools: Vec<String> = odd.iter().map(|name| reader(name)).collect();
    tools.push(reader("plain"));
    tools.push(reader(&"x".repeat(65)));
    let (mut world, upstream) = World::listed(EraChoice::Legacy, lean(), &tools);
    let told: Vec<&String> = world
        .notes
        .iter()
        .filter(|note| note.contains("refuse"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`files.read` and 4 more"), "{told:?}");
    assert!(told[0].contains("\nhint: --pin"), "{told:?}");
    world.client(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"files.read","arguments":{"x":1}}}"#);
    assert!(world.sent_one().1.contains("\"name\":\"files.read\""));
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#,
    );
    assert!(world.got_one().contains("content"));
    // Left out, it is nobody's trouble any more.
    let settings = plan::Settings {
        pins: vec!["*=hidden".parse().unwrap()],
        ..lean()
    };
    let (world, _) = World::listed(EraChoice::Legacy, settings, &tools);
    assert!(
        !world.notes.iter().any(|note| note.contains("refuse")),
        "{:?}",
        world.notes
    );
}
