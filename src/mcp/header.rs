//! The HTTP headers that mirror a modern request's body (MCP 2026-07-28 basic/transports/streamable-http).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::jsonrpc::members;
use crate::jsonrpc::text::string_value;

use super::method;

/// Carries the session of a legacy connection.
pub const SESSION: &str = "mcp-session-id";
/// Carries the protocol version.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// Mirrors the method.
pub const METHOD: &str = "mcp-method";
/// Mirrors the name, URI or task id.
pub const NAME: &str = "mcp-name";
/// Headers that carry a trace from hop to hop (W3C Trace Context, W3C Baggage); ours to pass on, not to read.
pub const TRACE: [&str; 3] = ["traceparent", "tracestate", "baggage"];
/// Bytes of one of them, at most (the bound of W3C Baggage, 3.3.2); longer ones are not passed on.
pub const TRACE_BYTES: usize = 8192;
/// Starts the names of headers that mirror annotated arguments.
pub const PARAM_PREFIX: &str = "mcp-param-";

const BASE64_PREFIX: &str = "=?base64?";
const BASE64_SUFFIX: &str = "?=";
/// Annotated properties of one tool, at most.
const MAX_PARAMS: usize = 64;
/// Depth of `properties` chains that are followed.
const MAX_DEPTH: usize = 32;

/// Encodes a header value: as it is where it can stand in a header, else as `=?base64?…?=`.
pub fn encode(value: &str) -> String {
    let looks_encoded = value.starts_with(BASE64_PREFIX) && value.ends_with(BASE64_SUFFIX);
    let is_printable = value.bytes().all(|b| (0x20..=0x7e).contains(&b));
    let is_padded = value.starts_with(' ') || value.ends_with(' ');
    let stands = is_printable && !is_padded && !looks_encoded;
    if stands {
        value.to_owned()
    } else {
        format!("{BASE64_PREFIX}{}{BASE64_SUFFIX}", STANDARD.encode(value))
    }
}

/// Decodes a header value; `None` where the base64 form is broken.
pub fn decode(value: &str) -> Option<String> {
    match value
        .strip_prefix(BASE64_PREFIX)
        .and_then(|rest| rest.strip_suffix(BASE64_SUFFIX))
    {
        None => Some(value.to_owned()),
        Some(inside) => String::from_utf8(STANDARD.decode(inside).ok()?).ok(),
    }
}

/// One argument that a header mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderParam {
    /// The whole header name, lower case.
    pub header: String,
    /// Property names from the arguments' root.
    pub path: Vec<String>,
}

/// Lists the `x-mcp-header` annotations of a raw input schema that are legal: on a string, integer or
/// boolean, reached by `properties` alone, a token, unique ignoring case.
pub fn header_params(input_schema: &[u8]) -> Vec<HeaderParam> {
    let mut found = Vec::new();
    if memchr::memmem::find(input_schema, b"x-mcp-header").is_some() {
        collect(input_schema, &mut Vec::new(), &mut found);
    }
    found
}

fn collect(schema: &[u8], path: &mut Vec<String>, found: &mut Vec<HeaderParam>) {
    if path.len() >= MAX_DEPTH {
        return;
    }
    let Some(properties) = members::get(schema, "properties") else {
        return;
    };
    for property in members::members(properties) {
        let name = property.name(properties).into_owned();
        let inner = &properties[property.value];
        path.push(name);
        if let Some(header) = members::get_text(inner, "x-mcp-header") {
            let is_token = !header.is_empty() && header.bytes().all(is_token_byte);
            let is_simple = matches!(
                members::get_text(inner, "type").as_deref(),
                Some("string" | "integer" | "boolean")
            );
            let header = format!("{PARAM_PREFIX}{}", header.to_ascii_lowercase());
            if is_token
                && is_simple
                && found.len() < MAX_PARAMS
                && !found.iter().any(|param| param.header == header)
            {
                found.push(HeaderParam {
                    header,
                    path: path.clone(),
                });
            }
        }
        collect(inner, path, found);
        path.pop();
    }
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// Returns the headers of a request: method, name, and annotated arguments with their values. `params`
/// is the raw body as it is sent, `mirrored` what the tool's original schema annotates.
pub fn request_headers(
    method_name: &str,
    params: Option<&[u8]>,
    mirrored: &[HeaderParam],
) -> Vec<(String, String)> {
    let mut headers = vec![(METHOD.to_owned(), method_name.to_owned())];
    let params = params.unwrap_or_default();
    if let Some(name) =
        method::name_member(method_name).and_then(|member| members::get_text(params, member))
    {
        headers.push((NAME.to_owned(), encode(&name)));
    }
    if method_name == method::TOOLS_CALL
        && let Some(arguments) = members::get(params, "arguments")
    {
        for param in mirrored {
            if let Some(value) = argument(arguments, &param.path) {
                headers.push((param.header.clone(), encode(&value)));
            }
        }
    }
    headers
}

fn argument(arguments: &[u8], path: &[String]) -> Option<String> {
    let mut value = arguments;
    for name in path {
        value = members::get(value, name)?;
    }
    match value.first()? {
        b'"' => string_value(value),
        b't' | b'f' => Some(String::from_utf8_lossy(value).into_owned()),
        b'-' | b'0'..=b'9' => {
            // Integers go out in decimal, also where the body spells 1e3 or 5.0.
            let text = std::str::from_utf8(value).ok()?;
            text.parse::<i64>().map(|n| n.to_string()).ok().or_else(|| {
                let number: f64 = text.parse().ok()?;
                (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0)
                    .then(|| format!("{number:.0}"))
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_header() {
        for value in ["a", "", " a", "ü", "=?base64?YQ==?=", "a\nb", "tab\t"] {
            assert_eq!(decode(&encode(value)).as_deref(), Some(value), "{value:?}");
        }
        assert_eq!(encode("plain"), "plain");
        assert_eq!(decode("=?base64?***?="), None);
    }

    #[test]
    fn annotated_arguments_are_mirrored() {
        let schema = br#"{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}},
            "twin":{"type":"string","x-mcp-header":"REGION"},
            "bad":{"type":"array","x-mcp-header":"Bad"},
            "items":{"type":"array","items":{"properties":{"x":{"type":"string","x-mcp-header":"X"}}}}}}"#;
        let params = header_params(schema);
        let names: Vec<&str> = params.iter().map(|p| p.header.as_str()).collect();
        assert_eq!(names, ["mcp-param-region", "mcp-param-n"]);
        let body = br#"{"name":"t","arguments":{"region":"eu","deep":{"n":5.0}}}"#;
        assert_eq!(
            request_headers("tools/call", Some(body), &params),
            [
                ("mcp-method", "tools/call"),
                ("mcp-name", "t"),
                ("mcp-param-region", "eu"),
                ("mcp-param-n", "5")
            ]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        let null = br#"{"name":"t","arguments":{"region":null}}"#;
        assert_eq!(request_headers("tools/call", Some(null), &params).len(), 2);
    }
}
