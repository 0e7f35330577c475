//! The certificate of a TLS listener: read from files, looked at again at intervals, taken over when
//! it changed and is good. A bad one is told and the old one stays.
//!
//! Contents are compared, not times or links: a Secret's volume swaps a link, which watches on files miss.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

/// Longest file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Where certificate chain and key are.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// PEM, the leaf first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{path}` {problem}", path = path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// They do not belong together.
    #[error("the key does not belong to the certificate: {0}")]
    Mismatch(rustls::Error),
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// TLS itself.
    #[error("cannot set up TLS: {0}")]
    Tls(#[source] rustls::Error),
}

/// A certificate in use.
#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    not_after: i64,
    contents: [Vec<u8>; 2],
}

/// What looking again found.
#[derive(Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files are as they were.
    Same,
    /// A new certificate is in use.
    Taken,
}

/// The certificate that connections are given.
#[derive(Debug)]
pub struct Certificate {
    files: CertificateFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
    /// What could not be used, so that it is told once.
    refused: RwLock<Option<[Vec<u8>; 2]>>,
}

impl Certificate {
    /// Reads the files. An expired certificate is taken: [`Self::is_valid`] says so.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be used.
    pub fn load(
        files: CertificateFiles,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let contents = read_both(&files)?;
        let current = parse(&files, contents, &provider)?;
        Ok(Self {
            files,
            provider,
            current: RwLock::new(current),
            refused: RwLock::new(None),
        })
    }

    /// Looks at the files again.
    ///
    /// # Errors
    /// [`CertificateError`] when they changed and cannot be used; the old certificate stays. The same
    /// contents are an error once.
    pub fn reload(&self) -> Result<Reload, CertificateError> {
        let contents = read_both(&self.files)?;
        let is_known = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
            current.contents == contents || refused.as_ref() == Some(&contents)
        };
        if is_known {
            return Ok(Reload::Same);
        }
        let taken = parse(&self.files, contents.clone(), &self.provider).and_then(|new| {
            if new.not_after <= now() {
                return Err(CertificateError::Expired);
            }
            Ok(new)
        });
        let (result, refused) = match taken {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                (Ok(Reload::Taken), None)
            }
            Err(error) => (Err(error), Some(contents)),
        };
        *self.refused.write().unwrap_or_else(PoisonError::into_inner) = refused;
        result
    }

    /// Until when it is valid, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .not_after
    }

    /// Whether its time is not over.
    pub fn is_valid(&self) -> bool {
        self.not_after() > now()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.key))
    }
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

fn read_both(files: &CertificateFiles) -> Result<[Vec<u8>; 2], CertificateError> {
    Ok([read(&files.certificate)?, read(&files.key)?])
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Err(wrong(path, "is longer than 1 MiB")),
        Ok(_) => Ok(bytes),
        Err(source) => Err(CertificateError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn wrong(path: &Path, problem: impl Into<String>) -> CertificateError {
    CertificateError::Content {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn parse(
    files: &CertificateFiles,
    contents: [Vec<u8>; 2],
    provider: &CryptoProvider,
) -> Result<Current, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&contents[0])
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&files.certificate, format!("is no PEM: {error}")))?;
    let leaf = chain
        .first()
        .ok_or_else(|| wrong(&files.certificate, "holds no certificate"))?;
    let not_after = x509_cert::Certificate::from_der(leaf)
        .map_err(|error| wrong(&files.certificate, format!("holds no X.509: {error}")))?
        .tbs_certificate
        .validity
        .not_after
        .to_unix_duration()
        .as_secs();
    // What the parser says of a key may quote it.
    let key = PrivateKeyDer::from_pem_slice(&contents[1])
        .map_err(|_| wrong(&files.key, "holds no private key in PEM"))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(CertificateError::Mismatch)?;
    Ok(Current {
        key: Arc::new(key),
        not_after: i64::try_from(not_after).unwrap_or(i64::MAX),
        contents,
    })
}
