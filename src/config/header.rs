//! Headers for HTTP servers. Values are secrets from the first moment. Pure.

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;

use super::finding::Fault;

/// What became of a header.
pub(super) enum Header {
    /// It will be sent.
    Sent(String, SecretString),
    /// The transport sets it itself; what the user gave is left out.
    OurOwn(String),
}

/// Names that belong to HTTP itself or to the transport of MCP. Files in the field have some of
/// them (`Accept`, `Content-Type`), so they are no errors.
const OUR_OWN: [&str; 13] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Reads `Name: value`.
pub(super) fn parse_line(line: &str) -> Result<Header, Fault> {
    match line.split_once(':') {
        Some((name, value)) => parse(name.trim(), value.trim()),
        // The text is not shown: it may be a value whose name was forgotten.
        None => Err(Fault::new("the header has no colon").hint("write it as `Name: value`")),
    }
}

/// Checks a name and a value. Messages show the name only.
pub(super) fn parse(name: &str, value: &str) -> Result<Header, Fault> {
    if name.parse::<HeaderName>().is_err() {
        return Err(
            Fault::new(format!("`{name}` cannot be the name of a header"))
                .hint("use letters, digits and `-`, without spaces"),
        );
    }
    let lower = name.to_ascii_lowercase();
    if OUR_OWN.contains(&lower.as_str()) || lower.starts_with("mcp-") {
        return Ok(Header::OurOwn(name.to_owned()));
    }
    // HTTP lets bytes beyond ASCII through, but they are mostly a dash or a space gone wrong when a
    // token was copied.
    if !value.is_ascii() || HeaderValue::from_str(value).is_err() {
        return Err(Fault::new(format!(
            "the value of the header `{name}` has a character that headers cannot carry"
        ))
        .hint("use visible ASCII characters and spaces, on one line"));
    }
    Ok(Header::Sent(name.to_owned(), SecretString::from(value)))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn headers_are_split_and_checked() {
        match parse_line("Authorization:  Bearer a:b ") {
            Ok(Header::Sent(name, value)) => {
                assert_eq!(
                    (name.as_str(), value.expose_secret()),
                    ("Authorization", "Bearer a:b")
                );
            }
            _ => panic!("a usual header was refused"),
        }
        for own in [
            "Host: x",
            "accept: */*",
            "Mcp-Session-Id: 1",
            "MCP-Protocol-Version: 1",
        ] {
            assert!(matches!(parse_line(own), Ok(Header::OurOwn(_))), "{own}");
        }
    }

    #[test]
    fn wrong_headers_do_not_show_their_value() {
        for wrong in [
            "canary",
            "X Y: canary",
            ": canary",
            "X: canary\r\nY: z",
            "X: canäry",
            "X: \0canary",
        ] {
            match parse_line(wrong) {
                Ok(_) => panic!("`{wrong}` was taken"),
                Err(fault) => assert!(!format!("{fault:?}").contains("ary"), "{fault:?}"),
            }
        }
    }
}
