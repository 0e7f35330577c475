//! Texts that mean sizes, times, addresses and the like. Pure.
//!
//! The short functions check and return the text as it was typed: they are value parsers of the
//! command line, whose values stay text until all layers are joined.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::settings::is_name_character;
use crate::result::images::tokens::Formula;

/// Longest separator in characters.
const MAX_SEPARATOR: usize = 8;

/// Checks a size.
///
/// # Errors
/// See [`parse_bytes`].
pub fn bytes(text: &str) -> Result<String, String> {
    parse_bytes(text).map(|_| text.to_owned())
}

/// Checks a time.
///
/// # Errors
/// See [`parse_duration`].
pub fn duration(text: &str) -> Result<String, String> {
    parse_duration(text).map(|_| text.to_owned())
}

/// Checks a time or `none`.
///
/// # Errors
/// See [`parse_duration`].
pub fn duration_or_none(text: &str) -> Result<String, String> {
    if text == "none" {
        Ok(text.to_owned())
    } else {
        duration(text)
    }
}

/// Checks an address to listen on.
///
/// # Errors
/// See [`parse_listen`].
pub fn listen(text: &str) -> Result<String, String> {
    parse_listen(text).map(|_| text.to_owned())
}

/// Checks what is logged.
///
/// # Errors
/// When it is neither a level nor directives.
pub fn log_filter(text: &str) -> Result<String, String> {
    let is_word =
        |word: &str| matches!(word, "off" | "error" | "warn" | "info" | "debug" | "trace");
    let is_known = !text.is_empty()
        && text
            .split(',')
            .all(|directive| match directive.split_once('=') {
                Some((target, level)) => !target.is_empty() && is_word(level),
                None => is_word(directive),
            });
    if is_known {
        Ok(text.to_owned())
    } else {
        Err(
            "expected off, error, warn, info, debug, trace, or `target=level` separated by commas"
                .to_owned(),
        )
    }
}

/// Reads how many tokens the tools may cost.
///
/// # Errors
/// When it is neither a number nor a word for one.
pub fn budget(text: &str) -> Result<crate::surface::plan::Budget, String> {
    text.parse()
        .map_err(|_| "expected a number of tokens such as 4000 or 4k, `auto`, or `none`".to_owned())
}

/// Reads a price in units of one uncached input token.
///
/// # Errors
/// When it is no number from 0 on.
pub fn price(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|price: &f64| price.is_finite() && *price >= 0.0)
        .ok_or_else(|| "expected a number from 0 on, such as 0.1".to_owned())
}

/// Reads how many tokens one result may cost.
///
/// # Errors
/// When it is neither a number that is large enough nor a word for one.
pub fn result_cap(text: &str) -> Result<super::results::CapChoice, String> {
    text.parse().map_err(|_| {
        format!(
            "expected a number of tokens from {} on such as 5000 or 5k, `auto`, or `none`",
            super::results::LEAST_CAP
        )
    })
}

/// Reads how the tokens of images are estimated; `None` for `auto`.
///
/// # Errors
/// When it names no formula.
pub fn image_tokens(text: &str) -> Result<Option<Formula>, String> {
    if text == "auto" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let known = Formula::ALL
            .map(|formula| format!("`{formula}`"))
            .join(", ");
        format!("expected `auto` or one of {known}")
    })
}

/// Checks the name of a client's profile.
///
/// # Errors
/// When there is none of that name.
pub fn profile(text: &str) -> Result<String, String> {
    let all: Vec<&str> = super::profiles::Profile::names().collect();
    if text == "auto" || all.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("expected `auto` or one of {}", all.join(", ")))
}

/// Checks a name for the `Host` header.
///
/// # Errors
/// When it is no `name` or `name:port`.
pub fn host(text: &str) -> Result<String, String> {
    match text.parse::<http::uri::Authority>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected a host such as `name` or `name:port`".to_owned()),
    }
}

/// Checks an origin as RFC 6454 writes it, or `null`, which sandboxed pages send.
///
/// # Errors
/// When it is neither.
pub fn origin(text: &str) -> Result<String, String> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, authority)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            && !authority.contains('@')
            && authority.parse::<http::uri::Authority>().is_ok()
    });
    if is_origin || text == "null" {
        Ok(text.to_owned())
    } else {
        Err(
            "expected an origin as browsers send it: `https://host` or `https://host:port`"
                .to_owned(),
        )
    }
}

/// Checks the URL of a server.
///
/// # Errors
/// What is wrong with it; credentials in it are not shown.
pub fn server_url(text: &str) -> Result<String, String> {
    match super::source::check_url(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(fault) => Err(fault.problem),
    }
}

/// Checks what stands between the server's name and the tool's.
///
/// # Errors
/// When it is empty, longer than 8 characters or has a character that tool names may not have.
pub fn separator(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a separator needs at least one character".to_owned());
    }
    if let Some(character) = text
        .chars()
        .find(|&character| !is_name_character(character))
    {
        return Err(format!(
            "the character `{character}` may not stand in names of tools; allowed are letters, digits, `_`, `.`, `/` and `-`"
        ));
    }
    if text.len() > MAX_SEPARATOR {
        return Err(format!(
            "a separator has at most {MAX_SEPARATOR} characters"
        ));
    }
    Ok(text.to_owned())
}

/// Reads a size: a whole number, alone (bytes) or with `B`, `kB`, `KB`, `KiB`, `MB`, `MiB`, `GB`, `GiB`.
///
/// # Errors
/// When it is not such a number or does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let factor: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" | "K" | "k" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" | "M" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" | "G" => 1 << 30,
        _ => {
            return Err(
                "expected a size such as `256MiB`, `64KiB` or a number of bytes".to_owned(),
            );
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a size such as `256MiB`, `64KiB` or a number of bytes".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "the size is too large".to_owned())
}

/// Reads a time: a whole number with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// When the number or the unit is missing, or it does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected =
        || "expected a time with a unit, such as `500ms`, `30s`, `5m` or `1h`".to_owned();
    let (number, unit) = split_number(text);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    number
        .checked_mul(millis_per_unit)
        .map(Duration::from_millis)
        .ok_or_else(|| "the time is too long".to_owned())
}

/// Reads an address to listen on: `ADDRESS:PORT`, `localhost:PORT`, `:PORT` or `PORT`; without an
/// address it is 127.0.0.1.
///
/// # Errors
/// When it is neither; names other than `localhost` are not looked up.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let port = text
        .strip_prefix("localhost:")
        .or_else(|| text.strip_prefix(':'))
        .unwrap_or(text);
    match port.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => {
            Err("expected an address with a port, such as `127.0.0.1:8931` or `8931`".to_owned())
        }
    }
}

/// Writes a size with the largest unit that leaves a whole number.
pub(crate) fn show_bytes(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes != 0 && bytes.is_multiple_of(1_u64 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// Writes a time with the largest unit that leaves a whole number.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_bytes(text: &str, expected: Option<u64>) {
        assert_eq!(parse_bytes(text).ok(), expected, "{text}");
    }

    #[track_caller]
    fn check_millis(text: &str, expected: Option<u64>) {
        assert_eq!(
            parse_duration(text).ok(),
            expected.map(Duration::from_millis),
            "{text}"
        );
    }

    #[test]
    fn sizes() {
        check_bytes("256MiB", Some(256 << 20));
        check_bytes("1 GiB", Some(1 << 30));
        check_bytes("4096", Some(4096));
        check_bytes("2KB", Some(2_000));
        for wrong in [
            "",
            "MiB",
            "-1",
            "1.5MiB",
            "1XB",
            "0x10",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            check_bytes(wrong, None);
        }
    }

    #[test]
    fn times() {
        check_millis("500ms", Some(500));
        check_millis("30s", Some(30_000));
        check_millis("5m", Some(300_000));
        check_millis("1h", Some(3_600_000));
        check_millis("2d", Some(172_800_000));
        for wrong in ["", "30", "s", "-1s", "1.5s", "1y", "99999999999999999d"] {
            check_millis(wrong, None);
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1:8931", "127.0.0.1:8931"),
            ("8931", "127.0.0.1:8931"),
            (":8931", "127.0.0.1:8931"),
            ("localhost:1", "127.0.0.1:1"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(
                parse_listen(text).map(|address| address.to_string()),
                Ok(expected.to_owned())
            );
        }
        for wrong in [
            "",
            "example.com:80",
            "127.0.0.1",
            "70000",
            "127.0.0.1:99999",
            "-1",
        ] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shown_texts_read_back() {
        for bytes in [0, 1, 1_000, 1 << 10, 1 << 20, 3 << 30, (1 << 20) + 1] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        }
        for millis in [0, 1, 999, 1_000, 60_000, 90_000, 3_600_000, 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn origins_of_browsers() {
        for good in [
            "https://example.com",
            "http://localhost:3000",
            "null",
            "chrome-extension://abcd",
        ] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for wrong in ["", "example.com", "https://", "https://a/b", "https://u@a"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_and_urls_of_servers() {
        for good in ["example.com", "example.com:8080", "[::1]:80", "*"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for wrong in ["", "https://example.com", "a/b", "a b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert!(server_url("https://example.com/mcp").is_ok());
        let told =
            server_url("https://user:canary@example.com/mcp").expect_err("it has a password");
        assert!(
            told.contains("password") && !told.contains("canary"),
            "{told}"
        );
    }

    #[test]
    fn filters_and_separators() {
        for good in ["info", "off", "warn,mcp_whittle::hub=trace"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for wrong in ["", "loud", "=info", "a=loud", "info,,"] {
            assert!(log_filter(wrong).is_err(), "{wrong}");
        }
        for good in ["__", ".", "/", "-", "_a_"] {
            assert!(separator(good).is_ok(), "{good}");
        }
        for wrong in ["", ":", " ", "ü", "_________"] {
            assert!(separator(wrong).is_err(), "{wrong}");
        }
    }
}
