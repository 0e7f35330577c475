//! How a request without a good token is refused, and what we say of ourselves as a protected resource.
//!
//! RFC 6750 §3 (the challenge), RFC 9728 (the metadata and where they are). Texts come from the
//! configuration and from us, never from a token.

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode, Uri};
use serde_json::json;

use super::AuthConfig;
use crate::transport::http_server::refusal::Refusal;

/// Where clients look for the metadata; what stands behind it is the resource's own path.
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The parts of challenges that stay the same.
#[derive(Debug)]
pub(super) struct Challenge {
    /// Parameters, each with its comma in front.
    parameters: String,
    metadata: Option<(String, Bytes)>,
}

impl Challenge {
    pub(super) fn new(config: &AuthConfig) -> Self {
        let mut parameters = String::new();
        let mut metadata = None;
        if let Some(resource) = &config.resource
            && let Ok(uri) = resource.parse::<Uri>()
            && let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        {
            let path = uri.path().trim_end_matches('/');
            let place = format!("{WELL_KNOWN}{path}");
            parameters.push_str(&format!(
                ", resource_metadata=\"{scheme}://{authority}{place}\""
            ));
            let mut document = json!({
                "resource": resource,
                "bearer_methods_supported": ["header"],
            });
            if let Some(jwt) = &config.jwt {
                document["authorization_servers"] = json!([jwt.issuer]);
            }
            if !config.scopes.is_empty() {
                document["scopes_supported"] = json!(config.scopes);
            }
            metadata = Some((place, Bytes::from(document.to_string())));
        }
        if !config.scopes.is_empty() {
            parameters.push_str(&format!(", scope=\"{}\"", config.scopes.join(" ")));
        }
        Self {
            parameters,
            metadata,
        }
    }

    pub(super) fn metadata(&self) -> Option<(&str, Bytes)> {
        let (place, document) = self.metadata.as_ref()?;
        Some((place, document.clone()))
    }

    /// There is no token: nothing went wrong yet (RFC 6750 §3.1).
    pub(super) fn no_token(&self) -> Refusal {
        let message = "a token is needed\nhint: send it as `Authorization: Bearer TOKEN`";
        self.refusal(StatusCode::UNAUTHORIZED, message, "")
    }

    /// The token does not count, for the reason that is given.
    pub(super) fn invalid(&self, what: &str) -> Refusal {
        let message =
            format!("{what}\nhint: get a new token and send it as `Authorization: Bearer TOKEN`");
        let error = format!(
            ", error=\"invalid_token\", error_description=\"{}\"",
            plain(what)
        );
        self.refusal(StatusCode::UNAUTHORIZED, &message, &error)
    }

    /// The token counts, but not for this.
    pub(super) fn insufficient_scope(&self) -> Refusal {
        let message =
            "the token grants too little\nhint: ask for the scopes that WWW-Authenticate names";
        self.refusal(
            StatusCode::FORBIDDEN,
            message,
            ", error=\"insufficient_scope\"",
        )
    }

    fn refusal(&self, status: StatusCode, message: &str, error: &str) -> Refusal {
        let mut refusal = Refusal::new(status, message);
        let value = format!("Bearer realm=\"mcp-whittle\"{error}{}", self.parameters);
        refusal.header = HeaderValue::try_from(value)
            .ok()
            .map(|value| (WWW_AUTHENTICATE, value));
        refusal
    }
}

/// Only what may stand in a quoted description (RFC 6750 §3).
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| (' '..='~').contains(c) && !matches!(c, '"' | '\\'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_name_the_metadata_where_clients_look_for_them() {
        let config = AuthConfig {
            tokens: None,
            jwt: None,
            scopes: vec!["read".to_owned(), "write".to_owned()],
            resource: Some("https://tools.example.com/team/mcp".to_owned()),
            is_forwarded: false,
        };
        let challenge = Challenge::new(&config);
        let (place, document) = challenge.metadata().expect("a resource was named");
        assert_eq!(place, "/.well-known/oauth-protected-resource/team/mcp");
        let document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
        assert_eq!(document["resource"], "https://tools.example.com/team/mcp");
        let refusal = challenge.invalid("the token's signature is wrong");
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        let (_, value) = refusal.header.expect("a challenge");
        assert_eq!(
            value.to_str().expect("text"),
            "Bearer realm=\"mcp-whittle\", error=\"invalid_token\", error_description=\"the token's signature is wrong\", resource_metadata=\"https://tools.example.com/.well-known/oauth-protected-resource/team/mcp\", scope=\"read write\""
        );
        assert_eq!(challenge.insufficient_scope().status, StatusCode::FORBIDDEN);
    }
}
