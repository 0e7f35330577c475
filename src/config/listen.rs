//! Where the listener is: an address, or a unix socket. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::text;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address with a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket that only our own user may connect to.
    Socket(PathBuf),
}

impl ListenAddress {
    /// Returns the address; none for a socket.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Socket(_) => None,
        }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Socket(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Reads `unix:PATH`, or what [`text::parse_listen`] takes.
///
/// # Errors
/// When it is neither.
pub fn parse(given: &str) -> Result<ListenAddress, String> {
    match given.strip_prefix("unix:") {
        Some("") => Err("expected a path after `unix:`".to_owned()),
        Some(path) => Ok(ListenAddress::Socket(PathBuf::from(path))),
        None => text::parse_listen(given)
            .map(ListenAddress::Tcp)
            .map_err(|problem| format!("{problem}, or `unix:PATH`")),
    }
}

/// Checks an option's text.
///
/// # Errors
/// As [`parse`].
pub fn check(given: &str) -> Result<String, String> {
    parse(given).map(|_| given.to_owned())
}
