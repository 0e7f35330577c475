//! Checks of what no single setting of the listener can see: who gets in, and whose credentials go where.

use std::path::PathBuf;

use super::auth::ForwardAuthorization;
use super::environment::EnvSource;
use super::finding::{Fault, Origin};
use super::listen::ListenAddress;
use super::load::Loader;
use super::settings::{ServerSettings, ServerTransport};
use super::source;

impl<E: EnvSource> Loader<'_, E> {
    /// Checks tokens and TLS of the listener.
    pub(super) fn check_listener(&mut self) {
        for (key, fault) in self.draft.http.auth.faults() {
            self.wrong(key, fault);
        }
        let http = &self.draft.http;
        let (cert, key) = (http.tls_cert.clone(), http.tls_key.clone());
        let has_client_ca = http.tls_client_ca.is_some();
        let is_guarded = http.auth.is_on() || cert.is_some() || has_client_ca;
        let half = |given: &Option<PathBuf>, missing: &Option<PathBuf>| {
            given.is_some() && missing.is_none()
        };
        if half(&cert, &key) {
            let fault = Fault::new("the certificate has no key").hint("set `tls_key` as well");
            self.wrong("http.tls_cert", fault);
        }
        if half(&key, &cert) {
            let fault = Fault::new("the key has no certificate").hint("set `tls_cert` as well");
            self.wrong("http.tls_key", fault);
        }
        if has_client_ca && cert.is_none() {
            let fault = Fault::new("clients show certificates over TLS only")
                .hint("set `tls_cert` and `tls_key` as well");
            self.wrong("http.tls_client_ca", fault);
        }
        match &self.draft.listen {
            None if is_guarded => {
                let fault = Fault::new("tokens and TLS have no effect without a listener")
                    .hint("add --listen ADDR, or leave them out");
                let key = if self.draft.http.auth.is_on() {
                    "auth.tokens"
                } else {
                    "http.tls_cert"
                };
                self.doubtful(key, fault);
            }
            Some(ListenAddress::Socket(_)) if cert.is_some() => {
                let fault = Fault::new("a unix socket speaks no TLS; the certificate is not used")
                    .hint("only this user can connect to the socket");
                self.doubtful("http.tls_cert", fault);
            }
            _ => {}
        }
    }

    fn doubtful(&mut self, key: &'static str, fault: Fault) {
        let origin = self.origin(key);
        self.findings.warning(Some(origin), Some(key), fault);
    }

    /// Tells whether a client's `Authorization` goes on to the server of `--upstream`. `headers` are those
    /// that we send it ourselves.
    pub(super) fn forwards_authorization(
        &mut self,
        headers: &[(String, secrecy::SecretString)],
    ) -> bool {
        let has_own = source::has_authorization(headers);
        match self.draft.forward_authorization {
            ForwardAuthorization::Never => false,
            ForwardAuthorization::Auto => {
                self.draft.listen.is_some() && !self.draft.http.auth.is_on() && !has_own
            }
            ForwardAuthorization::Always => {
                if has_own {
                    let fault = Fault::new("the server gets an `Authorization` of our own already")
                        .hint("leave out that header, or do not forward the clients'");
                    self.wrong("http.forward_authorization", fault);
                }
                true
            }
        }
    }

    /// Checks that a token can reach one server at most, and that it is not one that was made for us alone.
    pub(super) fn check_forwarding(&mut self, servers: &[ServerSettings], is_from_file: bool) {
        if is_from_file && self.draft.forward_authorization == ForwardAuthorization::Always {
            let fault = Fault::new("it is about the server of --upstream, and there is none")
                .hint("in a file, write `forward_authorization = true` at one server");
            self.wrong("http.forward_authorization", fault);
        }
        let forwarding: Vec<&ServerSettings> = servers
            .iter()
            .filter(|server| server.forwards_authorization)
            .collect();
        let Some(first) = forwarding.first() else {
            self.check_openness(false);
            return;
        };
        let origin = |key: String| (Some(Origin::Default), key);
        if let Some(second) = forwarding.get(1) {
            let fault = Fault::new(format!(
                "the clients' tokens would go to `{}` and to `{}`",
                first.name, second.name
            ))
            .hint("a token is made for one server: keep `forward_authorization` at one of them");
            let (origin, key) = origin(format!("servers.{}.forward_authorization", second.name));
            self.findings.error(origin, Some(&key), fault);
        }
        if let ServerTransport::Http { headers, .. } = &first.transport
            && source::has_authorization(headers)
            && is_from_file
        {
            let fault = Fault::new("the server gets an `Authorization` of our own already")
                .hint("leave out that header, or `forward_authorization`");
            let (origin, key) = origin(format!("servers.{}.forward_authorization", first.name));
            self.findings.error(origin, Some(&key), fault);
        }
        if self.draft.http.auth.tokens.is_some() {
            let fault = Fault::new(format!(
                "tokens of this file are made for this listener, and `{}` would see them",
                first.name
            ))
            .hint("leave out `forward_authorization`, or let signed tokens in only");
            self.wrong("auth.tokens", fault);
        }
        self.check_openness(true);
    }

    /// Says so when whoever reaches the listener may use the servers.
    fn check_openness(&mut self, is_forwarding: bool) {
        let http = &self.draft.http;
        let is_reachable = self
            .draft
            .listen
            .as_ref()
            .and_then(ListenAddress::tcp)
            .is_some_and(|address| !address.ip().is_loopback());
        let is_asked = http.auth.is_on() || http.tls_client_ca.is_some() || is_forwarding;
        if is_reachable && !is_asked {
            let fault = Fault::new("whoever can reach this address may call every tool")
                .hint("ask for tokens with --auth-tokens or [auth], or for certificates with --tls-client-ca");
            self.doubtful("http.listen", fault);
        }
    }
}
