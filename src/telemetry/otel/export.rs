//! Sends what the SDK's threads have gathered to a collector: protobuf over HTTP (OTLP 1.x, "OTLP/HTTP").
//!
//! One try for each batch: what is not taken is lost, so that memory is bounded whatever a collector does.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message;
use tokio::runtime::Handle;

use crate::transport::http_client::Poster;

const CONTENT_TYPE: &str = "application/x-protobuf";
/// Bytes of an answer that are read, at most; nothing in it is needed.
const ANSWER_BYTES: usize = 64 << 10;

/// The way to a collector, for one kind of telemetry.
#[derive(Clone)]
pub(super) struct Collector {
    /// What is sent, for messages.
    pub(super) what: &'static str,
    pub(super) poster: Poster,
    pub(super) timeout: Duration,
    /// Where connections live. The SDK's threads wait for it there.
    pub(super) runtime: Handle,
    pub(super) is_down: Arc<AtomicBool>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Collector {
    fn send(&self, body: Vec<u8>) -> impl Future<Output = OTelSdkResult> + Send + use<> {
        let this = self.clone();
        async move {
            let runtime = this.runtime.clone();
            let sent = runtime.spawn(async move { this.post(Bytes::from(body)).await });
            sent.await
                .unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())))
        }
    }

    async fn post(&self, body: Bytes) -> OTelSdkResult {
        let answer = self
            .poster
            .post(CONTENT_TYPE, body, self.timeout, ANSWER_BYTES)
            .await;
        let failure = match answer {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(format!("it answers {status}")),
            Err(error) => Some(super::super::one_line(&error.to_string())),
        };
        let Some(failure) = failure else {
            if self.is_down.swap(false, Ordering::Relaxed) {
                tracing::info!("the collector of {} takes them again", self.what);
            }
            return Ok(());
        };
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the collector of {} does not take them, they are lost until it does: {failure}",
                self.what
            );
        }
        Err(OTelSdkError::InternalFailure(failure))
    }
}

/// Sends spans.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) collector: Collector,
    pub(super) resource: ResourceAttributesWithSchema,
}

impl SpanExporter for Spans {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        self.collector.send(request.encode_to_vec())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Sends metrics.
pub(super) struct Metrics {
    pub(super) collector: Collector,
}

impl PushMetricExporter for Metrics {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let request = ExportMetricsServiceRequest::from(metrics);
        self.collector.send(request.encode_to_vec())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
