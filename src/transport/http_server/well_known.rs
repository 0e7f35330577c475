//! Documents under `/.well-known/` by which clients find out how to get a token.
//!
//! Where we check tokens ourselves the metadata are ours (RFC 9728); where tokens go on to the server
//! behind us its documents are passed on unchanged, asked for without any credentials. Nothing else is
//! served below this path, and nothing is kept.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

use super::auth::Gate;
use super::refusal::Refusal;
use crate::transport::http_client::{self, HttpUpstreamConfig};

/// What stands in front of all of them.
pub(super) const ROOT: &str = "/.well-known/";
/// Documents that are passed on, each also with a path behind it (RFC 9728, RFC 8414, OpenID Discovery).
const PASSED_ON: [&str; 3] = [
    "oauth-protected-resource",
    "oauth-authorization-server",
    "openid-configuration",
];
const OURS: &str = PASSED_ON[0];
/// How long the server behind us may take.
const ASK_TIME: Duration = Duration::from_secs(10);
/// Longest document in bytes.
const MAX_BYTES: usize = 256 << 10;
/// Longest path and query in bytes.
const MAX_TARGET: usize = 2048;
/// Documents asked for at a time.
const MAX_ASKING: usize = 16;

/// A document, or a server's word that there is none.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// Where the documents come from.
#[derive(Debug)]
pub(super) struct WellKnown {
    gate: Option<Arc<Gate>>,
    server: Option<HttpUpstreamConfig>,
    asking: Semaphore,
}

impl WellKnown {
    /// `server` is asked for documents that the gate does not have.
    pub(super) fn new(gate: Option<Arc<Gate>>, server: Option<HttpUpstreamConfig>) -> Self {
        Self {
            gate,
            server,
            asking: Semaphore::new(MAX_ASKING),
        }
    }

    /// Answers a GET of `path`, which begins with [`ROOT`].
    ///
    /// # Errors
    /// The refusal when there is no such document here, or the server cannot be asked.
    pub(super) async fn answer(
        &self,
        path: &str,
        query: Option<&str>,
    ) -> Result<Document, Refusal> {
        if let Some((place, body)) = self.gate.as_ref().and_then(|gate| gate.metadata())
            && (path == place || path.strip_prefix(ROOT) == Some(OURS))
        {
            return Ok(Document {
                status: StatusCode::OK,
                headers: vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                body,
            });
        }
        let name = path.strip_prefix(ROOT).unwrap_or_default();
        let name = name.split('/').next().unwrap_or_default();
        let (Some(server), true) = (&self.server, PASSED_ON.contains(&name)) else {
            let message = "there is no such document here";
            return Err(Refusal::new(StatusCode::NOT_FOUND, message));
        };
        let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        // Nothing may lead out of the folder that was looked at: other paths of the server are not ours to open.
        let is_plain = path.split('/').skip(1).all(|segment| {
            !segment.is_empty() && segment != "." && segment != ".." && !segment.contains('\\')
        }) && !path.to_ascii_lowercase().contains("%2");
        if target.len() > MAX_TARGET || !is_plain {
            return Err(Refusal::bad_request("the path is too long or not plain"));
        }
        let Ok(_place) = self.asking.try_acquire() else {
            return Err(Refusal::overloaded(
                "too many documents are asked for; try again later",
            ));
        };
        let answer = http_client::get_at_origin(server, &target, ASK_TIME, MAX_BYTES).await;
        let answer = answer.map_err(|error| {
            tracing::warn!(
                "a document of the server cannot be had: {}",
                crate::telemetry::one_line(&error.to_string())
            );
            let message =
                "the server behind this address cannot be asked for its document; try again later";
            Refusal::new(StatusCode::BAD_GATEWAY, message)
        })?;
        let headers = [CONTENT_TYPE, CACHE_CONTROL].into_iter();
        Ok(Document {
            status: answer.status,
            headers: headers
                .filter_map(|name| {
                    let value = answer.headers.get(&name)?.clone();
                    Some((name, value))
                })
                .collect(),
            body: answer.body,
        })
    }
}
