//! Behaviour of index, ranking and answers on small catalogues, and their properties on any text.

mod properties;

use crate::search::{Answer, Entry, Field, Index, NameHit, Relation, Request, Tuning, Verdict};

fn tool<'a>(server: &'a str, name: &'a str, description: &'a str) -> Entry<'a> {
    Entry {
        id: name,
        name,
        server,
        description: Some(description),
        ..Entry::default()
    }
}

/// Tools of several servers, in the style of real ones.
fn tools() -> Vec<Entry<'static>> {
    let mut tools = vec![
        tool(
            "files",
            "read_file",
            "Read the complete contents of a file from the disk.",
        ),
        tool(
            "files",
            "write_file",
            "Create a new file or overwrite an existing one.",
        ),
        tool(
            "files",
            "listDirectory",
            "Get a listing of everything in a directory.",
        ),
        tool(
            "tracker",
            "create_issue",
            "Open a new issue in a project. Labels are optional.",
        ),
        tool("tracker", "close_issue", "Mark an issue as done."),
        tool(
            "office",
            "create_powerpoint",
            "Make slides from an outline.",
        ),
        tool(
            "weather",
            "get_forecast",
            "Weather for the coming days at a place.",
        ),
        tool("maps", "天气查询", "查询城市的天气预报"),
        tool("audio", "publish_podcast", "Release an episode."),
        tool("photos", "resize", "Change the size of a picture."),
    ];
    tools[3].input_schema = Some(
        r#"{"properties":{"assignee":{"description":"Who has to solve it"},"priority":{"enum":["urgent","minor"]}}}"#,
    );
    tools
}

fn names(index: &Index, query: &str) -> Vec<&'static str> {
    let ranked = index.rank(query, 10);
    ranked.iter().map(|hit| tools()[hit.tool].name).collect()
}

#[track_caller]
fn first(query: &str, expected: &str) {
    let index = Index::build(&tools());
    assert_eq!(names(&index, query).first(), Some(&expected), "{query}");
}

fn answer(entries: &[Entry<'_>], queries: &[&str], server: Option<&str>, limit: usize) -> Answer {
    let request = Request {
        queries,
        server,
        limit,
    };
    Index::build(entries)
        .answer(&request)
        .expect("the server is known")
}

#[test]
fn words_find_tools_in_other_forms() {
    first("reading files", "read_file");
    first("LIST directories", "listDirectory");
    first("new ticket", "create_issue"); // synonyms
    first("assign someone", "create_issue"); // a form of a parameter's name
    first("urgent", "create_issue"); // a value of an enum
    first("pod cast", "publish_podcast"); // written apart
    first("wheather", "get_forecast"); // misspelt
    first("天气", "天气查询");
    first("ｆｏｒｅｃａｓｔ", "get_forecast");
}

#[test]
fn what_no_tool_has_finds_nothing() {
    let index = Index::build(&tools());
    for query in ["", "   ", "the of and", "zzzz qqqq", "🦀", "\u{0}\u{ffff}"] {
        assert!(index.rank(query, 10).is_empty(), "{query:?}");
    }
    let empty = Index::build(&[]);
    assert!(empty.rank("file", 10).is_empty());
    let found = answer(&[], &["file"], None, 5);
    assert_eq!((found.verdict, found.hits.len()), (Verdict::NothingFits, 0));
}

#[test]
fn equal_tools_keep_the_order_of_the_catalogue() {
    let twins: Vec<_> = ["c", "a", "b"]
        .map(|server| tool(server, "ping", "Ping a host."))
        .into();
    let ranked = Index::build(&twins).rank("ping host", 10);
    let order: Vec<_> = ranked.iter().map(|hit| hit.tool).collect();
    assert_eq!(order, [0, 1, 2]);
    assert_eq!(ranked[0].score, ranked[2].score);
}

#[test]
fn names_come_before_scores() {
    let found = answer(&tools(), &["closeIssue"], None, 3);
    assert_eq!(
        (found.hits[0].tool, found.hits[0].named),
        (4, Some(NameHit::Spelling))
    );
    let found = answer(
        &tools(),
        &["use write_file to read the contents of a file"],
        None,
        3,
    );
    assert_eq!(
        (found.hits[0].tool, found.hits[0].named),
        (1, Some(NameHit::Mention))
    );
    assert_eq!(found.verdict, Verdict::Fits);
    assert_eq!(found.hits[1].tool, 0);
}

#[test]
fn several_queries_are_served_by_turns() {
    let queries = [
        "read a file",
        "weather forecast",
        "quantum chromodynamics lattice",
    ];
    let found = answer(&tools(), &queries, None, 4);
    assert_eq!(found.verdict, Verdict::Fits);
    assert_eq!(found.verdicts[2], Verdict::NothingFits);
    let order: Vec<_> = found.hits.iter().map(|hit| (hit.tool, hit.query)).collect();
    assert_eq!(order[..2], [(0, 0), (6, 1)]);
    let mut tools: Vec<_> = order.iter().map(|(tool, _)| tool).collect();
    tools.dedup();
    assert_eq!(tools.len(), order.len(), "each tool once");
}

#[test]
fn a_server_filter_lets_only_that_server_through() {
    let found = answer(&tools(), &["create a file or an issue"], Some("tracker"), 9);
    assert!(
        found
            .hits
            .iter()
            .all(|hit| tools()[hit.tool].server == "tracker")
    );
    assert_eq!(found.hits.len(), 2);
    let request = Request {
        queries: &["x"],
        server: Some("Tracker"),
        limit: 1,
    };
    let error = Index::build(&tools())
        .answer(&request)
        .expect_err("names are exact");
    assert_eq!(error.servers.len(), 7);
    assert!(error.servers.contains(&"tracker".to_owned()));
}

#[test]
fn verdicts() {
    #[track_caller]
    fn check(query: &str, expected: Verdict) {
        assert_eq!(
            answer(&tools(), &[query], None, 5).verdict,
            expected,
            "{query}"
        );
    }
    check("read the contents of a file", Verdict::Fits);
    check("create_issue", Verdict::Fits);
    check("photo", Verdict::Fits);
    check("book a table in a restaurant", Verdict::NothingFits);
    check("asdf jkl qwertz", Verdict::NothingFits);
    check("", Verdict::NothingFits);
}

#[test]
fn a_server_full_of_copies_leaves_room() {
    let mut entries = vec![tool(
        "tracker",
        "create_issue",
        "Open a new issue in a project.",
    )];
    let stuffed = "create issue open issue new issue project issue tracker issue. ".repeat(20);
    let ids: Vec<String> = (0..50).map(|n| format!("create_issue_{n}")).collect();
    for id in &ids {
        let mut copy = tool("evil", id, &stuffed);
        copy.title = Some("create issue");
        copy.input_schema = Some(r#"{"properties":{"issue":{"description":"issue create"}}}"#);
        entries.push(copy);
    }
    for query in [
        "create issue",
        "open a new issue in a project",
        "new project issue please",
    ] {
        let found = answer(&entries, &[query], None, 5);
        assert!(found.hits.iter().any(|hit| hit.tool == 0), "{query}");
        let ranked = Index::build(&entries).rank(query, 5);
        assert!(found.hits.len() == 5 && ranked.len() == 5);
    }
}

#[test]
fn where_nothing_competes_a_server_may_fill_the_list() {
    let entries: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .map(|name| tool("only", name, "Paint a picture of a mountain."))
        .into_iter()
        .chain([tool("other", "g", "Send a mail.")])
        .collect();
    let found = answer(&entries, &["paint a mountain"], None, 5);
    assert!(
        found
            .hits
            .iter()
            .all(|hit| entries[hit.tool].server == "only")
    );
    assert_eq!(found.hits.len(), 5);
}

#[test]
fn explanations_add_up_and_name_the_fields() {
    let entries = tools();
    let index = Index::build(&entries);
    let query = "make power point slides urgently";
    let best = index.rank(query, 1)[0];
    let why = index
        .explain(query, best.tool, &entries[best.tool])
        .expect("it is a tool");
    assert!((why.score - best.score).abs() < 1e-6, "{why:?} {best:?}");
    assert!(
        why.terms
            .iter()
            .any(|term| term.is_joined && term.term == "powerpoint")
    );
    assert_eq!(why.missing, ["point", "urgent"]);
    for term in &why.terms {
        let fields: f64 = term.fields.iter().map(|(_, score)| score).sum();
        assert!((fields - term.score).abs() < 1e-9, "{term:?}");
    }
    let made = why
        .terms
        .iter()
        .find(|term| term.term == "make")
        .expect("it has it");
    assert_eq!(made.fields[0].0, Field::Purpose);
    assert!(
        made.found_by
            .contains(&("creat".to_owned(), Relation::Synonym))
    );
    assert_eq!(index.explain(query, 99, &entries[0]), None);
}

#[test]
fn did_you_mean_knows_the_catalogue() {
    let index = Index::build(&tools());
    let near = |name: &str| -> Vec<&str> {
        let found = index.nearest_names(name, 3);
        found.into_iter().map(|tool| tools()[tool].name).collect()
    };
    assert_eq!(near("issue_create").first(), Some(&"create_issue"));
    assert_eq!(near("readfile"), ["read_file"]);
    assert!(near("transmogrify").is_empty());
}

#[test]
fn bounds_hold() {
    let long = "a file of words ".repeat(7_000);
    assert!(long.len() > 100_000);
    let found = answer(&tools(), &[&long], None, 5);
    assert!(found.is_cut && !found.hits.is_empty());
    let many: String = (0..3_000).map(|n| format!("w{n} ")).collect();
    assert!(answer(&tools(), &[&many, "file"], None, 5).is_cut);
    let queries = ["file"; 40];
    assert!(answer(&tools(), &queries, None, 5).is_cut);
    assert_eq!(answer(&tools(), &["file"], None, 0).hits, []);

    let huge = "disk ".repeat(400_000);
    let mut entries = tools();
    entries.push(tool("huge", "huge", &huge));
    let index = Index::build(&entries);
    assert_eq!(index.rank("read file from disk", 1)[0].tool, 0);
}

#[test]
fn each_part_of_the_ranking_can_be_switched_off() {
    let base = Tuning::default();
    let without = |change: fn(&mut Tuning), query: &str| {
        let mut tuning = base.clone();
        change(&mut tuning);
        names(&Index::with_tuning(&tools(), tuning), query)
            .first()
            .copied()
    };
    assert_ne!(
        without(|tuning| tuning.synonym = 0.0, "bug"),
        Some("create_issue")
    );
    assert_ne!(
        without(|tuning| tuning.misspelt = 0.0, "wheather"),
        Some("get_forecast")
    );
    assert_eq!(without(|_| {}, "pod cast"), Some("publish_podcast"));
    assert_ne!(
        without(|tuning| tuning.joined = 0.0, "pod cast"),
        Some("publish_podcast")
    );
}
