//! `replay`: is the server that a folder was captured from.
//!
//! A thread reads stdin; this one owns the server, waits for bytes or for the next delay to end, and
//! writes stdout. It ends with stdin, after what waits only for its delay was answered.

use std::io::Read;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;

use crate::capture::read_folder;
use crate::capture::replay::{ReplayOptions, ReplayServer, ServedEras};
use crate::cli::ReplayArgs;
use crate::config::EraPin;
use crate::jsonrpc::Limits;
use crate::jsonrpc::frame::{FrameDecoder, Framed};

use super::{Output, OutputError, start_logging};

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that may wait to be looked at.
const MAX_CHUNKS: usize = 16;

/// Is the server that a folder was captured from.
///
/// # Errors
/// When the folder is no capture or stdout cannot be written.
pub fn run(args: ReplayArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    let recording = read_folder(&args.folder)?;
    let options = ReplayOptions {
        eras: match args.era.unwrap_or_default() {
            EraPin::Auto => ServedEras::Dual,
            EraPin::Legacy => ServedEras::Legacy,
            EraPin::Modern => ServedEras::Modern,
        },
        delay: args.delay.unwrap_or_default(),
    };
    tracing::debug!(folder = %args.folder.display(), counts = ?recording.counts(), "replaying");
    let (sender, chunks) = sync_channel(MAX_CHUNKS);
    // It ends with stdin, or with the process: nothing is lost by not waiting for it.
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut chunk = vec![0; CHUNK_BYTES];
            while let Ok(n) = stdin.read(&mut chunk)
                && n > 0
                && sender.send(Bytes::copy_from_slice(&chunk[..n])).is_ok()
            {}
        })
        .context("cannot start a thread")?;
    serve(ReplayServer::new(&recording, options), &chunks, output)?;
    Ok(ExitCode::SUCCESS)
}

fn serve(
    mut server: ReplayServer,
    chunks: &Receiver<Bytes>,
    output: &mut Output<'_>,
) -> Result<(), OutputError> {
    let start = Instant::now();
    let mut decoder = FrameDecoder::new(Limits::default());
    let mut is_open = true;
    loop {
        let wait = server
            .next_timeout()
            .map(|due| due.saturating_sub(start.elapsed()));
        match (is_open, wait) {
            (false, None) => return Ok(()),
            (false, Some(wait)) => std::thread::sleep(wait),
            (true, wait) => match chunks.recv_timeout(wait.unwrap_or(Duration::MAX)) {
                Ok(chunk) => {
                    decoder.feed(&chunk);
                    while let Some(framed) = decoder.poll_frame() {
                        take(&mut server, framed, start.elapsed());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    is_open = false;
                    if let Some(framed) = decoder.finish() {
                        take(&mut server, framed, start.elapsed());
                    }
                }
            },
        }
        server.handle_timeout(start.elapsed());
        while let Some(message) = server.poll_outgoing() {
            let mut line = Vec::with_capacity(message.len() + 1);
            for piece in message.pieces() {
                line.extend_from_slice(piece);
            }
            line.push(b'\n');
            output.write(line)?;
        }
    }
}

fn take(server: &mut ReplayServer, framed: Framed, now: Duration) {
    match framed {
        Framed::Parsed(parsed) => server.handle(parsed, now),
        Framed::Malformed { malformed, .. } => server.handle_malformed(&malformed),
    }
}
