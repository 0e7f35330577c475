use proptest::prelude::*;

use crate::surface::constraints::lost;
use crate::surface::shorten::Beside;
use crate::surface::shorten::shorten;
use crate::surface::shorten::shorten_beside;

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(shorten(text), expected);
    assert_eq!(shorten(expected), expected, "not idempotent");
    assert_eq!(lost(text, expected), []);
}

#[test]
fn boilerplate_praise_and_background_go() {
    check(
        "Welcome to Acme! Lists the files of a folder. It is a powerful, easy way to see your data. Paths must be absolute.",
        "Lists the files of a folder. Paths must be absolute.",
    );
    check("Lists files.", "Lists files.");
    check("", "");
    check("   ", "   ");
}

#[test]
fn every_kind_of_constraint_stays() {
    for clause in [
        "You must log in.",
        "Never send secrets.",
        "Works on text files only.",
        "Does not follow links.",
        "Timeout in seconds.",
        "Dates are ISO 8601.",
        "The default is 20.",
        "At most 100 items come back.",
        "Allowed values: a, b, c.",
        "The token expires after an hour.",
        "If omitted, all are listed.",
        "Use `list_sites` to find it.",
    ] {
        let text =
            format!("Lists the files of a folder. This is background. {clause} More of it here.");
        assert_eq!(
            shorten(&text),
            format!("Lists the files of a folder. {clause}")
        );
    }
}

#[test]
fn the_first_example_stays_and_repeats_go() {
    check(
        "Runs a query. Example: SELECT 1. Example: SELECT two. Rows must fit. Rows must fit.",
        "Runs a query. Example: SELECT 1. Rows must fit.",
    );
    check(
        "Runs a query.\n\n```\nSELECT a\n```\n\nNice.\n\n```\nSELECT b\n```",
        "Runs a query.\n```\nSELECT a\n```",
    );
}

#[test]
fn docstrings_keep_parameters_and_lose_returns() {
    check(
        "Reads a page.\n\n    It is very nice to have pages.\n\n    Args:\n        url: Where the page is.\n            It goes on. Must be https.\n        size: Bytes of it\n\n    Returns:\n        The page as text\n",
        "Reads a page.\nArgs:\nurl: Where the page is. Must be https.\nsize: Bytes of it",
    );
    // Parameters that the schema describes, or does not have, need no second text.
    let mut beside = Beside::default();
    beside.parameters.insert("url".to_owned(), true);
    beside.parameters.insert("size".to_owned(), false);
    beside.add_text("Where the page is. Must be https.");
    assert_eq!(
        shorten_beside(
            "Reads a page.\n\nArgs:\n    ctx: Some context\n    url: Where it is\n    size: Bytes of it",
            &beside
        ),
        "Reads a page.\nArgs:\nsize: Bytes of it"
    );
}

#[test]
fn lists_of_values_stay_whole() {
    check(
        "Sets the mode. It is a good thing.\nValid modes:\n- fast: quick and rough\n- slow: careful\n\nHave fun.",
        "Sets the mode.\nValid modes:\n- fast: quick and rough\n- slow: careful",
    );
    // A step alone says something else.
    let steps = "Deploys it.\n1. Log in\n2. You must confirm\n3. Push";
    check(steps, steps);
}

/// Broken variants that this catches: one that leaves a heading at the empty line below it, one that takes code for an
/// example wherever it stands, and one that drops the empty line where a heading is left.
#[test]
fn what_a_heading_forbids_stays_with_it_and_nothing_else_comes_below_it() {
    check(
        "Runs SQL.\n\nNever do this:\n\nDrop tables of other users.\n\nThe path must be absolute.",
        "Runs SQL.\nNever do this:\nDrop tables of other users.\n\nThe path must be absolute.",
    );
    check(
        "Runs commands.\n\nExample:\n```sh\nls\n```\n\nNever run:\n```sh\nrm -rf /\n```\n\nThe path must be absolute.",
        "Runs commands.\nExample:\n```sh\nls\n```\nNever run:\n```sh\nrm -rf /\n```\n\nThe path must be absolute.",
    );
    check(
        "Reads rows.\n\n## Not supported\n\nJoins over several tables.\n\n## Format\n\nDates must be ISO 8601.",
        "Reads rows.\n## Not supported\nJoins over several tables.\n## Format\nDates must be ISO 8601.",
    );
    check(
        "Reads rows.\n\n## Not supported\n\nJoins over several tables.\n\n## Format\n\nIt is nice.\n\nDates must be ISO 8601.",
        "Reads rows.\n## Not supported\nJoins over several tables.\n## Format\nDates must be ISO 8601.",
    );
}

/// Broken variant that this catches: one that looks at each item alone.
#[test]
fn a_list_that_is_said_to_be_complete_stays_complete() {
    let values = "Statuses to filter by. Must be one or more of the following values:\n\nOpen issues:\n- OnTrack\n- DueSoon\n\nClosed issues:\n- ClosedLate\n- Ignored";
    assert_eq!(shorten(values), values.replace("\n\n", "\n"));
    for list in [
        "USE THIS TOOL ONLY FOR:\n- Variance of months\n- Causes of costs",
        "It takes three arguments:\n- the month\n- the year, never before 2020\n- the folder",
    ] {
        let text = format!("Compares costs.\n\nIt is nice.\n\n{list}");
        assert_eq!(shorten(&text), format!("Compares costs.\n{list}"));
    }
    // What an item goes on to say needs its beginning; a plain list may lose items.
    check(
        "Reads it.\n\nMistakes:\n- Reading a file that is new. You must ask for it first. It is nice.\n- Reading a folder",
        "Reads it.\nMistakes:\n- Reading a file that is new. You must ask for it first.",
    );
}

/// Broken variant that this catches: one that remembers the sentences of the whole text.
#[test]
fn what_stands_below_two_headings_stands_there_twice() {
    for text in [
        "Changes it.\nWhen creating:\n- The title is required.\n- The id must not be given.\nWhen updating:\n- The title is required.\n- The id must be given.",
        "Changes it.\nFor users:\n1. Open it.\n2. It must be saved.\nFor admins:\n1. Open it.\n2. It must be approved.",
    ] {
        check(text, text);
    }
}

/// Broken variants that this catches: one that writes all lines at the margin, so that a second look takes items for
/// equals of the one that announces them and drops that; one that remembers the last announcing line alone; and one
/// that puts what was below a dropped item below the item before.
#[test]
fn a_condition_stays_above_what_it_rules() {
    let filler = "Some background that nobody needs at all is written here for the purpose.";
    for (list, expected) in [
        (
            "1. Mode `fast`:\n   - You must not sign.\n2. Mode `safe`:\n   - You must sign.",
            "1. Mode `fast`:\n  - You must not sign.\n2. Mode `safe`:\n  - You must sign.",
        ),
        (
            "Behavior:\n- In staging:\n  - You must not ask before you delete.\n- In production:\n  - You must ask before you delete.",
            "Behavior:\n- In staging:\n  - You must not ask before you delete.\n- In production:\n  - You must ask before you delete.",
        ),
        (
            "- When you create (details: see below):\n  1. Open it first.\n  2. You must save it.\n- When you delete:\n  1. Open it first.\n  2. You must not save it.",
            "- When you create (details: see below):\n  1. Open it first.\n  2. You must save it.\n- When you delete:\n  1. Open it first.\n  2. You must not save it.",
        ),
        (
            "- For users:\n    - In staging:\n        - You must not ask.\n- For admins:\n    - In staging:\n        - You must ask.",
            "- For users:\n  - In staging:\n    - You must not ask.\n- For admins:\n  - In staging:\n    - You must ask.",
        ),
        (
            "In staging:\n  For users:\n  - You must not ask.\nIn production:\n  For users:\n  - You must ask.",
            "In staging:\n  For users:\n  - You must not ask.\nIn production:\n  For users:\n  - You must ask.",
        ),
        (
            "- This is about the staging house. Do this:\n  - You must save it.",
            "- This is about the staging house. Do this:\n  - You must save it.",
        ),
        (
            "- The row must be new.\n  - It must be short.\n- Nice things\n  - It must be green.",
            "- The row must be new.\n  - It must be short.\n- It must be green.",
        ),
    ] {
        check(
            &format!("Runs it.\n\n{filler}\n\n{list}"),
            &format!("Runs it.\n{expected}"),
        );
    }
}

/// Broken variant that this catches: one for which all running text behind an empty line stands below no heading.
#[test]
fn what_stands_in_two_sections_stands_there_twice() {
    check(
        "Changes rows of a table.\n\nSome background that nobody needs at all is written here for the purpose.\n\n## Rules for A\n\n- Be nice to people.\n\nFirst general words of nothing. It must be saved in file a.\n\n## Rules for B\n\nSome words here.\n\nThe number must be below 5.\n\nIt must be saved in file a.",
        "Changes rows of a table.\n## Rules for A\n- Be nice to people.\n\nIt must be saved in file a.\n## Rules for B\nSome words here.\n\nThe number must be below 5. It must be saved in file a.",
    );
}

/// Broken variant that this catches: one that keeps what is directly below a ruling heading also where it shows.
#[test]
fn long_code_of_examples_goes_whatever_its_heading_says() {
    let code = "ls -l\n".repeat(80);
    check(
        &format!("Runs it.\n\n## Important examples\n\n```\n{code}```"),
        "Runs it.\n## Important examples",
    );
}

/// Broken variant that this catches: one that ends a paragraph at a line that ends in a colon.
#[test]
fn a_paragraph_that_stays_is_not_cut_inside_a_sentence() {
    check(
        "Makes a report. Example: SELECT 1.\n\nIt is nice.\n\nIf you have complex conditions like this, either:\n\na)  Run a single report that applies a subset of the conditions that\n    the API supports as well as the data needed to perform filtering of the\n    API response on the client side. For example, for the condition:\n    (\n      eventName and eventCount\n    )",
        "Makes a report. Example: SELECT 1.\nIf you have complex conditions like this, either:\na) Run a single report that applies a subset of the conditions that the API supports as well as the data needed to perform filtering of the\n  API response on the client side. For example, for the condition:",
    );
}

fn prose() -> impl Strategy<Value = String> {
    let sentence = prop_oneof![
        Just("You must do it.".to_owned()),
        Just("Never twice.".to_owned()),
        Just("It is a nice thing.".to_owned()),
        Just("For example, this.".to_owned()),
        Just("- default: 5".to_owned()),
        Just("Allowed values:".to_owned()),
        Just("Args:".to_owned()),
        Just("## Examples".to_owned()),
        Just("```".to_owned()),
        Just("1. Only then".to_owned()),
        "[a-zA-Z.:`()!? \\-]{0,30}",
    ];
    let separator = prop_oneof![Just(" "), Just("\n"), Just("\n\n"), Just("\n    ")];
    proptest::collection::vec((sentence, separator), 0..14).prop_map(|parts| {
        parts
            .into_iter()
            .map(|(text, separator)| text + separator)
            .collect()
    })
}

/// The property: shorter or the same, no constraint lost, no new word.
fn holds(text: &str, shorten: &dyn Fn(&str) -> String) -> Result<(), String> {
    let shorter = shorten(text);
    if shorter.len() > text.len() {
        return Err(format!("longer: {shorter:?}"));
    }
    if let Some(clause) = lost(text, &shorter).first() {
        return Err(format!("lost {:?}", clause.text));
    }
    // Where a stop needs no space behind it, what follows is a word of its own.
    let ends = |c: char| c.is_whitespace() || matches!(c, '。' | '！' | '？' | '｡' | '．');
    let words: std::collections::HashSet<&str> = text.split(ends).collect();
    match shorter.split(ends).find(|word| !words.contains(word)) {
        Some(word) => Err(format!("new word {word:?}")),
        None => Ok(()),
    }
}

proptest! {
    #[test]
    fn shortening_loses_no_constraint(text in prose()) {
        prop_assert_eq!(holds(&text, &shorten), Ok(()));
    }

    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        prop_assert_eq!(holds(&text, &shorten), Ok(()));
    }
}

#[test]
fn broken_variants_are_caught() {
    let text = "Lists files. It is nice. You must log in.";
    assert_eq!(holds(text, &shorten), Ok(()));
    let cuts_at_the_first_stop = |text: &str| {
        text.split_inclusive('.')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(holds(text, &cuts_at_the_first_stop).is_err());
    let says_it_in_other_words = |text: &str| {
        text.replace("It is nice. ", "")
            .replace("You must", "One has to")
    };
    assert!(holds(text, &says_it_in_other_words).is_err());
    let adds = |text: &str| text.replace("It is nice.", "Ignore this.");
    assert!(holds(text, &adds).is_err());
}
