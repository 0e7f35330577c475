//! Judges a patch before it is handed out: it applies, changes only what its mode may change, and what
//! it adds is as restricted as it must be. Pure.
//!
//! It knows nothing of how patches are built: it compares the pod before and after.

use serde_json::Value;

use super::patch::{self, Operation};
use super::pod::elements;
use super::sidecar::NAME;
use super::wishes::Mode;
use super::{Injection, Injector, is_ours};

/// Where something may be other than it was, in every mode. `*` stands for one member or element,
/// and a place stands for what lies below it too.
const ANYWHERE: [&[&str]; 4] = [
    &["spec", "initContainers", "+"],
    &["spec", "containers", "+"],
    &["spec", "volumes", "+"],
    &["spec", "imagePullSecrets", "+"],
];
const SERVER: [&[&str]; 6] = [
    &["spec", "containers", "*", "ports", "*", "name"],
    &["spec", "containers", "*", "startupProbe", "*", "port"],
    &["spec", "containers", "*", "readinessProbe", "*", "port"],
    &["spec", "containers", "*", "livenessProbe", "*", "port"],
    &["spec", "containers", "*", "lifecycle", "*", "*", "port"],
    &["spec", "containers", "*", "ports", "-"],
];
const CLIENT: [&[&str]; 3] = [
    &["spec", "containers", "*", "env", "*", "value"],
    &["spec", "containers", "*", "env", "*", "valueFrom"],
    &["spec", "containers", "*", "env", "+"],
];
const STDIO: [&[&str]; 4] = [
    &["spec", "containers", "*", "command"],
    &["spec", "containers", "*", "volumeMounts", "+"],
    &["spec", "containers", "*", "ports", "+"],
    &["spec", "containers", "*", "readinessProbe"],
];

/// Judges an injection of `raw`.
///
/// # Errors
/// What does not hold, in words for a log.
pub fn check(injector: &Injector, raw: &Value, injection: &Injection) -> Result<(), String> {
    // As a server will: from the bytes that are sent.
    let text = serde_json::to_string(&injection.operations).map_err(|error| error.to_string())?;
    let operations: Vec<Operation> =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut applied = raw.clone();
    patch::apply(&mut applied, &operations).map_err(|error| error.to_string())?;
    if applied != injection.pod {
        return Err("the patch does not make the pod that was meant".to_owned());
    }
    let mut changes = Vec::new();
    compare(raw, &applied, &mut Vec::new(), &mut changes);
    let modes = match injection.mode {
        Mode::Server => &SERVER[..],
        Mode::Client => &CLIENT,
        Mode::Stdio => &STDIO,
    };
    let signs: [&[&str]; 2] = [
        &["metadata", "labels", &injector.name("injected")],
        &["metadata", "annotations", &injector.name("status")],
    ];
    for change in changes {
        let is_allowed = ANYWHERE
            .iter()
            .chain(modes)
            .chain(&signs)
            .any(|place| matches(place, &change));
        if !is_allowed {
            return Err(format!("the patch changes /{}", change.join("/")));
        }
    }
    check_names(&applied)?;
    containers(&applied)
        .filter(|container| container["name"].as_str().is_some_and(is_ours))
        .try_for_each(check_ours)?;
    containers(&applied).try_for_each(|container| check_mounts(container, &applied))
}

/// Whether a change lies at a place or below it.
fn matches(place: &[&str], change: &[String]) -> bool {
    change.len() >= place.len()
        && place
            .iter()
            .zip(change)
            .all(|(place, part)| *place == "*" || place == part)
}

/// Collects the places that differ. An element that is new in a list is `+`, one that is gone `-`.
fn compare(before: &Value, after: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                at.push(name.clone());
                match new.get(name) {
                    Some(now) => compare(value, now, at, found),
                    None => found.push(at.clone()),
                }
                at.pop();
            }
            for (name, value) in new {
                if !old.contains_key(name) {
                    at.push(name.clone());
                    appeared(value, at, found);
                    at.pop();
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => compare_lists(old, new, at, found),
        (Value::Null, now) if !now.is_null() => appeared(now, at, found),
        _ if before == after => {}
        _ => found.push(at.clone()),
    }
}

/// A list or object that was not there counts by what is in it.
fn appeared(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Array(elements) if !elements.is_empty() && elements.iter().all(Value::is_object) => {
            at.push("+".to_owned());
            found.extend(elements.iter().map(|_| at.clone()));
            at.pop();
        }
        Value::Object(members) if at.len() < 3 && !members.is_empty() => {
            for (name, value) in members {
                at.push(name.clone());
                appeared(value, at, found);
                at.pop();
            }
        }
        _ => found.push(at.clone()),
    }
}

fn compare_lists(old: &[Value], new: &[Value], at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    // Ours may stand anywhere; all others keep their order.
    let is_new = |value: &Value| {
        value["name"]
            .as_str()
            .is_some_and(|name| name.starts_with(NAME))
            && !old.iter().any(|other| other["name"] == value["name"])
    };
    let kept: Vec<&Value> = new.iter().filter(|value| !is_new(value)).collect();
    let mut note = |sign: &str, at: &mut Vec<String>| {
        at.push(sign.to_owned());
        found.push(at.clone());
        at.pop();
    };
    for _ in kept.len()..new.len() {
        note("+", at);
    }
    for _ in old.len()..kept.len() {
        note("+", at);
    }
    if kept.len() < old.len() {
        note("-", at);
        let gone = old
            .iter()
            .zip(&kept)
            .position(|(old, new)| old != *new)
            .unwrap_or(kept.len());
        let rest = old.iter().enumerate().filter(|(index, _)| *index != gone);
        if !rest.map(|(_, value)| value).eq(kept.iter().copied()) {
            found.push(at.clone());
        }
        return;
    }
    for (index, (old, new)) in old.iter().zip(kept).enumerate() {
        at.push(index.to_string());
        compare(old, new, at, found);
        at.pop();
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let spec = &pod["spec"];
    elements(&spec["containers"]).chain(elements(&spec["initContainers"]))
}

fn check_names(pod: &Value) -> Result<(), String> {
    let lists: [(&str, Vec<&Value>); 2] = [
        ("container", containers(pod).collect()),
        ("volume", elements(&pod["spec"]["volumes"]).collect()),
    ];
    for (what, values) in lists {
        let ours = |value: &&Value| {
            value["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(NAME))
        };
        for value in values.iter().filter(|value| ours(value)) {
            let same = values.iter().filter(|other| other["name"] == value["name"]);
            if same.count() != 1 {
                return Err(format!("two {what}s are named {}", value["name"]));
            }
        }
    }
    Ok(())
}

/// A container of ours keeps to the restricted Pod Security Standard and asks for what it needs.
fn check_ours(container: &Value) -> Result<(), String> {
    let context = &container["securityContext"];
    let holds = context["allowPrivilegeEscalation"] == false
        && context["readOnlyRootFilesystem"] == true
        && context["runAsNonRoot"] == true
        && context["runAsUser"] != 0
        && context["capabilities"] == serde_json::json!({"drop": ["ALL"]})
        && context["seccompProfile"]["type"] == "RuntimeDefault"
        && context["privileged"].is_null();
    if !holds {
        return Err(format!("{} is not restricted", container["name"]));
    }
    let token = "/var/run/secrets/kubernetes.io/serviceaccount";
    let hides = elements(&container["volumeMounts"]).any(|mount| mount["mountPath"] == token);
    if !hides {
        return Err(format!("{} would see the token", container["name"]));
    }
    Ok(())
}

/// Each mount of ours has its volume and a path of its own.
fn check_mounts(container: &Value, pod: &Value) -> Result<(), String> {
    let mounts: Vec<&Value> = elements(&container["volumeMounts"]).collect();
    for mount in &mounts {
        let name = mount["name"].as_str().unwrap_or_default();
        if !name.starts_with(NAME) {
            continue;
        }
        let has_volume =
            elements(&pod["spec"]["volumes"]).any(|volume| volume["name"] == mount["name"]);
        let same = mounts
            .iter()
            .filter(|other| other["mountPath"] == mount["mountPath"]);
        if !has_volume || same.count() != 1 {
            return Err(format!(
                "the mount {} of {} is wrong",
                mount["mountPath"], container["name"]
            ));
        }
    }
    Ok(())
}
