//! Our own stdin and stdout.
//!
//! Where they are pipes, they are opened a second time without blocking: the flag belongs to the open
//! file, so the one we were given, which others may share, stays as it is. The runtime then reads stdin
//! itself, and a frame that fits the pipe is written where it was made; each saves waking a thread. In
//! all other cases a thread for each direction waits in a plain read or write, which no async runtime
//! could cancel. This is the only place that writes to stdout while the protocol runs on it.

use std::io::{IoSlice, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::jsonrpc::Limits;
use crate::jsonrpc::frame::{FrameDecoder, Framed};
use crate::jsonrpc::write::Outgoing;

use super::frame_queue::FrameQueue;

/// Bytes asked for in one read.
const READ: usize = 64 << 10;
/// Small frames written together, at most.
const BATCH: usize = 256 << 10;

/// What stdin brings.
#[derive(Debug)]
pub enum StdinEvent {
    /// A line.
    Frame(Framed),
    /// Nothing more comes.
    Closed,
}

/// Opens stdin for [`read_pipe`]; `None` where it is no pipe or cannot be opened again, then
/// [`read_stdin`] serves.
///
/// # Panics
/// Outside a tokio runtime.
pub fn stdin_pipe() -> Option<pipe::Receiver> {
    pipe::OpenOptions::new()
        .open_receiver("/proc/self/fd/0")
        .ok()
}

/// Reads stdin in the runtime. `deliver` may make it wait, and returns `false` to stop. Cancel safe in
/// the sense that nothing but the frames not yet delivered is lost.
pub async fn read_pipe<F>(
    mut stdin: pipe::Receiver,
    limits: Limits,
    deliver: impl Fn(StdinEvent) -> F,
) where
    F: Future<Output = bool>,
{
    let mut decoder = FrameDecoder::new(limits);
    while let Ok(n) = stdin.read_buf(decoder.buffer(READ)).await {
        if n == 0 {
            break;
        }
        while let Some(framed) = decoder.poll_frame() {
            if !deliver(StdinEvent::Frame(framed)).await {
                return;
            }
        }
    }
    if let Some(framed) = decoder.finish() {
        deliver(StdinEvent::Frame(framed)).await;
    }
    deliver(StdinEvent::Closed).await;
}

/// Starts to read stdin on a thread. `deliver` is called on the reader's thread, may block, and returns `false` to
/// stop.
///
/// # Errors
/// When the thread cannot be started.
pub fn read_stdin(
    limits: Limits,
    mut deliver: impl FnMut(StdinEvent) -> bool + Send + 'static,
) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut decoder = FrameDecoder::new(limits);
            let mut input = std::io::stdin().lock();
            let mut chunk = vec![0; READ];
            loop {
                let readable = PollFlags::IN;
                match when_ready(rustix::stdio::stdin(), readable, || input.read(&mut chunk)) {
                    Ok(0) => break,
                    Ok(n) => decoder.buffer(n).put_slice(&chunk[..n]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                }
                while let Some(framed) = decoder.poll_frame() {
                    if !deliver(StdinEvent::Frame(framed)) {
                        return;
                    }
                }
            }
            if let Some(framed) = decoder.finish() {
                deliver(StdinEvent::Frame(framed));
            }
            deliver(StdinEvent::Closed);
        })?;
    Ok(())
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    queued: AtomicUsize,
    /// Stdout opened a second time, where a write never waits.
    direct: Option<OwnedFd>,
}

#[derive(Debug, Default)]
struct State {
    queue: FrameQueue,
    /// What the pipe did not take of a frame that was begun.
    rest: Vec<Bytes>,
    /// The thread, until it is needed for the first time.
    thread: Unstarted,
    is_writing: bool,
    is_closed: bool,
    is_broken: bool,
}

/// What a thread is to do that was not started yet.
#[derive(Default)]
struct Unstarted(Option<Box<dyn FnOnce() + Send>>);

impl Unstarted {
    /// Starts it, once. Returns false where the system has no thread for it; the next try may.
    fn start(&mut self) -> bool {
        let Some(work) = self.0.take() else {
            return true;
        };
        // A thread that cannot be started takes what it was given with it.
        let place = Arc::new(Mutex::new(Some(work)));
        let taken = Arc::clone(&place);
        let take = |place: &Mutex<Option<_>>| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place.take()
        };
        let started = std::thread::Builder::new()
            .name("stdout".into())
            .spawn(move || {
                let work: Option<Box<dyn FnOnce() + Send>> = take(&taken);
                if let Some(work) = work {
                    work();
                }
            });
        if let Err(error) = &started {
            tracing::error!(%error, "no thread can be started; everything waits until the client has read");
            self.0 = take(&place);
        }
        started.is_ok()
    }
}

impl std::fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unstarted").field(&self.0.is_some()).finish()
    }
}

/// The writer of stdout. Cheap to clone; never blocks.
#[derive(Debug, Clone, Default)]
pub struct StdoutWriter {
    shared: Arc<Shared>,
}

impl StdoutWriter {
    /// Opens stdout. What cannot be written at once is written by a thread, which begins when there is something for
    /// it. That thread calls `broken` once when nobody reads stdout any more, and `drained` whenever the queue became
    /// shorter. Where the system has no thread left, [`Self::send`] itself waits until all is written.
    pub fn new(
        broken: impl FnOnce() + Send + 'static,
        drained: impl Fn() + Send + 'static,
    ) -> Self {
        let writer = Self {
            shared: Arc::new(Shared {
                direct: open_direct(),
                ..Shared::default()
            }),
        };
        let shared = Arc::clone(&writer.shared);
        writer.shared.lock().thread = Unstarted(Some(Box::new(move || {
            if write_all(&shared, &drained).is_err() {
                shared.give_up(&mut shared.lock());
                broken();
            }
        })));
        writer
    }

    /// Writes a frame, or queues what cannot be written without waiting.
    pub fn send(&self, message: Outgoing) {
        let mut state = self.shared.lock();
        if state.is_broken {
            return;
        }
        if let Some(direct) = &self.shared.direct
            && state.is_idle()
        {
            let mut pieces = message.into_pieces();
            pieces.push(Bytes::from_static(b"\n"));
            state.rest = write_now(direct, pieces);
            if state.rest.is_empty() {
                return;
            }
        } else {
            state.queue.push(message);
            self.shared
                .queued
                .store(state.queue.bytes(), Ordering::Relaxed);
        }
        if state.thread.start() {
            drop(state);
            self.shared.changed.notify_one();
        } else {
            self.shared.write_here(&mut state);
        }
    }

    /// Returns how many bytes wait.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued.load(Ordering::Relaxed)
    }

    /// Drops what waits, and all that is sent from now on: nobody reads it.
    pub fn give_up(&self) {
        self.shared.give_up(&mut self.shared.lock());
    }

    /// Waits until everything is written, at most for `grace`, and ends the thread.
    pub fn finish(&self, grace: Duration) {
        let until = Instant::now() + grace;
        let mut state = self.shared.lock();
        state.is_closed = true;
        // It holds on to what it would work on.
        state.thread = Unstarted::default();
        self.shared.changed.notify_all();
        while !(state.is_broken || state.is_idle()) {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return;
            };
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is written any more, so nothing waits: who waits for room would else wait for ever.
    fn give_up(&self, state: &mut State) {
        state.is_broken = true;
        state.queue = FrameQueue::default();
        state.rest = Vec::new();
        self.queued.store(0, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Writes all that waits, without the thread.
    fn write_here(&self, state: &mut State) {
        let mut pieces = std::mem::take(&mut state.rest);
        loop {
            if write_pieces(&mut RawStdout, &pieces).is_err() {
                return self.give_up(state);
            }
            if state.queue.is_empty() {
                break;
            }
            pieces = state.queue.take(BATCH);
        }
        self.queued.store(state.queue.bytes(), Ordering::Relaxed);
    }
}

impl State {
    /// Tells whether everything has been written.
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.rest.is_empty() && !self.is_writing
    }
}

/// Opens stdout again if it is a pipe.
fn open_direct() -> Option<OwnedFd> {
    use rustix::fs::{FileType, Mode, OFlags, fstat, open};
    let is_pipe = |fd: &OwnedFd| {
        fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
    };
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open("/proc/self/fd/1", flags, Mode::empty())
        .ok()
        .filter(is_pipe)
        .inspect(super::pipe::widen)
}

/// Writes what can be written without waiting and returns the rest. Also after an error: the thread that
/// gets the rest meets it again and tells.
fn write_now(direct: &OwnedFd, mut pieces: Vec<Bytes>) -> Vec<Bytes> {
    while !pieces.is_empty() {
        // The kernel takes at most 1024 pieces at once.
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .take(512)
            .map(|piece| IoSlice::new(piece))
            .collect();
        let mut taken = match rustix::io::writev(direct, &slices) {
            Ok(0) => return pieces,
            Ok(n) => n,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return pieces,
        };
        let mut whole = 0;
        for piece in &mut pieces {
            if taken < piece.len() {
                let _ = piece.split_to(taken);
                break;
            }
            taken -= piece.len();
            whole += 1;
        }
        pieces.drain(..whole);
    }
    pieces
}

fn write_all(shared: &Shared, drained: &impl Fn()) -> std::io::Result<()> {
    let mut out = RawStdout;
    loop {
        let mut state = shared.lock();
        state.is_writing = false;
        if state.is_idle() {
            shared.changed.notify_all();
        }
        while state.is_idle() {
            if state.is_closed {
                return Ok(());
            }
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut pieces = std::mem::take(&mut state.rest);
        if pieces.is_empty() {
            pieces = state.queue.take(BATCH);
        }
        state.is_writing = true;
        shared.queued.store(state.queue.bytes(), Ordering::Relaxed);
        drop(state);
        write_pieces(&mut out, &pieces)?;
        drop(pieces);
        drained();
    }
}

/// Standard output without the line buffer of `std::io::Stdout`, which would cut frames in pieces.
struct RawStdout;

impl Write for RawStdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let stdout = rustix::stdio::stdout();
        when_ready(stdout, PollFlags::OUT, || {
            Ok(rustix::io::write(stdout, bytes)?)
        })
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> std::io::Result<usize> {
        let stdout = rustix::stdio::stdout();
        when_ready(stdout, PollFlags::OUT, || {
            Ok(rustix::io::writev(stdout, pieces)?)
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does what may block; where it does not, as whoever started us or shares the open file made it so, waits until it can
/// be done.
fn when_ready(
    fd: BorrowedFd<'_>,
    what: PollFlags,
    mut attempt: impl FnMut() -> std::io::Result<usize>,
) -> std::io::Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        match poll(&mut [PollFd::new(&fd, what)], None) {
            // What is the matter with it, the next attempt says.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes pieces with as few system calls as there can be.
pub(super) fn write_pieces(out: &mut impl Write, pieces: &[Bytes]) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        // The kernel takes at most 1024 pieces at once.
        let many = rest.len().min(512);
        match out.write_vectored(&rest[..many]) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut rest, n),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// Broken variant that this catches: a descriptor that does not block counts as closed, or as broken, where it is
    /// merely empty or full.
    #[test]
    fn what_does_not_block_is_waited_for() {
        const MUCH: usize = 8 << 20;
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a flag can be set");
        theirs.set_nonblocking(true).expect("a flag can be set");
        let reading = std::thread::spawn(move || {
            let mut chunk = vec![0; READ];
            let mut n_read = 0;
            loop {
                let read = || (&theirs).read(&mut chunk);
                match when_ready(theirs.as_fd(), PollFlags::IN, read) {
                    Ok(0) => return Ok(n_read),
                    Ok(n) => n_read += n,
                    Err(error) => return Err(error),
                }
            }
        });
        // It finds nothing to read at first, and we find no room after a while: a broken variant of either shows.
        std::thread::sleep(Duration::from_millis(50));
        let mut left = MUCH;
        while left > 0 {
            let piece = vec![b'x'; left.min(READ)];
            let write = || (&ours).write(&piece);
            left -= when_ready(ours.as_fd(), PollFlags::OUT, write).expect("it is written");
        }
        drop(ours);
        let n_read = reading.join().expect("it does not panic");
        assert_eq!(n_read.expect("it is read"), MUCH);
    }
}
