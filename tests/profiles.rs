//! What each kind of client is shown of one fleet: a snapshot for each profile, and the reasons why it differs
//! from that of a client of which nothing is known.

use std::fmt::Write as _;

use bytes::Bytes;
use mcp_whittle::config::Shaping;
use mcp_whittle::config::profiles::Profile;
use mcp_whittle::surface::ladder::Rung;
use mcp_whittle::surface::plan::{Budget, Form, Part, Surface, plan};
use mcp_whittle::token::{Encoding, TiktokenCounter};
use serde_json::{Value, json};

/// Everything that has a place, and so little that most has to be hidden.
const BUDGETS: [Budget; 2] = [ROOM, Budget::Tokens(2000)];
const ROOM: Budget = Budget::Tokens(100_000);
const CAPTURED: [&str; 4] = ["everything", "filesystem", "memory", "time"];
/// Tools made for this, in front of the captured ones.
const MADE: [&str; 3] = ["wide__archive", "wide__find", "wide__plain"];

fn captured(server: &str) -> Part {
    let file = format!(
        "{}/testdata/servers/{server}/tools.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let list: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("a list")).expect("JSON");
    let tools = list["result"]["tools"].as_array().expect("tools").clone();
    let named = |mut tool: Value| {
        tool["name"] = format!("{server}__{}", tool["name"].as_str().expect("a name")).into();
        Bytes::from(tool.to_string())
    };
    Part {
        server: server.to_owned(),
        tools: tools.into_iter().map(named).collect(),
    }
}

/// A description over 2 KB whose constraint comes last, a union at the root, and nothing special.
fn made() -> Part {
    let history: String = (1..53)
        .map(|n| format!("The people of hall {n} tell a story about the archive. "))
        .collect();
    let archive = json!({
        "name": MADE[0],
        "description": format!("Moves a folder into the archive.\n\n{history}\n\nThe folder must be empty of links. Never archive a mounted folder."),
        "inputSchema": {"type": "object", "properties": {"folder": {"type": "string"}}, "required": ["folder"]},
    });
    let find = json!({
        "name": MADE[1],
        "description": "Finds a file.",
        "inputSchema": {
            "type": "object",
            "properties": {"limit": {"type": "integer"}},
            "anyOf": [
                {"properties": {"name": {"type": "string"}}, "required": ["name"]},
                {"properties": {"inode": {"type": "integer"}}, "required": ["inode"]},
            ],
        },
        "annotations": {"readOnlyHint": true},
    });
    let plain = json!({
        "name": MADE[2],
        "description": "Says where the archive is.",
        "inputSchema": {"type": "object", "properties": {}},
        "annotations": {"readOnlyHint": true},
    });
    Part {
        server: "wide".to_owned(),
        tools: [archive, find, plain]
            .map(|tool| Bytes::from(tool.to_string()))
            .into(),
    }
}

fn fleet() -> Vec<Part> {
    let mut fleet = vec![made()];
    fleet.extend(CAPTURED.map(captured));
    fleet
}

/// What a list is to a client.
struct Listed {
    tools: Vec<Value>,
    text: String,
}

fn listed(fleet: &[Part], surface: &Surface) -> Listed {
    let mut tools = Vec::new();
    let mut text = String::new();
    for tool in &surface.meta_tools {
        let tool: Value = serde_json::from_slice(tool).expect("JSON");
        let _ = writeln!(
            text,
            "ours       {}",
            tool["name"].as_str().unwrap_or_default()
        );
        tools.push(tool);
    }
    let sent = fleet.iter().flat_map(|part| &part.tools);
    for (sent, shown) in sent.zip(surface.tools.iter().flatten()) {
        let sent: Value = serde_json::from_slice(sent).expect("JSON");
        let name = sent["name"].as_str().expect("a name");
        let Some(raw) = &shown.text else {
            let _ = writeln!(text, "{:<10} {name}", Rung::Hidden.as_str());
            continue;
        };
        let tool: Value = serde_json::from_slice(raw).expect("JSON");
        let words = tool["description"].as_str().unwrap_or_default();
        let rung = shown.rung.as_str();
        let _ = writeln!(
            text,
            "{rung:<10} {name}, {} bytes of description",
            words.len()
        );
        if MADE.contains(&name) {
            let start: String = words.chars().take(160).collect();
            let _ = writeln!(
                text,
                "           {start:?}\n           {}",
                tool["inputSchema"]
            );
        }
        tools.push(tool);
    }
    Listed { tools, text }
}

fn form(name: &str) -> Form {
    Shaping::default().form(Profile::by_name(name).expect("a profile"))
}

fn surface(form: Form, budget: Budget, fleet: &[Part]) -> Listed {
    let settings = mcp_whittle::surface::plan::Settings {
        budget,
        form,
        ..Default::default()
    };
    let counter = TiktokenCounter::new(Encoding::O200kBase);
    listed(fleet, &plan(fleet, &settings, &counter))
}

fn page(form: Form, fleet: &[Part]) -> String {
    BUDGETS
        .map(|budget| {
            let listed = surface(form, budget, fleet);
            let n = listed.tools.len();
            format!("--budget {budget}: {n} tools\n{}", listed.text)
        })
        .join("\n")
}

fn tool<'t>(listed: &'t Listed, name: &str) -> Option<&'t Value> {
    listed.tools.iter().find(|tool| tool["name"] == name)
}

#[test]
fn a_snapshot_for_each_profile() {
    let fleet = fleet();
    for profile in Profile::all() {
        let name = profile.name.as_str();
        insta::assert_snapshot!(format!("profile_{name}"), page(form(name), &fleet));
    }
}

/// What a form asks for differs from generic, and what it does not ask for does not, in lists that were made
/// for `made_for`.
fn differs_only_where_asked(form: Form, made_for: Form, fleet: &[Part]) -> Result<(), String> {
    for budget in BUDGETS {
        let shown = surface(made_for, budget, fleet);
        let generic = surface(Form::default(), budget, fleet);
        let said = |what: &str| Err(format!("--budget {budget}: {what}"));
        let hides = tool(&shown, "search_tools").is_some();
        let n_sent: usize = fleet.iter().map(|part| part.tools.len()).sum();
        if form.searches_itself && hides && form.tool_limit.is_none_or(|limit| n_sent <= limit) {
            return said("hidden from a client that searches");
        }
        if let Some(limit) = form.tool_limit
            && shown.tools.len() > limit
        {
            return said("more tools than the client takes");
        }
        for shown in &shown.tools {
            let name = shown["name"].as_str().unwrap_or_default();
            let root = shown["inputSchema"].as_object().expect("a schema");
            let is_union = ["anyOf", "oneOf", "allOf"]
                .iter()
                .any(|key| root.contains_key(*key));
            if form.merges_root_unions && is_union {
                return said(&format!("{name} is a union"));
            }
            if let Some(limit) = form.description_limit {
                let words = shown["description"].as_str().unwrap_or_default();
                let read = String::from_utf8_lossy(&words.as_bytes()[..words.len().min(limit)]);
                let needed = ["Moves a folder", "must be empty of links", "Never archive"];
                if name == MADE[0] && !needed.iter().all(|words| read.contains(words)) {
                    return said(&format!("{name}: what matters is cut off"));
                }
            }
            // The rest is what everybody gets, where both show it in the same way.
            let asked = (name == MADE[0] && form.description_limit.is_some())
                || (name == MADE[1] && form.merges_root_unions);
            let mut other = tool(&generic, name).cloned();
            if form.drops_output_schema {
                if shown.get("outputSchema").is_some() {
                    return said(&format!("{name} has an output schema"));
                }
                if let Some(other) = other.as_mut().and_then(|other| other.as_object_mut()) {
                    other.shift_remove("outputSchema");
                }
            }
            if budget == ROOM && !asked && other.is_some_and(|other| other != *shown) {
                return said(&format!("{name} differs, and nothing asks for it"));
            }
        }
    }
    // Output schemas stand on no page.
    let visible = Form {
        drops_output_schema: false,
        ..form
    };
    let asks = visible != Form::default();
    if (page(made_for, fleet) != page(Form::default(), fleet)) != asks {
        return Err(format!("it asks: {asks}, and its page says the opposite"));
    }
    Ok(())
}

#[test]
fn a_profile_differs_from_generic_exactly_where_its_data_asks() {
    let fleet = fleet();
    let n: usize = fleet.iter().map(|part| part.tools.len()).sum();
    assert!(n > 40, "{n} tools are within every limit");
    for profile in Profile::all() {
        let form = form(&profile.name);
        if let Err(what) = differs_only_where_asked(form, form, &fleet) {
            panic!("{}: {what}", profile.name);
        }
    }
    // The broken variants that this catches: a list made for nobody, and one made for another client.
    for (name, other) in [
        ("claude-code", "generic"),
        ("claude-code", "codex"),
        ("codex", "generic"),
        ("cursor", "generic"),
        ("cursor", "codex"),
        ("generic", "codex"),
        ("generic", "claude-code"),
    ] {
        let wrong = differs_only_where_asked(form(name), form(other), &fleet);
        assert!(wrong.is_err(), "{name} was shown the list for {other}");
    }
    let claude = form("claude-code");
    assert!(claude.searches_itself && claude.merges_root_unions);
    assert_eq!(claude.description_limit, Some(2048));
    assert_eq!(form("cursor").tool_limit, Some(40));
}

/// Many tools beside a limit of a client that searches itself: the rest is found by our search.
#[test]
fn too_many_tools_for_a_client_that_searches() {
    let fleet = fleet();
    let form = Form {
        searches_itself: true,
        tool_limit: Some(20),
        ..Form::default()
    };
    let shown = surface(form, Budget::Tokens(500), &fleet);
    assert!(shown.tools.len() <= 20, "{}", shown.text);
    assert!(tool(&shown, "search_tools").is_some());
    assert!(tool(&shown, MADE[0]).is_some(), "the first stay");
    assert_eq!(differs_only_where_asked(form, form, &fleet), Ok(()));
}

#[test]
fn what_an_operator_wants_whole_stays_whole() {
    let fleet = fleet();
    let n: usize = fleet.iter().map(|part| part.tools.len()).sum();
    assert_eq!(
        surface(form("cursor"), Budget::Unlimited, &fleet)
            .tools
            .len(),
        n
    );
    let lean = Shaping {
        surface: mcp_whittle::config::SurfaceMode::Lean,
        ..Shaping::default()
    };
    for profile in Profile::all() {
        assert_eq!(lean.form(profile), Form::default(), "{}", profile.name);
    }
}
