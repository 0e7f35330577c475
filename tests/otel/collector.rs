//! A collector: takes OTLP over HTTP, decodes it, and does with the request what a test wants.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, metric, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::kit::authority::Pem;
use crate::kit::http_upstream::read_bytes;
use crate::kit::tls;
use crate::kit::{GUARD, until};

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes it.
    Takes,
    /// Reads it and never answers.
    Hangs,
    /// Answers what is no HTTP.
    Garbage,
    /// Answers 503.
    Refuses,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Export {
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Collector {
    scheme: &'static str,
    address: SocketAddr,
    exports: Arc<Mutex<Vec<Export>>>,
    manner: Arc<Mutex<Manner>>,
}

impl Collector {
    pub(super) fn start(manner: Manner) -> Self {
        Self::serving(manner, None)
    }

    /// One behind TLS.
    pub(super) fn behind_tls(pem: &Pem) -> Self {
        Self::serving(Manner::Takes, Some(tls::server(pem)))
    }

    fn serving(manner: Manner, tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let exports: Arc<Mutex<Vec<Export>>> = Arc::default();
        let manner = Arc::new(Mutex::new(manner));
        let (known, how) = (Arc::clone(&exports), Arc::clone(&manner));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, how) = (Arc::clone(&known), Arc::clone(&how));
                let _ = stream.set_read_timeout(Some(GUARD));
                let tls = tls.clone();
                std::thread::spawn(move || match tls {
                    None => serve(stream, &known, &how),
                    Some(config) => {
                        let session = ServerConnection::new(config).expect("a session");
                        serve(StreamOwned::new(session, stream), &known, &how);
                    }
                });
            }
        });
        Self {
            scheme,
            address,
            exports,
            manner,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(super) fn behaves(&self, manner: Manner) {
        *self.manner.lock().expect("no holder panics") = manner;
    }

    /// Everything that came, answered or not.
    pub(super) fn exports(&self) -> Vec<Export> {
        self.exports.lock().expect("no holder panics").clone()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let exports = self.exports().into_iter();
        exports
            .filter(|export| export.path == "/v1/traces")
            .flat_map(|export| {
                let request = ExportTraceServiceRequest::decode(export.body.as_slice());
                request.expect("spans").resource_spans
            })
            .flat_map(|of_resource| of_resource.scope_spans)
            .flat_map(|of_scope| of_scope.spans)
            .collect()
    }

    /// Waits for a span that fits.
    #[track_caller]
    pub(super) fn span(&self, what: &str, fits: impl Fn(&Span) -> bool) -> Span {
        until(what, || self.spans().into_iter().find(|span| fits(span)))
    }

    /// The last export of metrics.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let exports = self.exports();
        let last = exports.iter().rfind(|export| export.path == "/v1/metrics");
        let Some(last) = last else {
            return Vec::new();
        };
        let request = ExportMetricsServiceRequest::decode(last.body.as_slice()).expect("metrics");
        let of_resource = request.resource_metrics.into_iter();
        of_resource
            .flat_map(|of_resource| of_resource.scope_metrics)
            .flat_map(|of_scope| of_scope.metrics)
            .collect()
    }

    /// The points of a histogram.
    pub(super) fn histogram(&self, name: &str) -> Vec<HistogramDataPoint> {
        let found = self
            .metrics()
            .into_iter()
            .find(|metric| metric.name == name);
        match found.and_then(|found| found.data) {
            Some(metric::Data::Histogram(histogram)) => histogram.data_points,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The values of a counter, by the one attribute that it has.
    pub(super) fn counter(&self, name: &str) -> Vec<(String, i64)> {
        let found = self
            .metrics()
            .into_iter()
            .find(|metric| metric.name == name);
        let Some(metric::Data::Sum(sum)) = found.and_then(|found| found.data) else {
            panic!("{name} is no counter");
        };
        let points = sum.data_points.into_iter();
        points
            .map(|point| {
                let Some(number_data_point::Value::AsInt(value)) = point.value else {
                    panic!("{name} has no whole number");
                };
                (text(&point.attributes[0]), value)
            })
            .collect()
    }
}

fn serve(stream: impl Read + Write, known: &Mutex<Vec<Export>>, how: &Mutex<Manner>) {
    let mut stream = BufReader::new(stream);
    while let Some(export) = read(&mut stream) {
        known.lock().expect("no holder panics").push(export);
        let manner = *how.lock().expect("no holder panics");
        let answer: &[u8] = match manner {
            Manner::Takes => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Manner::Refuses => b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            Manner::Garbage => b"\0\xff garbage\r\n\r\n",
            Manner::Hangs => {
                let mut rest = [0; 64];
                while stream.read(&mut rest).is_ok_and(|size| size > 0) {}
                return;
            }
        };
        let writing = stream.get_mut();
        if writing.write_all(answer).is_err() || writing.flush().is_err() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<impl Read>) -> Option<Export> {
    let (request, body) = read_bytes(stream)?;
    Some(Export {
        path: request.path,
        headers: request.headers,
        body,
    })
}

/// An attribute's value as text.
pub(super) fn text(attribute: &KeyValue) -> String {
    let value = attribute
        .value
        .as_ref()
        .and_then(|value| value.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => panic!("{}: {other:?}", attribute.key),
    }
}

/// All attributes as text, sorted.
pub(super) fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute)))
        .collect();
    all.sort();
    all
}

/// An id as hex digits.
pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
