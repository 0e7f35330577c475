//! The section `telemetry`: where traces and metrics go (OTLP over HTTP), and the standard `OTEL_*` variables
//! that say the same. Ours win: an endpoint of ours never gets headers that the environment has for another.

mod variables;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::hub::trace::Sampler;

use super::environment::EnvSource;
use super::finding::{Fault, Origin};
use super::header::{self, Header};
use super::input::Input;
use super::load::Loader;
use super::source;

/// The one protocol that is spoken.
pub(super) const PROTOCOL: &str = "http/protobuf";
/// Bytes of a file of headers, at most.
const HEADER_FILE_BYTES: u64 = 64 << 10;
/// Longest service name in bytes.
const NAME_BYTES: usize = 128;

/// Headers with their values.
pub type Headers = Vec<(String, SecretString)>;

/// Where telemetry goes, and what of it.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// The collector's URL; the paths of OTLP are added to it.
    endpoint: Option<String>,
    /// Headers of a file of ours.
    headers: Headers,
    /// What `OTEL_*` variables say of the destination.
    environment: Environment,
    /// How long one export may take.
    pub timeout: Duration,
    /// How often metrics are sent.
    pub interval: Duration,
    /// How long a span waits for others at most.
    pub delay: Duration,
    /// Spans that may wait; more are lost.
    pub queue: usize,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub attributes: Vec<(String, String)>,
    /// Whether `OTEL_SDK_DISABLED` turns everything off.
    is_disabled: bool,
    /// Variables that are wrong.
    doubts: Vec<(&'static str, Fault)>,
}

/// A destination as variables name it.
#[derive(Debug, Clone, Default)]
struct Environment {
    endpoint: Option<String>,
    headers: Headers,
    ca_file: Option<PathBuf>,
    traces: Signal,
    metrics: Signal,
}

/// What is said of traces, or of metrics, alone.
#[derive(Debug, Clone, Default)]
struct Signal {
    endpoint: Option<String>,
    headers: Headers,
    ca_file: Option<PathBuf>,
    is_off: bool,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: Headers::new(),
            environment: Environment::default(),
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(60),
            delay: Duration::from_secs(5),
            queue: 2048,
            sampler: Sampler::default(),
            service_name: "mcp-whittle".to_owned(),
            attributes: Vec::new(),
            is_disabled: false,
            doubts: Vec::new(),
        }
    }
}

/// A URL and the headers that go there.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The whole URL.
    pub url: String,
    /// Headers of every request.
    pub headers: Headers,
    /// A PEM file with further authorities that may vouch for the place.
    pub ca_file: Option<PathBuf>,
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        let plain = |headers: &Headers| -> Vec<(String, String)> {
            let headers = headers.iter();
            headers
                .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
                .collect()
        };
        let place = |of: &Self| (of.url.clone(), of.ca_file.clone());
        place(self) == place(other) && plain(&self.headers) == plain(&other.headers)
    }
}

impl TelemetrySettings {
    /// Whether anything is exported.
    pub fn is_on(&self) -> bool {
        self.traces().is_some() || self.metrics().is_some()
    }

    /// Where spans go.
    pub fn traces(&self) -> Option<Destination> {
        self.destination(&self.environment.traces, "v1/traces")
    }

    /// Where metrics go.
    pub fn metrics(&self) -> Option<Destination> {
        self.destination(&self.environment.metrics, "v1/metrics")
    }

    /// Whether another run of these settings would export the same to the same place.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let rest = |settings: &Self| {
            (
                (settings.timeout, settings.interval, settings.delay),
                settings.sampler,
                settings.service_name.clone(),
                settings.attributes.clone(),
            )
        };
        self.traces() == other.traces()
            && self.metrics() == other.metrics()
            && rest(self) == rest(other)
    }

    fn destination(&self, signal: &Signal, path: &str) -> Option<Destination> {
        if self.is_disabled || signal.is_off {
            return None;
        }
        let below = |base: &String| format!("{}/{path}", base.trim_end_matches('/'));
        if let Some(endpoint) = &self.endpoint {
            return Some(Destination {
                url: below(endpoint),
                headers: self.headers.clone(),
                ca_file: None,
            });
        }
        let url = match &signal.endpoint {
            // A signal's own is taken as it is.
            Some(url) => url.clone(),
            None => below(self.environment.endpoint.as_ref()?),
        };
        let mut headers = self.headers.clone();
        let given = if signal.headers.is_empty() {
            &self.environment.headers
        } else {
            &signal.headers
        };
        for (name, value) in given {
            if !headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                headers.push((name.clone(), value.clone()));
            }
        }
        let ca_file = signal
            .ca_file
            .as_ref()
            .or(self.environment.ca_file.as_ref());
        Some(Destination {
            url,
            headers,
            ca_file: ca_file.cloned(),
        })
    }
}

/// The values that leave this machine, for those who keep secrets out of lines.
impl TelemetrySettings {
    /// Returns all values of headers.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let environment = &self.environment;
        [
            &self.headers,
            &environment.headers,
            &environment.traces.headers,
            &environment.metrics.headers,
        ]
        .into_iter()
        .flatten()
        .map(|(_, value)| value)
    }
}

/// What a key or a variable does.
impl TelemetrySettings {
    pub(super) fn set_endpoint(&mut self, input: &Input<'_>) -> Result<(), Fault> {
        self.endpoint = Some(collector(&input.text()?)?);
        Ok(())
    }

    pub(super) fn show_endpoint(&self) -> String {
        let environment = &self.environment;
        let shown = self.endpoint.as_ref().or(environment.endpoint.as_ref());
        shown.map_or_else(|| "none".to_owned(), |url| super::redact::url(url))
    }

    pub(super) fn set_headers(&mut self, input: &Input<'_>) -> Result<(), Fault> {
        self.headers = header_file(&input.path(&input.text()?))?;
        Ok(())
    }

    pub(super) fn show_headers(&self) -> String {
        if self.headers.is_empty() {
            return "none".to_owned();
        }
        source::show_headers(&self.headers)
    }

    pub(super) fn set_service_name(&mut self, name: &str) -> Result<(), Fault> {
        if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(
                Fault::new("the name is empty, too long or has control characters")
                    .hint(format!("use 1 to {NAME_BYTES} bytes of plain text")),
            );
        }
        name.clone_into(&mut self.service_name);
        Ok(())
    }

    pub(super) fn set_sampling(&mut self, text: &str) -> Result<(), Fault> {
        self.sampler.share = share(text)?;
        Ok(())
    }

    pub(super) fn show_sampling(&self) -> String {
        self.sampler.share.to_string()
    }
}

/// Refuses every protocol but the one.
pub(super) fn protocol(text: &str) -> Result<(), Fault> {
    if text == PROTOCOL {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "the protocol `{text}` is not spoken, only `{PROTOCOL}`"
    ));
    Err(fault.hint("collectors take it on port 4318"))
}

/// Reads a share of traces: a number from 0 to 1, or a percentage.
fn share(text: &str) -> Result<f64, Fault> {
    let wrong = || {
        Fault::new(format!(
            "expected a share of 0 to 1, such as `0.1` or `10%`, found `{text}`"
        ))
    };
    let (number, whole) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let share = number.parse::<f64>().map_err(|_| wrong())? / whole;
    (is_plain && (0.0..=1.0).contains(&share))
        .then_some(share)
        .ok_or_else(wrong)
}

fn collector(url: &str) -> Result<String, Fault> {
    source::check_url(url)?;
    if url.contains('?') {
        let fault = Fault::new("the URL of the collector has a query");
        return Err(fault.hint("credentials belong into the headers"));
    }
    Ok(url.to_owned())
}

fn header_file(path: &Path) -> Result<Headers, Fault> {
    let shown = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| {
            Fault::new(format!("`{shown}` cannot be read: {error}"))
                .hint("check the path and its permissions")
        })?;
    if text.len() as u64 > HEADER_FILE_BYTES {
        let fault = Fault::new(format!(
            "`{shown}` is longer than {HEADER_FILE_BYTES} bytes"
        ));
        return Err(fault.hint("it has one `Name: value` on each line"));
    }
    let mut headers = Headers::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let read = header::parse_line(line).map_err(|fault| Fault {
            problem: format!("`{shown}`, line {}: {}", number + 1, fault.problem),
            ..fault
        });
        // Those of the transport are its own.
        if let Header::Sent(name, value) = read? {
            headers.push((name, value));
        }
    }
    Ok(headers)
}

impl<E: EnvSource> Loader<'_, E> {
    /// Checks where telemetry goes. Variables that are wrong are doubtful only: they may be meant for others.
    pub(super) fn check_telemetry(&mut self, can_export: bool) {
        let telemetry = &self.draft.telemetry;
        if telemetry.endpoint.is_some() && !can_export {
            let fault = Fault::new("this build exports no telemetry").hint(
                "build it with `cargo build --release --features otel`, or leave the setting out",
            );
            return self.wrong("telemetry.endpoint", fault);
        }
        let is_named = telemetry.endpoint.is_some()
            || ["", "TRACES_", "METRICS_"].iter().any(|signal| {
                let name = format!("OTEL_EXPORTER_OTLP_{signal}ENDPOINT");
                self.environment.get(&name).is_some()
            });
        if is_named && !telemetry.is_disabled {
            for (name, fault) in telemetry.doubts.clone() {
                let origin = Origin::Environment(name.to_owned());
                self.findings.warning(Some(origin), None, fault);
            }
        }
        let in_the_clear = [
            self.draft.telemetry.traces(),
            self.draft.telemetry.metrics(),
        ]
        .into_iter()
        .flatten()
        .any(|to| source::sends_secrets_unencrypted(&to.url, &to.headers));
        if in_the_clear {
            let fault = Fault::new("headers of telemetry cross the network unencrypted")
                .hint("use an https:// URL, or a collector on this machine");
            let origin = self.origin("telemetry.endpoint");
            self.findings
                .warning(Some(origin), Some("telemetry.endpoint"), fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::variables::VARIABLES;
    use super::*;

    fn with(variables: &[(&str, &str)]) -> TelemetrySettings {
        let mut settings = TelemetrySettings::default();
        for (name, _, take) in VARIABLES {
            if let Some((_, value)) = variables.iter().find(|(known, _)| known == name)
                && let Err(fault) = take(&mut settings, value)
            {
                settings.doubts.push((name, fault));
            }
        }
        settings
    }

    fn headers(destination: &Destination) -> Vec<(&str, &str)> {
        let headers = destination.headers.iter();
        headers
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect()
    }

    #[test]
    fn standard_variables_name_the_place() {
        let settings = with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "http://127.0.0.1:9/m",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x=2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_SERVICE_NAME", "mine"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,k8s.pod.name=p%2C1",
            ),
            ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
        ]);
        let (traces, metrics) = (settings.traces().unwrap(), settings.metrics().unwrap());
        assert_eq!(traces.url, "http://127.0.0.1:4318/v1/traces");
        assert_eq!(headers(&traces), [("api-key", "a b"), ("x", "1")]);
        assert_eq!(metrics.url, "http://127.0.0.1:9/m");
        assert_eq!(headers(&metrics), [("x", "2")]);
        assert_eq!(settings.service_name, "mine");
        assert_eq!(settings.attributes, [("k8s.pod.name".into(), "p,1".into())]);
        assert_eq!(settings.interval, Duration::from_millis(250));
        assert!(!format!("{settings:?}").contains("a b"));
    }

    #[test]
    fn headers_of_the_environment_go_to_its_own_place_only() {
        let mut settings = with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://vendor.example"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
        ]);
        settings
            .set_endpoint(&Input::Variable("http://127.0.0.1:4318"))
            .unwrap();
        let traces = settings.traces().unwrap();
        assert_eq!(traces.url, "http://127.0.0.1:4318/v1/traces");
        assert!(traces.headers.is_empty());
    }

    #[test]
    fn authorities_of_the_environment_vouch_for_its_own_place_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (all, of_metrics) = (
            file("all", "-----BEGIN CERTIFICATE-----"),
            file("metrics", "x\n-----BEGIN CERTIFICATE-----"),
        );
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", all.as_str()),
            (
                "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
                of_metrics.as_str(),
            ),
        ];
        let mut settings = with(&variables);
        let ca = |to: Option<Destination>| to.unwrap().ca_file;
        assert_eq!(ca(settings.traces()), Some(PathBuf::from(&all)));
        assert_eq!(ca(settings.metrics()), Some(PathBuf::from(&of_metrics)));
        assert!(!settings.is_same_as(&with(&variables[..2])), "a change");
        settings
            .set_endpoint(&Input::Variable("https://ours.example"))
            .unwrap();
        assert_eq!(ca(settings.traces()), None);
        for wrong in [file("none", "hello"), "/nowhere/at/all".to_owned()] {
            let settings = with(&[variables[0], ("OTEL_EXPORTER_OTLP_CERTIFICATE", &wrong)]);
            assert_eq!(ca(settings.traces()), None);
            assert_eq!(settings.doubts.len(), 1, "{wrong}");
        }
    }

    #[test]
    fn another_protocol_is_no_place_for_us() {
        let settings = with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ]);
        assert!(!settings.is_on());
        assert_eq!(settings.doubts.len(), 1);
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
            let settings = with(&[endpoint, (name, value)]);
            assert!(settings.traces().is_none(), "{name}");
            assert_eq!(settings.is_on(), name == "OTEL_TRACES_EXPORTER");
        }
    }

    #[test]
    fn samplers_are_those_of_the_specification() {
        for (name, argument, follows_parent, share) in [
            ("always_on", "0.5", false, 1.0),
            ("parentbased_always_off", "0.5", true, 0.0),
            ("traceidratio", "0.25", false, 0.25),
            ("parentbased_traceidratio", "1", true, 1.0),
        ] {
            let settings = with(&[
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ]);
            let expected = Sampler {
                follows_parent,
                share,
            };
            assert_eq!(settings.sampler, expected, "{name}");
        }
        for wrong in ["-1", "1.1", "x", "", "inf", "NaN", "101%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!(share("10%").unwrap(), 0.1);
    }

    #[test]
    fn headers_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let file = folder.path().join("headers");
            std::fs::write(&file, text).unwrap();
            let mut settings = TelemetrySettings::default();
            settings
                .set_headers(&Input::Variable(&file.display().to_string()))
                .map(|()| settings)
        };
        let mut settings = read("# comment\n\nX-Key: canary\nHost: ours\n").unwrap();
        settings
            .set_endpoint(&Input::Variable("https://c.example/otlp/"))
            .unwrap();
        let metrics = settings.metrics().unwrap();
        assert_eq!(metrics.url, "https://c.example/otlp/v1/metrics");
        assert_eq!(headers(&metrics), [("X-Key", "canary")]);
        assert!(!settings.show_headers().contains("canary"));
        assert_eq!(settings.secrets().count(), 1);
        for wrong in ["canary", "X Y: canary"] {
            let fault = read(wrong).err().unwrap();
            assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        }
        let missing = folder.path().join("none").display().to_string();
        let mut settings = TelemetrySettings::default();
        assert!(settings.set_headers(&Input::Variable(&missing)).is_err());
    }

    #[test]
    fn a_build_without_the_exporter_refuses_an_endpoint() {
        let args = crate::cli::ProxyArgs::default();
        let environment: Vec<(String, String)> = Vec::new();
        for (can_export, n_errors) in [(true, 0), (false, 1)] {
            let mut loader = Loader {
                args: &args,
                environment: &environment,
                read_file: &crate::config::read_file,
                needs_servers: true,
                findings: Default::default(),
                draft: Default::default(),
                origins: Default::default(),
            };
            let endpoint = Input::Variable("http://127.0.0.1:4318");
            loader.draft.telemetry.set_endpoint(&endpoint).unwrap();
            loader.check_telemetry(can_export);
            let errors = &loader.findings.errors;
            assert_eq!(errors.len(), n_errors, "{errors:?}");
            let told = errors.iter().filter_map(|error| error.hint.as_deref());
            assert!(
                told.into_iter()
                    .all(|hint| hint.contains("--features otel"))
            );
        }
    }

    #[test]
    fn faults_show_no_value() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary%zz"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=canary"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h/?k=canary"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:canary@h/"),
        ] {
            let settings = with(&[(name, value)]);
            assert_eq!(settings.doubts.len(), 1, "{value}");
            assert!(
                !format!("{:?}", settings.doubts).contains("canary"),
                "{value}"
            );
        }
    }
}
