//! The options of `inject`, `webhook` and `copy-self`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::LogArgs;
use crate::config::text;
use crate::kube::inject::text::{is_dns_label, is_image_name};
use crate::kube::inject::values::Parsers;
use crate::kube::inject::{Injector, PREFIX};

/// The image where none is named.
const IMAGE: &str = concat!("mcp-whittle:", env!("CARGO_PKG_VERSION"));

/// What is the same for all pods.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is injected")]
pub struct InjectorArgs {
    /// The image of mcp-whittle, best by its digest
    #[arg(long, value_name = "IMAGE", default_value = IMAGE, value_parser = image)]
    pub image: String,

    /// When nodes pull that image
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub image_pull_policy: PullPolicy,

    /// A Secret for pulling it, in the namespace of the pods; can be repeated
    #[arg(long, value_name = "NAME")]
    pub image_pull_secret: Vec<String>,

    /// Let the annotation `image` of a pod choose another image
    #[arg(long)]
    pub allow_image: bool,

    /// The version of the cluster, e.g. `1.36`; before 1.29 there are no native sidecars [default: 1.29 or newer]
    #[arg(long, value_name = "VERSION", value_parser = kubernetes_version)]
    pub kubernetes: Option<KubernetesVersion>,

    /// Set no user id, because the cluster assigns one (OpenShift)
    #[arg(long)]
    pub no_run_as_user: bool,

    /// What labels and annotations begin with
    #[arg(long, value_name = "DOMAIN", default_value = PREFIX, value_parser = prefix)]
    pub prefix: String,
}

impl InjectorArgs {
    /// Returns the injector that these options describe.
    pub fn injector(&self) -> Injector {
        let mut injector = Injector::new(&self.image, env!("CARGO_PKG_VERSION"));
        injector.prefix.clone_from(&self.prefix);
        injector.pull_policy = match self.image_pull_policy {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
        .to_owned();
        injector.pull_secrets.clone_from(&self.image_pull_secret);
        injector.allows_image = self.allow_image;
        injector.sets_user = !self.no_run_as_user;
        injector.has_native_sidecars = self
            .kubernetes
            .is_none_or(|version| version >= KubernetesVersion(1, 29));
        injector.parsers = Parsers {
            profile: text::profile,
            host: text::host,
            origin: text::origin,
            url: text::server_url,
        };
        injector
    }
}

/// When nodes pull an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// At each start.
    Always,
    /// When it is not there.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}

/// Major and minor version of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion(u32, u32);

fn kubernetes_version(text: &str) -> Result<KubernetesVersion, String> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
    let mut number = || {
        let digits = parts.next()?;
        // `1.29+`, as some providers write it.
        digits.strip_suffix('+').unwrap_or(digits).parse().ok()
    };
    match (number(), number()) {
        (Some(major), Some(minor)) => Ok(KubernetesVersion(major, minor)),
        _ => Err("expected a version such as 1.36".to_owned()),
    }
}

fn image(text: &str) -> Result<String, String> {
    if is_image_name(text) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of an image".to_owned())
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let is_domain = text.len() <= 253 && text.split('.').all(is_dns_label);
    if is_domain {
        Ok(text.to_owned())
    } else {
        Err("expected a domain such as mcp-whittle.dev".to_owned())
    }
}

/// Arguments of `inject`.
#[derive(Debug, Clone, Args)]
pub struct InjectArgs {
    /// The manifests, YAML or JSON; `-` is stdin
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,

    /// Inject pods without the label too, as in a namespace that has it
    #[arg(long)]
    pub all: bool,

    /// What is injected.
    #[command(flatten)]
    pub injector: InjectorArgs,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Arguments of `copy-self`.
#[derive(Debug, Clone, Args)]
pub struct CopySelfArgs {
    /// The file to write
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
}

/// Arguments of `webhook`.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// Answer API servers here, over TLS, at /mutate
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,

    /// Serve /livez, /readyz, /startedz and /metrics here, without TLS
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,

    /// The certificate and what it was signed by, in PEM; a changed file is taken over
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub tls_cert: PathBuf,

    /// Its key, in PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub tls_key: PathBuf,

    /// Refuse pods whose annotations are wrong, instead of letting them start without mcp-whittle
    #[arg(long)]
    pub reject_invalid: bool,

    /// How often to look whether the certificate changed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::parse_duration)]
    pub reload_interval: Duration,

    /// How long to go on after SIGTERM, until nobody sends requests here any more
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = text::parse_duration)]
    pub drain: Duration,

    /// What is injected.
    #[command(flatten)]
    pub injector: InjectorArgs,

    /// The logs.
    #[command(flatten)]
    pub log: LogArgs,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::kube::inject::Outcome;

    /// The options alone.
    #[derive(Debug, clap::Parser)]
    struct Options {
        #[command(flatten)]
        injector: InjectorArgs,
    }

    /// Injects a pod with this annotation, whose variable `U` holds this URL.
    fn outcome(annotations: &[(&str, &str)], url: &str) -> Outcome {
        let options = Options::try_parse_from(["inject"]).expect("no option is needed");
        let annotations: Map<String, Value> = annotations
            .iter()
            .map(|(name, value)| (format!("{PREFIX}/{name}"), json!(value)))
            .collect();
        let pod = json!({"metadata": {"annotations": annotations}, "spec": {"containers": [
            {"name": "app", "ports": [{"name": "mcp", "containerPort": 8080}],
             "env": [{"name": "U", "value": url}]}]}});
        options.injector.injector().inject(&pod, None)
    }

    /// Broken variant that this catches: annotations have weaker checks than the options they become, so
    /// that the sidecar ends at once and the pod never starts.
    #[test]
    fn a_value_that_the_program_refuses_is_refused() {
        #[track_caller]
        fn check(annotations: &[(&str, &str)], url: &str, words: &str) {
            match outcome(annotations, url) {
                Outcome::Invalid(invalid) => {
                    let told = invalid.to_string();
                    assert!(told.contains(words) && !told.contains("canary"), "{told}");
                }
                other => panic!("{other:?}"),
            }
        }
        let good = "https://a.example/mcp";
        check(&[("profile", "claude")], good, "claude-code");
        check(
            &[("budget", "99999999999999999999")],
            good,
            "number of tokens",
        );
        check(&[("allow-origin", "example.com")], good, "an origin");
        check(&[("allow-host", "https://x")], good, "a host");
        for wrong in ["https://user:canary@a.example/mcp", "http://a:99999/mcp"] {
            let set_env = format!("A={wrong}");
            check(
                &[("mode", "client"), ("set-env", set_env.as_str())],
                good,
                "/set-env` cannot be used",
            );
            check(
                &[("mode", "client"), ("upstream-env", "U")],
                wrong,
                "the value of `U` cannot be used",
            );
        }
    }

    /// Broken variant that this catches: any text is an image, also an empty variable of a script, and
    /// an API server refuses every pod.
    #[test]
    fn an_image_has_a_name() {
        let image = |name: &str| {
            let options = Options::try_parse_from(["inject", "--image", name]).ok()?;
            Some(options.injector.injector().image)
        };
        assert_eq!(image("r/w@sha256:1").as_deref(), Some("r/w@sha256:1"));
        assert_eq!(image(""), None);
        assert_eq!(image("a b"), None);
    }

    #[test]
    fn a_value_that_the_program_takes_is_taken() {
        for annotations in [
            &[("profile", "claude-code"), ("budget", "4k")][..],
            &[("profile", "auto"), ("budget", "none")],
            &[
                ("allow-host", "a.example:8080, *"),
                ("allow-origin", "https://a.example, null"),
            ],
            &[
                ("mode", "client"),
                ("upstream-env", "U"),
                ("set-env", "A=http://b:80/sse"),
            ],
        ] {
            let outcome = outcome(annotations, "https://a.example/mcp");
            assert!(matches!(outcome, Outcome::Patched(_)), "{outcome:?}");
        }
    }
}
