//! Faults of the result cache.

use std::collections::HashSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use super::FAST_RESTART;
use crate::cache::redis::{Redis, free_port, replica};
use crate::cache::{Client, Counting, begin, is_hit, text};
use crate::kit::until;
use crate::peers_kit::account::proof;

/// Waits until an answer that one replica got is known to the other.
fn until_shared(server: &Counting, one: &mut crate::kit::Proxy, other: &mut crate::kit::Proxy) {
    let mut n = 1_000_000;
    until("replicas that share", || {
        n += 1;
        let before = server.count("read");
        one.ask_call("read", json!({"n": n}));
        let theirs = other.ask_call("read", json!({"n": n}));
        (is_hit(&theirs) && server.count("read") == before + 1).then_some(())
    });
}

#[test]
fn f73_redis_down_at_start_or_later() {
    let proof = proof("faults::cache::f73_redis_down_at_start_or_later");
    let server = Counting::new();
    let port = free_port();
    let secret = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (
        replica(&server, port, secret.path()),
        replica(&server, port, secret.path()),
    );
    one.wait_stderr("Redis cannot be reached");
    one.ask_call("read", json!({}));
    assert!(is_hit(&one.ask_call("read", json!({}))), "memory goes on");
    assert!(!is_hit(&other.ask_call("read", json!({}))));
    one.ask_call("write", json!({}));
    assert_eq!(text(&one.ask_call("read", json!({}))), "value 1");
    // It comes: no restart is needed.
    let redis = Redis::start(port, &[]);
    until_shared(&server, &mut one, &mut other);
    one.ask_call("write", json!({}));
    assert_eq!(text(&other.ask_call("read", json!({}))), "value 2");
    // It goes again, and comes back empty.
    drop(redis);
    for n in 0..20 {
        one.ask_call("write", json!({}));
        let read = one.ask_call("read", json!({}));
        assert_eq!(text(&read), format!("value {}", 3 + n));
    }
    let _redis = Redis::start(port, &[]);
    until_shared(&server, &mut one, &mut other);
    proof.ran("redis", 1);
    proof.close();
}

#[test]
fn f74_redis_accepts_and_never_answers() {
    let proof = proof("faults::cache::f74_redis_accepts_and_never_answers");
    let server = Counting::new();
    let port = free_port();
    let secret = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut one = replica(&server, port, secret.path());
    let start = Instant::now();
    for n in 0..40 {
        one.ask_call("read", json!({"n": n}));
        one.ask_call("write", json!({}));
    }
    // Each alone could wait for 50 ms three times; the breaker opens long before.
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    one.ask_call("read", json!({}));
    assert!(is_hit(&one.ask_call("read", json!({}))));
    drop(silent);
    let _redis = Redis::start(port, &[]);
    let mut other = replica(&server, port, secret.path());
    until_shared(&server, &mut one, &mut other);
    // One that stops in the middle: SIGSTOP.
    _redis.stop();
    let start = Instant::now();
    for n in 0..40 {
        one.ask_call("read", json!({"m": n}));
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    _redis.go_on();
    until_shared(&server, &mut one, &mut other);
    proof.ran("redis", 1);
    proof.close();
}

#[test]
fn f75_forged_and_damaged_entries() {
    let proof = proof("faults::cache::f75_forged_and_damaged_entries");
    let server = Counting::new();
    let redis = Redis::start(free_port(), &[]);
    let secret = tempfile::tempdir().unwrap();
    let mut one = replica(&server, redis.port, secret.path());
    let mut other = replica(&server, redis.port, secret.path());
    until_shared(&server, &mut one, &mut other);
    // What a replica keeps may come a little later: only names that no turn before had are this turn's.
    let mut seen: HashSet<String> = redis.strings(&["KEYS", "t:a:*"]).into_iter().collect();
    for n in 0..4 {
        one.ask_call("read", json!({"n": n}));
        let keys = until("the entry", || {
            let mut keys = redis.strings(&["KEYS", "t:a:*"]);
            keys.retain(|key| !seen.contains(key));
            (!keys.is_empty()).then_some(keys)
        });
        seen.extend(keys.iter().cloned());
        for key in keys {
            let good = redis.bytes(&["GET", &key]);
            let forged: Vec<u8> = match n {
                0 => good[..good.len() / 2].to_vec(),
                1 => good.iter().map(|byte| byte ^ 1).collect(),
                2 => br#"{"content":[{"type":"text","text":"forged"}]}"#.to_vec(),
                _ => [b"whittle0", &good[8..]].concat(),
            };
            redis.set(&key, &forged);
        }
        let read = other.ask_call("read", json!({"n": n}));
        assert!(!is_hit(&read) && text(&read) == "value 0", "{read}");
    }
    other.wait_stderr("damaged or not written by these replicas");
    // Another secret is another store.
    let stranger = tempfile::tempdir().unwrap();
    let mut third = replica(&server, redis.port, stranger.path());
    assert!(!is_hit(&third.ask_call("read", json!({"n": 0}))));
    // Nothing of an answer can be read there.
    for key in redis.strings(&["KEYS", "*"]) {
        let value = redis.bytes(&["GET", &key]);
        let has = |part: &[u8]| value.windows(part.len()).any(|window| window == part);
        assert!(!has(b"value") && !has(b"content"), "{key}");
    }
    proof.ran("redis", 1);
    proof.close();
}

#[test]
fn a_flushed_redis_is_a_cold_cache() {
    let proof = proof("faults::cache::a_flushed_redis_is_a_cold_cache");
    let server = Counting::new();
    let redis = Redis::start(free_port(), &[]);
    let secret = tempfile::tempdir().unwrap();
    let mut one = replica(&server, redis.port, secret.path());
    let mut other = replica(&server, redis.port, secret.path());
    until_shared(&server, &mut one, &mut other);
    for n in 0..5 {
        one.ask_call("read", json!({}));
        other.ask_call("read", json!({}));
        redis.strings(&["FLUSHALL"]);
        one.ask_call("write", json!({}));
        // Epochs alone are lost: what was kept under them is worth nothing.
        let expected = format!("value {}", n + 1);
        assert_eq!(text(&other.ask_call("read", json!({}))), expected);
        assert_eq!(text(&one.ask_call("read", json!({}))), expected);
        for key in redis.strings(&["KEYS", "t:e:*"]) {
            redis.strings(&["DEL", &key]);
        }
        server.set(n + 1);
        let before = server.count("read");
        assert_eq!(text(&other.ask_call("read", json!({}))), expected);
        assert_eq!(server.count("read"), before + 1, "doubt is a miss");
    }
    proof.ran("redis", 1);
    proof.close();
}

#[test]
fn f77_a_failover_loses_an_invalidation() {
    let proof = proof("faults::cache::f77_a_failover_loses_an_invalidation");
    let server = Counting::new();
    let redis = Redis::start(free_port(), &[]);
    let secret = tempfile::tempdir().unwrap();
    let mut one = replica(&server, redis.port, secret.path());
    let mut other = replica(&server, redis.port, secret.path());
    until_shared(&server, &mut one, &mut other);
    one.ask_call("read", json!({"short": 1}));
    let snapshot: Vec<(String, Vec<u8>)> = until("the entries", || {
        let keys = redis.strings(&["KEYS", "t:*"]);
        let all = keys.into_iter().map(|key| {
            let value = redis.bytes(&["GET", &key]);
            (key, value)
        });
        Some(all.collect())
    });
    one.ask_call("write", json!({}));
    // The replica of Redis that takes over has not heard of it.
    for (key, value) in snapshot {
        redis.set(&key, &value);
    }
    let start = Instant::now();
    let new = until("the end of the granted time", || {
        let read = other.ask_call("read", json!({"short": 1}));
        (text(&read) == "value 1").then(|| start.elapsed())
    });
    assert!(new < Duration::from_secs(5), "granted were 3 s: {new:?}");
    proof.ran("redis", 1);
    proof.close();
}

#[test]
fn f78_stampede() {
    let server = Counting::new();
    let proxy = server.proxy().listening().start();
    let address = proxy.address();
    let clients: Vec<Client> = (0..8).map(|_| Client::open(address, "one")).collect();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| client.call(7, "read", &json!({"delay_ms": 700}))))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((text(answer), &answer["id"]), ("value 0", &json!(7)));
    }
    assert_eq!(server.count("read"), 1, "one call, eight answers");
    // An error is shared once as well, and not kept.
    let before = server.count("read");
    assert!(is_hit(&clients[0].call(
        8,
        "read",
        &json!({"delay_ms": 700})
    )));
    assert_eq!(server.count("read"), before);
}

#[test]
fn f79_leader_of_a_shared_call_is_cancelled() {
    let server = Counting::new();
    let mut proxy = server.proxy().start();
    begin(&mut proxy);
    let leader = proxy.call("read", json!({"delay_ms": 400}));
    until("the leader at the server", || {
        (server.count("read") == 1).then_some(())
    });
    let waits = proxy.call("read", json!({"delay_ms": 400}));
    proxy.cancel(leader);
    assert_eq!(text(&proxy.answer(waits)), "value 0");
    assert_eq!(server.count("read"), 2, "the next one was sent");
    assert!(is_hit(&proxy.ask_call("read", json!({"delay_ms": 400}))));
}

#[test]
fn f80_write_then_read() {
    let server = Counting::new();
    let mut proxy = server
        .proxy()
        .settings(FAST_RESTART)
        .settings("timeouts.request_timeout = \"400ms\"")
        .start();
    begin(&mut proxy);
    let mut value = 0;
    for (arguments, is_sure) in [
        (json!({}), true),
        (json!({"then": "fail"}), true),
        (json!({"then": "hang"}), false),
        (json!({"then": "die"}), false),
    ] {
        let old = format!("value {value}");
        assert_eq!(text(&proxy.ask_call("read", json!({}))), old);
        let again = proxy.ask_call("read", json!({}));
        assert_eq!(text(&again), old);
        proxy.ask_call("write", arguments.clone());
        value += 1;
        let read = until("a server that answers", || {
            let read = proxy.ask_call("read", json!({}));
            read["error"].is_null().then_some(read)
        });
        assert_eq!(text(&read), format!("value {value}"), "after {arguments}");
        assert!(!is_hit(&read));
        if is_sure {
            assert!(is_hit(&proxy.ask_call("read", json!({}))));
        } else {
            // It may still happen: the server is asked.
            assert!(!is_hit(&proxy.ask_call("read", json!({}))));
        }
    }
}

#[test]
fn f81_second_user_asks_the_same() {
    let server = Counting::new();
    let proxy = server.proxy().listening().start();
    let address = proxy.address();
    let (one, other) = (Client::open(address, "one"), Client::open(address, "other"));
    one.call(2, "read", &json!({}));
    assert!(is_hit(&one.call(3, "read", &json!({}))));
    server.set(5);
    let theirs = other.call(2, "read", &json!({}));
    assert!(!is_hit(&theirs) && text(&theirs) == "value 5");
    let same_user = Client::open(address, "one");
    assert!(is_hit(&same_user.call(2, "read", &json!({}))));
    assert_eq!(server.count("read"), 2);
}

#[test]
fn f82_lists_of_another_tenant() {
    let server = Counting::new();
    let proxy = server
        .proxy()
        .settings("[cache.servers.counting_server]\ntrusted = true\nttl = \"60s\"")
        .listening()
        .start();
    let address = proxy.address();
    // Each tenant's own connection says which tools there are: nothing of the other's is looked at, so a
    // call of one that lists nothing is granted nothing.
    let one = Client::open(address, "one");
    one.call(2, "read", &json!({}));
    let other = Client::open(address, "other");
    assert!(!is_hit(&other.call(2, "read", &json!({}))));
    one.call(3, "write", &json!({}));
    assert_eq!(text(&one.call(4, "read", &json!({}))), "value 1");
    assert_eq!(server.count("read"), 3);
}

#[test]
fn f83_what_is_never_kept() {
    let server = Counting::new();
    let mut proxy = server.proxy().options("--cache-tools fail=60s").start();
    begin(&mut proxy);
    for _ in 0..2 {
        let params = json!({"name": "read", "arguments": {}, "_meta": {"progressToken": 1}});
        assert!(!is_hit(&proxy.ask("tools/call", params)));
        let failed = proxy.ask_call("fail", json!({}));
        assert_eq!(failed["result"]["isError"], json!(true));
        assert!(!is_hit(&failed));
    }
    assert_eq!((server.count("read"), server.count("fail")), (2, 2));
}

#[test]
fn f84_variants_of_numbers_and_letters() {
    let server = Counting::new();
    let mut proxy = server.proxy().start();
    begin(&mut proxy);
    let variants = [
        r#"{"n":1}"#,
        r#"{"n":1.0}"#,
        r#"{"n":1e0}"#,
        r#"{"n":9007199254740992}"#,
        r#"{"n":9007199254740993}"#,
        r#"{"n":"\u00e9"}"#,
        r#"{"n":"e\u0301"}"#,
        r#"{"n":null}"#,
        "{}",
    ];
    let mut id = 100;
    let mut ask = |arguments: &str| {
        id += 1;
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"read","arguments":{arguments}}}}}"#
        );
        proxy.send_request_line(&id.to_string(), &line);
        proxy.answer(id)
    };
    for variant in variants {
        assert!(!is_hit(&ask(variant)), "{variant}");
    }
    for variant in variants {
        assert!(is_hit(&ask(variant)), "{variant}");
    }
    assert!(
        is_hit(&ask(r#" { "n" : "é" } "#)),
        "other words for the same"
    );
    assert_eq!(server.count("read"), variants.len());
}
