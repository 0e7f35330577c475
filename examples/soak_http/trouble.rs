//! Faults, chosen by the seed: what a server does wrong with one call, what a client does wrong with one
//! request, and what ends as a whole. Each request that still has a client is answered all the same.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The server's answer is no JSON.
    Garbage,
    /// The server's answer is a web page.
    Page,
    /// The server's answer is empty.
    Empty,
    /// The server's connection ends inside the answer.
    Cut,
    /// The server answers 500.
    Status,
    /// The server takes up to a second.
    Late,
    /// The client closes its connection while it waits.
    Gone,
    /// The client closes its sending half, and reads.
    HalfClosed,
    /// The client reads its answer byte by byte.
    SlowReader,
    /// The client's request is no JSON.
    Nonsense,
    /// The client leaves inside its request's head.
    TornHead,
    /// The client leaves inside its request's body.
    TornBody,
    /// An HTTP server drops all its connections and forgets its sessions.
    ServerKilled,
    /// The process of a server on pipes is killed.
    ChildKilled,
}

impl Fault {
    /// Those of single calls.
    pub(crate) const OF_CALLS: [Self; 12] = [
        Self::Garbage,
        Self::Page,
        Self::Empty,
        Self::Cut,
        Self::Status,
        Self::Late,
        Self::Gone,
        Self::HalfClosed,
        Self::SlowReader,
        Self::Nonsense,
        Self::TornHead,
        Self::TornBody,
    ];

    /// What a server reads in the arguments of a call; none where the client does it.
    pub(crate) fn order(self) -> Option<&'static str> {
        Some(match self {
            Self::Garbage => "garbage",
            Self::Page => "page",
            Self::Empty => "empty",
            Self::Cut => "cut",
            Self::Status => "status",
            Self::Late => "late",
            _ => return None,
        })
    }

    /// Draws one for a call.
    pub(crate) fn draw(random: &mut StdRng) -> Self {
        Self::OF_CALLS[random.random_range(0..Self::OF_CALLS.len())]
    }
}

/// How often each fault was made, and how many of the requests concerned were answered.
pub(crate) type Faults = BTreeMap<Fault, Made>;

/// The count of one fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Times it was made.
    pub(crate) times: u64,
    /// Requests that were answered although.
    pub(crate) answered: u64,
}

/// What became of a request whose client behaved badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Became {
    /// The bytes of a response, or of its start.
    Response(Vec<u8>),
    /// The client did not stay to see.
    Unseen,
}

/// Most that one bad client waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does with `request` what a fault of a client's is. `request` is a whole request.
///
/// # Errors
/// When no connection can be made.
pub(crate) async fn misbehave(
    fault: Fault,
    address: SocketAddr,
    request: &[u8],
    random: &mut StdRng,
) -> io::Result<Became> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let head = request
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .map_or(request.len(), |at| at + 4);
    match fault {
        Fault::TornHead => {
            let cut = random.random_range(1..head);
            stream.write_all(&request[..cut]).await?;
            return Ok(Became::Unseen);
        }
        Fault::TornBody => {
            let cut = random.random_range(head..request.len());
            stream.write_all(&request[..cut]).await?;
            return Ok(Became::Unseen);
        }
        _ => stream.write_all(request).await?,
    }
    match fault {
        Fault::Gone => {
            let pause = Duration::from_micros(random.random_range(0..3_000));
            tokio::time::sleep(pause).await;
            return Ok(Became::Unseen);
        }
        Fault::HalfClosed => stream.shutdown().await?,
        _ => {}
    }
    let mut response = Vec::new();
    let reading = async {
        let mut byte = [0; 64];
        let each = if fault == Fault::SlowReader { 8 } else { 64 };
        loop {
            let size = stream.read(&mut byte[..each]).await.unwrap_or_default();
            response.extend_from_slice(&byte[..size]);
            if size == 0 || is_whole(&response) {
                return;
            }
            if fault == Fault::SlowReader {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, reading).await;
    Ok(Became::Response(response))
}

/// Whether a response with a length is there to its end.
fn is_whole(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok()).flatten()
    });
    length.is_some_and(|length: usize| body.len() >= length)
}

/// The body of a response that is there to its end.
pub(crate) fn body_of(response: &[u8]) -> Option<serde_json::Value> {
    if !is_whole(response) {
        return None;
    }
    let text = std::str::from_utf8(response).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

/// Kills the processes that a process has started, as far as they answer to `name`; the count.
pub(crate) fn kill_children(process: u32, name: &str) -> usize {
    let children = std::fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .collect::<Vec<_>>()
        .join(" ");
    let mut killed = 0;
    for child in children.split_ascii_whitespace() {
        let Ok(number) = child.parse::<i32>() else {
            continue;
        };
        let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        let is_it = String::from_utf8_lossy(program).contains(name);
        if let Some(child) = rustix::process::Pid::from_raw(number).filter(|_| is_it)
            && rustix::process::kill_process(child, rustix::process::Signal::KILL).is_ok()
        {
            killed += 1;
        }
    }
    killed
}
