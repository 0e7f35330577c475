//! Who speaks: bearer tokens of a file, or signed ones (JWT), checked on every request.
//!
//! A request gets past the gate with the name of its principal or not at all. Nothing is remembered of
//! a token between requests, and no token or part of one is logged. What a principal may do is for the
//! policy to say.
//!
//! Sources: RFC 6750 (bearer), RFC 8725 (JWT best practice), RFC 9728 (resource metadata), MCP
//! 2025-11-25 and 2026-07-28 `basic/authorization`.

mod challenge;
mod jwt;
mod keys;
mod ring_verifier;
mod signed;
mod source;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::RequestHead;
use super::refusal::Refusal;
use crate::transport::http_client::HttpUpstreamConfig;
use challenge::Challenge;
use jwt::JwtRules;
use source::{Keys, NoKeys};
use tokens::Tokens;

pub use jwt::ALGORITHMS;
pub use signed::SignedTokens;
pub use tokens::TokensError;

/// Longest token in bytes; providers put far less into one.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Which tokens get in.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// A file of tokens, one `NAME: TOKEN` a line.
    pub tokens: Option<PathBuf>,
    /// Signed tokens.
    pub jwt: Option<JwtConfig>,
    /// Scopes that a signed token needs, all of them.
    pub scopes: Vec<String>,
    /// Our public URL, which clients see in the metadata and the challenge.
    pub resource: Option<String>,
    /// Whether the token goes on to the server behind us, which may answer by what the token grants.
    pub is_forwarded: bool,
}

/// Which signed tokens get in.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// The `iss` that they have.
    pub issuer: String,
    /// One of these stands in their `aud`.
    pub audience: Vec<String>,
    /// Where the issuer's keys are.
    pub keys: KeySource,
    /// Names of [`ALGORITHMS`] that may sign.
    pub algorithms: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// Where a JSON Web Key Set (RFC 7517) is.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In a file, looked at again at intervals.
    File(PathBuf),
    /// At an URL, with what is needed to get there.
    Url(Box<HttpUpstreamConfig>),
}

/// Who somebody is, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Names the principal: `token:NAME`, `jwt:ISSUER#SUBJECT` or `cert:NAME`.
    pub principal: Arc<str>,
    /// Whether a bearer token said so; else the certificate of the connection did.
    pub is_by_token: bool,
}

impl Verified {
    pub(super) fn by_certificate(name: &str) -> Self {
        Self {
            principal: format!("cert:{name}").into(),
            is_by_token: false,
        }
    }
}

/// Why the gate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The file of tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The file of keys, which has to be there at the start; an URL may come later.
    #[error("the keys of `{path}` cannot be used: {problem}\nhint: it has to hold a JSON Web Key Set, `{{\"keys\": […]}}`", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An algorithm.
    #[error("`{0}` is no algorithm that signed tokens may use here\nhint: known are {known}", known = ALGORITHMS.join(", "))]
    Algorithm(String),
}

/// Lets requests through that have a token which counts.
#[derive(Debug)]
pub(super) struct Gate {
    tokens: Option<Tokens>,
    jwt: Option<(JwtRules, Arc<Keys>)>,
    scopes: Vec<String>,
    challenge: Challenge,
    is_forwarded: bool,
}

impl Gate {
    /// Reads the files. Keys at an URL are fetched later, by [`Self::look_after`].
    ///
    /// # Errors
    /// [`AuthError`] when a file cannot be used.
    pub(super) fn load(config: &AuthConfig) -> Result<Self, AuthError> {
        let tokens = match &config.tokens {
            Some(path) => Some(Tokens::load(path)?),
            None => None,
        };
        let jwt = match &config.jwt {
            Some(jwt) => {
                let rules = JwtRules::new(jwt).map_err(AuthError::Algorithm)?;
                Some((rules, Arc::new(Keys::new(jwt.keys.clone())?)))
            }
            None => None,
        };
        Ok(Self {
            tokens,
            jwt,
            scopes: config.scopes.clone(),
            challenge: Challenge::new(config),
            is_forwarded: config.is_forwarded,
        })
    }

    /// What this listener says of itself as a protected resource, with the path it is served at besides
    /// the one without a path.
    pub(super) fn metadata(&self) -> Option<(&str, Bytes)> {
        self.challenge.metadata()
    }

    /// Lets a request through and names its principal, or says why not.
    pub(super) async fn admit(&self, head: &mut RequestHead) -> Result<(), Refusal> {
        let verified = match &head.authorization {
            Some(authorization) => self.verify(authorization.expose_secret()).await?,
            None => return Err(self.challenge.no_token()),
        };
        if !self.is_forwarded {
            // One that was made for us is nobody else's to see.
            head.authorization = None;
        }
        head.verified = Some(verified);
        Ok(())
    }

    async fn verify(&self, authorization: &str) -> Result<Verified, Refusal> {
        let invalid = |what: &str| self.challenge.invalid(what);
        let token = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| self.challenge.no_token())?;
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return Err(invalid("the token is empty or too long"));
        }
        if let Some(name) = self.tokens.as_ref().and_then(|known| known.name_of(token)) {
            return Ok(Verified {
                principal: format!("token:{name}").into(),
                is_by_token: true,
            });
        }
        let Some((rules, keys)) = &self.jwt else {
            return Err(invalid("the token is not known"));
        };
        let header = rules.header(token).map_err(|fault| invalid(fault.text()))?;
        let candidates = keys.find(&header).await.map_err(|problem| match problem {
            NoKeys::Unknown => invalid("the token is signed with a key that is not known"),
            NoKeys::Unavailable => Refusal::overloaded(
                "tokens cannot be checked now, because the issuer's keys are not there; try again later",
            ),
        })?;
        let claims = rules
            .verify_with_any(token, &header, &candidates)
            .map_err(|fault| invalid(fault.text()))?;
        if !claims.has_scopes(&self.scopes) {
            return Err(self.challenge.insufficient_scope());
        }
        Ok(Verified {
            principal: rules.principal(&claims, self.is_forwarded).into(),
            is_by_token: true,
        })
    }

    /// Looks at the files again and says in the log what came of it; at an URL only when `is_asked`.
    /// Blocks.
    pub(super) fn reload(&self, is_asked: bool) {
        if let Some(tokens) = &self.tokens {
            tokens.reload();
        }
        if let Some((_, keys)) = &self.jwt {
            keys.look_again(is_asked);
        }
    }

    /// Keeps the issuer's keys fresh until `cancel`.
    pub(super) async fn look_after(self: Arc<Self>, cancel: CancellationToken) {
        if let Some((_, keys)) = &self.jwt {
            cancel.run_until_cancelled(keys.keep_fresh()).await;
        }
    }
}
