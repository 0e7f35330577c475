//! Around a stdio server: an init container copies the program into a volume, and the container's
//! command is run by it. Pure.
//!
//! No image is asked for its entrypoint: registries are slow, private or not there.

use serde_json::{Value, json};

use super::pod::{Container, elements};
use super::sidecar::{self, BIN, BIN_DIR, NAME};
use super::text::Invalid;
use super::{Building, Stop};

/// The program in the container that runs it.
pub(super) fn program() -> String {
    format!("{BIN_DIR}/{NAME}")
}

pub(super) fn build(building: &mut Building<'_>, target: &Container<'_>) -> Result<(), Stop> {
    let wishes = building.wishes;
    let command = match &target.value["command"] {
        Value::Array(command) if !command.is_empty() => command.clone(),
        _ => match &wishes.command {
            Some(command) => command.iter().map(|word| json!(word)).collect(),
            None => {
                return Err(Invalid::new(
                    format!("the container `{}` has no `command`, and what its image runs is not known here", target.name()),
                    "give ENTRYPOINT and CMD of the image in the annotation `command`, e.g. [\"node\",\"server.js\"]",
                )
                .into());
            }
        },
    };
    let mut wrapped = vec![json!(program())];
    if let Some(port) = wishes.expose {
        if building.pod.declares_port(port, Some(&target.at)) {
            return Err(Stop::skip(format!(
                "another container declares the port {port}"
            )));
        }
        wrapped.push(json!(format!("--listen=0.0.0.0:{port}")));
        wrapped.extend(sidecar::gate_options(wishes).into_iter().map(Value::from));
    }
    let options = sidecar::shared_options(wishes).into_iter();
    wrapped.extend(options.map(Value::from));
    if let Some(bound) = sidecar::frame_bound(&target.value["resources"], building.pod) {
        wrapped.push(json!(bound));
    }
    wrapped.push(json!("--"));
    wrapped.extend(command);

    let copier = sidecar::copier(building.injector, wishes, building.pod);
    building.add_container("initContainers", BIN, copier)?;
    let place = target.at.key("command");
    if target.value["command"].is_null() {
        building.patch.add(&place, Value::Array(wrapped))?;
    } else {
        building.patch.replace(&place, Value::Array(wrapped))?;
    }
    let mut mounts = vec![sidecar::bin_mount()];
    mounts.extend(sidecar::mounts(wishes, false));
    for mount in mounts {
        building.mount(target, mount)?;
    }
    if let Some(port) = wishes.expose {
        expose(building, target, port)?;
    }
    Ok(())
}

/// Declares the port, and holds traffic back until it is open.
fn expose(building: &mut Building<'_>, target: &Container<'_>, port: u16) -> Result<(), Stop> {
    let is_declared = target
        .tcp_ports()
        .any(|(_, entry)| entry["containerPort"].as_u64() == Some(port.into()));
    if !is_declared {
        let mut entry = json!({"containerPort": port});
        // A container has a name for one port only, whatever the protocol.
        if elements(&target.value["ports"]).all(|other| other["name"] != "mcp") {
            entry["name"] = json!("mcp");
        }
        building.patch.append(&target.at.key("ports"), entry)?;
    }
    if target.value["readinessProbe"].is_null() {
        let probe = json!({"tcpSocket": {"port": port}, "periodSeconds": 5});
        building
            .patch
            .add(&target.at.key("readinessProbe"), probe)?;
    }
    Ok(())
}
