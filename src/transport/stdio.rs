//! Our own stdin and stdout, on two threads of their own.
//!
//! A blocking read of stdin cannot be cancelled in an async runtime, and a thread for each direction
//! adds less latency. This is the only place that writes to stdout while the protocol runs on it.

use std::io::{IoSlice, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};

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

/// Starts to read stdin. `deliver` is called on the reader's thread, may block, and returns `false` to
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
                match input.read(&mut chunk) {
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
}

#[derive(Debug, Default)]
struct State {
    queue: FrameQueue,
    is_writing: bool,
    is_closed: bool,
    is_broken: bool,
}

/// The writer of stdout. Cheap to clone; never blocks.
#[derive(Debug, Clone, Default)]
pub struct StdoutWriter {
    shared: Arc<Shared>,
}

impl StdoutWriter {
    /// Starts the writer's thread. `broken` is called once when nobody reads stdout any more, `drained`
    /// whenever the queue became shorter.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        broken: impl FnOnce() + Send + 'static,
        drained: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let writer = Self::default();
        let shared = Arc::clone(&writer.shared);
        std::thread::Builder::new()
            .name("stdout".into())
            .spawn(move || {
                if write_all(&shared, &drained).is_err() {
                    shared.lock().is_broken = true;
                    shared.changed.notify_all();
                    broken();
                }
            })?;
        Ok(writer)
    }

    /// Queues a frame.
    pub fn send(&self, message: Outgoing) {
        let mut state = self.shared.lock();
        if state.is_broken {
            return;
        }
        state.queue.push(message);
        self.shared
            .queued
            .store(state.queue.bytes(), Ordering::Relaxed);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Returns how many bytes wait.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, at most for `grace`, and ends the thread.
    pub fn finish(&self, grace: Duration) {
        let until = Instant::now() + grace;
        let mut state = self.shared.lock();
        state.is_closed = true;
        self.shared.changed.notify_all();
        while !(state.is_broken || (state.queue.is_empty() && !state.is_writing)) {
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
}

fn write_all(shared: &Shared, drained: &impl Fn()) -> std::io::Result<()> {
    let mut out = RawStdout;
    loop {
        let mut state = shared.lock();
        state.is_writing = false;
        if state.queue.is_empty() {
            shared.changed.notify_all();
        }
        while state.queue.is_empty() {
            if state.is_closed {
                return Ok(());
            }
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let pieces = state.queue.take(BATCH);
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
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> std::io::Result<usize> {
        Ok(rustix::io::writev(rustix::stdio::stdout(), pieces)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
