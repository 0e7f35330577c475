//! Settings of who may speak to the listener, and over what.

use super::*;
use crate::config::auth;

/// A key whose value is a file that may be missing.
macro_rules! file {
    ($name:literal, $option:expr, $($field:ident).+) => {
        Key {
            name: $name,
            option: $option,
            set: |draft, input| {
                let path = input.text()?;
                if path.is_empty() {
                    return Err(Fault::new("the path is empty"));
                }
                draft.$($field).+ = Some(input.path(&path));
                Ok(())
            },
            show: |draft| {
                draft
                    .$($field).+
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), |path| path.display().to_string())
            },
        }
    };
}

/// A key whose value is a text that may be missing.
macro_rules! text {
    ($name:literal, $read:expr, $($field:ident).+) => {
        Key {
            name: $name,
            option: None,
            set: |draft, input| $read(input).map(|value| draft.$($field).+ = Some(value)),
            show: |draft| {
                draft
                    .$($field).+
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), ToString::to_string)
            },
        }
    };
}

pub(super) static KEYS: &[Key] = &[
    file!(
        "http.tls_cert",
        option("tls-cert", |args| paths(&args.http.guard.tls_cert)),
        http.tls_cert
    ),
    file!(
        "http.tls_key",
        option("tls-key", |args| paths(&args.http.guard.tls_key)),
        http.tls_key
    ),
    file!(
        "http.tls_client_ca",
        option("tls-client-ca", |args| paths(
            &args.http.guard.tls_client_ca
        )),
        http.tls_client_ca
    ),
    choice!(
        "http.forward_authorization",
        option("forward-authorization", |args| words(
            args.http.guard.forward_authorization.as_ref()
        )),
        forward_authorization
    ),
    file!(
        "auth.tokens",
        option("auth-tokens", |args| paths(&args.http.guard.auth_tokens)),
        http.auth.tokens
    ),
    text!("auth.issuer", auth::issuer, http.auth.issuer),
    Key {
        name: "auth.audience",
        option: None,
        set: |draft, input| input.list().map(|value| draft.http.auth.audience = value),
        show: |draft| show_list(&draft.http.auth.audiences()),
    },
    text!("auth.jwks", auth::jwks, http.auth.jwks),
    Key {
        name: "auth.algorithms",
        option: None,
        set: |draft, input| auth::algorithms(input).map(|value| draft.http.auth.algorithms = value),
        show: |draft| show_list(&draft.http.auth.algorithms),
    },
    time!("auth.leeway", None, http.auth.leeway),
    Key {
        name: "auth.scopes",
        option: None,
        set: |draft, input| auth::scopes(input).map(|value| draft.http.auth.scopes = value),
        show: |draft| show_list(&draft.http.auth.scopes),
    },
    text!("auth.resource", auth::resource, http.auth.resource),
];
