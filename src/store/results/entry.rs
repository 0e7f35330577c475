//! The bytes of one stored result: a line that says what it is, then what was kept, as it is or sealed.
//!
//! The line is JSON and holds nothing that a model or a server said. What server and tool it came from is
//! in front of the content, so that it is sealed with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::result::handle::Handle;
use crate::result::options::View;

use super::seal::Seal;
use super::{Meta, Stored};

/// Format of a file; another one is a miss.
const FORMAT: u32 = 1;
/// Bytes of the line, at most.
const LINE_BYTES: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: u32,
    /// Keyed hash of the principal.
    principal: String,
    /// Seconds since 1970.
    created: u64,
    /// Seconds; it is given out no longer.
    ttl: u64,
    /// Which bytes the sealing was started with, hex; none where it is not sealed.
    nonce: Option<String>,
    /// Keyed hash of the handle, of what is above and of what follows.
    check: String,
}

/// What goes before the content.
#[derive(Serialize, Deserialize)]
struct Origin {
    server: String,
    tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arguments: Option<String>,
    #[serde(default)]
    view: View,
}

/// What is known of an entry without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// It may be given out.
    Alive,
    /// Its time is over, or it was written by something else.
    Over,
}

/// Who may read, and with what.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) secret: &'a [u8; 32],
    pub(super) seal: Option<&'a Seal>,
}

/// Why a file is not given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// It is no use to anybody any more.
    Rubbish,
    /// It is somebody else's.
    Foreign,
}

impl Keys<'_> {
    /// Hashes a principal, so that files do not tell whose they are.
    pub(super) fn principal(&self, principal: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(self.secret);
        hasher.update(b"mcp-whittle result principal 1");
        hasher.update(principal.as_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }

    fn check(&self, handle: &Handle, line: &Line, body: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(self.secret);
        hasher.update(b"mcp-whittle result file 1");
        hasher.update(handle.as_bytes());
        hasher.update(&line.associated());
        hasher.update(body);
        hasher.finalize().to_hex().to_string()
    }

    /// Writes an entry.
    pub(super) fn encode(
        &self,
        handle: &Handle,
        principal: &str,
        content: &[u8],
        meta: &Meta,
        (now, ttl): (SystemTime, Duration),
    ) -> Option<Vec<u8>> {
        let origin = serde_json::to_vec(&Origin {
            server: meta.server.clone(),
            tool: meta.tool.clone(),
            arguments: meta.arguments.clone(),
            view: meta.view,
        })
        .ok()?;
        let mut body = Vec::with_capacity(origin.len() + 1 + content.len() + LINE_BYTES);
        body.extend_from_slice(&origin);
        body.push(b'\n');
        body.extend_from_slice(content);
        let mut line = Line {
            format: FORMAT,
            principal: self.principal(principal),
            created: seconds(now),
            ttl: ttl.as_secs(),
            nonce: None,
            check: String::new(),
        };
        if let Some(seal) = self.seal {
            let nonce = Seal::nonce();
            line.nonce = Some(hex(&nonce));
            seal.close(handle, nonce, &line.associated(), &mut body)?;
        }
        line.check = self.check(handle, &line, &body);
        let mut out = serde_json::to_vec(&line).ok()?;
        out.push(b'\n');
        out.extend_from_slice(&body);
        Some(out)
    }

    /// Reads an entry.
    pub(super) fn decode(
        &self,
        handle: &Handle,
        principal: &str,
        file: &[u8],
        now: SystemTime,
    ) -> Result<Stored, Miss> {
        let (line, at) = read_line(file).ok_or(Miss::Rubbish)?;
        if line.format != FORMAT || age(&line, now) == Age::Over {
            return Err(Miss::Rubbish);
        }
        let body = &file[at..];
        if line.check != self.check(handle, &line, body) {
            return Err(Miss::Rubbish);
        }
        if line.principal != self.principal(principal) {
            return Err(Miss::Foreign);
        }
        let body = match (&line.nonce, self.seal) {
            (None, None) => Bytes::copy_from_slice(body),
            (Some(nonce), Some(seal)) => {
                let nonce = unhex(nonce).ok_or(Miss::Rubbish)?;
                let opened = seal.open(handle, nonce, &line.associated(), body);
                opened.ok_or(Miss::Rubbish)?
            }
            // Kept before a key was given, or with a key that this process does not have.
            (None, Some(_)) | (Some(_), None) => return Err(Miss::Foreign),
        };
        let end = memchr::memchr(b'\n', &body).ok_or(Miss::Rubbish)?;
        let origin: Origin = serde_json::from_slice(&body[..end]).map_err(|_| Miss::Rubbish)?;
        let content = body.slice(end + 1..);
        // The name is made of what it names: the last word on whether these are the bytes. Older
        // entries have the name of texts whatever their view.
        let is_name = |view| Handle::of_view(self.secret, principal, &content, view) == *handle;
        if !is_name(origin.view) && !is_name(View::Text) {
            return Err(Miss::Rubbish);
        }
        Ok(Stored {
            content,
            meta: Meta {
                server: origin.server,
                tool: origin.tool,
                arguments: origin.arguments,
                view: origin.view,
            },
            created: UNIX_EPOCH + Duration::from_secs(line.created),
        })
    }
}

impl Line {
    /// What is bound to the content besides the handle.
    fn associated(&self) -> Vec<u8> {
        format!(
            "{} {} {} {} {}",
            self.format,
            self.principal,
            self.created,
            self.ttl,
            self.nonce.as_deref().unwrap_or("-")
        )
        .into_bytes()
    }
}

/// Tells from the beginning of a file whether it may still be given out.
pub(super) fn age_of(beginning: &[u8], now: SystemTime) -> Age {
    match read_line(beginning) {
        Some((line, _)) if line.format == FORMAT => age(&line, now),
        _ => Age::Over,
    }
}

/// Bytes of a file from which [`age_of`] can tell.
pub(super) const BEGINNING: usize = LINE_BYTES;

fn age(line: &Line, now: SystemTime) -> Age {
    // A clock that was set back makes things live longer; one that was set forward, shorter.
    if seconds(now).saturating_sub(line.created) < line.ttl {
        Age::Alive
    } else {
        Age::Over
    }
}

fn read_line(file: &[u8]) -> Option<(Line, usize)> {
    let end = memchr::memchr(b'\n', &file[..file.len().min(LINE_BYTES)])?;
    Some((serde_json::from_slice(&file[..end]).ok()?, end + 1))
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |out, byte| format!("{out}{byte:02x}"))
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(out)
}
