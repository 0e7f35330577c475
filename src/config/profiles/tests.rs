use crate::config::profiles::HOSTS;
use crate::config::profiles::ListForm;
use crate::config::profiles::Profile;
use crate::config::profiles::check::DATA;
use crate::config::profiles::markdown;

#[test]
fn the_data_is_read_and_every_wanted_client_is_in_it() {
    let profiles = Profile::parse(DATA).expect("profiles");
    assert!(profiles.iter().eq(Profile::all()));
    assert!(
        profiles
            .iter()
            .map(|profile| profile.name.as_str())
            .eq(Profile::names())
    );
    let hosts = profiles.iter().enumerate().flat_map(|(place, profile)| {
        let hosts = profile.environment.iter();
        hosts.map(move |host| (host.variable.as_str(), host.value.as_deref(), place))
    });
    assert!(hosts.eq(HOSTS), "hosts are recognised by the data");
    for name in [
        "generic",
        "claude-code",
        "claude-desktop",
        "codex",
        "copilot-cli",
        "vscode",
        "cursor",
        "opencode",
        "gemini-cli",
    ] {
        assert_eq!(
            Profile::by_name(name).map(|profile| profile.name.as_str()),
            Some(name)
        );
    }
    assert_eq!(Profile::by_name("Claude-Code"), None);
    assert_eq!(Profile::generic().n_facts(), 0);
    assert_eq!(Profile::generic().shown().list, ListForm::Budgeted);
    assert!(Profile::generic().shown().keeps_output_schema);
}

/// Names of the profiles whose data differ from the generic one's and whose choices do not.
fn without_effect(profiles: &[Profile]) -> Vec<&str> {
    let generic = profiles[0].shown();
    profiles
        .iter()
        .filter(|profile| profile.n_facts() > 0 && profile.shown() == generic)
        .map(|profile| profile.name.as_str())
        .collect()
}

/// A fact that changes nothing is no reason for a profile.
#[test]
fn a_profile_with_facts_shows_something_else() {
    let all: Vec<Profile> = Profile::all().cloned().collect();
    assert_eq!(without_effect(&all), [] as [&str; 0]);
    for profile in Profile::all().filter(|profile| profile.n_facts() == 0) {
        assert_eq!(
            profile.shown(),
            Profile::generic().shown(),
            "{}",
            profile.name
        );
    }
    // The broken variant that this catches: facts that no choice is drawn from.
    let idle = "[[profile]]\nname='generic'\ntitle='g'\n[[profile]]\nname='x'\ntitle='x'\n[profile.references]\nvalue=true\nkind='reported'\nsource='https://x'\ndate='2026-01'\n";
    assert_eq!(
        without_effect(&Profile::parse(idle).expect("profiles")),
        ["x"]
    );
}

#[test]
fn what_each_client_is_shown() {
    let generic = format!("{:#?}", Profile::generic().shown());
    let mut text = format!("generic {generic}\n");
    for profile in Profile::all().skip(1) {
        text.push_str(&format!("{}\n", profile.name));
        let shown = format!("{:#?}", profile.shown());
        // Only what differs, by choice.
        let lines = |text: &str| -> Vec<String> {
            text.replace(",\n        ", ", ")
                .replace("(\n        ", "(")
                .replace(",\n    )", ")")
                .lines()
                .map(str::to_owned)
                .collect()
        };
        let (shown, generic) = (lines(&shown), lines(&generic));
        for line in shown.iter().filter(|line| !generic.contains(line)) {
            text.push_str(&format!("{line}\n"));
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn hosts_are_recognised_by_what_they_set_and_say() {
    let found = |pairs: &[(&str, &str)]| {
        let profile = Profile::from_environment(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        });
        profile.map(|profile| profile.name.as_str())
    };
    assert_eq!(found(&[("CLAUDECODE", "1")]), Some("claude-code"));
    for other in [
        &[("CLAUDECODE", "0")][..],
        &[("CLAUDECODE", "")],
        &[("PATH", "1")],
        &[],
    ] {
        assert_eq!(found(other), None);
    }
    let named = |name| Profile::of_client_info(name).map(|profile| profile.name.as_str());
    assert_eq!(named("claude-code"), Some("claude-code"));
    assert_eq!(named("Claude-Code"), Some("claude-code"));
    assert_eq!(named("codex-mcp-client"), Some("codex"));
    for other in [
        "",
        "claude-code-open",
        "claude",
        "generic",
        "\u{e9}\u{1f600}",
    ] {
        assert_eq!(named(other), None, "{other}");
    }
}

#[test]
fn wrong_data_is_refused() {
    let generic = "[[profile]]\nname = \"generic\"\ntitle = \"g\"\n";
    let fact = "value = 1\nkind = \"reported\"\nsource = \"https://x\"\ndate = \"2026-01\"\n";
    let with = |rest: &str| format!("{generic}[[profile]]\nname = \"x\"\ntitle = \"x\"\n{rest}");
    assert!(Profile::parse(&with(&format!("[profile.tool_count_limit]\n{fact}"))).is_ok());
    for (data, words) in [
        (String::new(), "profile"),
        ("profile = []".to_owned(), "missing"),
        (generic.replace("generic", "x"), "first"),
        (format!("{generic}{generic}"), "first"),
        (with("[[profile]]\nname = \"x\"\ntitle = \"x\"\n"), "twice"),
        (with("colour = 1\n"), "unknown field"),
        (with("tool_count_limit = 1\n"), "invalid type"),
        (
            with("[profile.tool_count_limit]\nvalue = 1\n"),
            "missing field",
        ),
        (
            with(&format!("[profile.tool_count_limit]\n{fact}colour = 1\n")),
            "unknown field",
        ),
        (
            with(&format!(
                "[profile.tool_count_limit]\n{}",
                fact.replace("= 1", "= -1")
            )),
            "invalid value",
        ),
        (
            with(&format!("[profile.native_tool_search]\n{fact}")),
            "invalid type",
        ),
        (
            with(&format!(
                "[profile.tool_count_limit]\n{}",
                fact.replace("https://", "/home/")
            )),
            "https",
        ),
        (
            with(&format!(
                "[profile.tool_count_limit]\n{}",
                fact.replace("2026-01", "lately")
            )),
            "date",
        ),
        (
            with(&format!(
                "[profile.cache_read_price]\n{}",
                fact.replace("= 1", "= -0.5")
            )),
            "price",
        ),
        (
            format!("{generic}[profile.tool_count_limit]\n{fact}"),
            "nothing is known",
        ),
        (with("").replace("\"x\"", "\"X y\""), "lower-case"),
    ] {
        let error = Profile::parse(&data).expect_err(&data).to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn the_page_says_what_the_data_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/profiles.md");
    let expected = markdown();
    let page = std::fs::read_to_string(path).unwrap_or_default();
    if page != expected {
        let beside = format!("{path}.new");
        std::fs::write(&beside, expected).expect("a file beside the page");
        panic!("docs/profiles.md is not what the data say; move {beside} over it");
    }
}
