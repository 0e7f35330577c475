//! The floor that the proxy is measured against: a relay that copies bytes and understands none.
//!
//! `byte_relay -- COMMAND [ARGS]…` copies between its own pipes and the command's with one thread for
//! each direction. `byte_relay --listen ADDR --connect ADDR` does the same between TCP connections and
//! prints the address it listens on. Only the standard library.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

/// Bytes copied at once: what a pipe holds.
const CHUNK: usize = 64 << 10;

fn main() -> io::Result<()> {
    run(std::env::args().skip(1).collect())
}

/// Relays until both directions have ended.
///
/// # Errors
/// When the arguments make no sense, or the command or the address cannot be had.
pub(crate) fn run(arguments: Vec<String>) -> io::Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--", command, rest @ ..] => relay_pipes(command, rest),
        ["--listen", listen, "--connect", connect] => relay_tcp(listen, connect),
        _ => Err(io::Error::other(
            "usage: byte_relay -- COMMAND [ARGS]... | byte_relay --listen ADDR --connect ADDR",
        )),
    }
}

fn relay_pipes(command: &str, arguments: &[&str]) -> io::Result<()> {
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // Files rather than `io::stdin()`, whose buffer would copy everything once more.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let to = child.stdin.take();
    let from = child.stdout.take();
    std::thread::spawn(move || to.map(|to| copy(input, to)));
    if let Some(from) = from {
        // The other side may be gone first; that is an end as well.
        let _ = copy(from, output);
    }
    child.wait()?;
    Ok(())
}

fn relay_tcp(listen: &str, connect: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    for client in listener.incoming() {
        let client = client?;
        let server = TcpStream::connect(connect)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
            std::thread::spawn(move || {
                let end = to.try_clone();
                let _ = copy(from, to);
                end.and_then(|end| end.shutdown(Shutdown::Write))
            });
        }
    }
    Ok(())
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&chunk[..n])?;
    }
}
