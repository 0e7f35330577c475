//! Who may speak over HTTP, and whose credentials go where: the built binary against good and bad tokens,
//! issuers, certificates, sockets and servers.

mod caller;
mod forward;
mod issuer;
mod keys;
mod listener;
mod matrix;
mod sdk;
mod tokens;
