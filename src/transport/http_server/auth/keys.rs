//! A JSON Web Key Set (RFC 7517), reduced to the keys that may verify. Pure.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

/// Longest set in bytes; real ones have a few kilobytes.
pub(super) const MAX_BYTES: usize = 256 << 10;
/// Most keys of a set.
const MAX_KEYS: usize = 100;
/// Keys tried for a token that names none.
const MAX_TRIED: usize = 8;

/// One key.
pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    pub(super) key: DecodingKey,
}

/// The keys of an issuer.
pub(super) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Reads a set. Keys that cannot verify here are left out: secrets, keys for encryption, other curves.
    ///
    /// # Errors
    /// When the text is no set, is too large, or no key is left.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err("it is longer than 256 KiB".to_owned());
        }
        let mut value: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
        let Some(Value::Array(keys)) = value.get_mut("keys").map(Value::take) else {
            return Err("it has no list `keys`".to_owned());
        };
        if keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let keys: Vec<Arc<Key>> = keys.into_iter().filter_map(key).map(Arc::new).collect();
        if keys.is_empty() {
            return Err("it has no public key that can verify".to_owned());
        }
        Ok(Self(keys))
    }

    /// Returns the keys that may have made a signature.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Arc<Key>> {
        self.0
            .iter()
            .filter(|key| {
                (id.is_none() || key.id.as_deref() == id)
                    && key.key.family() == algorithm.family()
                    && key.algorithm.is_none_or(|only| only == algorithm)
            })
            .take(MAX_TRIED)
            .cloned()
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let may_sign = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let may_verify = jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|allowed| allowed.contains(&KeyOperations::Verify));
    let is_served = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => true,
        AlgorithmParameters::EllipticCurve(key) => {
            matches!(key.curve, EllipticCurve::P256 | EllipticCurve::P384)
        }
        AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519,
        // A secret in a set would let whoever reads it sign.
        _ => false,
    };
    if !(may_sign && may_verify && is_served) {
        return None;
    }
    let algorithm = match &jwk.common.key_algorithm {
        None => None,
        // One that signs nothing here makes the key useless.
        Some(named) => Some(Algorithm::try_from(*named).ok()?),
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (key.family() != AlgorithmFamily::Hmac).then_some(Key {
        id: jwk.common.key_id,
        algorithm,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn len(keys: Value) -> Result<usize, String> {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).map(|set| set.len())
    }

    #[test]
    fn only_public_keys_that_verify_are_taken() {
        let point = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let ec = json!({"kty": "EC", "crv": "P-256", "x": point, "y": point, "kid": "a"});
        let with = |name: &str, value: Value| {
            let mut key = ec.clone();
            key[name] = value;
            key
        };
        assert_eq!(len(json!([ec])), Ok(1));
        assert_eq!(len(json!([with("use", json!("sig"))])), Ok(1));
        assert_eq!(len(json!([ec, {"kty": "new"}, 7])), Ok(1));
        for useless in [
            with("use", json!("enc")),
            with("key_ops", json!(["sign"])),
            with("crv", json!("P-521")),
            with("alg", json!("ECDH-ES")),
            json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldA"}),
        ] {
            assert!(len(json!([useless])).is_err(), "{useless}");
        }
        assert!(len(json!([])).is_err());
        assert!(len(json!(vec![ec.clone(); MAX_KEYS + 1])).is_err());
        assert!(KeySet::parse(b"{\"keys\": 1}").is_err());
        assert!(KeySet::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
        let set = KeySet::parse(
            json!({"keys": [with("alg", json!("ES256"))]})
                .to_string()
                .as_bytes(),
        );
        let set = set.map_err(|problem| panic!("{problem}")).expect("a set");
        assert_eq!(set.candidates(Some("a"), Algorithm::ES256).len(), 1);
        assert_eq!(set.candidates(None, Algorithm::ES256).len(), 1);
        assert_eq!(set.candidates(Some("b"), Algorithm::ES256).len(), 0);
        assert_eq!(set.candidates(Some("a"), Algorithm::ES384).len(), 0);
        assert_eq!(set.candidates(Some("a"), Algorithm::RS256).len(), 0);
    }
}
