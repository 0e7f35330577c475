//! One HTTP request to the webhook: bounded in size, number and time, and answered with a review, or
//! with a status that the API server takes for "no answer" and lets the pod through.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;

use super::metrics::Metrics;
use crate::kube::inject::Injector;
use crate::kube::review::{self, Answer, Verdict};
use crate::telemetry::one_line;

/// The one path.
const PATH: &str = "/mutate";
/// Longest body in bytes. Objects of an API server are below 1.5 MiB.
const MAX_BODY: usize = 8 << 20;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(5);
/// How long an answer may take, if the API server does not say less.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Requests that are worked on at a time.
const MAX_IN_FLIGHT: usize = 128;

/// What answers requests.
#[derive(Debug)]
pub(super) struct Answering {
    injector: Arc<Injector>,
    rejects: bool,
    places: Semaphore,
    metrics: Arc<Metrics>,
}

/// A status and a word about it.
type Refusal = (StatusCode, String);

impl Answering {
    pub(super) fn new(injector: Injector, rejects: bool, metrics: Arc<Metrics>) -> Self {
        Self {
            injector: Arc::new(injector),
            rejects,
            places: Semaphore::new(MAX_IN_FLIGHT),
            metrics,
        }
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let start = Instant::now();
        let (result, response) = match self.review(request).await {
            Ok(answer) => {
                tell(&answer);
                let response = respond(StatusCode::OK, "application/json", answer.body);
                (answer.verdict.word(), response)
            }
            Err((status, words)) => {
                tracing::warn!(
                    "request refused with {}: {}",
                    status.as_u16(),
                    one_line(&words)
                );
                let response = respond(status, "text/plain", format!("{words}\n").into_bytes());
                ("refused", response)
            }
        };
        self.metrics.ended(result, start.elapsed());
        Ok(response)
    }

    async fn review(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        if request.uri().path() != PATH {
            return Err((StatusCode::NOT_FOUND, format!("only {PATH} is here")));
        }
        if request.method() != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "only POST".to_owned()));
        }
        if !is_json(request.headers().get(header::CONTENT_TYPE)) {
            let words = "only application/json is understood".to_owned();
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
        }
        let Ok(_place) = self.places.try_acquire() else {
            let words = "too many requests at a time".to_owned();
            return Err((StatusCode::SERVICE_UNAVAILABLE, words));
        };
        let limit = time_limit(request.uri().query());
        let body = tokio::time::timeout(BODY_TIME, body(request.into_body()));
        let Ok(body) = body.await else {
            let words = "the body took too long".to_owned();
            return Err((StatusCode::REQUEST_TIMEOUT, words));
        };
        let body = body?;
        // A large object must not hold up the connections; what it takes is bounded by its size.
        let (injector, rejects) = (Arc::clone(&self.injector), self.rejects);
        let work = tokio::task::spawn_blocking(move || review::answer(&injector, &body, rejects));
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err((StatusCode::BAD_REQUEST, error.to_string())),
            Ok(Err(_)) => {
                let words = "the answer could not be made".to_owned();
                Err((StatusCode::INTERNAL_SERVER_ERROR, words))
            }
            Err(_) => {
                let words = "the answer took too long".to_owned();
                Err((StatusCode::SERVICE_UNAVAILABLE, words))
            }
        }
    }
}

/// Reads a body up to the bound.
async fn body(body: Incoming) -> Result<Bytes, Refusal> {
    let too_long = || {
        let words = format!("the body is longer than {MAX_BODY} bytes");
        (StatusCode::PAYLOAD_TOO_LARGE, words)
    };
    // Its announced length is enough: nothing is read in vain.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_long());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
        Err(error) => Err((
            StatusCode::BAD_REQUEST,
            format!("the body broke off: {error}"),
        )),
    }
}

fn is_json(value: Option<&HeaderValue>) -> bool {
    value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The time that the API server gives (`?timeout=3s`), up to our own.
fn time_limit(query: Option<&str>) -> Duration {
    query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(|text| text.strip_suffix('s'))
        .and_then(|seconds| seconds.parse::<u64>().ok())
        .filter(|seconds| *seconds > 0)
        .map_or(ANSWER_TIME, |seconds| {
            ANSWER_TIME.min(Duration::from_secs(seconds))
        })
}

fn tell(answer: &Answer) {
    let namespace = one_line(&answer.namespace);
    match &answer.verdict {
        Verdict::Injected(mode) => {
            tracing::info!(namespace, "pod injected ({})", mode.word());
        }
        Verdict::LeftAlone(why) => tracing::debug!(namespace, "pod left alone: {}", one_line(why)),
        Verdict::Invalid(why) => tracing::warn!(namespace, "pod not injected: {}", one_line(why)),
        Verdict::Failed(why) => tracing::error!(namespace, "pod not injected: {}", one_line(why)),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_may_give_less_time() {
        for (query, seconds) in [
            (None, 2),
            (Some("timeout=1s"), 1),
            (Some("a=b&timeout=30s"), 2),
            (Some("timeout=0s"), 2),
            (Some("timeout=x"), 2),
        ] {
            assert_eq!(time_limit(query), Duration::from_secs(seconds), "{query:?}");
        }
    }
}
