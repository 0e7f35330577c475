//! TLS of the listener: its certificate, whose clients' certificates it wants, and taking over new files.
//!
//! New files are taken over when they are good, for connections made from then on; bad ones are told
//! once and the old ones stay. It never looks at what is said over a connection.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::transport::certificate::{Certificate, CertificateError, CertificateFiles, Reload};

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Longest file of authorities in bytes.
const MAX_CA_BYTES: u64 = 1 << 20;
/// Longest name of a client in bytes; a longer one is known by its hash.
const MAX_NAME_BYTES: usize = 256;

/// The files of a TLS listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the leaf first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    /// PEM: who may vouch for clients. With it, clients without a certificate are refused.
    pub client_ca: Option<PathBuf>,
}

/// What new connections are given.
pub(super) struct ServerTls {
    certificate: Arc<Certificate>,
    client_ca: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// Contents of the file of authorities in use, and of the last one that could not be used.
    ca: Vec<u8>,
    refused_ca: Option<Vec<u8>>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be used.
    pub(super) fn load(files: &TlsFiles) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pair = CertificateFiles {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        let certificate = Arc::new(Certificate::load(pair, Arc::clone(&provider))?);
        let ca = match &files.client_ca {
            Some(path) => read(path)?,
            None => Vec::new(),
        };
        let config = server_config(&certificate, files.client_ca.as_deref(), &ca, &provider)?;
        Ok(Self {
            certificate,
            client_ca: files.client_ca.clone(),
            provider,
            current: RwLock::new(Current {
                config,
                ca,
                refused_ca: None,
            }),
        })
    }

    /// Whether the certificate's time is not over.
    pub(super) fn is_valid(&self) -> bool {
        self.certificate.is_valid()
    }

    /// Shakes hands. `None` when the client does not, or not in time.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<Box<TlsStream<TcpStream>>> {
        let config = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&current.config)
        };
        let shaking = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(HANDSHAKE_TIME, shaking).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client did not get through the TLS handshake");
                None
            }
            Err(_) => None,
        }
    }

    /// Looks at the files again and says in the log what came of it. Blocks.
    pub(super) fn reload(&self) {
        match self.certificate.reload() {
            Ok(Reload::Same) => {}
            Ok(Reload::Taken) => tracing::info!("a new certificate is in use"),
            Err(error) => {
                tracing::error!("the new certificate is not used, the old one stays: {error}")
            }
        }
        let Some(path) = &self.client_ca else { return };
        match self.reload_authorities(path) {
            Ok(false) => {}
            Ok(true) => tracing::info!("new client authorities are in use"),
            Err(error) => {
                tracing::error!(
                    "the new client authorities are not used, the old ones stay: {error}"
                );
            }
        }
    }

    fn reload_authorities(&self, path: &Path) -> Result<bool, CertificateError> {
        let ca = read(path)?;
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.ca == ca || current.refused_ca.as_ref() == Some(&ca) {
                return Ok(false);
            }
        }
        let made = server_config(&self.certificate, Some(path), &ca, &self.provider);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(config) => {
                *current = Current {
                    config,
                    ca,
                    refused_ca: None,
                };
                Ok(true)
            }
            Err(error) => {
                current.refused_ca = Some(ca);
                Err(error)
            }
        }
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls")
            .field("client_ca", &self.client_ca)
            .finish_non_exhaustive()
    }
}

fn server_config(
    certificate: &Arc<Certificate>,
    ca_path: Option<&Path>,
    ca: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Tls)?;
    let builder = match ca_path {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let wrong = |problem: String| CertificateError::Content {
                path: path.to_owned(),
                problem,
            };
            let mut roots = RootCertStore::empty();
            for found in CertificateDer::pem_slice_iter(ca) {
                let found = found.map_err(|error| wrong(format!("is no PEM: {error}")))?;
                roots
                    .add(found)
                    .map_err(|error| wrong(format!("holds no authority: {error}")))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|error| wrong(format!("holds no authority: {error}")))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::clone(certificate) as _);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_CA_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_CA_BYTES => Err(CertificateError::Content {
            path: path.to_owned(),
            problem: "is longer than 1 MiB".to_owned(),
        }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(CertificateError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Names the client of a connection by its certificate, which the handshake verified: the first URI of
/// its alternative names (SPIFFE has one), else its subject, else its hash. `None` without a certificate.
pub(super) fn client_name(stream: &TlsStream<TcpStream>) -> Option<String> {
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    Some(name_of(leaf))
}

fn name_of(leaf: &[u8]) -> String {
    let hash = || format!("blake3 {}", &blake3::hash(leaf).to_hex()[..32]);
    let Ok(certificate) = x509_cert::Certificate::from_der(leaf) else {
        return hash();
    };
    let tbs = &certificate.tbs_certificate;
    let uri = match tbs.get::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0.iter().find_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
            _ => None,
        }),
        _ => None,
    };
    let name = uri.unwrap_or_else(|| tbs.subject.to_string());
    let is_usable =
        !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
    if is_usable { name } else { hash() }
}
