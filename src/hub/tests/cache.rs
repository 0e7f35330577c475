//! The cache in the way of requests: hits, expiry, writes however they end, notices, equal requests at
//! once, servers that fail.

mod tier;
mod twin;

use std::time::Duration;

use super::{EraChoice, World, settings};
use crate::cache::rules::{Audience, Pattern, Rules, ServerRule, ToolRule};
use crate::hub::cache::CacheSettings;
use crate::session::{Link, Principal};
use crate::upstream::UpstreamId;

const TOOLS: &str = r#"[{"name":"read","inputSchema":{"type":"object"}},{"name":"write","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]"#;

fn rule(pattern: &str) -> ToolRule {
    ToolRule {
        pattern: Pattern::new(pattern).unwrap(),
        ttl: Duration::from_secs(60),
        audience: Audience::Principal,
        vary: Vec::new(),
        invalidated_by: None,
        stale_if_error: Duration::ZERO,
    }
}

fn rules(tools: Vec<ToolRule>) -> CacheSettings {
    CacheSettings {
        rules: Rules {
            tools,
            servers: Vec::new(),
        },
        ..CacheSettings::default()
    }
}

/// A legacy client and server with the tools `read` (granted) and `write`.
fn world(cache: CacheSettings) -> (World, UpstreamId) {
    let mut settings = settings(&["s"], EraChoice::Legacy);
    settings.cache = cache;
    let mut world = World::of(settings, None);
    let upstream = world.legacy();
    list(&mut world, upstream, TOOLS);
    (world, upstream)
}

fn list(world: &mut World, upstream: UpstreamId, tools: &str) {
    world.client(r#"{"jsonrpc":"2.0","id":900,"method":"tools/list"}"#);
    let (_, sent) = world.sent_one();
    let id = super::id(&sent);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":{tools}}}}}"#),
    );
    world.got_one();
}

fn call(world: &mut World, id: u32, tool: &str) {
    call_with(world, id, tool, "{}", "{}");
}

fn call_with(world: &mut World, id: u32, tool: &str, arguments: &str, meta: &str) {
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}}}"#
    ));
}

fn answer(world: &mut World, upstream: UpstreamId, id: &str, text: &str) {
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#),
    );
}

/// A call that has to reach the server, and what it says.
#[track_caller]
fn through(world: &mut World, upstream: UpstreamId, id: u32, tool: &str, text: &str) {
    call(world, id, tool);
    let (_, sent) = world.sent_one();
    answer(world, upstream, &super::id(&sent), text);
    let got = world.got_one();
    assert!(got.contains(text) && !got.contains("\"hit\""), "{got}");
}

/// A call that must not reach the server.
#[track_caller]
fn hit(world: &mut World, id: u32, tool: &str, text: &str) -> String {
    call(world, id, tool);
    assert_eq!(world.sent(), [], "the server was asked");
    let got = world.got_one();
    assert!(got.contains(text), "{got}");
    assert!(got.contains(&format!("\"id\":{id}")), "{got}");
    assert!(
        got.contains(r#""dev.mcp-whittle/cache":{"hit":true"#),
        "{got}"
    );
    got
}

#[test]
fn a_granted_call_is_answered_again_until_its_time_is_over() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    through(&mut world, upstream, 1, "read", "one");
    world.pass(Duration::from_secs(59));
    let got = hit(&mut world, 2, "read", "one");
    assert!(got.contains("\"ageMs\":59000"), "{got}");
    // Equal arguments in other words are the same; other ones are not.
    call_with(&mut world, 3, "read", r#"{"n":1.0}"#, "{}");
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &super::id(&sent), "float");
    world.got_one();
    call_with(&mut world, 4, "read", r#"{"n":1}"#, "{}");
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &super::id(&sent), "whole");
    world.got_one();
    world.pass(Duration::from_secs(1));
    through(&mut world, upstream, 5, "read", "two");
    let counters = world.hub.cache_counters();
    assert_eq!((counters.hits, counters.stored), (1, 4));
}

#[test]
fn nothing_is_kept_without_a_grant() {
    let (mut world, upstream) = world(CacheSettings::default());
    through(&mut world, upstream, 1, "read", "one");
    through(&mut world, upstream, 2, "read", "two");
    // The hints of a server that nobody trusts count nothing either.
    through(&mut world, upstream, 3, "write", "three");
    through(&mut world, upstream, 4, "write", "four");
}

#[test]
fn a_trusted_servers_hints_grant_what_they_say() {
    let mut cache = rules(Vec::new());
    cache.rules.servers.push(ServerRule {
        server: "s".into(),
        ttl: Duration::from_secs(60),
    });
    let (mut world, upstream) = world(cache);
    list(
        &mut world,
        upstream,
        r#"[{"name":"read","annotations":{"readOnlyHint":true,"idempotentHint":true,"openWorldHint":false}},{"name":"peek","annotations":{"readOnlyHint":true}},{"name":"write"}]"#,
    );
    through(&mut world, upstream, 1, "read", "one");
    hit(&mut world, 2, "read", "one");
    through(&mut world, upstream, 3, "peek", "p");
    through(&mut world, upstream, 4, "peek", "p");
    hit(&mut world, 5, "read", "one");
    through(&mut world, upstream, 6, "write", "w");
    through(&mut world, upstream, 7, "read", "two");
    // A definition that changed is another tool, even before the server says so.
    list(
        &mut world,
        upstream,
        r#"[{"name":"read","description":"new","annotations":{"readOnlyHint":true,"idempotentHint":true,"openWorldHint":false}}]"#,
    );
    through(&mut world, upstream, 8, "read", "three");
}

#[test]
fn a_write_ends_what_was_kept_however_it_ends() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    // Answered.
    through(&mut world, upstream, 1, "read", "one");
    through(&mut world, upstream, 2, "write", "done");
    through(&mut world, upstream, 3, "read", "two");
    hit(&mut world, 4, "read", "two");
    // Failed.
    call(&mut world, 5, "write");
    let (_, sent) = world.sent_one();
    let error = format!(
        r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32000,"message":"no"}}}}"#,
        super::id(&sent)
    );
    world.server(upstream, &error);
    world.got();
    through(&mut world, upstream, 6, "read", "three");
    // While it runs nothing is answered or kept.
    call(&mut world, 7, "write");
    let (_, running) = world.sent_one();
    through(&mut world, upstream, 8, "read", "between");
    through(&mut world, upstream, 9, "read", "between");
    answer(&mut world, upstream, &super::id(&running), "done");
    world.got();
    through(&mut world, upstream, 10, "read", "four");
    hit(&mut world, 11, "read", "four");
    // Timed out: it may still happen, so nothing is kept for a while.
    call(&mut world, 12, "write");
    let (_, lost) = world.sent_one();
    world.pass(Duration::from_secs(30));
    assert!(world.got_one().contains("did not answer"));
    world.sent();
    through(&mut world, upstream, 13, "read", "unsure");
    through(&mut world, upstream, 14, "read", "unsure");
    world.pass(crate::cache::epochs::LATE);
    world.sent();
    through(&mut world, upstream, 15, "read", "sure");
    hit(&mut world, 16, "read", "sure");
    // Its answer comes after all.
    answer(&mut world, upstream, &super::id(&lost), "done");
    through(&mut world, upstream, 17, "read", "late");
    // Cancelled.
    call(&mut world, 18, "write");
    world.sent();
    world.client(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":18}}"#,
    );
    world.sent();
    through(&mut world, upstream, 19, "read", "five");
}

#[test]
fn a_read_beside_a_write_is_not_kept() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    call(&mut world, 1, "read");
    let (_, read) = world.sent_one();
    through(&mut world, upstream, 2, "write", "done");
    answer(&mut world, upstream, &super::id(&read), "old");
    assert!(world.got_one().contains("old"));
    through(&mut world, upstream, 3, "read", "new");
}

#[test]
fn a_call_lost_with_its_connection_may_have_written() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    through(&mut world, upstream, 1, "read", "one");
    call(&mut world, 2, "write");
    world.sent();
    world.crash(upstream);
    world.got();
    world.pass(Duration::from_secs(1));
    let (_, hello) = world.sent().pop().expect("a new handshake");
    let hello = super::INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", super::id(&hello)));
    world.server(upstream, &hello);
    world.sent();
    world.got();
    call(&mut world, 3, "read");
    let sent = world.sent();
    assert!(
        sent.iter().any(|(_, line)| line.contains("tools/call")),
        "{sent:?}"
    );
}

#[test]
fn narrowed_rules_end_by_the_calls_that_they_name() {
    let mut narrow = rule("s/read");
    narrow.invalidated_by = vec![Pattern::new("s/write_*").unwrap()].into();
    let (mut world, upstream) = world(rules(vec![narrow]));
    through(&mut world, upstream, 1, "read", "one");
    through(&mut world, upstream, 2, "write", "log");
    hit(&mut world, 3, "read", "one");
    through(&mut world, upstream, 4, "write_a", "done");
    through(&mut world, upstream, 5, "read", "two");
}

#[test]
fn a_notice_of_change_ends_its_class() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    through(&mut world, upstream, 1, "read", "one");
    hit(&mut world, 2, "read", "one");
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
    );
    let refresh = world.sent();
    let id = super::id(&refresh[0].1);
    world.server(
        upstream,
        &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":{TOOLS}}}}}"#),
    );
    world.got();
    through(&mut world, upstream, 3, "read", "two");
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#,
    );
    world.got();
    hit(&mut world, 4, "read", "two");
}

#[test]
fn errors_and_requests_with_more_to_them_are_not_kept() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    for n in [1, 2] {
        call(&mut world, n, "read");
        let (_, sent) = world.sent_one();
        let id = super::id(&sent);
        world.server(
            upstream,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"isError":true}}}}"#),
        );
        world.got_one();
    }
    for n in [3, 4] {
        call_with(&mut world, n, "read", "{}", r#"{"progressToken":7}"#);
        let (_, sent) = world.sent_one();
        answer(&mut world, upstream, &super::id(&sent), "with progress");
        world.got_one();
    }
    assert_eq!(world.hub.cache_counters().stored, 0);
}

#[test]
fn a_request_may_say_what_it_wants_of_the_cache() {
    const FRESH: &str = r#"{"dev.mcp-whittle/cache":"no-cache"}"#;
    const CACHED: &str = r#"{"dev.mcp-whittle/cache":"only-if-cached"}"#;
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    call_with(&mut world, 1, "read", "{}", CACHED);
    assert_eq!(world.sent(), []);
    let got = world.got_one();
    assert!(
        got.contains("not_cached") && got.contains("hint: "),
        "{got}"
    );
    through(&mut world, upstream, 2, "read", "one");
    call_with(&mut world, 3, "read", "{}", CACHED);
    assert_eq!(world.sent(), []);
    assert!(world.got_one().contains("\"hit\":true"));
    call_with(&mut world, 4, "read", "{}", FRESH);
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &super::id(&sent), "two");
    world.got_one();
    hit(&mut world, 5, "read", "two");
    call_with(&mut world, 6, "write", "{}", CACHED);
    assert_eq!(world.sent(), [], "it could only be sent");
    assert!(world.got_one().contains("not_cached"));
}

#[test]
fn equal_calls_at_once_share_one() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    for id in 1..=50 {
        call(&mut world, id, "read");
    }
    let (_, sent) = world.sent_one();
    answer(&mut world, upstream, &super::id(&sent), "one");
    let got = world.got();
    assert_eq!(got.len(), 50);
    for id in 1..=50 {
        let part = format!("\"id\":{id},");
        assert_eq!(got.iter().filter(|line| line.contains(&part)).count(), 1);
    }
    assert_eq!(world.hub.cache_counters().joined, 49);
    // An error is shared once, and not kept.
    world.pass(Duration::from_secs(60));
    call(&mut world, 60, "read");
    call(&mut world, 61, "read");
    let (_, sent) = world.sent_one();
    let id = super::id(&sent);
    let error =
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"no"}}}}"#);
    world.server(upstream, &error);
    let got = world.got();
    assert!(
        got.len() == 2 && got.iter().all(|line| line.contains("\"no\"")),
        "{got:?}"
    );
    through(&mut world, upstream, 62, "read", "two");
}

#[test]
fn whoever_waits_takes_the_place_of_one_that_goes() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    for id in 1..=3 {
        call(&mut world, id, "read");
    }
    let (_, first) = world.sent_one();
    world
        .client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let sent = world.sent();
    assert!(sent[0].1.contains("cancelled"), "{sent:?}");
    assert!(sent[1].1.contains("tools/call"), "{sent:?}");
    // A late answer to the one that went helps nobody.
    answer(&mut world, upstream, &super::id(&first), "late");
    assert_eq!(world.got(), Vec::<String>::new());
    answer(&mut world, upstream, &super::id(&sent[1].1), "one");
    let got = world.got();
    assert!(
        got.len() == 2 && got.iter().all(|line| line.contains("one")),
        "{got:?}"
    );
    hit(&mut world, 4, "read", "one");
}

#[test]
fn whoever_waits_has_a_deadline_of_its_own() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    call(&mut world, 1, "read");
    world.sent();
    world.pass(Duration::from_secs(20));
    call(&mut world, 2, "read");
    assert_eq!(world.sent(), []);
    world.pass(Duration::from_secs(10));
    let got = world.got_one();
    assert!(
        got.contains("\"id\":1") && got.contains("did not answer"),
        "{got}"
    );
    let sent = world.sent();
    let again = sent.iter().find(|(_, line)| line.contains("tools/call"));
    let again = super::id(&again.expect("the other one is sent").1);
    answer(&mut world, upstream, &again, "one");
    let got = world.got_one();
    assert!(got.contains("\"id\":2") && got.contains("one"), "{got}");
}

#[test]
fn whoever_waits_for_a_call_that_is_lost_is_sent_to_the_next_connection() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    call(&mut world, 1, "read");
    call(&mut world, 2, "read");
    world.sent();
    world.crash(upstream);
    assert!(world.got_one().contains("was lost"));
    assert_eq!(world.sent(), [], "nothing is sent to what ended");
    world.pass(Duration::from_secs(1));
    let (_, hello) = world.sent().pop().expect("a new handshake");
    let hello = super::INITIALIZED.replace("\"id\":0", &format!("\"id\":{}", super::id(&hello)));
    world.server(upstream, &hello);
    let sent = world.sent();
    let again = sent.iter().find(|(_, line)| line.contains("tools/call"));
    let again = super::id(&again.expect("the other one is sent").1);
    answer(&mut world, upstream, &again, "one");
    let got = world.got();
    assert!(
        got.iter()
            .any(|line| line.contains("\"id\":2,") && line.contains("one")),
        "{got:?}"
    );
}

#[test]
fn a_read_after_a_write_joins_nobody_from_before() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    call(&mut world, 1, "read");
    call(&mut world, 2, "read");
    let (_, old) = world.sent_one();
    through(&mut world, upstream, 3, "write", "done");
    call(&mut world, 4, "read");
    let sent = world.sent();
    assert!(!sent.is_empty(), "it has to see the write");
    answer(&mut world, upstream, &super::id(&old), "old");
    for (_, line) in &sent {
        answer(&mut world, upstream, &super::id(line), "new");
    }
    let got = world.got();
    let of = |id: u32| {
        let part = format!("\"id\":{id},");
        got.iter().find(|line| line.contains(&part)).cloned()
    };
    assert!(of(1).unwrap().contains("old"));
    assert!(of(4).unwrap().contains("new"));
    assert!(of(2).is_some());
}

#[test]
fn a_question_of_the_server_makes_an_answer_personal() {
    let (mut world, upstream) = world(rules(vec![rule("s/read")]));
    call(&mut world, 1, "read");
    let (_, sent) = world.sent_one();
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","id":77,"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#,
    );
    world.got();
    answer(&mut world, upstream, &super::id(&sent), "yours");
    assert!(world.got_one().contains("yours"));
    through(&mut world, upstream, 2, "read", "other");
}

#[test]
fn a_kept_answer_stands_in_for_a_server_that_fails_only_where_allowed() {
    let mut allowed = rule("s/read");
    allowed.stale_if_error = Duration::from_secs(100);
    let (mut world, upstream) = world(rules(vec![allowed]));
    through(&mut world, upstream, 1, "read", "one");
    world.pass(Duration::from_secs(60));
    call(&mut world, 2, "read");
    world.sent();
    world.crash(upstream);
    let got = world.got_one();
    assert!(
        got.contains("one") && got.contains("\"stale\":true"),
        "{got}"
    );
    world.pass(Duration::from_millis(1));
    // Without the right, the trouble is told.
    let (mut world, upstream) = self::world(rules(vec![rule("s/read")]));
    through(&mut world, upstream, 1, "read", "one");
    world.pass(Duration::from_secs(60));
    call(&mut world, 2, "read");
    world.sent();
    world.crash(upstream);
    assert!(world.got_one().contains("was lost"));
}

#[test]
fn transparent_and_shadow_proxies_keep_nothing() {
    for is_shadow in [false, true] {
        let mut settings = settings(&["s"], EraChoice::Legacy);
        settings.cache = rules(vec![rule("s/read")]);
        settings.is_shadow = is_shadow;
        settings.is_transparent = !is_shadow;
        let mut world = World::of(settings, None);
        let upstream = world.legacy();
        list(&mut world, upstream, TOOLS);
        through(&mut world, upstream, 1, "read", "one");
        through(&mut world, upstream, 2, "read", "two");
    }
}

#[test]
fn reads_and_lists_follow_their_servers_word() {
    let mut settings = settings(&["s"], EraChoice::Modern);
    settings.cache = CacheSettings::default();
    let mut world = World::of(settings, None);
    let meta = super::META;
    world.client(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{{{meta}}}}}"#
    ));
    let (upstream, hello) = world.sent_one();
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{}}}},"serverInfo":{{"name":"s","version":"1"}},"ttlMs":0,"cacheScope":"private"}}}}"#,
            super::id(&hello)
        ),
    );
    let (_, prompts) = world.sent_one();
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"none"}}}}"#,
            super::id(&prompts)
        ),
    );
    world.got();
    let ask = |world: &mut World, id: u32, method: &str, params: &str| {
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{meta}}}}}"#
        ));
    };
    for (n, (method, params, member)) in [
        ("resources/read", r#""uri":"a:b","#, "contents"),
        ("tools/list", "", "tools"),
    ]
    .into_iter()
    .enumerate()
    {
        let n = 10 * u32::try_from(n).unwrap();
        let tell = |world: &mut World, ttl: u32| {
            let (_, sent) = world.sent_one();
            world.server(
                upstream,
                &format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","{member}":[],"ttlMs":{ttl},"cacheScope":"private"}}}}"#,
                    super::id(&sent)
                ),
            );
            world.got_one()
        };
        ask(&mut world, n + 1, method, params);
        tell(&mut world, 0);
        ask(&mut world, n + 2, method, params);
        assert!(tell(&mut world, 5000).contains("\"ttlMs\":5000"));
        world.pass(Duration::from_secs(2));
        ask(&mut world, n + 3, method, params);
        assert_eq!(world.sent(), []);
        let got = world.got_one();
        assert!(got.contains("\"ttlMs\":3000"), "what is left: {got}");
        assert!(got.contains("\"hit\":true"), "{got}");
        world.pass(Duration::from_secs(3));
        ask(&mut world, n + 4, method, params);
        tell(&mut world, 5000);
        let notice = match member {
            "contents" => {
                r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}"#
            }
            _ => r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
        };
        world.server(upstream, notice);
        for (_, line) in world.sent() {
            // The list is read again for our own use.
            let id = super::id(&line);
            world.server(
                upstream,
                &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","tools":[]}}}}"#),
            );
        }
        world.got();
        ask(&mut world, n + 5, method, params);
        tell(&mut world, 0);
    }
}

#[test]
fn a_list_that_was_read_whole_is_not_read_again_while_it_is_fresh() {
    let mut settings = settings(&["s"], EraChoice::Modern);
    settings.surface = Some(crate::surface::plan::Settings::default());
    let mut world = World::of(settings, None);
    let meta = super::META;
    let ask = |world: &mut World, id: u32| {
        world.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{meta}}}}}"#
        ));
    };
    ask(&mut world, 1);
    let (upstream, hello) = world.sent_one();
    world.server(
        upstream,
        &format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{{"name":"s","version":"1"}},"ttlMs":0,"cacheScope":"private"}}}}"#,
            super::id(&hello)
        ),
    );
    let told = |world: &mut World, ttl: u32| {
        let sent = world.sent();
        let list = sent.iter().find(|(_, line)| line.contains("tools/list"));
        let (_, line) = list.expect("the list is read");
        world.server(
            upstream,
            &format!(
                r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"complete","tools":[{{"name":"t","inputSchema":{{"type":"object"}}}}],"ttlMs":{ttl},"cacheScope":"private"}}}}"#,
                super::id(line)
            ),
        );
        for (key, parts, settings) in std::mem::take(&mut world.making) {
            let counter = crate::token::TiktokenCounter::new(crate::token::Encoding::O200kBase);
            let made = crate::surface::made::Made::of(&parts, &settings, &counter);
            world
                .hub
                .handle_surface(world.now, key, std::sync::Arc::new(made));
        }
        world.act();
        world.got_one()
    };
    assert!(told(&mut world, 5000).contains("\"ttlMs\":5000"));
    world.pass(Duration::from_secs(2));
    ask(&mut world, 2);
    assert!(
        world
            .sent()
            .iter()
            .all(|(_, line)| !line.contains("tools/list"))
    );
    assert!(world.got_one().contains("\"ttlMs\":3000"));
    world.pass(Duration::from_secs(3));
    ask(&mut world, 3);
    told(&mut world, 5000);
    world.server(
        upstream,
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
    );
    told_again(&mut world, upstream);
    ask(&mut world, 4);
    told(&mut world, 0);
}

/// The list is read again because of the notice.
fn told_again(world: &mut World, upstream: UpstreamId) {
    for (_, line) in world.sent() {
        if line.contains("tools/list") {
            let id = super::id(&line);
            world.server(
                upstream,
                &format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","tools":[{{"name":"t","inputSchema":{{"type":"object"}}}}],"ttlMs":0}}}}"#
                ),
            );
        }
    }
    world.got();
}

#[test]
fn sessions_that_end_leave_no_numbers_of_their_own_behind() {
    let (mut world, _) = world(rules(vec![rule("read")]));
    let mut left = Vec::new();
    for n in 0..20 {
        let principal = match n % 2 {
            0 => Principal::Loopback,
            _ => Principal::Session(n),
        };
        let link = Link::HttpSession(n.to_string());
        let session = world.hub.open_session(world.now, link, principal);
        let before = world.hub.cached_scopes();
        for upstream in world.hub.set_upstreams(session) {
            world.hub.handle_stream_gap(world.now, upstream);
        }
        assert!(world.hub.cached_scopes() >= before + 4);
        world.hub.close_session(world.now, session);
        left.push(world.hub.cached_scopes());
    }
    // What counts for the principal of others, and for all, stays.
    assert_eq!(left[0], left[19], "{left:?}");
}

/// Broken variant that this catches: what was kept for one connection is answered on the next, although its server
/// remembers nothing of the one before.
#[test]
fn what_was_kept_for_a_connection_ends_with_it() {
    for audience in [Audience::Session, Audience::Principal] {
        let mut granted = rule("s/read");
        granted.audience = audience;
        let (mut world, upstream) = world(rules(vec![granted]));
        through(&mut world, upstream, 1, "read", "one");
        hit(&mut world, 2, "read", "one");
        world.crash(upstream);
        world.pass(Duration::from_millis(100));
        for _ in 0..2 {
            for (_, line) in world.sent() {
                if line.contains("\"initialize\"") {
                    world.welcome(upstream, &line);
                } else if line.contains("tools/list") {
                    let id = super::id(&line);
                    world.server(
                        upstream,
                        &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":{TOOLS}}}}}"#),
                    );
                }
            }
        }
        world.sent();
        world.got();
        if audience == Audience::Session {
            through(&mut world, upstream, 3, "read", "two");
        } else {
            hit(&mut world, 3, "read", "one");
        }
    }
}

/// Broken variants that this catches: answers of before the client's roots changed are given after, and one that the
/// server gave before it asked for the new ones is kept.
#[test]
fn other_roots_of_the_client_end_what_was_kept() {
    for audience in [Audience::Session, Audience::Principal, Audience::Shared] {
        let mut granted = rule("s/read");
        granted.audience = audience;
        let (mut world, upstream) = world(rules(vec![granted]));
        through(&mut world, upstream, 1, "read", "one");
        hit(&mut world, 2, "read", "one");
        world.client(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
        assert!(world.sent_one().1.contains("roots/list_changed"));
        through(&mut world, upstream, 3, "read", "two");
        through(&mut world, upstream, 4, "read", "three");
        world.pass(Duration::from_secs(30));
        through(&mut world, upstream, 5, "read", "four");
        hit(&mut world, 6, "read", "four");
    }
}
