//! The exporter: what the driver tells, and the start and the end.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::config::{Destination, ListenAddress, ServerTransport, Settings};
use crate::hub::ledger::TokenTotals;
use crate::hub::measure::Measured;
use crate::hub::trace::Span;
use crate::transport::http_client::{HttpUpstreamConfig, Poster, ProxySettings, TlsSettings};

use super::attributes::{Carrier, Carriers};
use super::export::{Collector, Metrics, Spans};
use super::meters::Meters;
use super::spans;

const SCOPE: &str = "mcp-whittle";
/// Spans of one export, at most.
const BATCH: usize = 512;

/// Takes spans and measures. Dropping it ends its threads, beside whoever drops it.
pub struct Otel {
    carriers: Carriers,
    scope: InstrumentationScope,
    spans: Option<BatchSpanProcessor>,
    metrics: Option<(SdkMeterProvider, Meters)>,
}

impl Otel {
    /// Starts what the settings ask for; nothing where they ask for nothing. Call it on the runtime.
    ///
    /// # Errors
    /// When a destination is not usable: its URL, certificates or proxy.
    pub fn start(settings: &Settings, process: &str) -> io::Result<Option<Self>> {
        let telemetry = &settings.telemetry;
        if !telemetry.is_on() {
            return Ok(None);
        }
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", process.to_owned()))
            .with_attributes(
                telemetry
                    .attributes
                    .iter()
                    .map(|(name, value)| KeyValue::new(name.clone(), value.clone())),
            )
            .with_service_name(telemetry.service_name.clone())
            .build();
        let spans = match telemetry.traces() {
            Some(to) => {
                let exporter = Spans {
                    collector: collector("spans", &to, settings)?,
                    resource: (&resource).into(),
                };
                let config = BatchConfigBuilder::default()
                    .with_max_queue_size(telemetry.queue)
                    .with_max_export_batch_size(BATCH.min(telemetry.queue))
                    .with_scheduled_delay(telemetry.delay)
                    .build();
                let builder = BatchSpanProcessor::builder(exporter);
                Some(builder.with_batch_config(config).build())
            }
            None => None,
        };
        let metrics = match telemetry.metrics() {
            Some(to) => {
                let exporter = Metrics {
                    collector: collector("metrics", &to, settings)?,
                };
                let reader = PeriodicReader::builder(exporter)
                    .with_interval(telemetry.interval)
                    .build();
                let provider = SdkMeterProvider::builder()
                    .with_resource(resource)
                    .with_reader(reader)
                    .build();
                let meters = Meters::new(&provider.meter(SCOPE));
                Some((provider, meters))
            }
            None => None,
        };
        Ok(Some(Self {
            carriers: carriers(settings),
            scope: InstrumentationScope::builder(SCOPE)
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
            spans,
            metrics,
        }))
    }

    /// Counts what is over.
    pub fn record(&self, measured: &Measured) {
        if let Some((_, meters)) = &self.metrics {
            meters.record(measured, &self.carriers);
        }
    }

    /// Takes a span; never waits.
    pub fn span(&self, span: Span) {
        if let Some(spans) = &self.spans {
            spans.on_end(spans::data(&span, &self.carriers, &self.scope));
        }
    }

    /// Takes over numbers that are kept elsewhere.
    pub fn copy(&self, tokens: &TokenTotals) {
        if let Some((_, meters)) = &self.metrics {
            meters.copy(tokens);
        }
    }

    /// Sends what waits, within a time; what is not sent by then is lost.
    pub async fn finish(mut self, within: Duration) {
        let (done, is_done) = oneshot::channel();
        // The SDK's shutdown blocks, and needs this runtime meanwhile.
        end(self.spans.take(), self.metrics.take(), within, Some(done));
        if tokio::time::timeout(within, is_done).await.is_err() {
            tracing::debug!("not all telemetry could be sent at the end");
        }
    }
}

impl Drop for Otel {
    fn drop(&mut self) {
        end(self.spans.take(), self.metrics.take(), Duration::ZERO, None);
    }
}

/// Ends both on threads that nobody has to wait for.
fn end(
    spans: Option<BatchSpanProcessor>,
    metrics: Option<(SdkMeterProvider, Meters)>,
    within: Duration,
    done: Option<oneshot::Sender<()>>,
) {
    if spans.is_none() && metrics.is_none() {
        return;
    }
    let of_metrics = metrics.map(|(provider, _)| {
        std::thread::spawn(move || {
            let _ = provider.shutdown_with_timeout(within);
        })
    });
    std::thread::spawn(move || {
        if let Some(spans) = spans {
            let _ = spans.shutdown_with_timeout(within);
        }
        if let Some(of_metrics) = of_metrics {
            let _ = of_metrics.join();
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    });
}

fn collector(what: &'static str, to: &Destination, settings: &Settings) -> io::Result<Collector> {
    let wrong = |problem: String| {
        io::Error::other(format!(
            "the collector of {what} cannot be used: {problem}\nhint: check `telemetry.endpoint`, `tls.*` and the proxy variables"
        ))
    };
    let mut config = HttpUpstreamConfig::new(to.url.clone());
    for (name, value) in &to.headers {
        let header = HeaderName::try_from(name.as_str())
            .map_err(|_| wrong(format!("the header name `{name}` is not valid")))?;
        let mut secret = HeaderValue::try_from(value.expose_secret())
            .map_err(|_| wrong(format!("the value of the header `{name}` is not valid")))?;
        secret.set_sensitive(true);
        config.headers.push((header, secret));
    }
    config.tls = TlsSettings {
        system: settings.tls.system,
        bundled: settings.tls.bundled,
        extra_ca_files: [settings.tls.ca_files.as_slice(), to.ca_file.as_slice()].concat(),
    };
    let expose = |value: &Option<secrecy::SecretString>| {
        value.as_ref().map(|value| value.expose_secret().to_owned())
    };
    config.proxy = ProxySettings {
        https: expose(&settings.proxy.https_proxy),
        http: expose(&settings.proxy.http_proxy),
        no: settings.proxy.no_proxy.clone(),
    };
    let poster = Poster::new(&config).map_err(|error| wrong(error.to_string()))?;
    Ok(Collector {
        what,
        poster,
        timeout: settings.telemetry.timeout,
        runtime: Handle::current(),
        is_down: Arc::new(AtomicBool::new(false)),
    })
}

fn carriers(settings: &Settings) -> Carriers {
    let servers: HashMap<String, Carrier> = settings
        .servers
        .iter()
        .map(|server| {
            let carrier = match &server.transport {
                ServerTransport::Stdio { .. } => Carrier::Pipe,
                ServerTransport::Http { url, .. } => Carrier::Http(place(url)),
            };
            (server.name.as_str().to_owned(), carrier)
        })
        .collect();
    Carriers {
        clients: match settings.listen.as_ref().map(|listen| &listen.addr) {
            None => Carrier::Pipe,
            Some(ListenAddress::Socket(_)) => Carrier::Socket,
            Some(_) => Carrier::Http(None),
        },
        servers,
    }
}

fn place(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    Some((uri.host()?.to_owned(), port))
}
