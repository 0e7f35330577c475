//! An issuer of tokens, good and bad ones. Signs with `ring`; shares no code with what checks them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const AUDIENCE: &str = "https://tools.example.com/mcp";

pub(super) struct Issuer {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random).expect("a key");
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("a key");
        let pem = include_bytes!("../../testdata/auth/rsa_test_key.pem");
        let rsa = PrivatePkcs8KeyDer::from_pem_slice(pem).expect("a key in PEM");
        let rsa = RsaKeyPair::from_pkcs8(rsa.secret_pkcs8_der()).expect("a key");
        Self {
            ec,
            ed,
            rsa,
            random,
        }
    }

    /// The public keys under ids that begin with `prefix`.
    pub(super) fn keys(&self, prefix: &str) -> Value {
        let point = &self.ec.public_key().as_ref()[1..];
        let rsa = self.rsa_parts();
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": format!("{prefix}ec"), "use": "sig",
             "x": encode(&point[..32]), "y": encode(&point[32..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": format!("{prefix}ed"),
             "x": encode(self.ed.public_key().as_ref())},
            {"kty": "RSA", "kid": format!("{prefix}rsa"), "n": encode(&rsa.n), "e": encode(&rsa.e)},
        ]})
    }

    fn rsa_parts(&self) -> ring::rsa::PublicKeyComponents<Vec<u8>> {
        ring::rsa::PublicKeyComponents::from(self.rsa.public())
    }

    /// The modulus, which everybody knows, as a secret for HMAC.
    pub(super) fn public_bytes(&self) -> Vec<u8> {
        self.rsa_parts().n
    }

    /// Signs as `alg` of the header says, `none` included.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let bytes = message.as_bytes();
        let signature = match header["alg"].as_str().expect("an algorithm") {
            "ES256" => self
                .ec
                .sign(&self.random, bytes)
                .expect("signed")
                .as_ref()
                .to_vec(),
            "EdDSA" => self.ed.sign(bytes).as_ref().to_vec(),
            "RS256" | "PS256" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let encoding: &'static dyn ring::signature::RsaEncoding =
                    if header["alg"] == "RS256" {
                        &RSA_PKCS1_SHA256
                    } else {
                        &RSA_PSS_SHA256
                    };
                self.rsa
                    .sign(encoding, &self.random, bytes, &mut signature)
                    .expect("signed");
                signature
            }
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.public_bytes());
                ring::hmac::sign(&key, bytes).as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{message}.{}", encode(&signature))
    }

    /// A good token of somebody.
    pub(super) fn token(&self, subject: &str) -> String {
        self.sign(&header("ES256", "ec"), &claims(subject))
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

pub(super) fn header(algorithm: &str, key: &str) -> Value {
    json!({"alg": algorithm, "typ": "at+jwt", "kid": key})
}

/// Good claims.
pub(super) fn claims(subject: &str) -> Value {
    json!({"iss": ISSUER, "aud": [AUDIENCE, "https://other.example"], "sub": subject,
        "iat": now(), "nbf": now() - 5, "exp": now() + 3600, "scope": "tools extra"})
}

/// Good claims with one replaced, or taken out by `null`.
pub(super) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims("ann");
    match value {
        Value::Null => {
            claims.as_object_mut().expect("an object").remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

/// The settings under which good tokens get in; `jwks` is a path or an URL.
pub(super) fn settings(jwks: &str) -> String {
    format!(
        "auth.issuer = \"{ISSUER}\"\nauth.resource = \"{AUDIENCE}\"\nauth.jwks = \"{jwks}\"\nauth.scopes = [\"tools\"]"
    )
}
