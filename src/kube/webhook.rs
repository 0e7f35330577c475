//! The admission webhook: HTTPS, one path, nothing looked up while it answers.
//!
//! It fails open: whatever goes wrong, the pod is created as it was. It asks no API server, holds no
//! token and writes no object. The decisions are [`super::review`]'s and [`super::inject`]'s.

mod answer;
pub mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::inject::Injector;
use crate::transport::admin::AdminState;
use crate::transport::certificate::{Certificate, CertificateError, CertificateFiles, Reload};
use crate::transport::http_server::{BindError, bind_listener};
use answer::Answering;
use metrics::Metrics;

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// How long a request's head may take, and how long a connection may wait for the next one.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Largest request head in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Connections at a time; API servers keep a few.
const MAX_CONNECTIONS: usize = 256;
/// Age at which a connection is closed after its request, so that replicas share the load.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How long requests may take to end after the drain.
const END_TIME: Duration = Duration::from_secs(5);
/// Pause after the system refuses to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the webhook is run.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its certificate.
    pub files: CertificateFiles,
    /// What it injects.
    pub injector: Injector,
    /// Whether pods with wrong annotations are refused.
    pub rejects: bool,
    /// Between two looks at the certificate's files.
    pub reload_interval: Duration,
    /// Between the end of readiness and the end of accepting.
    pub drain: Duration,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// The certificate.
    #[error(
        "{0}\nhint: give a certificate and its key in PEM with --tls-cert and --tls-key; in a cluster they come from a Secret"
    )]
    Certificate(#[from] CertificateError),
    /// TLS itself.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A webhook that listens but does not answer yet.
pub struct Webhook {
    config: WebhookConfig,
    listener: TcpListener,
    address: SocketAddr,
    tls: TlsAcceptor,
    certificate: Arc<Certificate>,
    metrics: Arc<Metrics>,
}

impl Webhook {
    /// Reads the certificate and starts to listen.
    ///
    /// # Errors
    /// [`WebhookError`] when one of them cannot be.
    pub fn bind(config: WebhookConfig) -> Result<Self, WebhookError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = Certificate::load(config.files.clone(), Arc::clone(&provider))?;
        let certificate = Arc::new(certificate);
        // Every API server that knows admission v1 speaks TLS 1.3.
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (listener, address) = bind_listener(config.listen)?;
        let metrics = Arc::new(Metrics::default());
        metrics.set_not_after(certificate.not_after());
        Ok(Self {
            config,
            listener,
            address,
            tls: TlsAcceptor::from(Arc::new(tls)),
            certificate,
            metrics,
        })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Answers until `end`: then it is not ready, goes on for the drain's time, and ends what is in flight.
    pub async fn serve(self, admin: Arc<AdminState>, end: CancellationToken) {
        let drained = CancellationToken::new();
        let server = Arc::new(Server {
            tls: self.tls,
            answering: Answering::new(
                self.config.injector,
                self.config.rejects,
                Arc::clone(&self.metrics),
            ),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            tasks: TaskTracker::new(),
            drained: drained.clone(),
        });
        let watching = watch(
            self.certificate,
            self.metrics,
            Arc::clone(&admin),
            self.config.reload_interval,
        );
        let drain = self.config.drain;
        let ending = async {
            // Looking after the certificate ends with the wish to end, so that readiness stays off.
            tokio::select! {
                () = end.cancelled() => {}
                () = watching => {}
            }
            admin.set_ready(false);
            tracing::info!("draining");
            tokio::time::sleep(drain).await;
            drained.cancel();
        };
        admin.set_started(true);
        tokio::join!(ending, Arc::clone(&server).accept(self.listener));
        server.tasks.close();
        if tokio::time::timeout(END_TIME, server.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("connections are still open; ending without them");
        }
    }
}

/// Takes over changed certificates, and keeps readiness to what the one in use allows. Never ends.
async fn watch(
    certificate: Arc<Certificate>,
    metrics: Arc<Metrics>,
    admin: Arc<AdminState>,
    interval: Duration,
) {
    let mut was_valid = true;
    let mut was_unreadable = false;
    loop {
        let is_valid = certificate.is_valid();
        if was_valid && !is_valid {
            tracing::error!(
                "the certificate has expired; hint: renew it; a good one is taken over by itself"
            );
        }
        was_valid = is_valid;
        admin.set_ready(is_valid);
        tokio::time::sleep(interval).await;
        let again = Arc::clone(&certificate);
        let found = tokio::task::spawn_blocking(move || again.reload()).await;
        let is_unreadable = matches!(found, Ok(Err(CertificateError::Read { .. })));
        match found {
            Ok(Ok(Reload::Same)) | Err(_) => {}
            Ok(Ok(Reload::Taken)) => {
                metrics.reloaded(true);
                metrics.set_not_after(certificate.not_after());
                tracing::info!("a new certificate is in use");
            }
            // While the files are away it is told once.
            Ok(Err(_)) if is_unreadable && was_unreadable => {}
            Ok(Err(error)) => {
                metrics.reloaded(false);
                tracing::error!("the new certificate is not used, the old one stays: {error}");
            }
        }
        was_unreadable = is_unreadable;
    }
}

struct Server {
    tls: TlsAcceptor,
    answering: Answering,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    drained: CancellationToken,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.drained.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Over the cap it is closed: the API server asks again or goes on without us.
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                tracing::warn!("too many connections; one is closed");
                continue;
            };
            let server = Arc::clone(&self);
            self.tasks.spawn(async move {
                server.converse(stream).await;
                drop(place);
            });
        }
    }

    async fn converse(&self, stream: TcpStream) {
        let stream = match tokio::time::timeout(HANDSHAKE_TIME, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return;
            }
            Err(_) => return,
        };
        let service = service_fn(|request| self.answering.answer(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.aged() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }

    async fn aged(&self) {
        tokio::select! {
            () = self.drained.cancelled() => {}
            () = tokio::time::sleep(MAX_AGE) => {}
        }
    }
}
