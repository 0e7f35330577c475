//! Every behaviour in `testdata/behaviours.tsv`: the bare server shows it (the control), and so it does
//! through the proxy, with reduction on, with every tool hidden, with results made small, with a policy in audit mode and in force, and with
//! `--transparent`. What the client gets is compared byte for byte between the ways, and relays that are
//! broken on purpose show that the checks notice.

mod broken;
mod calls;
#[path = "../examples/raw_server/catalog.rs"]
mod catalog;
mod check;
mod client;
mod eras;
mod handshake;
mod offers;
mod stage;
mod traffic;
mod wire;

use std::collections::BTreeSet;

use self::broken::Fault;
use self::check::{Check, Outcome};
use self::stage::{Stage, Way};
use self::wire::at;

const TABLE: &str = include_str!("../testdata/behaviours.tsv");

/// One row of the table.
struct Row {
    id: &'static str,
    behaviour: &'static str,
    /// The server that is the control, and the one behind the proxy.
    control: &'static str,
    behind: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [id, behaviour, stimulus, expectation, control, behind] = cells[..] else {
                panic!("testdata/behaviours.tsv: not six cells: {line}");
            };
            for cell in [id, behaviour, stimulus, expectation, control, behind] {
                assert!(!cell.trim().is_empty(), "{id}: an empty cell");
            }
            Row {
                id,
                behaviour,
                control,
                behind,
            }
        })
        .collect()
}

/// The check of each row.
const CHECKS: &[(&str, Check)] = &[
    ("B01", handshake::version_2024_11_05),
    ("B02", handshake::version_2025_03_26),
    ("B03", handshake::version_2025_06_18),
    ("B04", handshake::version_2025_11_25),
    ("B05", handshake::client_capabilities),
    ("B06", handshake::client_info),
    ("B07", handshake::server_name),
    ("B08", handshake::instructions),
    ("B09", handshake::server_capabilities),
    ("B10", offers::tool_names),
    ("B11", offers::tool_title),
    ("B12", offers::tool_annotations),
    ("B13", offers::tool_icons),
    ("B14", offers::tool_meta),
    ("B15", offers::tool_execution),
    ("B16", offers::tool_rest),
    ("B17", offers::output_schema),
    ("B18", offers::pagination),
    ("B19", offers::prompts_list),
    ("B20", offers::prompt_arguments),
    ("B21", offers::prompt_get),
    ("B22", offers::resources_list),
    ("B23", offers::resource_metadata),
    ("B24", offers::templates),
    ("B25", offers::templated_read),
    ("B26", offers::blob),
    ("B27", offers::not_found),
    ("B28", traffic::subscribe),
    ("B29", traffic::resource_updated),
    ("B30", offers::completion),
    ("B31", traffic::set_level),
    ("B32", traffic::logs),
    ("B33", traffic::progress),
    ("B34", traffic::cancellation),
    ("B35", traffic::sampling),
    ("B36", traffic::elicitation),
    ("B37", traffic::roots),
    ("B38", traffic::list_changed),
    ("B39", traffic::new_tool),
    ("B40", calls::tasks),
    ("B41", calls::structured),
    ("B42", calls::text_and_image),
    ("B43", calls::audio),
    ("B44", calls::resource_link),
    ("B45", calls::embedded_resource),
    ("B46", calls::unknown_content),
    ("B47", calls::is_error),
    ("B48", calls::custom_error),
    ("B49", calls::request_meta),
    ("B50", calls::null_argument),
    ("B51", calls::unknown_method),
    ("B52", traffic::unknown_question),
    ("B53", calls::unknown_notification_up),
    ("B54", calls::unknown_notification_down),
    ("B55", calls::concurrency),
    ("B56", eras::modern_client_dual_server),
    ("B57", eras::modern_client_legacy_server),
    ("B58", eras::modern_client_modern_server),
    ("B59", eras::legacy_client_modern_server),
    ("B60", eras::input_required),
    ("B61", eras::listen),
];

/// Runs a check; the transcript is complete once its clients are gone.
fn play(check: Check, way: Way, server: &str) -> (Outcome, Vec<String>) {
    let stage = Stage::new(way, server);
    let outcome = check(&stage);
    (outcome, stage.transcript())
}

/// Leaves out what a way may change: with reduction on, tool lists, which come whole, and the notice
/// that they changed, which waits until the new one is read (a storm of them is one: fault case F48), and
/// the spaces of a text that is JSON.
fn comparable(lines: &[String], is_lean: bool) -> Vec<String> {
    let is_shaped = |line: &String| {
        at(line, &["result", "tools"]).is_some()
            || wire::method(line) == "notifications/tools/list_changed"
    };
    lines
        .iter()
        .filter(|line| !(is_lean && is_shaped(line)))
        .map(|line| match is_lean {
            true => wire::tight(line),
            false => line.clone(),
        })
        .collect()
}

/// Says where two transcripts part.
fn difference(control: &[String], other: &[String], is_lean: bool) -> Outcome {
    let control = comparable(control, is_lean);
    let other = comparable(other, is_lean);
    for (index, line) in control.iter().enumerate() {
        match other.get(index) {
            Some(got) if got == line => {}
            got => return Err(format!("line {index}: expected `{line}`, got `{got:?}`")),
        }
    }
    match other.get(control.len()) {
        Some(more) => Err(format!("one more line: `{more}`")),
        None => Ok(()),
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the table is what the test is for")]
fn every_behaviour_survives() {
    let rows = rows();
    let total = rows.len();
    let mut passed = 0;
    let mut failures = Vec::new();
    eprintln!("id   control lean hidden shaped audited enforced transparent bytes behaviour");
    for row in &rows {
        let (_, check) = *CHECKS
            .iter()
            .find(|(id, _)| *id == row.id)
            .unwrap_or_else(|| panic!("{} has no check", row.id));
        let (control, heard) = play(check, Way::Bare, row.control);
        let (lean, heard_lean) = play(check, Way::Lean, row.behind);
        let (hidden, heard_hidden) = play(check, Way::Hidden, row.behind);
        let (shaped, heard_shaped) = play(check, Way::Shaped, row.behind);
        let (audited, heard_audited) = play(check, Way::Audited, row.behind);
        let (enforced, heard_enforced) = play(check, Way::Enforced, row.behind);
        let (transparent, heard_transparent) = play(check, Way::Transparent, row.behind);
        // Where the eras differ the bytes have to.
        let is_same_era = row.control == row.behind;
        let bytes = if is_same_era {
            difference(&heard, &heard_lean, true)
                .map_err(|what| format!("lean, bytes: {what}"))
                .and_then(|()| {
                    difference(&heard, &heard_hidden, true)
                        .map_err(|what| format!("hidden, bytes: {what}"))
                })
                .and_then(|()| {
                    difference(&heard, &heard_shaped, true)
                        .map_err(|what| format!("shaped, bytes: {what}"))
                })
                .and_then(|()| {
                    difference(&heard, &heard_audited, true)
                        .map_err(|what| format!("audited, bytes: {what}"))
                })
                .and_then(|()| {
                    difference(&heard, &heard_enforced, true)
                        .map_err(|what| format!("enforced, bytes: {what}"))
                })
                .and_then(|()| {
                    difference(&heard, &heard_transparent, false)
                        .map_err(|what| format!("transparent, bytes: {what}"))
                })
        } else {
            Ok(())
        };
        let word = |outcome: &Outcome| if outcome.is_ok() { "ok" } else { "FAIL" };
        eprintln!(
            "{:4} {:7} {:4} {:6} {:6} {:7} {:8} {:11} {:5} {}",
            row.id,
            word(&control),
            word(&lean),
            word(&hidden),
            word(&shaped),
            word(&audited),
            word(&enforced),
            word(&transparent),
            if is_same_era { word(&bytes) } else { "-" },
            row.behaviour
        );
        let all = [
            ("control", control),
            ("lean", lean),
            ("hidden", hidden),
            ("shaped", shaped),
            ("audited", audited),
            ("enforced", enforced),
            ("transparent", transparent),
            ("bytes", bytes),
        ];
        let before = failures.len();
        for (way, outcome) in all {
            if let Err(what) = outcome {
                failures.push(format!("{} {way}: {what}", row.id));
            }
        }
        passed += usize::from(failures.len() == before);
    }
    eprintln!("{passed} of {total}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Behind [`Way::Hidden`] nothing of the server is listed, so that its rows prove something.
#[test]
fn the_hidden_way_hides_every_tool() {
    let mut client = Stage::new(Way::Hidden, rows()[0].behind)
        .legacy()
        .expect("the proxy starts");
    let listed = client.page("tools/list", "").expect("a list");
    let listed = offers::names(&wire::elements(&at(&listed, &["tools"]).expect("tools")));
    let own = listed.iter().filter(|name| {
        name.contains("_tools") || name.starts_with("call_") || *name == "read_result"
    });
    assert_eq!(own.count(), listed.len(), "{listed:?}");
    assert!(listed.contains(&"describe_tools".to_owned()), "{listed:?}");
}

#[test]
fn table_and_checks_agree() {
    let ids: Vec<&str> = rows().iter().map(|row| row.id).collect();
    let checked: Vec<&str> = CHECKS.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, checked, "rows of the table, and checks");
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "an id stands twice");
}

/// The rows that each broken relay has to fail, together all rows, and one that it must not fail, so
/// that it is the fault that is noticed and not the relay.
const CAUGHT: &[(Fault, &str, &str)] = &[
    (
        Fault::Remodels,
        "B05 B06 B07 B11 B15 B16 B17 B23 B41 B48 B49 B50",
        "B10",
    ),
    (
        Fault::OwnHandshake,
        "B01 B02 B03 B04 B05 B06 B07 B08 B09",
        "B50",
    ),
    (Fault::DropsMeta, "B14 B20 B23 B24 B33 B49", "B50"),
    (Fault::DropsUnknown, "B40 B51 B52 B53 B54 B61", "B48"),
    (Fault::Mute, "B29 B31 B32 B33 B38 B40 B54 B61", "B34"),
    (Fault::Deaf, "B34 B37 B53", "B54"),
    (Fault::AnswersItself, "B35 B36 B37 B52", "B33"),
    (
        Fault::NamesOnly,
        "B11 B12 B13 B14 B15 B16 B17 B18 B19 B20 B22 B23 B24",
        "B39",
    ),
    (Fault::Renames, "B10", "B20"),
    (Fault::OneError, "B27 B39 B48 B51", "B47"),
    (
        Fault::TextOnly,
        "B21 B25 B26 B30 B41 B42 B43 B44 B45 B46 B47 B60",
        "B49",
    ),
    (Fault::LateProgress, "B33 B56 B57 B58 B59", "B32"),
    (Fault::OneAtATime, "B55", "B50"),
    (Fault::OldOnly, "B40 B56 B57 B58 B60 B61", "B55"),
    (Fault::SwallowsSettings, "B28 B29 B31 B32", "B33"),
];

#[test]
fn broken_relays_are_caught() {
    let rows = rows();
    let control = |id: &str| {
        let row = rows.iter().find(|row| row.id == id);
        row.unwrap_or_else(|| panic!("{id} is no row")).control
    };
    let check = |id: &str| {
        CHECKS
            .iter()
            .find(|(known, _)| *known == id)
            .expect("a row")
            .1
    };
    let mut never_failed: BTreeSet<&str> = rows.iter().map(|row| row.id).collect();
    let mut missed = Vec::new();
    for row in &rows {
        if let (Err(what), _) = play(check(row.id), Way::Broken(Fault::None), row.control) {
            missed.push(format!("{} fails behind a faithful relay: {what}", row.id));
        }
    }
    for (fault, caught, spared) in CAUGHT {
        if let (Err(what), _) = play(check(spared), Way::Broken(*fault), control(spared)) {
            missed.push(format!("{spared} fails behind {fault:?}: {what}"));
        }
        for id in caught.split_whitespace() {
            let mut stage = Stage::new(Way::Broken(*fault), control(id));
            stage.is_vain = true;
            if check(id)(&stage).is_ok() {
                missed.push(format!("{id} does not notice {fault:?}"));
            }
            never_failed.remove(id);
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(never_failed.is_empty(), "no relay tries {never_failed:?}");
}

/// Without a proxy the two eras have no word in common; the rows that bridge them are no accident.
#[test]
fn bare_pairs_of_different_eras_fail() {
    let modern = Stage::new(Way::Bare, "raw_server --era legacy").modern();
    let answer = modern.and_then(|mut client| client.request("server/discover", ""));
    let code = answer.map(|answer| at(&answer, &["error", "code"]));
    assert_eq!(code, Ok(Some("-32601".to_owned())));
    let legacy = Stage::new(Way::Bare, "raw_server --era modern").connect();
    let answer = legacy.and_then(|mut client| client.initialize("2025-11-25"));
    let code = answer.map(|answer| at(&answer, &["error", "code"]));
    assert_eq!(code, Ok(Some("-32022".to_owned())));
}
