use crate::catalog::tools_of;
use crate::surface::lean::Limits;
use crate::surface::lean::lean;
use crate::token::Encoding;
use crate::token::ModelFit;
use crate::token::TiktokenCounter;
use crate::token::TokenCounter;
use crate::token::Tokens;
use crate::token::report::Costs;
use crate::token::report::Detail;
use crate::token::report::Report;
use crate::token::report::ServerTools;
use crate::token::report::Sort;
use crate::token::report::TextOptions;

/// Counts bytes, so that expected numbers can be read off the text.
struct Bytes;

impl TokenCounter for Bytes {
    fn name(&self) -> &str {
        "bytes"
    }

    fn count(&self, text: &str) -> Tokens {
        Tokens::from(text.len())
    }

    fn count_up_to(&self, text: &str, limit: Tokens) -> Option<Tokens> {
        Some(self.count(text)).filter(|count| *count <= limit)
    }
}

fn server(name: &str, list: &str) -> ServerTools {
    let tools = tools_of(list);
    let shown = tools
        .iter()
        .map(|raw| lean(raw, &Limits::default()).text(raw).to_owned())
        .collect();
    ServerTools {
        server: name.to_owned(),
        tools,
        shown,
    }
}

fn real_servers() -> Vec<ServerTools> {
    vec![
        server(
            "time",
            include_str!("../../../testdata/servers/time/tools.json"),
        ),
        server(
            "notion",
            include_str!("../../../testdata/servers/notion/tools.json"),
        ),
        server(
            "filesystem",
            include_str!("../../../testdata/servers/filesystem/tools.json"),
        ),
    ]
}

fn report(servers: &[ServerTools]) -> Report {
    let fit = ModelFit::of_encoding(Encoding::O200kBase);
    Report::build(servers, &TiktokenCounter::default(), &fit).sorted(Sort::Cost)
}

#[test]
fn every_part_is_counted() {
    let raw = r#"{ "name":"ab", "title":"T", "description":"d d", "inputSchema":{ "a":1 }, "outputSchema":{}, "x":[ 1 ] }"#;
    let costs = Costs::of(raw, &Bytes);
    let expected = Costs {
        name: Tokens::new(4),
        description: Tokens::new(5),
        input_schema: Tokens::new(7),
        output_schema: Tokens::new(2),
        // "title":"T" and "x":[1]
        rest: Tokens::new(11 + 7),
        wire: Tokens::from(raw.len()),
        model_visible: Tokens::from(
            r#"{"name":"ab","description":"d d","input_schema":{"a":1}}"#.len(),
        ),
    };
    assert_eq!(costs, expected);
    let broken = Costs::of("not json", &Bytes);
    assert_eq!(
        (broken.wire, broken.model_visible),
        (Tokens::new(8), Tokens::ZERO)
    );
}

/// Hidden tools cost nothing after, added ones nothing before, and a loss is shown as one.
#[test]
fn sums_and_savings_are_honest() {
    let servers = [ServerTools {
        server: "s".to_owned(),
        tools: vec![r#"{"name":"a"}"#.to_owned(), r#"{"name":"bb"}"#.to_owned()],
        shown: vec![r#"{"name":"a","description":"longer than before"}"#.to_owned()],
    }];
    let fit = ModelFit::of("claude-x");
    let report = Report::build(&servers, &Bytes, &fit);
    let [server] = &report.servers[..] else {
        panic!("one server")
    };
    assert_eq!(server.tools[0].saved.wire_percent, Some(-291.7));
    assert_eq!(server.tools[1].saved.wire_percent, Some(100.0));
    assert_eq!(server.before.wire, Tokens::new(25));
    assert_eq!(server.after.wire, Tokens::new(47));
    assert_eq!(report.totals.saved.wire_percent, Some(-88.0));
    let text = report.to_text(&TextOptions::default());
    assert!(
        text.contains("-88.0%") && text.contains("bytes, estimated"),
        "{text}"
    );

    let added = [ServerTools {
        server: "meta".to_owned(),
        tools: Vec::new(),
        shown: vec![r#"{"name":"search"}"#.to_owned()],
    }];
    let report = Report::build(&added, &Bytes, &fit);
    assert_eq!(report.servers[0].tools[0].name.as_deref(), Some("search"));
    assert_eq!(report.totals.saved.wire_percent, None);
    assert_eq!(report.totals.n_tools, 0);
}

#[test]
fn the_known_server_shrinks_as_known() {
    let report = report(&real_servers());
    let notion = &report.servers[0];
    assert_eq!(notion.server, "notion");
    // The whole compact array is known to have 17,163 tokens; these are its tools one by one.
    assert_eq!(notion.before.model_visible, Tokens::new(17_161));
    assert_eq!(notion.after.model_visible, Tokens::new(4_950));
}

#[test]
fn order_is_by_cost_or_name_or_as_given() {
    let names = |sort| -> Vec<String> {
        let report = report(&real_servers()).sorted(sort);
        report
            .servers
            .into_iter()
            .map(|server| server.server)
            .collect()
    };
    assert_eq!(names(Sort::Cost), ["notion", "filesystem", "time"]);
    assert_eq!(names(Sort::Name), ["filesystem", "notion", "time"]);
    let given = Report::build(&real_servers(), &Bytes, &ModelFit::of("")).sorted(Sort::Given);
    assert_eq!(given.servers[0].server, "time");
    let by_cost = report(&real_servers());
    for server in &by_cost.servers {
        assert!(
            server
                .tools
                .is_sorted_by_key(|tool| std::cmp::Reverse(tool.before.model_visible))
        );
    }
}

#[test]
fn text_fits_and_keeps_terminals_safe() {
    let report = report(&real_servers());
    for width in [80, 100, 120] {
        for detail in [Detail::Auto, Detail::Servers, Detail::Tools] {
            let text = report.to_text(&TextOptions { detail, width });
            let longest = text.lines().map(|line| line.chars().count()).max();
            // The numbers of this list take 75 columns beside a name of at least 14.
            assert!(
                longest <= Some(width.max(90)),
                "{width} {detail:?}: {longest:?}\n{text}"
            );
        }
    }
    let hostile = [ServerTools {
        server: "s\u{1b}[2J".to_owned(),
        tools: vec![r#"{"name":"a\u001b[31m\u202e"}"#.to_owned(), "7".to_owned()],
        shown: Vec::new(),
    }];
    let text =
        Report::build(&hostile, &Bytes, &ModelFit::of("m\u{1b}")).to_text(&TextOptions::default());
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text}"
    );
    assert!(text.contains("(no name)"), "{text}");
}

#[test]
fn what_people_read() {
    let report = report(&real_servers());
    let text = |detail, width| report.to_text(&TextOptions { detail, width });
    insta::assert_snapshot!("report_auto_100", text(Detail::Auto, 100));
    insta::assert_snapshot!("report_servers_80", text(Detail::Servers, 80));
    let one = [real_servers().remove(0)];
    insta::assert_snapshot!(
        "report_one_server_80",
        self::report(&one).to_text(&TextOptions {
            width: 80,
            ..TextOptions::default()
        })
    );
}

/// The keys are an interface.
#[test]
fn what_programs_read() {
    let one = [real_servers().remove(0)];
    insta::assert_json_snapshot!("report_json", report(&one));
}
