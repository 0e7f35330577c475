//! Over the pods that API servers sent, changed at random: what is handed out holds, whatever comes.
//!
//! The judge here ([`lost`]) is written apart from `check`: it looks only at what must survive.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::*;

/// Variants of the injector that must be caught.
type Broken = fn(&Value, &mut Value);

fn pods() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kube/reviews");
    let mut found = Vec::new();
    for version in ["1.20.2", "1.36.2"] {
        let mut files: Vec<_> = std::fs::read_dir(folder.join(version))
            .expect("the reviews")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(file).expect("a review");
            let text = text.replace("mcp-compress.example.io", PREFIX);
            let review: Value = serde_json::from_str(&text).expect("JSON");
            found.push(review["request"]["object"].clone());
        }
    }
    found
}

/// A change of a pod that a future or odd cluster could make.
#[derive(Debug, Clone)]
enum Twist {
    Unknown(u8, Value),
    Annotation(&'static str, &'static str),
    Container(u8),
    Drop(&'static str),
    Set(&'static str, Value),
}

fn twist() -> impl Strategy<Value = Twist> {
    let value = prop_oneof![
        Just(json!(null)),
        Just(json!({"restartPolicyRules": [{"action": "Restart"}]})),
        Just(json!(["a", 1.5, {"b": "mcp"}])),
        any::<i64>().prop_map(Value::from),
    ];
    prop_oneof![
        (any::<u8>(), value).prop_map(|(place, value)| Twist::Unknown(place, value)),
        prop_oneof![
            Just(("mode", "server")),
            Just(("mode", "client")),
            Just(("mode", "stdio")),
            Just(("command", "[\"/srv\"]")),
            Just(("set-env", "MORE=https://more.example/mcp")),
            Just(("expose", "8089")),
            Just(("order", "first")),
            Just(("native-sidecar", "false")),
            Just(("config", "cm")),
            Just(("budget", "nonsense")),
        ]
        .prop_map(|(name, value)| Twist::Annotation(name, value)),
        any::<u8>().prop_map(Twist::Container),
        prop_oneof![
            Just("volumes"),
            Just("securityContext"),
            Just("restartPolicy")
        ]
        .prop_map(Twist::Drop),
        prop_oneof![
            Just((
                "initContainers",
                json!([{"name": "init", "image": "i", "future": {"a": 1}}])
            )),
            Just(("restartPolicy", json!("Never"))),
            Just(("hostNetwork", json!(true))),
            Just(("imagePullSecrets", json!([{"name": "own"}]))),
            Just((
                "securityContext",
                json!({"runAsUser": 0, "runAsNonRoot": true})
            )),
        ]
        .prop_map(|(name, value)| Twist::Set(name, value)),
    ]
}

fn twisted(pod: &Value, twists: &[Twist]) -> Value {
    let mut pod = pod.clone();
    for twist in twists {
        match twist {
            Twist::Unknown(place, value) => {
                let places = ["", "/spec", "/metadata", "/spec/containers/0"];
                let place = pod
                    .pointer_mut(places[usize::from(*place) % places.len()])
                    .expect("pods have these");
                place["futureField"] = value.clone();
            }
            Twist::Annotation(name, value) => {
                pod["metadata"]["annotations"][format!("{PREFIX}/{name}")] = json!(value);
            }
            Twist::Container(number) => {
                let containers = pod["spec"]["containers"].as_array_mut().expect("a list");
                containers.insert(
                    usize::from(*number) % (containers.len() + 1),
                    json!({"name": format!("more-{number}"), "future": [1, 2], "ports": [{"containerPort": 7000}]}),
                );
            }
            Twist::Drop(member) => {
                pod["spec"].as_object_mut().expect("a spec").remove(*member);
            }
            Twist::Set(member, value) => pod["spec"][*member] = value.clone(),
        }
    }
    pod
}

/// What of `before` is not in `after`, other than at the places of `kubernetes` shapes: the name of a
/// port and who refers to it, the value of a variable, a command.
fn lost(before: &Value, after: &Value, at: &str) -> Option<String> {
    let place = at.rsplit('/').next().unwrap_or_default();
    if ["port", "value", "valueFrom", "command"].contains(&place)
        || (place == "name" && at.contains("/ports/"))
    {
        return None;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => old.iter().find_map(|(name, old)| {
            match new.get(name) {
                Some(new) => lost(old, new, &format!("{at}/{name}")),
                // Moved with its variable.
                None if name == "valueFrom" => None,
                None => Some(format!("{at}/{name}")),
            }
        }),
        (Value::Array(old), Value::Array(new)) if old.iter().any(Value::is_object) => {
            // In the old order; the moved port of a server by number is the one that may be gone.
            let mut rest = new.iter();
            let gone = old
                .iter()
                .filter(|old| !rest.any(|new| lost(old, new, &format!("{at}/-")).is_none()))
                .count();
            let may_go = usize::from(at.ends_with("/ports"));
            (gone > may_go).then(|| at.to_owned())
        }
        (Value::Null, _) => None,
        _ => (before != after).then(|| at.to_owned()),
    }
}

/// Whether a pod keeps to what the restricted standard asks of containers.
fn restricted(pod: &Value) -> bool {
    let of_pod = &pod["spec"]["securityContext"];
    Pod(pod).all_containers().all(|container| {
        let own = &container.value["securityContext"];
        let either = |name: &str| {
            if own[name].is_null() {
                of_pod[name].clone()
            } else {
                own[name].clone()
            }
        };
        own["allowPrivilegeEscalation"] == false
            && own["capabilities"]["drop"] == json!(["ALL"])
            && either("runAsNonRoot") == true
            && either("runAsUser") != 0
            && either("seccompProfile")["type"] == "RuntimeDefault"
    })
}

fn run(broken: Broken) -> Result<usize, String> {
    let pods = pods();
    let patched = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 1500,
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (0..pods.len(), prop::collection::vec(twist(), 0..5));
    runner
        .run(&strategy, |(number, twists)| {
            let before = twisted(&pods[number], &twists);
            let outcome = injector().inject(&before, Some("default"));
            let injection = match outcome {
                Outcome::Patched(injection) => *injection,
                Outcome::Failed(fault) => return Err(TestCaseError::fail(fault)),
                _ => return Ok(()),
            };
            patched.set(patched.get() + 1);
            let mut after = before.clone();
            patch::apply(&mut after, &injection.operations).expect("it applies");
            broken(&before, &mut after);
            prop_assert_eq!(lost(&before, &after, ""), None);
            prop_assert!(!restricted(&before) || restricted(&after), "not restricted");
            let again = injector().inject(&after, Some("default"));
            prop_assert!(
                matches!(again, Outcome::Skipped { .. }),
                "again: {:?}",
                again
            );
            Ok(())
        })
        .map(|()| patched.get())
        .map_err(|error| error.to_string())
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many inputs were really changed is what the number is for"
)]
fn what_is_handed_out_holds() {
    let patched = run(|_, _| ()).unwrap_or_else(|fault| panic!("{fault}"));
    println!("1500 pods, {patched} of them patched");
    assert!(patched > 300, "only {patched} pods were patched");
}

#[test]
fn broken_variants_are_caught() {
    let broken: [(&str, Broken, &str); 4] = [
        (
            "a typed round trip",
            |_, after| {
                after["spec"].as_object_mut().unwrap().remove("futureField");
            },
            "/spec/futureField",
        ),
        (
            "ours is privileged",
            |_, after| {
                let ours = after["spec"]["initContainers"].as_array_mut();
                for container in ours.into_iter().flatten() {
                    container["securityContext"] = json!({});
                }
            },
            "not restricted",
        ),
        (
            "known by its annotation only",
            |_, after| {
                for list in ["initContainers", "containers"] {
                    for container in after["spec"][list].as_array_mut().into_iter().flatten() {
                        let name = container["name"].as_str().unwrap_or_default();
                        container["name"] = json!(name.replace("mcp-whittle", "sidecar"));
                        if container["command"].is_array() {
                            container["command"] = json!(["/srv"]);
                        }
                    }
                }
            },
            "again",
        ),
        (
            "containers in another order",
            |before, after| {
                if let Some(first) = before["spec"]["containers"][1].as_object() {
                    after["spec"]["containers"][0] = json!(first);
                }
            },
            "/spec/containers",
        ),
    ];
    for (name, variant, words) in broken {
        let fault = run(variant)
            .err()
            .unwrap_or_else(|| panic!("{name} is not caught"));
        assert!(fault.contains(words), "{name}: {fault}");
    }
}
