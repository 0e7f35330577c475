//! Behind a client: each variable that holds the URL of a server is turned to a sidecar of its own on
//! loopback, which gets the URL. Pure.
//!
//! One sidecar for each URL: a key of one server cannot reach another, and a `valueFrom` moves as it is,
//! so an URL in a Secret never passes through here or an argument list.

use serde_json::{Value, json};

use super::pod::Container;
use super::sidecar::{NAME, Sidecar};
use super::text::Invalid;
use super::values::Parser;
use super::wishes::is_url;
use super::{Building, Stop};

/// Where the first sidecar listens; the next ones take the numbers after it.
const LISTEN_PORT: u16 = 15181;
/// Most variables of one pod.
const MAX_VARIABLES: usize = 8;
/// Sources of values that mean the same in another container.
const MOVABLE: [&str; 3] = ["secretKeyRef", "configMapKeyRef", "fieldRef"];

pub(super) fn build(
    building: &mut Building<'_>,
    target: &Container<'_>,
    is_native: bool,
) -> Result<(), Stop> {
    let wishes = building.wishes;
    if !is_native {
        return Err(Stop::skip(
            "without native sidecars a client would start before its sidecar",
        ));
    }
    let count = wishes.upstream_env.len() + wishes.set_env.len();
    if count == 0 {
        return Err(Invalid::new(
            "the pod says `mode: client` but not where its servers are",
            "name the variables that hold URLs in the annotation `upstream-env`, or give `set-env`",
        )
        .into());
    }
    if count > MAX_VARIABLES {
        return Err(Invalid::new(
            format!("{count} variables are named; at most {MAX_VARIABLES} can be"),
            "join servers in one configuration file of mcp-whittle instead",
        )
        .into());
    }
    let base = if wishes.given.contains(&"listen-port") {
        wishes.listen_port
    } else {
        LISTEN_PORT
    };
    let mut places = Vec::with_capacity(count);
    for (name, source) in sources(building, target)? {
        let step = u16::try_from(places.len()).unwrap_or(u16::MAX);
        let (Some(listen), Some(admin)) =
            (base.checked_add(step), wishes.admin_port.checked_add(step))
        else {
            return Err(Invalid::new(
                "the ports of the sidecars go beyond 65535",
                "give smaller numbers in `listen-port` and `admin-port`",
            )
            .into());
        };
        places.push((name, source, listen, admin));
    }
    let ports: Vec<u16> = places
        .iter()
        .flat_map(|(_, _, listen, admin)| [*listen, *admin])
        .collect();
    building.needs_free_ports(&ports)?;
    for (number, (name, source, listen, admin_port)) in places.into_iter().enumerate() {
        let url = format!("http://127.0.0.1:{listen}/mcp");
        let entry = json!({"name": name, "value": url});
        match target.variable(&name) {
            Some((index, _)) => {
                let place = target.at.key("env").index(index);
                building.patch.replace(&place, entry)?;
            }
            None => building.patch.append(&target.at.key("env"), entry)?,
        }
        let sidecar = Sidecar {
            name: match number {
                0 => NAME.to_owned(),
                number => format!("{NAME}-{}", number + 1),
            },
            args: vec![format!("--listen=127.0.0.1:{listen}")],
            env: vec![source],
            port: None,
            admin_port,
            is_native,
        };
        building.add_sidecar(sidecar)?;
    }
    Ok(())
}

/// Each variable with the entry that gives its URL to the sidecar.
fn sources(
    building: &Building<'_>,
    target: &Container<'_>,
) -> Result<Vec<(String, Value)>, Invalid> {
    let wishes = building.wishes;
    let mut found: Vec<(String, Value)> = Vec::new();
    for name in &wishes.upstream_env {
        let Some((_, entry)) = target.variable(name) else {
            return Err(Invalid::new(
                format!("the container `{}` has no variable `{name}`", target.name()),
                "define it in `env`, or give its URL in the annotation `set-env` if it comes from `envFrom`",
            ));
        };
        let url = building.injector.parsers.url;
        found.push((name.clone(), source(name, entry, url)?));
    }
    for (name, url) in &wishes.set_env {
        if target.variable(name).is_some() {
            return Err(Invalid::new(
                format!(
                    "the container `{}` has the variable `{name}` already",
                    target.name()
                ),
                "name it in `upstream-env` instead of `set-env`",
            ));
        }
        found.push((name.clone(), upstream(json!(url), "value")));
    }
    for (index, (name, _)) in found.iter().enumerate() {
        if found[..index].iter().any(|(other, _)| other == name) {
            return Err(Invalid::new(
                format!("the variable `{name}` is named twice"),
                "name it once",
            ));
        }
    }
    Ok(found)
}

fn source(name: &str, entry: &Value, url: Parser) -> Result<Value, Invalid> {
    let from = &entry["valueFrom"];
    if from.is_null() {
        let value = entry["value"].as_str().unwrap_or_default();
        if !is_url(value) {
            return Err(Invalid::new(
                format!("the value of `{name}` is no plain http or https URL"),
                "give the whole URL, without references to other variables",
            ));
        }
        url(value).map_err(|why| {
            Invalid::new(
                format!("the value of `{name}` cannot be used: {why}"),
                "write it as `https://host/path`; the client's own `Authorization` header goes on to the server",
            )
        })?;
        return Ok(upstream(entry["value"].clone(), "value"));
    }
    let is_movable = from.as_object().is_some_and(|from| {
        from.len() == 1
            && from.iter().all(|(kind, source)| {
                MOVABLE.contains(&kind.as_str()) && source["optional"] != true
            })
    });
    if !is_movable {
        return Err(Invalid::new(
            format!("the source of `{name}` cannot be given to another container"),
            "take a key of a Secret or ConfigMap that is not optional, or a field",
        ));
    }
    Ok(upstream(from.clone(), "valueFrom"))
}

fn upstream(value: Value, kind: &str) -> Value {
    json!({"name": "MCP_WHITTLE_UPSTREAM", kind: value})
}
