//! Official clients, with every profile, take results that were made smaller: what was promised comes whole,
//! what the model reads is what is shortened, and the rest can be read. Over more lists with
//! `MCP_WHITTLE_CORPUS=<folder of folders with tools.json>`.

mod answers;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mcp_whittle::config::profiles::{Profile, ResultChannel};
use serde_json::{Value, json};

use self::answers::{Answers, Case, Kind};
use self::judge::{CAP, Judge, text_of};
use crate::lean::lists;
use crate::peers_kit::account::{proof, say};
use crate::peers_kit::process::{Listening, run};
use crate::peers_kit::{CLIENTS, Client, PROXY, driver, in_parallel};

/// The longest that one conversation may take: a whole corpus has thousands of calls.
const LIMIT: Duration = Duration::from_secs(600);

/// Answers to different schemas that one conversation asks for, at most. Of a whole corpus each asks for a part, so
/// that each client and each profile meets all of them.
const MOST_CALLS: usize = 300;

/// Which tools the proxy may answer for: those with an odd number. The others say that they only read, so that
/// they end nothing.
const CACHED: [&str; 5] = ["t*1=1h", "t*3=1h", "t*5=1h", "t*7=1h", "t*9=1h"];

/// What a client said.
struct Said {
    /// Names of the tools with an `outputSchema`.
    shown: BTreeSet<String>,
    /// One for each call.
    answers: Vec<Value>,
    /// What was read under handles.
    read: Vec<Value>,
}

/// One client lists and calls.
fn talk(client: &Client, cases: &[&Case], at: impl FnOnce(&mut Command)) -> Said {
    let folder = tempfile::tempdir().expect("a folder for the calls");
    let (file, to) = (folder.path().join("calls"), folder.path().join("results"));
    let calls: Vec<Value> = cases.iter().map(|case| case.call()).collect();
    std::fs::write(&file, Value::from(calls).to_string()).expect("the calls are written");
    let mut driver = driver(client.driver);
    let names = json!({"results": {"file": file, "to": to}}).to_string();
    driver.args(["--era", client.era, "--steps", "results", "--names", &names]);
    driver.args(["--limit", &LIMIT.as_secs().to_string()]);
    at(&mut driver);
    let ended = run(&mut driver, LIMIT);
    let (name, era) = (client.driver, client.era);
    assert_eq!(ended.code, Some(0), "{name} {era}: {ended:#?}");
    let text = std::fs::read_to_string(&to).expect("the client wrote what it got");
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let listed = lines.next().expect("what was listed");
    let answers: Vec<Value> = lines.by_ref().take(cases.len()).collect();
    assert_eq!(answers.len(), cases.len(), "{name} {era}: answers, calls");
    Said {
        shown: serde_json::from_value(listed["shown"].clone()).expect("names"),
        answers,
        read: lines.collect(),
    }
}

/// Answers, by schema and kind, that a client takes of the server itself, with nothing in between. The others say
/// nothing of us.
fn control(client: &Client, cases: &[Case], recording: &Path) -> BTreeSet<(usize, Kind)> {
    let firsts: Vec<&Case> = cases.iter().filter(|case| case.is_first).collect();
    let said = talk(client, &firsts, |driver| {
        driver
            .args(["--stdio", "--", PROXY, "replay"])
            .arg(recording);
    });
    let mut taken = BTreeSet::new();
    for (case, got) in firsts.iter().zip(&said.answers) {
        let is_thrown = got.get("thrown").is_some();
        // The broken server is what a client refuses; if one does not, the test proves nothing.
        let is_believed = !is_thrown && case.kind == Kind::Dropped;
        assert!(!is_believed, "{} {}: {got}", client.driver, case.origin);
        if is_thrown != (case.kind == Kind::Dropped) {
            continue;
        }
        let is_whole = is_thrown || text_of(got) == case.text;
        assert!(is_whole, "{} {}: {got}", client.driver, case.origin);
        taken.insert((case.schema, case.kind));
    }
    taken
}

/// What can be read under a handle: what the model of this client would have read of the whole.
fn kept(case: &Case, channel: ResultChannel, is_shown: bool) -> Vec<String> {
    let (text, value) = (case.text.clone(), case.value.to_string());
    let both = match channel {
        ResultChannel::Structured if !is_shown => value,
        ResultChannel::Both if !is_shown => format!("{text}\n{value}"),
        _ => text.clone(),
    };
    match case.kind {
        Kind::Other => vec![both],
        // Whether the text says it all is a matter of the member's name.
        Kind::Inside => vec![text, both],
        _ => vec![text],
    }
}

/// What was read under a handle is that.
fn judge_read(case: &Case, profile: &Profile, is_shown: bool, read: &Value) -> Result<(), String> {
    let page = read["page"][0]["text"].as_str().unwrap_or_default();
    let resource = read["contents"][0]["text"].as_str().unwrap_or_default();
    let is_kept = |kept: &String| !page.is_empty() && kept.starts_with(page) && resource == kept;
    kept(case, profile.shown().shapes, is_shown)
        .iter()
        .any(is_kept)
        .then_some(())
        .ok_or_else(|| format!("{} {:?}: read {read:.2000}", case.origin, case.kind))
}

#[test]
fn every_client_with_every_profile_takes_shaped_results() {
    let proof = proof("clients::every_client_with_every_profile_takes_shaped_results");
    let answers = Answers::of(&lists());
    let cases = &answers.cases;
    let folder = tempfile::tempdir().expect("a folder for the recording");
    answers.write(folder.path());
    let cap = CAP.to_string();
    let mut arguments: Vec<&str> = vec!["--budget", "none", "--result-cap", &cap];
    for grant in CACHED.iter().chain(&["*=0s"]) {
        arguments.extend(["--cache-tools", grant]);
    }
    arguments.extend(["--", PROXY, "replay"]);
    let recording = folder.path().display().to_string();
    arguments.push(&recording);
    let served = Listening::proxy(arguments);

    let clients: Vec<&Client> = CLIENTS
        .iter()
        .filter(|client| client.driver != "rmcp")
        .collect();
    let taken = in_parallel(2, &clients, |client| control(client, cases, folder.path()));
    let mut conversations = Vec::new();
    for (client, taken) in clients.iter().zip(&taken) {
        // The first once more: when it came, the cache knew nothing.
        for profile in Profile::all().chain([Profile::generic()]) {
            conversations.push((conversations.len(), *client, taken, profile));
        }
    }
    let n_conversations = conversations.len();
    let n_firsts = cases.iter().filter(|case| case.is_first).count();
    let n_parts = n_firsts.div_ceil(MOST_CALLS);
    let talked = in_parallel(2, &conversations, |(number, client, taken, profile)| {
        // Tools with a schema that another has too are called once by somebody.
        let is_chosen = |index: usize| {
            let case = &cases[index];
            taken.contains(&(case.schema, case.kind))
                && if case.is_first {
                    (index + number).is_multiple_of(n_parts)
                } else {
                    index % n_conversations == *number
                }
        };
        let chosen: Vec<usize> = (0..cases.len()).filter(|index| is_chosen(*index)).collect();
        let chosen_cases: Vec<&Case> = chosen.iter().map(|index| &cases[*index]).collect();
        let said = talk(client, &chosen_cases, |driver| {
            driver.args(["--url", &format!("{}/{}", served.url, profile.name)]);
        });
        (chosen, said)
    });

    let judge = Judge::new();
    let mut faults = Vec::new();
    let mut kinds: BTreeMap<(Kind, bool), usize> = BTreeMap::new();
    let mut hits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut n_read = 0;
    for ((_, client, _, profile), (chosen, said)) in conversations.iter().zip(&talked) {
        let who = format!("{} {} {}", client.driver, client.era, profile.name);
        let mut fault = |what: String| faults.push(format!("{who}: {what}"));
        let called = |position: usize| &cases[chosen[position]];
        for (position, got) in said.answers.iter().enumerate() {
            let case = called(position);
            let is_shown = said.shown.contains(&case.tool);
            if let Err(what) = judge.judge(case, profile, is_shown, got) {
                fault(format!("{} {:?}: {what}", case.origin, case.kind));
            }
            *kinds.entry((case.kind, is_shown)).or_default() += 1;
            if got["meta"]["dev.mcp-whittle/cache"]["hit"] == true {
                *hits.entry(profile.name.as_str()).or_default() += 1;
            }
        }
        if said.read.is_empty() {
            fault("no handle was found".to_owned());
        }
        for read in &said.read {
            let position = read["call"]
                .as_u64()
                .and_then(|call| usize::try_from(call).ok());
            let case = called(position.expect("the number of a call"));
            let is_shown = said.shown.contains(&case.tool);
            if let Err(what) = judge_read(case, profile, is_shown, read) {
                fault(what);
            }
            n_read += 1;
        }
        proof.ran(client.peer, said.answers.len());
    }
    let skipped = taken.iter().map(|taken| n_firsts - taken.len());
    let skipped: Vec<String> = clients
        .iter()
        .zip(skipped)
        .map(|(client, n)| format!("{} {} {n}", client.driver, client.era))
        .collect();
    say(&format!(
        "shaped results: {} tools with an outputSchema ({} of MCP Apps), {} answers, {n_firsts} of different schemas ({} tools have none large), {n_conversations} conversations, {n_parts} parts\n\
         judged by kind and whether the schema was shown: {kinds:?}; {n_read} read under handles\n\
         from the cache: {hits:?}\n\
         no answer could be made for {:?}; refused without a proxy too, and skipped: {}\n",
        answers.n_tools(),
        answers.n_apps,
        cases.len(),
        answers.never_large,
        answers.unmade,
        skipped.join(", "),
    ));
    assert!(
        faults.is_empty(),
        "{} faults: {:#?}",
        faults.len(),
        &faults[..faults.len().min(20)]
    );
    assert_eq!(
        hits.len(),
        Profile::all().len(),
        "profiles answered from the cache: {hits:?}"
    );
    broken_variants_are_caught(&judge, cases);
    proof.close();
}

/// Results that a proxy might send if it were wrong.
fn broken_variants_are_caught(judge: &Judge, cases: &[Case]) {
    let profile = |name: &str| Profile::by_name(name).expect("a profile");
    let (generic, claude) = (profile("generic"), profile("claude-code"));
    let is_of = |case: &&Case, kind: Kind| case.kind == kind && !case.is_app;
    let of = |kind: Kind| cases.iter().find(|case| is_of(case, kind)).expect("a case");
    let large = of(Kind::Large);
    let result = |text: &str, structured: Option<&Value>| {
        let mut result = json!({"content": [{"type": "text", "text": text}], "isError": false});
        if let Some(structured) = structured {
            result["structuredContent"] = structured.clone();
        }
        result
    };
    let good = result("short", Some(&large.value));
    assert_eq!(judge.judge(large, generic, true, &good), Ok(()));
    assert_eq!(
        judge.judge(large, claude, false, &result("short", None)),
        Ok(())
    );
    let mut cut = large.value.clone();
    cut["more"] = Value::Null;
    for (variant, profile, is_shown, got) in [
        (
            "drops structuredContent",
            generic,
            true,
            result("short", None),
        ),
        (
            "changes structuredContent",
            generic,
            true,
            result("short", Some(&cut)),
        ),
        (
            "shortens nothing",
            generic,
            true,
            result(&large.text, Some(&large.value)),
        ),
        (
            "shortens the other channel",
            claude,
            false,
            result("short", Some(&large.value)),
        ),
        (
            "shows a schema it breaks",
            claude,
            true,
            result("short", None),
        ),
        (
            "makes it an error",
            generic,
            true,
            json!({"content": [], "isError": true}),
        ),
    ] {
        let judged = judge.judge(large, profile, is_shown, &got);
        assert!(judged.is_err(), "{variant} is not noticed");
    }
    // The view of another client, and the texts alone where both parts were cut.
    let other = of(Kind::Other);
    let (opencode, value) = (profile("opencode"), other.value.to_string());
    let read = |text: &str| {
        let page: String = text.chars().take(10).collect();
        json!({"page": [{"text": page}], "contents": [{"text": text}]})
    };
    for (profile, good, broken) in [
        (generic, other.text.clone(), value.clone()),
        (claude, value.clone(), other.text.clone()),
        (
            opencode,
            format!("{}\n{value}", other.text),
            other.text.clone(),
        ),
    ] {
        let is_shown = profile.shown().keeps_output_schema;
        assert_eq!(judge_read(other, profile, is_shown, &read(&good)), Ok(()));
        assert!(judge_read(other, profile, is_shown, &read(&broken)).is_err());
    }
    let error = of(Kind::Error);
    let mut shortened = result(&error.text.replace("  ", " "), None);
    shortened["isError"] = true.into();
    assert!(judge.judge(error, generic, true, &shortened).is_err());
    let mut apps = cases.iter().filter(|case| case.is_app);
    let app = apps.find(|case| case.kind == Kind::Large).expect("an app");
    let whole = result(&app.text, Some(&app.value));
    assert_eq!(judge.judge(app, claude, true, &whole), Ok(()));
    for (variant, is_shown, got) in [
        (
            "shortens what an app reads",
            true,
            result("short", Some(&app.value)),
        ),
        ("drops what an app reads", true, result(&app.text, None)),
        ("drops an app's schema", false, whole),
    ] {
        let judged = judge.judge(app, claude, is_shown, &got);
        assert!(judged.is_err(), "{variant} is not noticed");
    }
}
