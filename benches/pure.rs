//! The pure parts on the way of a message: framing, envelope, strict check, splice, counting, lean, search,
//! the choice of renderings, the notations of results.
//!
//! `cargo bench --bench pure [-- FILTER]`. Throughput is what to look at: a memory copy of the same text
//! is measured beside it.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

use mcp_whittle::jsonrpc::Limits;
use mcp_whittle::jsonrpc::frame::FrameDecoder;
use mcp_whittle::jsonrpc::members;
use mcp_whittle::jsonrpc::message::Message;
use mcp_whittle::jsonrpc::scan::{EnvelopeKey, Scanner};
use mcp_whittle::jsonrpc::sse::SseDecoder;
use mcp_whittle::jsonrpc::strict;
use mcp_whittle::jsonrpc::write::{Edit, splice};
use mcp_whittle::result::compact::{Bounds, compact, decode};
use mcp_whittle::search::{Definition, Entry, Index};
use mcp_whittle::surface::budget::{Choice, choose};
use mcp_whittle::surface::ladder::{LadderOptions, priced_ladder};
use mcp_whittle::surface::lean;
use mcp_whittle::token::{Encoding, TiktokenCounter, TokenCounter, Tokens};

/// A real list of definitions, as its server sent it.
const LIST: &str = include_str!("../testdata/servers/notion/tools.json");
/// What one read from a pipe brings at most.
const READ: usize = 64 << 10;

/// Answers of three sizes, prose and rows.
fn answers() -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for (name, bytes) in [("200 B", 200), ("20 KB", 20_000), ("1 MB", 1_000_000)] {
        answers.push((
            format!("text {name}"),
            answer(bytes, "\"", "\"", |_| {
                "A line of a file as tools return them, \\\"so\\\".\\n".to_owned()
            }),
        ));
        answers.push((format!("rows {name}"), answer(bytes, "[null", "]", row)));
    }
    answers
}

fn row(n: usize) -> String {
    let score = n % 97;
    format!(
        r#",{{"id":{n},"name":"item {n}","is_open":true,"score":{score}.25,"labels":["a","b"],"owner":null}}"#
    )
}

fn answer(bytes: usize, open: &str, close: &str, part: impl Fn(usize) -> String) -> String {
    let mut text = format!(
        r#"{{"jsonrpc":"2.0","id":12345,"result":{{"content":[{{"type":"text","text":{open}"#
    );
    let mut n = 0;
    while text.len() + 100 < bytes {
        text.push_str(&part(n));
        n += 1;
    }
    text.push_str(close);
    text.push_str("}]}}");
    text
}

fn envelope(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("envelope");
    for (name, text) in answers() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("scan", &name), |b| {
            let mut scanner = Scanner::new(limits);
            b.iter(|| {
                scanner.reset();
                scanner.feed(black_box(text.as_bytes()));
                scanner.finish().expect("the text is a message")
            });
        });
        let raw = Bytes::from(text.clone());
        group.bench_function(BenchmarkId::new("parse", &name), |b| {
            b.iter(|| Message::parse_single(black_box(raw.clone()), limits).expect("it is valid"));
        });
        group.bench_function(BenchmarkId::new("strict", &name), |b| {
            b.iter(|| strict::check(black_box(&text), &limits).expect("it is valid"));
        });
        let message = Message::parse_single(raw.clone(), limits).expect("it is valid");
        let id = message.span(EnvelopeKey::Id).expect("it has one");
        group.bench_function(BenchmarkId::new("splice", &name), |b| {
            b.iter(|| {
                let with = Bytes::from_static(b"\"7\"");
                let range = id.clone();
                splice(black_box(&raw), vec![Edit { range, with }])
            });
        });
        group.bench_function(BenchmarkId::new("memcpy", &name), |b| {
            b.iter(|| black_box(text.as_bytes()).to_vec());
        });
    }
    group.finish();
}

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("framing");
    for (name, text) in answers() {
        let line = format!("{text}\n");
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(BenchmarkId::new("lines", &name), |b| {
            let mut decoder = FrameDecoder::new(Limits::default());
            b.iter(|| {
                let mut frames = 0;
                for chunk in black_box(line.as_bytes()).chunks(READ) {
                    decoder.feed(chunk);
                    while decoder.poll_frame().is_some() {
                        frames += 1;
                    }
                }
                assert_eq!(frames, 1);
            });
        });
        let event = format!("event: message\ndata: {text}\n\n");
        group.bench_function(BenchmarkId::new("sse", &name), |b| {
            b.iter(|| {
                let mut decoder = SseDecoder::new(Limits::default().frame_bytes);
                let mut events = 0;
                for chunk in black_box(event.as_bytes()).chunks(READ) {
                    let mut rest = chunk;
                    while let Some(event) = decoder.feed(&mut rest).expect("it is not too large") {
                        black_box(event);
                        events += 1;
                    }
                }
                assert_eq!(events, 1);
            });
        });
    }
    group.finish();
}

/// The array in a list of tools.
fn tools_of(list: &str) -> &str {
    list.find('[')
        .and_then(|from| list.rfind(']').map(|to| &list[from..=to]))
        .expect("the list has tools")
}

fn definitions(c: &mut Criterion) {
    let mut group = c.benchmark_group("definitions");
    group.throughput(Throughput::Bytes(LIST.len() as u64));
    let tools = tools_of(LIST);
    group.bench_function("lean", |b| {
        b.iter(|| lean::lean_all(black_box(tools), &lean::Limits::default()));
    });
    group.finish();
}

/// Texts of the kinds that are counted, some 200 KB each.
fn counted_texts() -> [(&'static str, String); 9] {
    let han = (0..60_000_u32).map(|n| match n % 17 {
        16 => '，',
        // 3,000 characters in an order without end (a linear congruence, Knuth, TAOCP 2, 3.3.4).
        _ => char::from_u32(0x4e00 + (n.wrapping_mul(1_664_525).wrapping_add(n >> 3) >> 8) % 3_000)
            .unwrap_or('中'),
    });
    let fill = |text: &str| text.repeat(1 + 200_000 / text.len());
    [
        ("list", fill(LIST)),
        ("rows", answer(200_000, "[null", "]", row)),
        ("code", fill(include_str!("pure.rs"))),
        ("prose", fill(include_str!("../docs/performance.md"))),
        ("han", han.collect()),
        ("rare han", rare_han()),
        ("Aa, 1 MB", "Aa".repeat(500_000)),
        ("tabs and spaces", tabs_and_spaces()),
        ("emoji", emoji()),
    ]
}

/// Numbers in an order without end (Marsaglia, "Xorshift RNGs", 2003).
fn numbers() -> impl FnMut(u32) -> u32 {
    let mut state = 7_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32 % below
    }
}

/// Any of 20,000 characters, most of which are no token.
fn rare_han() -> String {
    let mut number = numbers();
    let character = |n: u32, code: u32| match n % 170 {
        169 => Some('，'),
        _ => char::from_u32(0x4e00 + code),
    };
    (0..60_000)
        .filter_map(|n| character(n, number(20_000)))
        .collect()
}

/// One piece: tabs, and runs of spaces between them.
fn tabs_and_spaces() -> String {
    let (mut number, mut text) = (numbers(), String::new());
    while text.len() < 100_000 {
        match number(8) {
            0 => text.push('\t'),
            _ => text.extend(std::iter::repeat_n(' ', number(9) as usize)),
        }
    }
    text + "x"
}

/// Symbols one after the other.
fn emoji() -> String {
    let mut number = numbers();
    (0..50_000)
        .filter_map(|_| char::from_u32(0x1f300 + number(0x350)))
        .collect()
}

/// Our counter beside tiktoken-rs, which has the same counts.
fn counting(c: &mut Criterion) {
    let mut group = c.benchmark_group("counting");
    group.sample_size(20);
    for (encoding, theirs) in [
        (Encoding::O200kBase, tiktoken_rs::o200k_base_singleton()),
        (Encoding::Cl100kBase, tiktoken_rs::cl100k_base_singleton()),
    ] {
        let counter = TiktokenCounter::new(encoding);
        for (name, text) in counted_texts() {
            let count = theirs.count_ordinary(&text) as u64;
            assert_eq!(counter.count(&text).get(), count, "{encoding} {name}");
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(
                BenchmarkId::new(format!("{encoding} {name}"), "ours"),
                |b| {
                    b.iter(|| counter.count(black_box(&text)));
                },
            );
            group.bench_function(
                BenchmarkId::new(format!("{encoding} {name}"), "tiktoken"),
                |b| {
                    b.iter(|| theirs.count_ordinary(black_box(&text)));
                },
            );
        }
    }
    let counter = TiktokenCounter::default();
    // Short enough that its bytes do not say yet that it is above.
    let (_, text) = &counted_texts()[0];
    let text = &text[..text.floor_char_boundary(20_000)];
    group.throughput(Throughput::Elements(1));
    group.bench_function("up to 1,000 tokens of a list", |b| {
        b.iter(|| counter.count_up_to(black_box(text), Tokens::new(1_000)));
    });
    group.finish();
}

/// Tools of the captured lists, again and again under other servers' names until there are `n`.
fn search(c: &mut Criterion) {
    let raw = members::elements(tools_of(LIST).as_bytes());
    let raw: Vec<&str> = raw.into_iter().map(|at| &tools_of(LIST)[at]).collect();
    let definitions: Vec<Definition<'_>> = raw
        .iter()
        .map(|tool| Definition::parse(tool).expect("it is a tool"))
        .collect();
    let queries = [
        "create a page",
        "list all users of the workspace and their mail addresses",
        "serach blocks",
    ];
    let mut group = c.benchmark_group("search");
    group.sample_size(20);
    for n in [100, 1_000, 10_000] {
        let servers: Vec<String> = (0..=n / raw.len()).map(|n| format!("server {n}")).collect();
        let entries: Vec<Entry<'_>> = (0..n)
            .map(|at| {
                let definition = &definitions[at % raw.len()];
                definition.entry(&definition.name, &servers[at / raw.len()], None)
            })
            .collect();
        group.bench_function(BenchmarkId::new("index", n), |b| {
            b.iter(|| Index::build(black_box(&entries)));
        });
        let index = Index::build(&entries);
        for query in queries {
            let id = format!("{n} tools, {query}");
            group.bench_function(BenchmarkId::new("query", id), |b| {
                b.iter(|| index.rank(black_box(query), 50));
            });
        }
    }
    group.finish();
}

/// The choice of renderings for tools of the captured list, again and again with other weights: budgets of
/// few tokens and of half of what all of them cost.
fn budget(c: &mut Criterion) {
    let raw = members::elements(tools_of(LIST).as_bytes());
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    let options = LadderOptions {
        may_use_open_schema: true,
        ..LadderOptions::default()
    };
    // From lean down to hidden, and what each is worth.
    let worth = [1000, 970, 850, 550, 250, 80];
    let ladders: Vec<Vec<Choice>> = raw
        .into_iter()
        .map(|at| {
            let priced = priced_ladder(&tools_of(LIST)[at], &options, &counter);
            let rungs = priced.iter().skip(1).zip(worth);
            rungs
                .map(|(priced, value)| Choice {
                    tokens: priced.tokens.get(),
                    value,
                })
                .collect()
        })
        .collect();
    let mut group = c.benchmark_group("budget");
    group.sample_size(20);
    for n in [12, 100, 1_000] {
        let tools: Vec<Vec<Choice>> = (0..n)
            .map(|at| {
                let mut options = ladders[at % ladders.len()].clone();
                let weight = 1 + (at * at % 17) as u64;
                options.iter_mut().for_each(|option| option.value *= weight);
                options
            })
            .collect();
        let all: u64 = tools.iter().map(|options| options[0].tokens).sum();
        for (name, budget) in [("2k tokens", 2_000), ("half of all", all / 2)] {
            group.bench_function(
                BenchmarkId::new("choose", format!("{n} tools, {name}")),
                |b| {
                    b.iter(|| choose(black_box(&tools), budget));
                },
            );
        }
    }
    group.finish();
}

/// Records of one kind with a nested object and an address, `bytes` of them.
fn records(bytes: usize) -> String {
    let mut text = String::from("[");
    let mut n = 0;
    while text.len() < bytes {
        if n > 0 {
            text.push(',');
        }
        text.push_str(&format!(
            r#"{{"id":{n},"name":"item {n}","state":"open","score":{}.25,"labels":["a","b"],"owner":null,"user":{{"login":"user{}","type":"User"}},"url":"https://example.com/items/{n}"}}"#,
            n % 97,
            n % 13
        ));
        n += 1;
    }
    text.push(']');
    text
}

/// The denser notations of results, decisions and counts included, and reading one back.
fn notations(c: &mut Criterion) {
    let counter = TiktokenCounter::new(Encoding::default());
    let bounds = Bounds::default();
    let text = |file: &str| -> String {
        let file: serde_json::Value = serde_json::from_str(file).expect("a captured result");
        file["response"]["result"]["content"][0]["text"]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    let issues = text(include_str!(
        "../testdata/results/github-legacy--list_issues-5.json"
    ));
    let webhook = text(include_str!(
        "../testdata/results/wrapped-github-webhook--pull_request-2.json"
    ));
    let inside = issues.trim().trim_matches(['[', ']']).to_owned();
    let texts = [
        ("records 20 KB", records(20_000)),
        ("records 1 MB", records(1_000_000)),
        ("webhook 26 KB", webhook),
        ("issues 40 KB", issues),
        ("issues 1 MB", format!("[{}]", vec![inside; 25].join(","))),
        ("log 1 MB", "one line of a log\n".repeat(60_000)),
    ];
    let mut group = c.benchmark_group("notation");
    group.sample_size(20);
    for (name, text) in &texts {
        compact(text, &counter, &bounds);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("compact", name), text, |b, text| {
            b.iter(|| compact(black_box(text), &counter, &bounds));
        });
        let Some(sent) = compact(text, &counter, &bounds) else {
            continue;
        };
        group.bench_with_input(BenchmarkId::new("decode", name), &sent.text, |b, sent| {
            b.iter(|| decode(black_box(sent), &bounds));
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    envelope,
    framing,
    definitions,
    search,
    budget,
    notations,
    counting,
);
criterion_main!(benches);
