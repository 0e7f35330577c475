//! Options of who may speak to the listener, and over what.

use std::path::PathBuf;

use clap::Args;

use crate::config::ForwardAuthorization;

/// Who gets in, and whose credentials go on.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "HTTP")]
pub struct GuardArgs {
    /// Speak TLS with the certificate chain in this PEM file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's key, a PEM file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,

    /// Let only clients in whose certificate an authority in this PEM file vouches for
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub tls_client_ca: Option<PathBuf>,

    /// Let only requests in with a bearer token of this file, one `NAME: TOKEN` a line
    ///
    /// Signed tokens (JWT) are set in a file, in the section `[auth]`.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub auth_tokens: Option<PathBuf>,

    /// Whether the clients' `Authorization` goes on to the server of --upstream [default: auto]
    ///
    /// `auto`: where no tokens are checked here and the server gets no `Authorization` of ours.
    #[arg(long, value_name = "WHEN", value_enum)]
    pub forward_authorization: Option<ForwardAuthorization>,
}
