//! Signed tokens and the keys of their issuers: a token counts only if what another reader finds in it is what
//! was asked for and a key of the set signed it; one character changed, and it does not; whatever a set of
//! keys holds, nobody gets in whose key is not in it.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::Value;

use mcp_whittle::transport::http_server::auth::{ALGORITHMS, SignedTokens};
use mcp_whittle::transport::http_server::{JwtConfig, KeySource};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://tools.example/mcp";
/// Seconds since 1970 of a day long ago: a token that expired before it is over, one that begins after it may
/// not have begun.
const LONG_AGO: f64 = 1_600_000_000.0;
/// Most keys of a set that are looked at.
const MOST_KEYS: usize = 100;

static ISSUERS_KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any 32 bytes are a seed")
});

static GATE: LazyLock<SignedTokens> = LazyLock::new(|| {
    let x = URL_SAFE_NO_PAD.encode(ISSUERS_KEY.public_key());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#);
    gate(set.as_bytes()).expect("one key that can verify")
});

/// Names whose token a text is; the part under test.
pub fn principal(token: &str) -> Option<String> {
    GATE.principal(token).ok()
}

/// The token that an input describes, signed by the issuer.
pub fn signs(data: &[u8]) -> String {
    let [header, claims, _] = parts(data);
    signed(header, claims)
}

fn gate(set: &[u8]) -> Result<SignedTokens, String> {
    let config = JwtConfig {
        issuer: ISSUER.to_owned(),
        audience: vec![AUDIENCE.to_owned()],
        keys: KeySource::File(PathBuf::new()),
        algorithms: ALGORITHMS.map(str::to_owned).to_vec(),
        leeway: Duration::from_secs(60),
    };
    SignedTokens::new(&config, set)
}

/// The property for one input: a header, a line end, claims, a line end, a set of keys; and the whole as a token.
/// Panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, principal);
    let [header, claims, set] = parts(data);
    keys(header, claims, set);
}

/// The property for what names the principal of a token that the issuer's key signed.
pub fn check(data: &[u8], principal: impl Fn(&str) -> Option<String>) {
    if let Ok(token) = std::str::from_utf8(data)
        && let Some(name) = principal(token)
    {
        holds(token, &name);
    }
    let token = signs(data);
    let Some(name) = principal(&token) else {
        return;
    };
    holds(&token, &name);
    // Not for one place only: which one, the input says.
    let at = data.iter().map(|byte| usize::from(*byte)).sum::<usize>() % token.len();
    for other in [b'A', b'B', b'.', b'='] {
        let mut bytes = token.clone().into_bytes();
        if bytes[at] == other {
            continue;
        }
        bytes[at] = other;
        let changed = String::from_utf8(bytes).expect("a token has characters of one byte");
        assert_eq!(principal(&changed), None, "byte {at} was changed");
    }
    let (body, _) = token.rsplit_once('.').expect("a token has dots");
    for bare in [body.to_owned(), format!("{body}.")] {
        assert_eq!(principal(&bare), None, "nobody signed this");
    }
}

fn parts(data: &[u8]) -> [&[u8]; 3] {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let body = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(ISSUERS_KEY.sign(body.as_bytes()));
    format!("{body}.{signature}")
}

/// What is asked of a token that counts, read without the part under test.
fn holds(token: &str, principal: &str) {
    let pieces: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = pieces[..] else {
        panic!("{} parts", pieces.len());
    };
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64");
    let body = &token[..header.len() + 1 + claims.len()];
    UnparsedPublicKey::new(&ED25519, ISSUERS_KEY.public_key())
        .verify(body.as_bytes(), &bytes(signature))
        .expect("the issuer signed it");
    let header: Value = serde_json::from_slice(&bytes(header)).expect("a header");
    assert_eq!(header["alg"], "EdDSA");
    for name in ["crit", "enc", "zip"] {
        assert!(header[name].is_null(), "{name}: {header}");
    }
    let claims: Value = serde_json::from_slice(&bytes(claims)).expect("claims");
    assert_eq!(claims["iss"], ISSUER);
    let is_for_us = match &claims["aud"] {
        Value::Array(all) => all.iter().any(|one| one == AUDIENCE),
        one => one == AUDIENCE,
    };
    assert!(is_for_us, "{claims}");
    let expires = claims["exp"].as_f64().expect("it ends");
    assert!(expires > LONG_AGO, "{claims}");
    let subject = claims["sub"].as_str().expect("a subject");
    assert!(!subject.is_empty() && !subject.chars().any(char::is_control));
    assert_eq!(principal, format!("jwt:{ISSUER}#{subject}"));
}

/// Sets of keys as the input has them.
fn keys(header: &[u8], claims: &[u8], set: &[u8]) {
    let gate = match gate(set) {
        Ok(gate) => gate,
        Err(problem) => return assert!(!problem.is_empty()),
    };
    let n_keys = gate.n_keys();
    assert!((1..=MOST_KEYS).contains(&n_keys), "{n_keys} keys");
    let token = signed(header, claims);
    if let Ok(name) = gate.principal(&token) {
        holds(&token, &name);
        assert!(is_issuers(set), "the key that signed is not in the set");
    }
    // A signature of nobody, under every name of an algorithm.
    let Ok(claims) = std::str::from_utf8(claims) else {
        return;
    };
    for algorithm in ALGORITHMS {
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let body = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        for n_bytes in [64, 96, 256] {
            let signature = URL_SAFE_NO_PAD.encode(vec![1; n_bytes]);
            let refused = gate.principal(&format!("{body}.{signature}"));
            assert!(refused.is_err_and(|words| !words.is_empty()));
        }
    }
}

/// Tells whether a key of a set is the one that signs here.
fn is_issuers(set: &[u8]) -> bool {
    let set: Value = serde_json::from_slice(set).expect("a set was read");
    let keys = set["keys"].as_array().expect("a set has keys");
    keys.iter().any(|key| {
        let x = key["x"].as_str().unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(x).or_else(|_| URL_SAFE.decode(x));
        bytes.is_ok_and(|bytes| bytes == ISSUERS_KEY.public_key().as_ref())
    })
}
