use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::*;
use crate::token::{Encoding, TiktokenCounter};

/// A captured list, its tools renamed as a prefix would.
fn part(server: &str) -> Part {
    let file = format!(
        "{}/testdata/servers/{server}/tools.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&file).expect("the captured list");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let tools = list["result"]["tools"].as_array().expect("tools");
    Part {
        server: server.to_owned(),
        tools: tools
            .iter()
            .map(|tool| {
                let mut tool = tool.clone();
                let name = format!("{server}__{}", tool["name"].as_str().unwrap());
                tool["name"] = name.into();
                Bytes::from(tool.to_string())
            })
            .collect(),
    }
}

const SERVERS: [&str; 6] = [
    "aws-documentation",
    "everything",
    "filesystem",
    "memory",
    "notion",
    "time",
];

fn fleet() -> Vec<Part> {
    SERVERS.into_iter().map(part).collect()
}

fn budget(budget: Budget) -> Settings {
    Settings {
        budget,
        form: Form {
            may_use_open_schema: true,
            ..Form::default()
        },
        ..Settings::default()
    }
}

fn counter() -> TiktokenCounter {
    TiktokenCounter::new(Encoding::O200kBase)
}

fn shown_tokens(surface: &Surface) -> u64 {
    let own = surface.meta_tools.iter();
    let listed = surface
        .tools
        .iter()
        .flatten()
        .filter_map(|tool| tool.text.as_ref());
    own.chain(listed)
        .map(|text| model_tokens(std::str::from_utf8(text).unwrap(), &counter()).get())
        .sum()
}

/// Counts how often it is asked.
struct Asked(AtomicUsize);

impl TokenCounter for Asked {
    fn name(&self) -> &str {
        "asked"
    }
    fn count(&self, text: &str) -> Tokens {
        self.0.fetch_add(1, Ordering::Relaxed);
        counter().count(text)
    }
    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        self.0.fetch_add(1, Ordering::Relaxed);
        counter().count_up_to(text, limit)
    }
}

#[test]
fn every_budget_is_kept_or_the_shortfall_said() {
    let parts = fleet();
    let all = plan(&parts, &budget(Budget::Tokens(1_000_000)), &counter());
    let lean = shown_tokens(&all);
    assert!(
        all.tools
            .iter()
            .flatten()
            .all(|tool| tool.rung <= Rung::Lean)
    );
    let mut before = u64::MAX;
    for limit in [16_000, 8_000, 6_000, 4_000, 3_000, 2_000, 1_000, 700] {
        let surface = plan(&parts, &budget(Budget::Tokens(limit)), &counter());
        let tokens = shown_tokens(&surface);
        let cost = surface.cost.expect("it was counted");
        assert_eq!(cost.shown.get(), tokens, "{limit}");
        assert!(
            tokens <= limit && surface.shortfall.is_none(),
            "{limit}: {tokens}"
        );
        assert!(tokens <= before && tokens <= lean);
        assert_eq!(cost.meta.get() > 0, surface.hides());
        let hidden = surface
            .tools
            .iter()
            .flatten()
            .any(|tool| tool.text.is_none());
        assert_eq!(
            hidden,
            surface.hides(),
            "{limit}: ours are there if and only if they are needed"
        );
        before = tokens;
    }
    let floor = plan(&parts, &budget(Budget::Tokens(100)), &counter());
    assert!(
        matches!(floor.shortfall, Some(Shortfall::Over { .. })),
        "{:?}",
        floor.shortfall
    );
    assert!(shown_tokens(&floor) < 700);
}

#[test]
fn auto_only_leans_below_the_break_even_and_counts_nothing() {
    let asked = Asked(AtomicUsize::new(0));
    let parts = vec![part("time"), part("memory")];
    let surface = plan(&parts, &budget(Budget::Auto), &asked);
    assert_eq!(asked.0.load(Ordering::Relaxed), 0);
    assert!(
        surface
            .tools
            .iter()
            .flatten()
            .all(|tool| tool.rung <= Rung::Lean)
    );
    assert!(!surface.hides());
    let parts = fleet();
    let surface = plan(&parts, &budget(Budget::Auto), &asked);
    assert!(asked.0.load(Ordering::Relaxed) > 0);
    assert!(!surface.hides(), "shortening is enough");
    assert!(
        surface
            .tools
            .iter()
            .flatten()
            .all(|tool| tool.rung <= Rung::Short)
    );
    assert!(shown_tokens(&surface) < surface.cost.unwrap().lean.get());
}

#[test]
fn nothing_shown_costs_more_than_the_bare_list() {
    // Meta-tools alone would cost more than these two tools.
    let parts = vec![part("time")];
    for limit in [0, 10, 50, 100, 200] {
        let surface = plan(&parts, &budget(Budget::Tokens(limit)), &counter());
        let bare: u64 = parts[0]
            .tools
            .iter()
            .map(|tool| model_tokens(std::str::from_utf8(tool).unwrap(), &counter()).get())
            .sum();
        assert!(shown_tokens(&surface) <= bare);
        assert_eq!(surface.shortfall.is_some(), shown_tokens(&surface) > limit);
    }
    // One tool costs less than ours do.
    let one = vec![Part {
        tools: parts[0].tools[..1].to_vec(),
        ..parts[0].clone()
    }];
    let surface = plan(&one, &budget(Budget::Tokens(10)), &counter());
    assert!(!surface.hides());
    assert!(matches!(
        surface.shortfall,
        Some(Shortfall::BelowMetaTools { .. })
    ));
}

#[test]
fn pins_hold_and_weights_draw() {
    let parts = fleet();
    let mut settings = budget(Budget::Tokens(2_500));
    settings.pins = vec![
        "filesystem__read*=lean".parse().unwrap(),
        "notion__*=hidden".parse().unwrap(),
    ];
    settings
        .weights
        .insert("memory__add_observations".into(), 1000);
    let surface = plan(&parts, &settings, &counter());
    assert!(surface.shortfall.is_none());
    for (part, tools) in parts.iter().zip(&surface.tools) {
        for (raw, shown) in part.tools.iter().zip(tools) {
            let tool: Value = serde_json::from_slice(raw).unwrap();
            let name = tool["name"].as_str().unwrap();
            if name.starts_with("filesystem__read") {
                assert!(shown.rung <= Rung::Lean, "{name}");
            } else if name.starts_with("notion__") {
                assert_eq!(shown.rung, Rung::Hidden, "{name}");
            } else if name == "memory__add_observations" {
                assert!(shown.rung <= Rung::Dense, "{name}: {}", shown.rung);
            }
        }
    }
}

/// Broken variants that this catches: one that hides what a host or a client needs the list for, by a budget, under
/// `auto` or where the client takes few tools, and one that takes its `_meta` or `execution` away.
#[test]
fn tools_that_ours_cannot_stand_in_for_stay_listed() {
    let words = "Long words about it, many of them. ".repeat(20);
    let tool = |name: &str, more: &str| {
        Bytes::from(format!(
            r#"{{"name":"{name}","description":"Does {name}. {words}","inputSchema":{{"type":"object","properties":{{"x":{{"type":"string","description":"{words}"}}}}}},"annotations":{{"readOnlyHint":true}},{more}}}"#
        ))
    };
    let n_others = 500;
    let mut tools: Vec<Bytes> = (0..n_others)
        .map(|n| {
            tool(
                &format!("tool_{n}"),
                r#""execution":{"taskSupport":"optional"}"#,
            )
        })
        .collect();
    tools.extend([
        tool(
            "refresh_board",
            r#""_meta":{"ui":{"resourceUri":"ui://b","visibility":["app"]}}"#,
        ),
        tool("show_board", r#""_meta":{"ui/resourceUri":"ui://b"}"#),
        tool("research", r#""execution":{"taskSupport":"required"}"#),
    ]);
    let parts = vec![Part {
        server: "s".to_owned(),
        tools,
    }];
    let mut few = budget(Budget::Auto);
    few.form.tool_limit = Some(10);
    for settings in [budget(Budget::Auto), budget(Budget::Tokens(800)), few] {
        let surface = plan(&parts, &settings, &counter());
        assert!(surface.hides(), "{settings:?}");
        let (others, kept) = surface.tools[0].split_at(n_others);
        assert!(others.iter().any(|tool| tool.text.is_none()));
        for (tool, sent) in kept.iter().zip(&parts[0].tools[n_others..]) {
            let text = tool.text.as_ref().expect("it is listed");
            for member in ["_meta", "execution"] {
                assert_eq!(
                    crate::jsonrpc::members::get(text, member),
                    crate::jsonrpc::members::get(sent, member),
                    "{settings:?}"
                );
            }
        }
    }
    // What an operator pinned holds for them too.
    let mut settings = budget(Budget::Auto);
    settings.pins = vec!["*=hidden".parse().unwrap()];
    let surface = plan(&parts, &settings, &counter());
    assert!(surface.tools[0].iter().all(|tool| tool.text.is_none()));
}

#[test]
fn a_client_that_searches_gets_the_whole_list() {
    let mut settings = budget(Budget::Tokens(1_000));
    settings.form = Form {
        searches_itself: true,
        description_limit: Some(400),
        ..Form::default()
    };
    let parts = fleet();
    let surface = plan(&parts, &settings, &counter());
    assert!(!surface.hides());
    assert!(
        surface
            .tools
            .iter()
            .flatten()
            .all(|tool| tool.text.is_some() && tool.rung <= Rung::Short)
    );
    assert!(
        surface
            .tools
            .iter()
            .flatten()
            .any(|tool| tool.rung == Rung::Short)
    );
}

/// Broken variant that this catches: ours are counted only where the servers' tools alone are too many.
#[test]
fn a_number_of_tools_is_kept_where_few_are_hidden() {
    let hints = [
        r#"{"readOnlyHint":true}"#,
        r#"{"destructiveHint":false}"#,
        "{}",
    ];
    let tool = |n: usize| {
        Bytes::from(format!(
            r#"{{"name":"tool_{n}","description":"Does thing {n}.","inputSchema":{{"type":"object","properties":{{"x":{{"type":"string"}}}}}},"annotations":{}}}"#,
            hints[n % 3]
        ))
    };
    let parts = vec![Part {
        server: "s".to_owned(),
        tools: (0..40).map(tool).collect(),
    }];
    let listed = |settings: &Settings| {
        let surface = plan(&parts, settings, &counter());
        let shown = surface.tools.iter().flatten();
        let n_shown = shown.filter(|tool| tool.text.is_some()).count();
        let own = surface.meta_tools.len() + usize::from(surface.read_result.is_some());
        (surface.hides(), n_shown + own)
    };
    let mut settings = budget(Budget::Auto);
    settings.form.tool_limit = Some(40);
    assert_eq!(listed(&settings), (false, 40));
    settings.pins = vec!["tool_7=hidden".parse().unwrap()];
    assert_eq!(listed(&settings), (true, 40));
    settings.reads_results = ReadsResults::Always;
    assert_eq!(listed(&settings), (true, 40));
    settings.reads_results = ReadsResults::Never;
    // Hidden by a pin and by the budget, then by the budget alone.
    for pins in [settings.pins.clone(), Vec::new()] {
        settings.pins = pins;
        let mut n_hiding = 0;
        for limit in (400..3_000).step_by(200) {
            settings.budget = Budget::Tokens(limit);
            let (hides, n_listed) = listed(&settings);
            assert!(n_listed <= 40, "{limit}: {n_listed}");
            n_hiding += usize::from(hides);
        }
        assert!(n_hiding > 0);
    }
    // Who wants it whole gets it whole.
    settings.budget = Budget::Unlimited;
    settings.pins = vec!["tool_7=hidden".parse().unwrap()];
    assert_eq!(listed(&settings), (true, 44));
}

/// Broken variant that this catches: one for which what has to be in a list goes before what an operator pinned, or
/// beside it.
#[test]
fn what_is_pinned_has_the_first_places() {
    let board = |n: usize| {
        Bytes::from(format!(
            r#"{{"name":"board_{n}","description":"Shows it.","inputSchema":{{"type":"object"}},"_meta":{{"ui":{{"resourceUri":"ui://b"}}}}}}"#
        ))
    };
    let mut tools: Vec<Bytes> = (0..130).map(board).collect();
    tools.push(Bytes::from_static(
        br#"{"name":"pay","description":"Pays.","inputSchema":{"type":"object"}}"#,
    ));
    let parts = vec![Part {
        server: "s".to_owned(),
        tools,
    }];
    let mut settings = budget(Budget::Auto);
    settings.form.tool_limit = Some(40);
    settings.pins = vec!["pay=full".parse().unwrap()];
    let surface = plan(&parts, &settings, &counter());
    let (pay, boards) = surface.tools[0].split_last().expect("the tools");
    assert!(pay.text.is_some());
    let n_boards = boards.iter().filter(|tool| tool.text.is_some()).count();
    assert!((1..40).contains(&n_boards), "{n_boards}");
}

#[test]
fn the_same_input_gives_the_same_bytes_and_odd_tools_stay() {
    let mut parts = fleet();
    parts.push(Part {
        server: "odd".into(),
        tools: [
            r#"{"name":"odd__a","inputSchema":7}"#,
            r#"{}"#,
            r#"[1"#,
            "\u{e9}",
        ]
        .into_iter()
        .map(|text| Bytes::copy_from_slice(text.as_bytes()))
        .collect(),
    });
    parts.push(Part {
        server: "none".into(),
        tools: Vec::new(),
    });
    for limit in [Budget::Auto, Budget::Tokens(3_000), Budget::Tokens(900)] {
        let one = plan(&parts, &budget(limit), &counter());
        let two = plan(&parts, &budget(limit), &counter());
        assert_eq!(one.tools, two.tools);
        assert_eq!(one.meta_tools, two.meta_tools);
        let lengths: Vec<usize> = one.tools.iter().map(Vec::len).collect();
        assert_eq!(
            lengths,
            parts
                .iter()
                .map(|part| part.tools.len())
                .collect::<Vec<_>>()
        );
    }
}

/// Above the break-even of hiding `auto` lists what pays for its place: of many tools that nothing is known
/// of nearly none, and those that are used.
#[test]
fn auto_lists_what_pays() {
    let parts: Vec<Part> = (0..3)
        .flat_map(|copy| {
            fleet().into_iter().map(move |mut part| {
                let server = format!("{}{copy}", part.server);
                for tool in &mut part.tools {
                    let mut value: Value = serde_json::from_slice(tool).unwrap();
                    let name = value["name"].as_str().unwrap();
                    let own = name.split_once("__").unwrap().1;
                    value["name"] = format!("{server}__{own}").into();
                    *tool = Bytes::from(value.to_string());
                }
                Part { server, ..part }
            })
        })
        .collect();
    let mut settings = budget(Budget::Auto);
    let plain = plan(&parts, &settings, &counter());
    let cost = plain.cost.expect("it was counted");
    assert!(cost.lean.get() > HIDE_FROM, "{}", cost.lean);
    assert!(plain.hides() && cost.shown.get() < 1_000, "{}", cost.shown);
    assert_eq!(cost.shown.get(), shown_tokens(&plain));
    let used = "filesystem1__read_text_file";
    settings.weights.insert(used.to_owned(), weight_of(500));
    let weighted = plan(&parts, &settings, &counter());
    let shown: Vec<(&Part, &Shown)> = parts
        .iter()
        .zip(&weighted.tools)
        .flat_map(|(part, tools)| {
            let is_used = |(raw, _): &(&Bytes, &Shown)| {
                crate::jsonrpc::members::get_text(raw, "name").as_deref() == Some(used)
            };
            let found = part.tools.iter().zip(tools).filter(is_used);
            found.map(move |(_, shown)| (part, shown))
        })
        .collect();
    assert!(
        matches!(shown.as_slice(), [(_, one)] if one.rung <= Rung::Short),
        "{shown:?}"
    );
    assert_eq!(weighted.cost.unwrap().shown.get(), shown_tokens(&weighted));
}

/// Where pins keep every tool listed, ours would only be paid for.
#[test]
fn pins_that_hide_nothing_need_no_tools_of_ours() {
    let mut settings = budget(Budget::Tokens(300));
    settings.pins = vec!["*=lean".parse().unwrap()];
    let surface = plan(&[part("filesystem")], &settings, &counter());
    assert!(!surface.hides());
    let cost = surface.cost.expect("it was counted");
    assert!(cost.shown <= cost.bare && cost.meta == Tokens::ZERO);
    assert_eq!(
        surface.shortfall,
        Some(Shortfall::Over {
            budget: 300,
            shown: cost.shown.get()
        })
    );
}

#[test]
fn read_result_is_part_of_the_list_and_of_its_budget() {
    let counter = counter();
    let own = crate::surface::meta_tools::read_result_tool(&MetaNames::default());
    let tokens = model_tokens(&own, &counter).get();
    assert!(
        (READ_RESULT_TOKENS - 30..=READ_RESULT_TOKENS).contains(&tokens),
        "{tokens}"
    );
    let cl100k = TiktokenCounter::new(Encoding::Cl100kBase);
    assert!(model_tokens(&own, &cl100k).get() <= READ_RESULT_TOKENS);
    for limit in [3000, 6000, 20_000] {
        let settings = Settings {
            reads_results: ReadsResults::Always,
            ..budget(Budget::Tokens(limit))
        };
        let surface = plan(&fleet(), &settings, &counter);
        assert!(surface.read_result.is_some());
        let shown = shown_tokens(&surface) + tokens;
        assert!(shown <= limit, "{shown} of {limit}");
        assert_eq!(surface.cost.map(|cost| cost.shown.get()), Some(shown));
        assert!(surface.budget.is_none_or(|budget| budget == limit));
    }
    let whole = Settings {
        reads_results: ReadsResults::Always,
        ..Settings::default()
    };
    let surface = plan(&[part("time")], &whole, &counter);
    assert!(!surface.hides() && surface.read_result.is_some());
    let without = plan(&[part("time")], &Settings::default(), &counter);
    assert_eq!(without.read_result, None);
    assert_eq!(surface.tools, without.tools);
}

/// By itself it is listed only where the list is still no dearer than the bare one.
#[test]
fn read_result_pays_for_its_place() {
    let counter = counter();
    let settings = Settings {
        reads_results: ReadsResults::WherePaid,
        ..Settings::default()
    };
    let small = plan(&[part("time")], &settings, &counter);
    assert_eq!(small.read_result, None);
    let large = plan(&fleet(), &settings, &counter);
    assert!(large.read_result.is_some());
    let cost = large.cost.unwrap();
    assert!(cost.shown <= cost.bare, "{cost:?}");
}

/// What is left out because it cannot be chosen changes nothing: every captured list, alone and all together, is
/// planned as it is where every rung is made and counted. Leaving out `short` under `auto`, or taking the short
/// way at any other limit than the budget, fails here.
#[test]
fn rungs_that_cannot_be_chosen_are_not_missed() {
    let counter = counter();
    let mut lists: Vec<Vec<Part>> = SERVERS.into_iter().map(|name| vec![part(name)]).collect();
    lists.push(fleet());
    lists.push(vec![part("notion"), part("filesystem")]);
    let budgets = [
        Budget::Auto,
        Budget::Unlimited,
        Budget::Tokens(400),
        Budget::Tokens(1_500),
        Budget::Tokens(4_000),
        Budget::Tokens(5_200),
        Budget::Tokens(100_000),
    ];
    let mut n_short_ways = 0;
    for parts in &lists {
        for may_use_open_schema in [true, false] {
            let settings = |limit| {
                let mut settings = budget(limit);
                settings.form.may_use_open_schema = may_use_open_schema;
                settings
            };
            let auto = settings(Budget::Auto);
            let mut all = Catalogue::read(parts, &auto);
            all.price(Rung::Hidden, &auto.ladder(), &counter);
            for limit in budgets {
                let settings = settings(limit);
                let mut catalogue = Catalogue::read(parts, &settings);
                let surface = planned(&mut catalogue, &settings, &counter);
                if surface.cost.is_none() {
                    continue;
                }
                let made = catalogue.steps.iter().map(|steps| steps.priced.len());
                n_short_ways += usize::from(made.max() == Some(2));
                let slow = chosen(&mut all, &settings, &counter);
                let what = format!("{} {limit}", parts[0].server);
                assert_eq!(surface.tools, slow.tools, "{what}");
                assert_eq!(surface.meta_tools, slow.meta_tools, "{what}");
                assert_eq!(surface.cost, slow.cost, "{what}");
                assert_eq!(surface.budget, slow.budget, "{what}");
                assert_eq!(surface.shortfall, slow.shortfall, "{what}");
            }
        }
    }
    assert!(n_short_ways > 10, "{n_short_ways}");
}

#[test]
fn a_rehearsal_counts_as_a_list_does() {
    let asked = Asked(AtomicUsize::new(0));
    rehearse(&asked);
    assert!(asked.0.load(Ordering::Relaxed) > 0);
}
