//! A client on the pipes of a hop.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use super::message::{INITIALIZE, INITIALIZED, id_of};
use super::process::{Home, Process, Watch};

/// A hop that is spoken to on its pipes.
pub(crate) struct Pipe {
    /// Closed first, so that the process ends by itself.
    input: ChildStdin,
    pub(crate) process: Process,
    output: BufReader<ChildStdout>,
    line: Vec<u8>,
    watch: Watch,
    limit: Duration,
}

impl Pipe {
    /// Starts a command; each of its answers may take up to `limit`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(words: &[String], home: &Home, limit: Duration) -> io::Result<Self> {
        let mut process = Process::start(words, home)?;
        let missing = || io::Error::other("a pipe is missing");
        Ok(Self {
            input: process.child.stdin.take().ok_or_else(missing)?,
            output: BufReader::with_capacity(
                256 << 10,
                process.child.stdout.take().ok_or_else(missing)?,
            ),
            watch: Watch::new(process.id()),
            process,
            line: Vec::new(),
            limit,
        })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// When the hop does not.
    pub(crate) fn shake(&mut self) -> io::Result<()> {
        self.ask(INITIALIZE.as_bytes())?;
        self.send(INITIALIZED.as_bytes())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the hop has gone.
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(message.len() + 1);
        text.extend_from_slice(message);
        text.push(b'\n');
        self.input
            .write_all(&text)
            .map_err(|error| self.reason(&error))
    }

    /// Reads the next answer and its id; what is no answer is passed over.
    ///
    /// # Errors
    /// When the hop has gone, or did not answer in time.
    pub(crate) fn receive(&mut self) -> io::Result<(u64, &[u8])> {
        self.watch.allow(self.limit);
        let id = loop {
            self.line.clear();
            if self.output.read_until(b'\n', &mut self.line)? == 0 {
                return Err(self.reason(&"it closed its output, or gave no answer in time"));
            }
            if let Some(id) = id_of(&self.line) {
                break id;
            }
        };
        self.watch.rest();
        Ok((id, &self.line))
    }

    /// Sends a request and returns its answer.
    ///
    /// # Errors
    /// Those of sending and receiving.
    pub(crate) fn ask(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        self.send(message)?;
        self.receive().map(|(_, answer)| answer)
    }

    /// Gives back the memory of the last answer.
    pub(crate) fn forget(&mut self) {
        self.line = Vec::new();
    }

    fn reason(&self, error: &dyn std::fmt::Display) -> io::Error {
        let words = self.process.last_words();
        let colon = if words.is_empty() { "" } else { "; it said: " };
        io::Error::other(format!("{error}{colon}{words}"))
    }
}
