//! The standard `OTEL_*` variables: what each of them does to the settings.
//!
//! Source: OpenTelemetry specification, "Environment Variable Specification" and "OpenTelemetry Protocol
//! Exporter" (1.55.0).

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::environment::{self, EnvSource};
use crate::config::finding::{Fault, Origin};
use crate::config::header::{self, Header};
use crate::config::load::Loader;
use crate::hub::trace::Sampler;
use crate::jsonrpc::percent;

use super::{Environment, Headers, TelemetrySettings, collector, protocol};

/// Attributes that the environment may give a resource, at most.
const MOST_ATTRIBUTES: usize = 64;
/// Spans that may wait to be sent, at most, whatever the environment says.
const MOST_QUEUED: usize = 1 << 16;

/// Bytes of a file of certificates that are looked at.
const CERTIFICATE_BYTES: u64 = 1 << 20;

type Take = fn(&mut TelemetrySettings, &str) -> Result<(), Fault>;

/// A variable, the key that it stands for, and what it does.
pub(super) const VARIABLES: &[(&str, Option<&str>, Take)] = &[
    ("OTEL_SDK_DISABLED", None, |settings, value| {
        settings.is_disabled = value.eq_ignore_ascii_case("true");
        Ok(())
    }),
    ("OTEL_TRACES_EXPORTER", None, |settings, value| {
        exporter(value).map(|is_off| settings.environment.traces.is_off = is_off)
    }),
    ("OTEL_METRICS_EXPORTER", None, |settings, value| {
        exporter(value).map(|is_off| settings.environment.metrics.is_off = is_off)
    }),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        Some("telemetry.endpoint"),
        |settings, value| collector(value).map(|url| settings.environment.endpoint = Some(url)),
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        None,
        |settings, value| {
            collector(value).map(|url| settings.environment.traces.endpoint = Some(url))
        },
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        None,
        |settings, value| {
            collector(value).map(|url| settings.environment.metrics.endpoint = Some(url))
        },
    ),
    ("OTEL_EXPORTER_OTLP_HEADERS", None, |settings, value| {
        header_list(value).map(|headers| settings.environment.headers = headers)
    }),
    (
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        None,
        |settings, value| {
            header_list(value).map(|headers| settings.environment.traces.headers = headers)
        },
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        None,
        |settings, value| {
            header_list(value).map(|headers| settings.environment.metrics.headers = headers)
        },
    ),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", None, |settings, value| {
        certificates(value).map(|path| settings.environment.ca_file = Some(path))
    }),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        None,
        |settings, value| {
            certificates(value).map(|path| settings.environment.traces.ca_file = Some(path))
        },
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        None,
        |settings, value| {
            certificates(value).map(|path| settings.environment.metrics.ca_file = Some(path))
        },
    ),
    // After the endpoints: with another protocol they are no places for us.
    ("OTEL_EXPORTER_OTLP_PROTOCOL", None, |settings, value| {
        protocol(value).inspect_err(|_| settings.environment = Environment::default())
    }),
    (
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        None,
        |settings, value| {
            protocol(value).inspect_err(|_| settings.environment.traces.is_off = true)
        },
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        None,
        |settings, value| {
            protocol(value).inspect_err(|_| settings.environment.metrics.is_off = true)
        },
    ),
    (
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        Some("telemetry.timeout"),
        |settings, value| milliseconds(value).map(|time| settings.timeout = time),
    ),
    (
        "OTEL_METRIC_EXPORT_INTERVAL",
        Some("telemetry.interval"),
        |settings, value| milliseconds(value).map(|time| settings.interval = time),
    ),
    ("OTEL_BSP_SCHEDULE_DELAY", None, |settings, value| {
        milliseconds(value).map(|time| settings.delay = time)
    }),
    ("OTEL_BSP_MAX_QUEUE_SIZE", None, |settings, value| {
        settings.queue = number(value)?.clamp(1, MOST_QUEUED);
        Ok(())
    }),
    ("OTEL_TRACES_SAMPLER", None, |settings, value| {
        sampler(value).map(|sampler| settings.sampler = sampler)
    }),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        Some("telemetry.sampling"),
        // The samplers that always or never take a trace have no argument.
        |settings, value| match settings.sampler.share {
            share if share.is_nan() => settings.set_sampling(value),
            _ => Ok(()),
        },
    ),
    ("OTEL_RESOURCE_ATTRIBUTES", None, |settings, value| {
        for (name, value) in pairs(value)?.into_iter().take(MOST_ATTRIBUTES) {
            match name.as_str() {
                "service.name" => settings.set_service_name(&value)?,
                _ => settings.attributes.push((name, value)),
            }
        }
        Ok(())
    }),
    (
        "OTEL_SERVICE_NAME",
        Some("telemetry.service_name"),
        |settings, value| settings.set_service_name(value),
    ),
];

/// Looks at a file of certificates of authorities.
fn certificates(value: &str) -> Result<PathBuf, Fault> {
    let path = PathBuf::from(value);
    let shown = path.display();
    let mut text = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(CERTIFICATE_BYTES).read_to_end(&mut text))
        .map_err(|error| {
            Fault::new(format!("`{shown}` cannot be read: {error}"))
                .hint("check the path and its permissions")
        })?;
    if memchr::memmem::find(&text, b"-----BEGIN CERTIFICATE-----").is_none() {
        return Err(Fault::new(format!("`{shown}` has no certificate"))
            .hint("it has to be a PEM file with `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(path)
}

fn exporter(value: &str) -> Result<bool, Fault> {
    match value {
        "otlp" => Ok(false),
        "none" => Ok(true),
        _ => Err(Fault::new(format!(
            "`{value}` is not known here; it is taken as `otlp`"
        ))
        .hint("use `otlp` or `none`")),
    }
}

/// Reads a sampler. One that has an argument gets it from the next variable: until then its share is no
/// number.
fn sampler(value: &str) -> Result<Sampler, Fault> {
    let (follows_parent, kind) = match value.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, value),
    };
    let share = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => f64::NAN,
        _ => {
            return Err(Fault::new(format!("the sampler `{value}` is not known here"))
                .hint("use `always_on`, `always_off`, `traceidratio`, or `parentbased_` and one of them"));
        }
    };
    Ok(Sampler {
        follows_parent,
        share,
    })
}

fn number(value: &str) -> Result<usize, Fault> {
    value
        .parse()
        .map_err(|_| Fault::new(format!("expected a whole number, found `{value}`")))
}

fn milliseconds(value: &str) -> Result<Duration, Fault> {
    const DAY: u64 = 24 * 3600 * 1000;
    match value.parse::<u64>() {
        Ok(time @ 1..=DAY) => Ok(Duration::from_millis(time)),
        _ => Err(Fault::new(format!(
            "expected a time in milliseconds, found `{value}`"
        ))),
    }
}

/// Reads `name=value,name=value` with percent signs in values. A message shows no value.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(Fault::new("a part has no `=`").hint("write it as `name=value,name=value`"));
        };
        let value = percent::decode_strictly(value.trim()).ok_or_else(|| {
            Fault::new(format!(
                "the value of `{}` has a broken `%` escape",
                name.trim()
            ))
        })?;
        pairs.push((name.trim().to_owned(), value));
    }
    Ok(pairs)
}

fn header_list(text: &str) -> Result<Headers, Fault> {
    let mut headers = Headers::new();
    for (name, value) in pairs(text)? {
        if let Header::Sent(name, value) = header::parse(&name, &value)? {
            headers.push((name, value));
        }
    }
    Ok(headers)
}

impl<E: EnvSource> Loader<'_, E> {
    /// Takes the standard variables, below everything that is ours. A build without the exporter does not
    /// look at them: they are often there for other programs.
    pub(in crate::config) fn lay_otel(&mut self) {
        if !cfg!(feature = "otel") {
            return;
        }
        for &(name, key, take) in VARIABLES {
            let Ok(Some(value)) = environment::text(self.environment, name) else {
                continue;
            };
            match take(&mut self.draft.telemetry, value.trim()) {
                Ok(()) => {
                    if let Some(key) = key {
                        let origin = Origin::Environment(name.to_owned());
                        self.origins.insert(key, origin);
                    }
                }
                Err(fault) => self.draft.telemetry.doubts.push((name, fault)),
            }
        }
        let sampler = &mut self.draft.telemetry.sampler;
        if sampler.share.is_nan() {
            sampler.share = 1.0;
        }
    }
}
