//! Manifests: the pods and pod templates in a stream of YAML or JSON, injected one by one. Pure.
//!
//! A document without a pod, or whose pod is left alone, stays as it is, byte for byte. One that is
//! changed is written anew, in the notation it came in; comments before its first line stay, others go.

pub mod yaml;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::inject::patch::{self, Operation, PatchError};
use super::inject::pointer::Pointer;
use super::inject::text::Invalid;
use super::inject::wishes::Mode;
use super::inject::{Injector, Outcome};

/// Longest text in bytes.
pub const MAX_BYTES: usize = 32 << 20;
/// Most pods of one text.
const MAX_PODS: usize = 10_000;

/// Kinds with a pod template, and where it stands.
const TEMPLATES: [(&str, &[&str]); 7] = [
    ("Deployment", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("ReplicationController", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

/// Whose pods are injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Those that have the label `inject: enabled` themselves.
    ByLabel,
    /// All that do not have the label `inject: disabled`, as in a namespace that has the label.
    All,
}

/// What became of one pod or template.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which: `Deployment/name`.
    pub object: String,
    /// What became of it.
    pub done: Done,
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// It was injected.
    Injected {
        /// How.
        mode: Mode,
        /// What its owner should know.
        warnings: Vec<String>,
    },
    /// It was left alone, and why.
    LeftAlone(String),
}

/// The text after injection.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    /// The whole text.
    pub text: String,
    /// What became of each pod in it.
    pub reports: Vec<Report>,
}

/// Why a text was not injected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is neither YAML nor JSON.
    #[error("not valid YAML in line {line}: {problem}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// It is too long.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// There are too many pods.
    #[error("more than {MAX_PODS} pods")]
    TooMany,
    /// A pod asks for something that cannot be done.
    #[error("{object}: {}", invalid.problem)]
    Invalid {
        /// Which.
        object: String,
        /// What.
        invalid: Invalid,
    },
    /// We made something that does not hold.
    #[error("{object}: the injection does not hold and is not used: {fault}")]
    Failed {
        /// Which.
        object: String,
        /// What.
        fault: String,
    },
}

/// Injects all pods of a text.
///
/// # Errors
/// When the text is not understood, or a pod asks for what cannot be done; then nothing is given out.
pub fn inject(
    injector: &Injector,
    text: &str,
    consent: Consent,
) -> Result<Injected, ManifestError> {
    if text.len() > MAX_BYTES {
        return Err(ManifestError::TooLong);
    }
    let mut run = Run {
        injector,
        consent,
        reports: Vec::new(),
    };
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(text) {
        let text = match run.document(&value)? {
            Some(value) => json(&value, text),
            None => text.to_owned(),
        };
        return Ok(Injected {
            text,
            reports: run.reports,
        });
    }
    let mut out = String::with_capacity(text.len());
    let mut line = 0;
    for document in documents(text) {
        let value = yaml::read(document).map_err(|error| ManifestError::Syntax {
            line: line + error.line,
            problem: error.problem,
        })?;
        match run.document(&value)? {
            Some(value) => {
                out.push_str(head(document));
                out.push_str(&yaml::write(&value));
            }
            None => out.push_str(document),
        }
        line += document.matches('\n').count();
    }
    Ok(Injected {
        text: out,
        reports: run.reports,
    })
}

struct Run<'a> {
    injector: &'a Injector,
    consent: Consent,
    reports: Vec<Report>,
}

impl Run<'_> {
    /// Injects a document; nothing if it stays as it is.
    fn document(&mut self, value: &Value) -> Result<Option<Value>, ManifestError> {
        let mut operations = Vec::new();
        self.object(value, &Pointer::root(), &mut operations)?;
        if operations.is_empty() {
            return Ok(None);
        }
        let mut changed = value.clone();
        patch::apply(&mut changed, &operations).map_err(|error: PatchError| {
            ManifestError::Failed {
                object: named(value),
                fault: error.to_string(),
            }
        })?;
        Ok(Some(changed))
    }

    fn object(
        &mut self,
        value: &Value,
        at: &Pointer,
        operations: &mut Vec<Operation>,
    ) -> Result<(), ManifestError> {
        let kind = value["kind"].as_str().unwrap_or_default();
        if kind.ends_with("List") {
            for (index, item) in value["items"].as_array().into_iter().flatten().enumerate() {
                // A list in a list is no Kubernetes object.
                if item["items"].is_null() {
                    self.object(item, &at.key("items").index(index), operations)?;
                }
            }
            return Ok(());
        }
        let path = match TEMPLATES.iter().find(|(name, _)| *name == kind) {
            Some((_, path)) => at.keys(path.iter().copied()),
            None if kind == "Pod" => at.clone(),
            None => return Ok(()),
        };
        let from_object = path.as_str().get(at.as_str().len()..).unwrap_or_default();
        let Some(pod) = value.pointer(from_object) else {
            return Ok(());
        };
        if self.reports.len() >= MAX_PODS {
            return Err(ManifestError::TooMany);
        }
        let object = named(value);
        let label = format!("{}/inject", self.injector.prefix);
        let consents = pod["metadata"]["labels"][&label] == "enabled";
        if self.consent == Consent::ByLabel && !consents {
            self.reports.push(Report {
                object,
                done: Done::LeftAlone(format!("its pods have no label `{label}: enabled`")),
            });
            return Ok(());
        }
        let namespace = value["metadata"]["namespace"].as_str();
        let done = match self.injector.inject(pod, namespace) {
            Outcome::Patched(injection) => {
                operations.extend(
                    injection
                        .operations
                        .into_iter()
                        .map(|operation| below(&path, operation)),
                );
                Done::Injected {
                    mode: injection.mode,
                    warnings: injection.warnings,
                }
            }
            Outcome::Skipped { reason, .. } => Done::LeftAlone(reason),
            Outcome::Invalid(invalid) => return Err(ManifestError::Invalid { object, invalid }),
            Outcome::Failed(fault) => return Err(ManifestError::Failed { object, fault }),
        };
        self.reports.push(Report { object, done });
        Ok(())
    }
}

/// Moves an operation to where the pod stands.
fn below(at: &Pointer, operation: Operation) -> Operation {
    let moved = |path: String| format!("{at}{path}");
    match operation {
        Operation::Add { path, value } => Operation::Add {
            path: moved(path),
            value,
        },
        Operation::Replace { path, value } => Operation::Replace {
            path: moved(path),
            value,
        },
        Operation::Remove { path } => Operation::Remove { path: moved(path) },
    }
}

fn named(value: &Value) -> String {
    let name = &value["metadata"]["name"];
    let name = name.as_str().or(value["metadata"]["generateName"].as_str());
    format!(
        "{}/{}",
        value["kind"].as_str().unwrap_or("object"),
        name.unwrap_or("(no name)")
    )
}

/// Cuts a stream before each line that begins a document. Such a line ends any value (YAML 1.2 §9.1.2),
/// so this needs no parser.
fn documents(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let is_marker = beside_marker(line).is_some();
        // Directives and comments before the first one belong to it.
        let has_content = text[start..at]
            .lines()
            .any(|line| !line.trim().is_empty() && !line.starts_with(['#', '%']));
        if is_marker && has_content {
            found.push(&text[start..at]);
            start = at;
        }
        at += line.len();
    }
    found.push(&text[start..]);
    found
}

/// What stands beside the marker on a line that begins a document; nothing on any other line.
fn beside_marker(line: &str) -> Option<&str> {
    line.strip_prefix("---")
        .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The lines of a document before its value: the marker and comments.
fn head(document: &str) -> &str {
    let mut end = 0;
    for line in document.split_inclusive('\n') {
        let is_bare = beside_marker(line).is_some_and(|rest| {
            let rest = rest.trim();
            rest.is_empty() || rest.starts_with('#')
        });
        let is_head = is_bare || line.starts_with(['#', '%']) || line.trim().is_empty();
        if !is_head || !line.ends_with('\n') {
            break;
        }
        end += line.len();
    }
    // Content beside the marker goes with the value; the marker stays.
    if beside_marker(&document[end..]).is_some() {
        return "---\n";
    }
    &document[..end]
}

/// Writes JSON as it came: on one line, or indented.
fn json(value: &Value, before: &str) -> String {
    let is_indented = before.trim().contains('\n');
    let text = if is_indented {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    let mut text = text.unwrap_or_else(|_| value.to_string());
    if before.ends_with('\n') {
        text.push('\n');
    }
    text
}
