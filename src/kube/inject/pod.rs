//! Reading a raw pod: what the decisions need to know, and nothing that is not understood. Pure.

use serde_json::{Map, Value};

use super::pointer::Pointer;

/// The two lists of containers that run for long or at the start.
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// A pod, or the template of pods: `metadata` and `spec`.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a>(pub &'a Value);

/// One container and where it stands.
#[derive(Debug, Clone)]
pub struct Container<'a> {
    /// The container.
    pub value: &'a Value,
    /// Its place in the pod.
    pub at: Pointer,
}

impl<'a> Pod<'a> {
    /// The specification; `null` if there is none.
    pub fn spec(self) -> &'a Value {
        &self.0["spec"]
    }

    /// Its annotations.
    pub fn annotations(self) -> Option<&'a Map<String, Value>> {
        self.0["metadata"]["annotations"].as_object()
    }

    /// The value of a label, if it is a text.
    pub fn label(self, name: &str) -> Option<&'a str> {
        self.0["metadata"]["labels"][name].as_str()
    }

    /// The containers that run side by side.
    pub fn containers(self) -> impl Iterator<Item = Container<'a>> {
        self.list("containers")
    }

    /// Those and the ones that run at the start.
    pub fn all_containers(self) -> impl Iterator<Item = Container<'a>> {
        LISTS.into_iter().flat_map(move |list| self.list(list))
    }

    fn list(self, name: &'static str) -> impl Iterator<Item = Container<'a>> {
        let at = Pointer::root().keys(["spec", name]);
        elements(&self.spec()[name])
            .enumerate()
            .map(move |(index, value)| Container {
                value,
                at: at.index(index),
            })
    }

    /// Whether pods of this kind are started again whenever they end.
    pub fn restarts_always(self) -> bool {
        self.spec()["restartPolicy"].as_str().unwrap_or("Always") == "Always"
    }

    /// Whether every container, or the pod as a whole where that has resources of its own, may use exactly
    /// what it requests, so that the pod is of the class Guaranteed
    /// (`k8s.io/kubernetes/pkg/apis/core/v1/helper/qos`).
    pub fn is_guaranteed(self) -> bool {
        let is_exact = |resources: &Value| {
            ["cpu", "memory"].iter().all(|name| {
                let limit = &resources["limits"][*name];
                let request = &resources["requests"][*name];
                !limit.is_null()
                    && (request.is_null()
                        || super::quantity::thousandths(request)
                            == super::quantity::thousandths(limit))
            })
        };
        let of_pod = &self.spec()["resources"];
        let is_given = |group: &str| of_pod[group].as_object().is_some_and(|of| !of.is_empty());
        if is_given("requests") || is_given("limits") {
            return is_exact(of_pod);
        }
        self.all_containers().next().is_some()
            && self
                .all_containers()
                .all(|container| is_exact(&container.value["resources"]))
    }

    /// Whether the pod as a whole is given an amount of this (KEP-2837). Its containers share that, and what
    /// one asks for itself has to fit in.
    pub fn shares(self, resource: &str) -> bool {
        let of_pod = &self.spec()["resources"];
        ["requests", "limits"]
            .iter()
            .any(|group| !of_pod[*group][resource].is_null())
    }

    /// Whether a container port of this number is declared, other than by `except`.
    pub fn declares_port(self, number: u16, except: Option<&Pointer>) -> bool {
        self.all_containers()
            .filter(|container| except != Some(&container.at))
            .any(|container| {
                elements(&container.value["ports"])
                    .any(|port| port["containerPort"].as_u64() == Some(number.into()))
            })
    }
}

impl<'a> Container<'a> {
    /// Its name; empty if it has none.
    pub fn name(&self) -> &'a str {
        self.value["name"].as_str().unwrap_or_default()
    }

    /// The TCP ports with their places in the list.
    pub fn tcp_ports(&self) -> impl Iterator<Item = (usize, &'a Value)> {
        elements(&self.value["ports"])
            .enumerate()
            .filter(|(_, port)| port["protocol"].as_str().unwrap_or("TCP") == "TCP")
    }

    /// The TCP port of this name, with its place.
    pub fn port_named(&self, name: &str) -> Option<(usize, &'a Value)> {
        self.tcp_ports().find(|(_, port)| port["name"] == *name)
    }

    /// The variable of this name, with its place. The last one of a name is the one that counts.
    pub fn variable(&self, name: &str) -> Option<(usize, &'a Value)> {
        elements(&self.value["env"])
            .enumerate()
            .filter(|(_, variable)| variable["name"] == *name)
            .last()
    }

    /// The places where a probe or a hook names a port of this container.
    pub fn references_to(&self, port: &str) -> Vec<Pointer> {
        let handlers = [
            vec!["startupProbe"],
            vec!["readinessProbe"],
            vec!["livenessProbe"],
            vec!["lifecycle", "postStart"],
            vec!["lifecycle", "preStop"],
        ];
        let mut found = Vec::new();
        for handler in handlers {
            for action in ["httpGet", "tcpSocket"] {
                let place = Pointer::root()
                    .keys(handler.iter().copied())
                    .keys([action, "port"]);
                if place.of(self.value).is_some_and(|value| *value == *port) {
                    found.push(self.at.keys(handler.iter().copied()).keys([action, "port"]));
                }
            }
        }
        found
    }
}

/// The elements of an array; none for anything else.
pub fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
