//! The TLS of a server of a test.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::Pem;

/// What a server with this certificate speaks; of clients it wants none.
pub(crate) fn server(pem: &Pem) -> Arc<ServerConfig> {
    let chain = CertificateDer::from_pem_slice(pem.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("a pair");
    Arc::new(config)
}
