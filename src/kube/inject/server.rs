//! Before a server: the sidecar takes over its named port, or its number on the pod's address. Pure.
//!
//! By name the app keeps its port and loses the name: if nothing is injected, the Service still finds
//! the app. By number the app must listen on loopback only, else the two collide and the pod never starts.

use serde_json::{Value, json};

use super::pod::Container;
use super::sidecar::{NAME, Sidecar, gate_options};
use super::text::Invalid;
use super::wishes::{Port, Wishes};
use super::{Building, Stop};

/// Longest name of a port.
const MAX_PORT_NAME: usize = 15;

pub(super) fn build(
    building: &mut Building<'_>,
    target: &Container<'_>,
    is_native: bool,
) -> Result<(), Stop> {
    match &building.wishes.port {
        Port::Named(name) => by_name(building, target, name, is_native),
        Port::Number(number) => by_number(building, target, *number, is_native),
    }
}

fn by_name(
    building: &mut Building<'_>,
    target: &Container<'_>,
    name: &str,
    is_native: bool,
) -> Result<(), Stop> {
    let pod = building.pod;
    let Some((index, port)) = target.port_named(name) else {
        return Err(Invalid::new(
            format!("the container `{}` has no TCP port named `{name}`", target.name()),
            "name the port of the MCP server in the container, or give its name in the annotation `port`",
        )
        .into());
    };
    let others = pod
        .containers()
        .filter(|other| other.at != target.at && other.port_named(name).is_some())
        .count();
    if others > 0 {
        return Err(Invalid::new(
            format!("several containers have a port named `{name}`"),
            "let one container have it; a Service takes the first it finds",
        )
        .into());
    }
    let number = container_port(port, name)?;
    let listen = building.wishes.listen_port;
    building.needs_free_ports(&[listen, building.wishes.admin_port])?;
    let moved = free_name(name, target).ok_or_else(|| {
        Invalid::new(
            format!("no name is free for the port `{name}` of the app"),
            "rename the port `mcp-app` of the container",
        )
    })?;
    let at = target.at.key("ports").index(index);
    building.patch.replace(&at.key("name"), json!(moved))?;
    for reference in target.references_to(name) {
        building.patch.replace(&reference, json!(number))?;
    }
    let sidecar = Sidecar {
        name: NAME.to_owned(),
        args: args(format!("0.0.0.0:{listen}"), number, building.wishes),
        env: env(building.wishes, false),
        port: Some(json!({"name": name, "containerPort": listen})),
        admin_port: building.wishes.admin_port,
        is_native,
    };
    building.add_sidecar(sidecar)
}

fn by_number(
    building: &mut Building<'_>,
    target: &Container<'_>,
    number: u16,
    is_native: bool,
) -> Result<(), Stop> {
    if !building.wishes.is_loopback_app {
        return Err(Invalid::new(
            format!("the port is given by number ({number})"),
            "name the container port and give its name; or, if the app listens on 127.0.0.1 only, say so with the annotation `app-bind: loopback`",
        )
        .into());
    }
    if building.pod.declares_port(number, Some(&target.at)) {
        return Err(Stop::skip(format!(
            "another container declares the port {number}"
        )));
    }
    building.needs_free_ports(&[building.wishes.admin_port])?;
    let declared = target
        .tcp_ports()
        .find(|(_, port)| port["containerPort"].as_u64() == Some(number.into()));
    let mut port = json!({"containerPort": number});
    if let Some((index, entry)) = declared {
        // Whole: a port of the node and fields that nobody here knows go along.
        port = entry.clone();
        if let Some(name) = entry["name"].as_str() {
            for reference in target.references_to(name) {
                building.patch.replace(&reference, json!(number))?;
            }
        }
        building
            .patch
            .remove(&target.at.key("ports").index(index))?;
    }
    let sidecar = Sidecar {
        name: NAME.to_owned(),
        args: args(format!("$(POD_IP):{number}"), number, building.wishes),
        env: env(building.wishes, true),
        port: Some(port),
        admin_port: building.wishes.admin_port,
        is_native,
    };
    building.add_sidecar(sidecar)
}

/// The upstream is named by its loopback address: servers of the SDKs refuse any other `Host` there.
fn args(listen: String, number: u16, wishes: &Wishes) -> Vec<String> {
    let mut args = vec![
        format!("--listen={listen}"),
        format!("--upstream=http://127.0.0.1:{number}{}", wishes.path),
    ];
    args.extend(gate_options(wishes));
    args
}

fn env(wishes: &Wishes, needs_address: bool) -> Vec<Value> {
    let mut env = Vec::new();
    if needs_address {
        env.push(
            json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
        );
    }
    if wishes.path != "/mcp" {
        env.push(json!({"name": "MCP_WHITTLE_HTTP_PATH", "value": wishes.path}));
    }
    env
}

fn container_port(port: &Value, name: &str) -> Result<u16, Invalid> {
    port["containerPort"]
        .as_u64()
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| {
            Invalid::new(
                format!("the port `{name}` has no number from 1 to 65535"),
                "give it a containerPort",
            )
        })
}

/// A name for the port that the app keeps.
fn free_name(name: &str, target: &Container<'_>) -> Option<String> {
    [format!("{name}-app"), "mcp-app".to_owned()]
        .into_iter()
        .find(|candidate| {
            candidate.len() <= MAX_PORT_NAME
                && super::pod::elements(&target.value["ports"])
                    .all(|port| port["name"] != **candidate)
        })
}
