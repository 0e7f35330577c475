//! What is asked of a signed token (JWT, RFC 7519) before its subject is believed.
//!
//! The rules of RFC 8725: the algorithm comes from our list and has to fit the key, never the other way
//! round; issuer, audience, subject and expiry must be there; extensions that have to be understood are
//! refused. Keys that a token brings itself (`jwk`, `jku`, `x5u`, `x5c`) are not looked at.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::JwtConfig;
use super::keys::Key;
use super::ring_verifier;

/// What may sign: public keys only, so that nobody who knows a key can sign with it.
pub const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];
/// Longest subject in bytes.
const MAX_SUBJECT: usize = 256;

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JwtFault {
    /// It is no token of this kind, or asks for what is not served.
    Form,
    /// Its algorithm is not allowed.
    Algorithm,
    /// The signature is not one of the key.
    Signature,
    /// Another issuer.
    Issuer,
    /// Made for others.
    Audience,
    /// Too late.
    Expired,
    /// Too early.
    TooEarly,
    /// Something that must be there is not.
    Missing,
}

impl JwtFault {
    /// Says it to whoever sent the token; nothing of the token is in it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Form => "the token is not one that is known here",
            Self::Algorithm => "the token is signed in a way that is not allowed",
            Self::Signature => "the token's signature is wrong",
            Self::Issuer => "the token is from another issuer",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::TooEarly => "the token is not valid yet",
            Self::Missing => "the token lacks a claim: exp, iss, aud and sub are needed",
        }
    }

    /// Of two keys' verdicts, the one that says more: a signature that fits belongs to the right key.
    fn worse_of(self, other: Self) -> Self {
        if self == Self::Signature { other } else { self }
    }
}

/// What a token says of how it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JwtHeader {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

/// What a verified token says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    sub: String,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    /// RFC 9068: words separated by spaces.
    #[serde(default)]
    scope: Option<Value>,
    /// The same of other issuers, as words or as a list.
    #[serde(default)]
    scp: Option<Value>,
    /// RFC 8693: who acts for the subject.
    #[serde(default)]
    act: Option<Value>,
}

impl Claims {
    fn scopes(&self) -> Vec<&str> {
        let mut scopes: Vec<&str> = [&self.scope, &self.scp]
            .into_iter()
            .flatten()
            .flat_map(|value| match value {
                Value::String(words) => words.split_ascii_whitespace().collect(),
                Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            })
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    pub(super) fn has_scopes(&self, wanted: &[String]) -> bool {
        let granted = self.scopes();
        wanted
            .iter()
            .all(|scope| granted.binary_search(&scope.as_str()).is_ok())
    }
}

/// What tokens are held to.
#[derive(Debug)]
pub(super) struct JwtRules {
    issuer: String,
    algorithms: Vec<Algorithm>,
    validation: Validation,
}

impl JwtRules {
    /// Makes the rules.
    ///
    /// # Errors
    /// The name of an algorithm that is not served.
    pub(super) fn new(config: &JwtConfig) -> Result<Self, String> {
        ring_verifier::install();
        let algorithms = config
            .algorithms
            .iter()
            .map(|name| {
                let is_served = ALGORITHMS.contains(&name.as_str());
                let parsed = name.parse().ok().filter(|_| is_served);
                parsed.ok_or_else(|| name.clone())
            })
            .collect::<Result<Vec<Algorithm>, _>>()?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.leeway = config.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&config.audience);
        validation.set_issuer(&[&config.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(Self {
            issuer: config.issuer.clone(),
            algorithms,
            validation,
        })
    }

    /// Reads the header, which nobody has vouched for yet.
    pub(super) fn header(&self, token: &str) -> Result<JwtHeader, JwtFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => JwtFault::Algorithm,
            _ => JwtFault::Form,
        })?;
        if !self.algorithms.contains(&header.alg) {
            return Err(JwtFault::Algorithm);
        }
        // RFC 7515 §4.1.11: what must be understood is not understood here.
        let is_extended = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
        let kind = header.typ.as_deref().unwrap_or("JWT");
        let kind = kind.strip_prefix("application/").unwrap_or(kind);
        // RFC 8725 §3.11: a token of another kind, such as one for logging out, is not taken for this one.
        let is_access = ["jwt", "at+jwt"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known));
        if is_extended || !is_access {
            return Err(JwtFault::Form);
        }
        Ok(JwtHeader {
            algorithm: header.alg,
            key_id: header.kid,
        })
    }

    /// Checks signature and claims with the keys that may have signed. Of several verdicts the one that
    /// says most.
    pub(super) fn verify_with_any(
        &self,
        token: &str,
        header: &JwtHeader,
        keys: &[Arc<Key>],
    ) -> Result<Claims, JwtFault> {
        let mut fault = JwtFault::Signature;
        for key in keys {
            match self.verify(token, header, key) {
                Ok(claims) => return Ok(claims),
                Err(found) => fault = fault.worse_of(found),
            }
        }
        Err(fault)
    }

    /// Checks signature and claims with one key.
    fn verify(&self, token: &str, header: &JwtHeader, key: &Key) -> Result<Claims, JwtFault> {
        let mut validation = self.validation.clone();
        // The one of the header, which is on the list: the library compares it with the key's family.
        validation.algorithms = vec![header.algorithm];
        let verified = jsonwebtoken::decode::<Claims>(token, &key.key, &validation);
        let claims = verified.map_err(|error| fault(error.kind()))?.claims;
        let is_name = !claims.sub.is_empty()
            && claims.sub.len() <= MAX_SUBJECT
            && !claims.sub.chars().any(char::is_control);
        if !is_name {
            return Err(JwtFault::Missing);
        }
        Ok(claims)
    }

    /// Names the principal of a token. Issuers have no `#` in them (RFC 8414 §2), so two pairs never get
    /// one name. Where the server behind us sees the token too, it may answer by client and scopes:
    /// then these are part of the name, so that nothing kept for one grant reaches another.
    pub(super) fn principal(&self, claims: &Claims, is_by_grant: bool) -> String {
        let (issuer, subject) = (&self.issuer, &claims.sub);
        if !is_by_grant {
            return format!("jwt:{issuer}#{subject}");
        }
        let grant = serde_json::json!([claims.azp, claims.client_id, claims.scopes(), claims.act]);
        let digest = blake3::hash(grant.to_string().as_bytes()).to_hex();
        format!("jwt:{issuer}#{subject}#{}", &digest[..16])
    }
}

fn fault(kind: &ErrorKind) -> JwtFault {
    match kind {
        ErrorKind::InvalidSignature => JwtFault::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => JwtFault::Algorithm,
        ErrorKind::InvalidIssuer => JwtFault::Issuer,
        ErrorKind::InvalidAudience => JwtFault::Audience,
        ErrorKind::ExpiredSignature => JwtFault::Expired,
        ErrorKind::ImmatureSignature => JwtFault::TooEarly,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => JwtFault::Missing,
        // A subject that is missing or no text.
        ErrorKind::Json(_) => JwtFault::Missing,
        _ => JwtFault::Form,
    }
}
