//! Tokens that must not count, in every kind of request; and those that must.

use serde_json::{Value, json};

use super::caller::{Caller, get};
use super::issuer::{AUDIENCE, ISSUER, Issuer, claims, claims_with, encode, header, now, settings};
use crate::kit::{Proxy, ScriptedServer};

fn with(mut header: Value, name: &str, value: Value) -> Value {
    header[name] = value;
    header
}

/// Every bad token with its name.
fn bad_tokens(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let ec = || header("ES256", "ec");
    let good = issuer.token("ann");
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    let stranger = Issuer::new();
    let mut tampered: Vec<&str> = good.split('.').collect();
    let claims_of_bob = encode(claims("bob").to_string().as_bytes());
    tampered[1] = &claims_of_bob;
    let none = issuer.sign(&header("none", "ec"), &claims("ann"));
    let own_key = stranger.keys("")["keys"][0].clone();
    let in_scope = |name, value| issuer.sign(&ec(), &claims_with(name, value));
    vec![
        ("alg none", none.clone()),
        ("alg none without kid", {
            let header = json!({"alg": "none", "typ": "JWT"});
            issuer.sign(&header, &claims("ann"))
        }),
        (
            "alg None",
            none.replace(
                &encode(header("none", "ec").to_string().as_bytes()),
                &encode(header("None", "ec").to_string().as_bytes()),
            ),
        ),
        ("signature taken off", format!("{signed}.")),
        (
            "HS256 with the RSA modulus",
            issuer.sign(&header("HS256", "rsa"), &claims("ann")),
        ),
        ("HS256 without kid", {
            let header = json!({"alg": "HS256", "typ": "JWT"});
            issuer.sign(&header, &claims("ann"))
        }),
        (
            "algorithm that is not allowed",
            issuer.sign(&header("PS256", "rsa"), &claims("ann")),
        ),
        (
            "RS256 under an EC key's id",
            issuer.sign(&header("RS256", "ec"), &claims("ann")),
        ),
        (
            "ES256 under an RSA key's id",
            issuer.sign(&header("ES256", "rsa"), &claims("ann")),
        ),
        (
            "unknown kid",
            issuer.sign(&header("ES256", "other"), &claims("ann")),
        ),
        ("another issuer's key", stranger.sign(&ec(), &claims("ann"))),
        (
            "a key that the token brings",
            stranger.sign(&with(ec(), "jwk", own_key), &claims("ann")),
        ),
        ("a place that the token names", {
            let header = with(ec(), "jku", json!("http://127.0.0.1:1/keys"));
            stranger.sign(&header, &claims("ann"))
        }),
        ("other claims under the signature", tampered.join(".")),
        (
            "wrong issuer",
            in_scope("iss", json!("https://evil.example")),
        ),
        ("no issuer", in_scope("iss", Value::Null)),
        (
            "wrong audience",
            in_scope("aud", json!("https://other.example")),
        ),
        (
            "audience that only begins alike",
            in_scope("aud", json!(format!("{AUDIENCE}/x"))),
        ),
        ("no audience", in_scope("aud", Value::Null)),
        ("expired", in_scope("exp", json!(now() - 3600))),
        (
            "expired, beyond the leeway",
            in_scope("exp", json!(now() - 60)),
        ),
        ("no expiry", in_scope("exp", Value::Null)),
        ("expiry that is a text", in_scope("exp", json!("never"))),
        ("not yet valid", in_scope("nbf", json!(now() + 3600))),
        ("no subject", in_scope("sub", Value::Null)),
        ("empty subject", in_scope("sub", json!(""))),
        ("subject with a line", in_scope("sub", json!("a\nb"))),
        (
            "critical extension",
            issuer.sign(&with(ec(), "crit", json!(["exp"])), &claims("ann")),
        ),
        (
            "a token for logging out",
            issuer.sign(&with(ec(), "typ", json!("logout+jwt")), &claims("ann")),
        ),
        ("two parts", signed.to_owned()),
        ("no token at all", "abc".to_owned()),
        ("very long", "a".repeat(20_000)),
        ("encrypted", "e30.e30.e30.e30.e30".to_owned()),
    ]
}

#[test]
fn bad_tokens_get_nowhere_and_good_ones_in() {
    let issuer = Issuer::new();
    let server = ScriptedServer::new("tool t");
    let folder = tempfile::tempdir().expect("a folder");
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, issuer.keys("").to_string()).expect("the keys");
    let proxy = Proxy::wrap(&server)
        .listening()
        .option("--log-level=trace")
        .settings(&settings(&jwks.display().to_string()))
        .start();
    let address = proxy.address();

    // The good half: algorithms, forms of audience, and a clock that differs a little.
    let ec = header("ES256", "ec");
    let mut without_kid = ec.clone();
    without_kid
        .as_object_mut()
        .expect("an object")
        .remove("kid");
    for (what, token) in [
        ("ES256", issuer.token("ann")),
        ("EdDSA", issuer.sign(&header("EdDSA", "ed"), &claims("ann"))),
        (
            "RS256",
            issuer.sign(&header("RS256", "rsa"), &claims("ann")),
        ),
        ("no kid", issuer.sign(&without_kid, &claims("ann"))),
        (
            "plain typ",
            issuer.sign(&with(ec.clone(), "typ", json!("JWT")), &claims("ann")),
        ),
        (
            "one audience",
            issuer.sign(&ec, &claims_with("aud", json!(AUDIENCE))),
        ),
        (
            "within the leeway",
            issuer.sign(&ec, &claims_with("exp", json!(now() - 5))),
        ),
        ("no nbf", issuer.sign(&ec, &claims_with("nbf", Value::Null))),
    ] {
        let status = Caller::bearer(address, &token).initialize().status;
        assert_eq!(status, 200, "{what}");
    }
    let ann = Caller::bearer(address, &issuer.token("ann"));
    let session = ann.open();
    ann.call(&session, "t", &json!({})).expect(200);
    ann.stateless("tools/list", None, json!({})).expect(200);
    let calls = server.received_of("tools/call").len();
    let handshakes = server.starts().len();

    let challenge =
        "resource_metadata=\"https://tools.example.com/.well-known/oauth-protected-resource/mcp\"";
    let mut refused = bad_tokens(&issuer);
    refused.push(("nothing", String::new()));
    for (what, token) in refused {
        let caller = Caller::bearer(address, &token);
        for (request, response) in [
            ("initialize", caller.initialize()),
            ("POST", caller.call(&session, "t", &json!({}))),
            (
                "stateless",
                caller.stateless(
                    "tools/call",
                    Some("t"),
                    json!({"name": "t", "arguments": {}}),
                ),
            ),
            ("GET", caller.bare("GET", &session)),
            ("DELETE", caller.bare("DELETE", &session)),
        ] {
            assert_eq!(response.status, 401, "{what}, {request}");
            let value = response
                .header("www-authenticate")
                .unwrap_or_default()
                .to_owned();
            assert!(
                value.starts_with("Bearer ") && value.contains(challenge),
                "{what}, {request}: {value}"
            );
            let text = response.text();
            assert!(text.contains("hint:"), "{what}, {request}: {text}");
            if token.len() > 20 {
                assert!(
                    !text.contains(&token[..20]) && !value.contains(&token[..20]),
                    "{what}"
                );
            }
        }
    }
    for authorization in ["", "Basic YW5uOmFubg==", "Bearer", "bearer"] {
        let caller = Caller {
            address,
            authorization: Some(authorization.to_owned()),
        };
        assert_eq!(caller.initialize().status, 401, "{authorization}");
    }
    let response = Caller::anonymous(address).initialize().expect(401);
    let value = response.header("www-authenticate").unwrap_or_default();
    assert!(!value.contains("error"), "nothing went wrong yet: {value}");

    // A good token that grants too little.
    let narrow = issuer.sign(&ec, &claims_with("scope", json!("extra")));
    let response = Caller::bearer(address, &narrow).initialize().expect(403);
    let value = response.header("www-authenticate").unwrap_or_default();
    assert!(
        value.contains("insufficient_scope") && value.contains("scope=\"tools\""),
        "{value}"
    );

    assert_eq!(
        server.received_of("tools/call").len(),
        calls,
        "nothing refused got through"
    );
    assert_eq!(
        server.starts().len(),
        handshakes,
        "nothing was begun for them"
    );
    ann.call(&session, "t", &json!({})).expect(200);
    let log = proxy.stderr();
    for secret in [issuer.token("ann"), narrow] {
        assert!(!log.contains(&secret[..40]), "a token is in the log");
    }

    // What clients learn of us.
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let document = get(address, path).expect(200).answer();
        assert_eq!(document["resource"], AUDIENCE);
        assert_eq!(document["authorization_servers"], json!([ISSUER]));
        assert_eq!(document["scopes_supported"], json!(["tools"]));
    }
    get(address, "/.well-known/openid-configuration").expect(404);
}
