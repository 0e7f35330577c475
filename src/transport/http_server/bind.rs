//! Opening a listening socket, with an error that says what to do.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections the kernel keeps waiting while we accept others.
const BACKLOG: u32 = 1024;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{addr}`: {source}\nhint: {hint}")]
pub struct BindError {
    /// The address.
    pub addr: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
    /// What to do about it.
    pub hint: &'static str,
}

/// Listens on `addr` and says which address that became (port 0 takes a free one).
///
/// # Errors
/// [`BindError`] when the system refuses.
pub fn bind_listener(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let refused = |source: io::Error| BindError {
        addr,
        hint: hint(source.kind()),
        source,
    };
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(refused)?;
    // On Unix this allows a restart while old connections linger; elsewhere it would let another
    // process take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true).map_err(refused)?;
    // Accepted connections inherit it: clients that vanish silently are found.
    socket.set_keepalive(true).map_err(refused)?;
    socket.bind(addr).map_err(refused)?;
    let listener = socket.listen(BACKLOG).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AddrInUse => {
            "another process listens there (perhaps an earlier mcp-whittle); stop it or choose another port, 0 takes a free one"
        }
        ErrorKind::PermissionDenied => "ports below 1024 need privileges; choose a higher one",
        ErrorKind::AddrNotAvailable => "this machine has no such address; 127.0.0.1 always exists",
        _ => "choose another address",
    }
}
