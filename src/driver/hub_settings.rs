//! Settings as the hub wants them.

use std::ffi::OsString;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::config::profiles::Profile;
use crate::config::{
    EnvSource, EraPin, Mode, Naming, ProcessEnvironment, ServerTransport, Settings, Share,
};
use crate::hub::cache::CacheSettings;
use crate::hub::limits::ServiceLimits;
use crate::hub::limits::breaker::BreakerPolicy;
use crate::hub::limits::bucket::Rate;
use crate::hub::limits::principals::PrincipalLimits;
use crate::hub::settings::{
    EraChoice, HubLimits, HubSettings, HubTimeouts, NamingSettings, Profiles, ServerSpec,
};
use crate::hub::trace::TraceSettings;
use crate::jsonrpc::Limits;
use crate::surface::plan;
use crate::upstream::RestartPolicy;

use super::encoding_of;
use super::spawn::{own_environment, telling_environment};

/// Bounds of messages.
pub(super) fn message_limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        // Spans inside a frame are 32 bits wide.
        frame_bytes: usize::try_from(limits.frame_bytes.min(u64::from(u32::MAX)))
            .unwrap_or(usize::MAX),
        depth: limits.json_depth as usize,
        request_members: usize::try_from(limits.request_members).unwrap_or(usize::MAX),
        id_bytes: usize::try_from(limits.id_bytes).unwrap_or(usize::MAX),
    }
}

/// Bounds of what one client and one server may have.
pub(super) fn hub_limits(settings: &Settings) -> HubLimits {
    HubLimits {
        message: message_limits(settings),
        in_flight_per_session: settings.limits.in_flight_per_session as usize,
        pages: settings.limits.pages as usize,
        items: settings.limits.tools_per_server as usize,
        list_bytes: usize::try_from(settings.limits.list_bytes).unwrap_or(usize::MAX),
        listens_per_session: settings
            .listen
            .as_ref()
            .map_or(16, |listen| listen.limits.streams_per_session as usize),
        sessions: settings.limits.sessions as usize,
        ..HubLimits::default()
    }
}

/// How names are shown.
pub fn naming_settings(naming: &Naming) -> NamingSettings {
    NamingSettings {
        is_prefixed: naming.prefix,
        separator: naming.separator.clone(),
        max_name: naming.max_name,
    }
}

/// Translates the configuration for the pure core.
pub fn hub_settings(settings: &Settings) -> HubSettings {
    let timeouts = &settings.timeouts;
    HubSettings {
        servers: settings
            .servers
            .iter()
            .map(|server| ServerSpec {
                name: server.name.as_str().to_owned(),
                is_http: matches!(server.transport, ServerTransport::Http { .. }),
                era: match server.era {
                    EraPin::Auto => EraChoice::Auto,
                    EraPin::Legacy => EraChoice::Legacy,
                    EraPin::Modern => EraChoice::Modern,
                },
                is_shared: server.share == Share::Stateless,
                identity: identity(&server.transport, own_environment()),
                pin_identity: pin_identity(&server.transport),
                start_timeout: server.start_timeout,
                request_timeout: server.request_timeout,
                forwards_authorization: server.forwards_authorization,
            })
            .collect(),
        naming: naming_settings(&settings.naming),
        surface: settings
            .shaping
            .plan(host_variable)
            .map(|plan| plan::Settings {
                tokenizer: encoding_of(settings.tokenizer),
                ..plan
            }),
        profiles: profiles(settings),
        is_transparent: settings.mode == Mode::Transparent,
        is_shadow: settings.mode == Mode::Shadow,
        holdout: settings.holdout,
        locked: settings
            .lock
            .as_ref()
            .map(|lock| std::sync::Arc::clone(&lock.originals)),
        guard: settings.guard.clone(),
        policy: std::sync::Arc::clone(&settings.policy),
        audit: settings.audit.scope(),
        projection: settings.shaping.results.projection(),
        result_shapes: std::sync::Arc::default(),
        keeps_results: true,
        keeps_snapshots: true,
        cache: cache_settings(settings),
        limits: hub_limits(settings),
        service: service_limits(settings),
        is_measured: settings.admin_listen.is_some() || settings.telemetry.is_on(),
        trace: settings.telemetry.traces().map(|_| TraceSettings {
            sampler: settings.telemetry.sampler,
            propagates: settings.mode != Mode::Transparent,
        }),
        timeouts: HubTimeouts {
            probe: timeouts.probe,
            merge: timeouts.list_deadline,
            session_idle: timeouts.session_idle,
            shutdown_grace: timeouts.shutdown_grace,
            absolute: timeouts.request_cap,
            ..HubTimeouts::default()
        },
        restart: RestartPolicy {
            initial_backoff: settings.restart.initial_backoff,
            max_backoff: settings.restart.max_backoff,
            jitter: f64::from(settings.restart.jitter_percent.min(100)) / 100.0,
            park_after: settings.restart.park_after,
            reset_after: settings.restart.reset_after,
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// How each kind of client is shown lists and results.
fn profiles(settings: &Settings) -> Profiles {
    let configured = settings.shaping.profile(host_variable);
    // Only the path of a URL names another one.
    let is_named = |name: &str| settings.listen.is_some() || name == configured.name;
    let served = || {
        Profile::names()
            .filter(|name| is_named(name))
            .filter_map(Profile::by_name)
    };
    Profiles {
        configured: configured.name.clone(),
        forms: served()
            .map(|profile| (profile.name.clone(), settings.shaping.form(profile)))
            .collect(),
        results: served()
            .filter(|_| settings.shaping.results.is_on())
            .map(|profile| (profile.name.clone(), settings.shaping.results.form(profile)))
            .collect(),
    }
}

/// Bounds of a service for many.
fn service_limits(settings: &Settings) -> ServiceLimits {
    let (limits, breaker) = (&settings.limits.service, &settings.limits.breaker);
    ServiceLimits {
        principal: PrincipalLimits {
            in_flight: limits.in_flight_per_principal as usize,
            rate: (limits.requests_per_second > 0).then_some(Rate {
                per_second: limits.requests_per_second,
                burst: limits.request_burst,
            }),
        },
        in_flight: limits.in_flight as usize,
        waiting_per_upstream: limits.waiting_per_upstream as usize,
        session_bytes: usize::try_from(limits.session_bytes).unwrap_or(usize::MAX),
        request_bytes: settings.listen.as_ref().map_or(usize::MAX, |listen| {
            usize::try_from(settings.most_waiting_bytes(listen)).unwrap_or(usize::MAX)
        }),
        breaker: BreakerPolicy {
            failures: breaker.failures,
            open: breaker.open,
            max_open: breaker.max_open,
        },
    }
}

/// What the cache goes by, but for its secret and its tier.
fn cache_settings(settings: &Settings) -> CacheSettings {
    let cache = &settings.cache;
    CacheSettings {
        is_on: cache.max_bytes > 0,
        rules: cache.rules.clone(),
        max_bytes: usize::try_from(cache.max_bytes).unwrap_or(usize::MAX),
        max_ttl: cache.max_ttl.min(Duration::from_secs(24 * 3600)),
        negative_ttl: cache.negative_ttl.unwrap_or_default(),
        ..CacheSettings::default()
    }
}

/// Names a server in the keys of what is remembered of it. Secrets enter as a hash, and so does what a child
/// inherits of our `own` environment: an account may stand in a variable that nobody configured here.
fn identity(transport: &ServerTransport, own: Vec<(OsString, OsString)>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    match transport {
        ServerTransport::Stdio {
            command,
            args,
            env,
            cwd,
            inherit_env,
        } => {
            add(b"stdio");
            add(command.as_bytes());
            for argument in args {
                add(argument.as_bytes());
            }
            add(b"env");
            for (name, value) in telling_environment(own, *inherit_env, env) {
                add(name.as_encoded_bytes());
                add(value.as_encoded_bytes());
            }
            add(format!("{inherit_env:?}").as_bytes());
            let cwd = cwd.clone().or_else(|| std::env::current_dir().ok());
            add(cwd.unwrap_or_default().as_os_str().as_encoded_bytes());
        }
        ServerTransport::Http { url, headers, .. } => {
            add(b"http");
            add(url.as_bytes());
            for (name, value) in headers {
                add(name.as_bytes());
                add(value.expose_secret().as_bytes());
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Names a server in the keys of pins: what is started or reached, but no values of variables and headers, as
/// tokens change.
fn pin_identity(transport: &ServerTransport) -> String {
    let bare = match transport {
        ServerTransport::Stdio {
            command, args, cwd, ..
        } => ServerTransport::Stdio {
            command: command.clone(),
            args: args.clone(),
            env: Vec::new(),
            cwd: cwd.clone(),
            inherit_env: crate::config::InheritEnv::None,
        },
        ServerTransport::Http { url, .. } => ServerTransport::Http {
            url: url.clone(),
            headers: Vec::new(),
            prefer_sse: false,
        },
    };
    identity(&bare, Vec::new())
}

/// Hosts say who they are in the environment of the servers they start.
fn host_variable(name: &str) -> Option<String> {
    ProcessEnvironment.get(name)?.into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InheritEnv;

    fn own(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let pair = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        variables.iter().map(pair).collect()
    }

    fn started(inherit_env: InheritEnv, env: &[(&str, &str)]) -> ServerTransport {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).into());
        ServerTransport::Stdio {
            command: "server".to_owned(),
            args: Vec::new(),
            env: env.iter().map(pair).collect(),
            cwd: Some("/".into()),
            inherit_env,
        }
    }

    /// Broken variant that this catches: the inherited environment is no part of a server's name, so that two
    /// accounts in one state folder see each other's tools and kept answers.
    #[test]
    fn servers_that_inherit_other_accounts_have_other_names() {
        let server = started(InheritEnv::All, &[]);
        let name = |variables: &[(&str, &str)]| identity(&server, own(variables));
        let one = name(&[("ACCOUNT_TOKEN", "one"), ("HOME", "/home/a")]);
        assert_ne!(one, name(&[("ACCOUNT_TOKEN", "two"), ("HOME", "/home/a")]));
        assert_ne!(one, name(&[("HOME", "/home/a")]));
        assert_ne!(one, name(&[("ACCOUNT_TOKEN", "one"), ("HOME", "/home/b")]));
        // Nor does one that lies in an agent, a session bus or an editor that git asks for passwords.
        for socket in [
            "SSH_AUTH_SOCK",
            "DBUS_SESSION_BUS_ADDRESS",
            "VSCODE_GIT_IPC_HANDLE",
        ] {
            assert_ne!(name(&[(socket, "/one")]), name(&[(socket, "/two")]));
        }
        assert!(!one.contains("one"), "a hash alone");
    }

    /// Broken variants that this catches: each terminal has a cold start, and the order of variables counts.
    #[test]
    fn the_same_server_has_its_name_in_another_shell() {
        let server = started(InheritEnv::All, &[]);
        let one = identity(
            &server,
            own(&[("HOME", "/a"), ("KEY", "k"), ("SHLVL", "1"), ("TERM", "x")]),
        );
        let other = identity(
            &server,
            own(&[
                ("KEY", "k"),
                ("_", "/bin/b"),
                ("SSH_TTY", "/dev/pts/3"),
                ("WT_SESSION", "7f0e"),
                ("KONSOLE_DBUS_SESSION", "/Sessions/2"),
                ("WEZTERM_PANE", "4"),
                ("ZELLIJ_PANE_ID", "1"),
                ("CLAUDE_CODE_SSE_PORT", "41001"),
                ("HOME", "/a"),
                ("MCP_WHITTLE_LOG_LEVEL", "debug"),
                ("MCP_WHITTLE_HOP", "1"),
            ]),
        );
        assert_eq!(one, other);
        // What is configured counts, whatever it is called.
        let with = started(InheritEnv::All, &[("TERM", "y")]);
        assert_ne!(identity(&with, Vec::new()), identity(&server, Vec::new()));
    }

    #[test]
    fn what_a_server_does_not_inherit_is_no_part_of_its_name() {
        let (one, two) = (own(&[("TOKEN", "1")]), own(&[("TOKEN", "2")]));
        for inherit in [InheritEnv::Safe, InheritEnv::None] {
            let server = started(inherit, &[]);
            assert_eq!(
                identity(&server, one.clone()),
                identity(&server, two.clone())
            );
        }
        let home = |inherit, home| identity(&started(inherit, &[]), own(&[("HOME", home)]));
        assert_ne!(home(InheritEnv::Safe, "/a"), home(InheritEnv::Safe, "/b"));
        // An inherited value that a configured one replaces.
        let server = started(InheritEnv::All, &[("TOKEN", "own")]);
        assert_eq!(identity(&server, one), identity(&server, two));
    }
}
