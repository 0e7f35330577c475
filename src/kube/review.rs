//! AdmissionReview, version `admission.k8s.io/v1`: what an API server asks and what it is answered. Pure.
//!
//! The answer never refuses a pod, unless the operator wants invalid annotations refused: a pod that
//! cannot be injected is allowed as it is, with a warning for who made it. A panic ends the same way.
//! Patches that might not apply are never sent (`inject::check`): they would refuse the pod.

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::inject::wishes::Mode;
use super::inject::{Injector, Outcome};

/// The one version that is spoken.
const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// Longest warning in characters: clients cut longer ones off.
const MAX_WARNING: usize = 240;

/// A request that is no review, for a 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// It is not JSON of that form.
    #[error("not an AdmissionReview: {0}")]
    Form(String),
    /// It is of another version or kind.
    #[error("only {API_VERSION} {KIND} is understood")]
    Version,
    /// It asks nothing.
    #[error("the review has no request with a uid")]
    Empty,
}

/// What became of a review, for counts and logs. Holds nothing of the pod but why it was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Patched.
    Injected(Mode),
    /// Left alone.
    LeftAlone(String),
    /// Asked for what cannot be done.
    Invalid(String),
    /// Our fault.
    Failed(String),
}

impl Verdict {
    /// One word for a metric's label.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Injected(_) => "injected",
            Self::LeftAlone(_) => "left_alone",
            Self::Invalid(_) => "invalid",
            Self::Failed(_) => "failed",
        }
    }
}

/// An answer and what it says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The body of the response.
    pub body: Vec<u8>,
    /// What became of the pod.
    pub verdict: Verdict,
    /// The namespace, for the log.
    pub namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    kind: Kind,
    namespace: Option<String>,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    sub_resource: Option<String>,
    #[serde(default)]
    object: Value,
}

#[derive(Default, Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    #[serde(default)]
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    audit_annotations: Value,
}

/// Answers the body of a request. `rejects` refuses pods with wrong annotations.
///
/// # Errors
/// [`ReviewError`] when the body is no review.
pub fn answer(injector: &Injector, body: &[u8], rejects: bool) -> Result<Answer, ReviewError> {
    answer_by(body, rejects, |pod, namespace| {
        injector.inject(pod, namespace)
    })
}

fn answer_by(
    body: &[u8],
    rejects: bool,
    decide: impl FnOnce(&Value, Option<&str>) -> Outcome,
) -> Result<Answer, ReviewError> {
    // Also where nothing is read it has to be text (RFC 8259 section 8.1).
    let body = std::str::from_utf8(body).map_err(|error| ReviewError::Form(error.to_string()))?;
    let review: Review =
        serde_json::from_str(body).map_err(|error| ReviewError::Form(error.to_string()))?;
    if review.api_version != API_VERSION || review.kind != KIND {
        return Err(ReviewError::Version);
    }
    let request = review
        .request
        .filter(|request| !request.uid.is_empty())
        .ok_or(ReviewError::Empty)?;
    let is_new_pod = request.kind.kind == "Pod"
        && request.kind.group.is_empty()
        && request.operation == "CREATE"
        && request
            .sub_resource
            .as_deref()
            .unwrap_or_default()
            .is_empty();
    let outcome = if is_new_pod {
        // Pods of controllers have no namespace of their own yet.
        let namespace = request.namespace.as_deref();
        catch_unwind(AssertUnwindSafe(|| decide(&request.object, namespace)))
            .unwrap_or_else(|_| Outcome::Failed("the injector panicked".to_owned()))
    } else {
        Outcome::Skipped {
            reason: "it is no new pod".to_owned(),
            is_quiet: false,
        }
    };
    let mut response = Response {
        uid: &request.uid,
        allowed: true,
        status: None,
        patch_type: None,
        patch: None,
        warnings: Vec::new(),
        audit_annotations: Value::Null,
    };
    let verdict = fill(&mut response, outcome, rejects);
    response.audit_annotations = json!({"outcome": match &verdict {
        Verdict::Injected(mode) => format!("injected {}", mode.word()),
        Verdict::LeftAlone(why) => format!("left alone: {why}"),
        Verdict::Invalid(why) => format!("invalid: {why}"),
        Verdict::Failed(why) => format!("failed: {why}"),
    }});
    let body = json!({"apiVersion": API_VERSION, "kind": KIND, "response": response});
    Ok(Answer {
        body: body.to_string().into_bytes(),
        verdict,
        namespace: request.namespace.unwrap_or_default(),
    })
}

fn fill(response: &mut Response<'_>, outcome: Outcome, rejects: bool) -> Verdict {
    match outcome {
        Outcome::Patched(injection) => match serde_json::to_vec(&injection.operations) {
            Ok(patch) => {
                response.patch_type = Some("JSONPatch");
                response.patch = Some(STANDARD.encode(patch));
                response.warnings = injection
                    .warnings
                    .iter()
                    .map(|text| warning(text))
                    .collect();
                Verdict::Injected(injection.mode)
            }
            Err(error) => fill(response, Outcome::Failed(error.to_string()), rejects),
        },
        Outcome::Skipped { reason, is_quiet } => {
            if !is_quiet {
                response
                    .warnings
                    .push(warning(&format!("pod left alone: {reason}")));
            }
            Verdict::LeftAlone(reason)
        }
        Outcome::Invalid(invalid) => {
            let text = invalid.to_string();
            if rejects {
                response.allowed = false;
                response.status = Some(json!({"code": 422, "message": warning(&text)}));
            } else {
                response
                    .warnings
                    .push(warning(&format!("pod not injected: {text}")));
            }
            Verdict::Invalid(invalid.problem)
        }
        Outcome::Failed(fault) => {
            response.warnings.push(warning(
                "pod not injected, by a fault of the injector; see its log",
            ));
            Verdict::Failed(fault)
        }
    }
}

/// A text as a warning: with our name, on one line, not longer than clients show.
fn warning(text: &str) -> String {
    let text = text.chars().map(|character| match character {
        character if character.is_control() => ' ',
        character => character,
    });
    "mcp-whittle: "
        .chars()
        .chain(text)
        .take(MAX_WARNING)
        .collect()
}
