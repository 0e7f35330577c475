//! Connections: accepting, capping, serving, draining, and closing so that a refused client can
//! still read why.

use super::check::{Ends, Rules};
use super::connection::{Answering, ConnectionFlags, SharedStream};
use super::guard::Guard;
use super::refusal::Refusal;
use super::reply::ReplyBody;
use super::request::{NoAnswer, Service};
use super::rest::{Quiet, REST_AFTER, rest};
use super::socket::Socket;
use super::stall::{Patience, give_up_after};
use super::stream::Stream;
use super::take_over::Listening;
use super::tls::{self, ServerTls};
use super::well_known::WellKnown;
use super::{HttpServerConfig, HttpServerEvent, HttpServerLimits, StreamId};
use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a closing connection may go on sending what nobody reads. Closing at once would reset
/// it, and the client could lose the answer.
const LINGER: Duration = Duration::from_secs(2);
/// How much of that is read.
const LINGER_BYTES: usize = 64 << 20;
/// Connections over the cap that are answered at a time; the others are closed without a word.
const MAX_REFUSED: usize = 64;
/// Least room for what a connection has read or is about to write.
const MIN_BUFFER: usize = 128 << 10;
/// Pause after the system refuses to accept (out of file descriptors, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What stands for the address of a peer on a unix socket: only our own user can be there.
const SAME_MACHINE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where connections come from.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(Socket),
}

pub(super) async fn serve(
    config: HttpServerConfig,
    listeners: Vec<Listener>,
    guard: Guard,
    events: mpsc::Sender<HttpServerEvent>,
    drain: CancellationToken,
    cancel: CancellationToken,
) {
    let (gone, gone_streams) = mpsc::unbounded_channel();
    let reports = tokio::spawn(report_gone(gone_streams, events.clone(), cancel.clone()));
    let cancel_looking = CancellationToken::new();
    let server = Arc::new(Server {
        http: http(&config),
        tls: guard.tls.clone(),
        connections: Arc::new(Semaphore::new(config.limits.max_connections)),
        refusals: Arc::new(Semaphore::new(MAX_REFUSED)),
        service: Arc::new(Service {
            rules: Rules::new(&config),
            well_known: WellKnown::new(guard.gate.clone(), config.well_known),
            gate: guard.gate.clone(),
            limits: config.limits,
            events,
            gone,
            next_stream: AtomicU64::new(0),
            queued_total: Arc::default(),
        }),
        tasks: TaskTracker::new(),
        drain,
        cancel,
    });
    let looking = tokio::spawn(guard.look_after(cancel_looking.clone()));
    for listener in listeners {
        let accepting = Arc::clone(&server);
        server
            .tasks
            .spawn(async move { accepting.accept(listener).await });
    }
    server.tasks.close();
    server.tasks.wait().await;
    cancel_looking.cancel();
    let _ = looking.await;
    // The last sender of the reports goes with the server.
    drop(server);
    let _ = reports.await;
}

/// Passes on which streams were dropped. The queue holds at most one entry for each request.
async fn report_gone(
    mut streams: mpsc::UnboundedReceiver<StreamId>,
    events: mpsc::Sender<HttpServerEvent>,
    cancel: CancellationToken,
) {
    while let Some(stream) = streams.recv().await {
        let sending = events.send(HttpServerEvent::Gone { stream });
        if !matches!(cancel.run_until_cancelled(sending).await, Some(Ok(()))) {
            return;
        }
    }
}

fn http(config: &HttpServerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // The library's clock runs between two requests as well; that of a head alone is `SharedStream::heads`.
        .header_read_timeout(kept(&config.limits))
        .max_headers(config.limits.max_headers)
        .max_header_size(config.limits.max_header_bytes)
        // What one connection holds besides its queue, in both directions.
        .max_buf_size(config.limits.max_header_bytes.max(MIN_BUFFER));
    http
}

/// How long a connection is kept on which nothing is asked.
fn kept(limits: &HttpServerLimits) -> Duration {
    limits.idle_timeout.max(limits.header_timeout)
}

struct Server {
    http: http1::Builder,
    service: Arc<Service>,
    tls: Option<Arc<ServerTls>>,
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    tasks: TaskTracker,
    drain: CancellationToken,
    cancel: CancellationToken,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: Listener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                () = self.drain.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.welcome(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome(self: &Arc<Self>, stream: Stream, peer: SocketAddr) {
        let server = Arc::clone(self);
        if let Ok(place) = Arc::clone(&self.connections).try_acquire_owned() {
            self.tasks.spawn(async move {
                let serving = server.converse(stream, peer);
                let taken = server.cancel.run_until_cancelled(serving).await.flatten();
                let Some(Taken { stream, response }) = taken else {
                    drop(place);
                    return;
                };
                // A task of its own, which is as small as what it still has to do.
                let keeper = Arc::clone(&server);
                server.tasks.spawn(async move {
                    let listening = listen(stream, response);
                    keeper.cancel.run_until_cancelled(listening).await;
                    drop(place);
                });
            });
        } else if self.tls.is_some() && matches!(stream, Stream::Tcp(_)) {
            // A word would need a handshake first, which costs more than it is worth.
            tracing::debug!(%peer, "too many connections");
        } else if let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() {
            tracing::debug!(%peer, "too many connections");
            self.tasks.spawn(async move {
                let refusal = Refusal::overloaded("too many connections; try again later");
                let refusing = say_goodbye(stream, Some(refusal));
                server.cancel.run_until_cancelled(refusing).await;
                drop(place);
            });
        }
    }

    /// Shakes hands where TLS is spoken, and finds out who is at the other end.
    async fn prepare(&self, stream: Stream, peer: SocketAddr) -> Option<(Stream, Ends)> {
        let Stream::Tcp(stream) = stream else {
            let ends = Ends {
                local: SAME_MACHINE,
                peer,
                certificate: None,
            };
            return Some((stream, ends));
        };
        let _ = stream.set_nodelay(true);
        give_up_after(&stream, self.service.limits.stall_timeout);
        let local = stream.local_addr().ok()?;
        let mut ends = Ends {
            local,
            peer,
            certificate: None,
        };
        let Some(tls) = &self.tls else {
            return Some((Stream::Tcp(stream), ends));
        };
        let stream = tls.accept(stream).await?;
        ends.certificate = tls::client_name(&stream).map(Arc::from);
        Some((Stream::Tls(stream), ends))
    }

    /// Lends the connection's stream.
    fn lend(
        &self,
        stream: &Arc<Mutex<Stream>>,
        flags: &Arc<ConnectionFlags>,
        heads: Option<Patience>,
        early: Bytes,
    ) -> SharedStream {
        SharedStream {
            stream: Arc::clone(stream),
            flags: Arc::clone(flags),
            writes: Patience::with_writes(self.service.limits.stall_timeout),
            heads,
            early,
        }
    }

    /// Has the HTTP library read requests, of which `early` was read already, and write answers.
    async fn talk(
        &self,
        stream: &Arc<Mutex<Stream>>,
        flags: &Arc<ConnectionFlags>,
        ends: &Ends,
        early: Bytes,
    ) -> Ended {
        let heads = Patience::with_heads(self.service.limits.header_timeout);
        let io = TokioIo::new(self.lend(stream, flags, Some(heads), early));
        let service = service_fn(|request| {
            let answering = Answering::begin(flags);
            let answer = Arc::clone(&self.service).answer(request, ends.clone(), Arc::clone(flags));
            async move {
                let response = answer.await?;
                Ok::<_, NoAnswer>(response.map(|body| body.while_written(answering)))
            }
        });
        let mut connection = self.http.serve_connection(io, service);
        let mut quiet = Quiet::new(flags);
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                response = flags.handed_over() => return Ended::HandedOver(response),
                outcome = &mut connection => return Ended::Over(outcome),
                () = self.drain.cancelled(), if !is_draining => {
                    is_draining = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
                () = quiet.begins(), if !is_draining => {
                    // What it read and did not look at belongs to the next request.
                    return Ended::Quiet(connection.into_parts().read_buf);
                }
            }
        }
    }

    /// Answers requests until the connection ends or becomes a listen stream, which is returned.
    async fn converse(&self, stream: Stream, peer: SocketAddr) -> Option<Taken> {
        let (stream, ends) = Box::pin(self.prepare(stream, peer)).await?;
        let flags = Arc::new(ConnectionFlags::default());
        let stream = Arc::new(Mutex::new(stream));
        let mut early = Bytes::new();
        let outcome = loop {
            // Apart, for what it holds is of no use while the connection rests.
            let talk = Box::pin(self.talk(&stream, &flags, &ends, early));
            match talk.await {
                Ended::Over(outcome) => break outcome,
                Ended::HandedOver(response) => {
                    let stream = self.lend(&stream, &flags, None, Bytes::new());
                    return Some(Taken { stream, response });
                }
                Ended::Quiet(read) if !read.is_empty() => early = read,
                Ended::Quiet(read) => {
                    // Empty, it still holds the buffer that it is a part of.
                    drop(read);
                    let limit = kept(&self.service.limits).saturating_sub(REST_AFTER);
                    match rest(&stream, limit, &self.drain).await {
                        Some(waking) => early = waking,
                        None => {
                            Box::pin(close(stream)).await;
                            return None;
                        }
                    }
                }
            }
        };
        let mut goodbye = None;
        if let Err(error) = outcome {
            tracing::debug!(%peer, %error, "connection ended");
            if (error.is_timeout() || flags.is_head_late()) && flags.is_mid_request() {
                let message = "the request head did not arrive in time";
                goodbye = Some(Refusal::new(StatusCode::REQUEST_TIMEOUT, message));
            } else if !error.is_parse() {
                return None;
            }
        } else if !flags.lingers() {
            return None;
        }
        if let Some(stream) = Arc::into_inner(stream) {
            let stream = stream
                .into_inner()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            Box::pin(say_goodbye(stream, goodbye)).await;
        }
        None
    }
}

/// Why the HTTP library was left.
enum Ended {
    Over(hyper::Result<()>),
    /// This response goes on without it.
    HandedOver(Box<Response<ReplyBody>>),
    /// Nothing is asked at present. What was read of a next request comes along.
    Quiet(Bytes),
}

/// A connection that became a listen stream.
struct Taken {
    stream: SharedStream,
    response: Box<Response<ReplyBody>>,
}

async fn listen(stream: SharedStream, response: Box<Response<ReplyBody>>) {
    let served = match Box::pin(Listening::begin(stream, *response)).await {
        Ok(listening) => listening.serve().await,
        Err(error) => {
            tracing::debug!(%error, "a listen stream could not begin");
            None
        }
    };
    if let Some(stream) = served {
        Box::pin(say_goodbye(stream, None)).await;
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), peer))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                Ok((Stream::Unix(stream), SAME_MACHINE))
            }
        }
    }
}

/// Closes a connection on which nothing is owed; TLS says so to the client (RFC 8446 section 6.1).
async fn close(stream: Arc<Mutex<Stream>>) {
    if let Some(stream) = Arc::into_inner(stream) {
        let mut stream = stream
            .into_inner()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        // Whether it worked changes nothing: the connection is over.
        let _ = tokio::time::timeout(LINGER, stream.shutdown()).await;
    }
}

/// Writes a last answer, then reads what the client still sends, for a while, before closing.
async fn say_goodbye(mut stream: impl AsyncRead + AsyncWrite + Unpin, refusal: Option<Refusal>) {
    let farewell = async {
        if let Some(refusal) = refusal {
            stream.write_all(&refusal.raw_response()).await?;
        }
        stream.shutdown().await?;
        let mut ignored = vec![0; 16 << 10];
        let mut total = 0;
        while total < LINGER_BYTES {
            match stream.read(&mut ignored).await? {
                0 => break,
                size => total += size,
            }
        }
        io::Result::Ok(())
    };
    // Whether it worked changes nothing: the connection is over.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}
