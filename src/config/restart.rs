//! What a new configuration cannot change in a running proxy.

use super::settings::{ListenSettings, Settings};

impl Settings {
    /// Names what differs from running settings and cannot be taken over without a restart.
    pub fn needs_restart(&self, running: &Self) -> Vec<&'static str> {
        fn of_listener<T>(settings: &Settings, part: fn(&ListenSettings) -> T) -> Option<T> {
            settings.listen.as_ref().map(part)
        }
        let listener_differs = |part: fn(&ListenSettings) -> Vec<String>| {
            of_listener(self, part) != of_listener(running, part)
        };
        let limits = |settings: &Self| of_listener(settings, |listen| listen.limits);
        let frames = |settings: &Self| {
            let limits = settings.limits;
            (
                (limits.frame_bytes, limits.json_depth),
                (limits.request_members, limits.id_bytes),
                (limits.queue_bytes, limits.queue_frames),
            )
        };
        let address = |settings: &Self| {
            settings
                .listen
                .as_ref()
                .map(|listen| (listen.addr.clone(), listen.path.clone()))
        };
        let tls = |settings: &Self| {
            settings.listen.as_ref().map(|listen| {
                (
                    listen.tls_cert.clone(),
                    listen.tls_key.clone(),
                    listen.tls_client_ca.clone(),
                )
            })
        };
        let auth = |settings: &Self| settings.listen.as_ref().map(|listen| listen.auth.clone());
        [
            ("http.listen", address(self) != address(running)),
            ("http.tls_*", tls(self) != tls(running)),
            (
                "http.allow_host",
                listener_differs(|listen| listen.allowed_hosts.clone()),
            ),
            (
                "http.allow_origin",
                listener_differs(|listen| listen.allowed_origins.clone()),
            ),
            ("http.max_*, http.*_timeout, http.keep_alive", limits(self) != limits(running)),
            (
                "limits.max_frame_bytes, max_json_depth, max_request_members, max_id_bytes, max_queue_*",
                frames(self) != frames(running),
            ),
            (
                "timeouts.stall_timeout",
                self.timeouts.stall != running.timeouts.stall,
            ),
            ("tokenizer", self.tokenizer != running.tokenizer),
            ("auth.*", auth(self) != auth(running)),
            (
                "http.admin_listen",
                self.admin_listen != running.admin_listen,
            ),
            ("cache.redis", self.cache.redis != running.cache.redis),
            (
                "cache.disk",
                self.cache.disk_bytes != running.cache.disk_bytes,
            ),
            ("embeddings", self.embeddings != running.embeddings),
            (
                "limits.memory_watch",
                self.memory_watch != running.memory_watch,
            ),
            ("audit.file", self.audit.target != running.audit.target),
            // A session stays in its group.
            ("ledger.holdout", self.holdout != running.holdout),
            ("state_dir", self.state != running.state),
            (
                "results.*",
                self.shaping.results.keeping != running.shaping.results.keeping,
            ),
            (
                "telemetry.*",
                !self.telemetry.is_same_as(&running.telemetry),
            ),
            ("log.format", self.log.format != running.log.format),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}
