//! Newline-delimited JSON-RPC on standard input and output.
//!
//! A dual-era server hands the pipes to the SDK. A server of one era reads the lines itself,
//! so that its gate sees them before the SDK.

use std::sync::Arc;

use rmcp::{
    RoleServer, ServiceExt,
    service::{RunningService, ServerInitializeError},
    transport::stdio,
};
use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream, duplex, split,
};
use tokio::sync::mpsc;

use crate::{
    era::{Era, Gate},
    handler::Fixture,
    state::Shared,
};

/// Bytes in flight between the gate and the SDK.
const PIPE_BYTES: usize = 64 * 1024;

/// Serves one client until standard input ends.
pub(crate) async fn serve(shared: Arc<Shared>) -> anyhow::Result<()> {
    let era = shared.era;
    let fixture = Fixture::new(shared);
    if era == Era::Dual {
        return finished(fixture.serve(stdio()).await).await;
    }
    let (inside, outside) = duplex(PIPE_BYTES);
    let (from_sdk, to_sdk) = split(outside);
    let (lines, printed) = mpsc::channel(64);
    let printer = tokio::spawn(print(printed));
    let reader = tokio::spawn(read(era, to_sdk, lines.clone()));
    let relay = tokio::spawn(relay(from_sdk, lines));
    finished(fixture.serve(split(inside)).await).await?;
    reader.abort();
    relay.await??;
    printer.await??;
    Ok(())
}

/// Waits until the client is gone. One that left before it chose an era is no error: clients
/// ask `server/discover` on a process they then throw away.
async fn finished(
    started: Result<RunningService<RoleServer, Fixture>, ServerInitializeError>,
) -> anyhow::Result<()> {
    match started {
        Ok(running) => {
            running.waiting().await?;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes lines from standard input through the gate to the SDK.
async fn read(
    era: Era,
    mut to_sdk: tokio::io::WriteHalf<DuplexStream>,
    answers: mpsc::Sender<String>,
) -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        // What is no JSON is for the SDK to refuse.
        let gate = serde_json::from_str::<Value>(&line)
            .map_or(Gate::Pass, |message| era.gate(&message, None));
        let line = match gate {
            Gate::Pass => line,
            Gate::Rewrite(message) => message.to_string(),
            Gate::Answer(answer, _) => {
                answers.send(answer.to_string()).await?;
                continue;
            }
        };
        to_sdk.write_all(format!("{line}\n").as_bytes()).await?;
    }
    to_sdk.shutdown().await?;
    Ok(())
}

/// Takes the SDK's lines to standard output.
async fn relay(
    from_sdk: impl AsyncRead + Unpin,
    lines: mpsc::Sender<String>,
) -> anyhow::Result<()> {
    let mut from_sdk = BufReader::new(from_sdk).lines();
    while let Some(line) = from_sdk.next_line().await? {
        lines.send(line).await?;
    }
    Ok(())
}

/// The one writer of standard output, so that lines never mix.
async fn print(mut lines: mpsc::Receiver<String>) -> anyhow::Result<()> {
    let mut stdout = tokio::io::stdout();
    while let Some(line) = lines.recv().await {
        stdout.write_all(format!("{line}\n").as_bytes()).await?;
        stdout.flush().await?;
    }
    Ok(())
}
