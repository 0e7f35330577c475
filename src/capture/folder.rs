//! The folder of a recording: its format, writing it whole, reading it with bounds. The only part of
//! `capture` that touches files.
//!
//! | file | content |
//! |---|---|
//! | `capture.json` | format version, date, tool, command, server, counts ([`Meta`]) |
//! | `handshake.json` | the response to `initialize` or `server/discover` |
//! | `tools.json`, `prompts.json`, `resources.json`, `resource_templates.json` | the responses to the list, one line for each page |
//! | `calls.jsonl` | one exchange a line, see below |
//! | `SOURCE.md` | for people: origin and licence. Never written, kept when a folder is written again |
//!
//! Responses are whole JSON-RPC messages as they came, on one line each, so that captures of two
//! versions of a server can be compared with any diff. A line of `calls.jsonl` is
//!
//! ```json
//! {"method":"tools/call","params":{…},"era":"legacy","messages":[{"from":"server","message":{…}}],"response":{…}}
//! ```
//!
//! with notifications, the server's requests and the client's answers in `messages`, in order.
//! `params` and `response` may be missing; a `method` that is a client's notification holds what the
//! server sent because of it.
//!
//! Only one of the files has to be there to read a folder; `initialize.json` is read where there is
//! no `handshake.json`, and a list may stand as a bare result.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::capture::recording::{Exchange, FORMAT, Meta, Recording, RecordingError, Side, Step};
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;

/// The file that makes a folder a capture.
pub const META_FILE: &str = "capture.json";
/// The response to the handshake.
pub const HANDSHAKE_FILE: &str = "handshake.json";
/// Its name in older captures.
const OLD_HANDSHAKE_FILE: &str = "initialize.json";
/// The exchanges.
pub const CALLS_FILE: &str = "calls.jsonl";
/// Where a recording comes from and its licence, written by people.
pub const SOURCE_FILE: &str = "SOURCE.md";

/// Bytes of one file, at most.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Pages of one list, at most.
const MAX_PAGES: usize = 10_000;
/// Exchanges of one recording, at most.
const MAX_EXCHANGES: usize = 100_000;
/// Messages inside one exchange, at most.
const MAX_MESSAGES: usize = 100_000;

/// Returns the file of a list.
pub fn list_file(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools => "tools.json",
        ListKind::Prompts => "prompts.json",
        ListKind::Resources => "resources.json",
        ListKind::Templates => "resource_templates.json",
    }
}

/// Why a folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {error}{}", path.display(), hint_on_reading(error.kind()))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why. Part of the message, as the hint comes last.
        error: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no file of a capture.
    #[error("{} holds no capture\nhint: it needs at least one of handshake.json, tools.json and calls.jsonl; `mcp-whittle capture --out DIR -- COMMAND` writes one", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Something is too large.
    #[error("{}: {what}, and at most {limit} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A file is no JSON, or not the JSON that belongs there.
    #[error("{}:{line}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The format is newer than this program.
    #[error("{}: format {format} is newer than this program, which reads up to {FORMAT}\nhint: update mcp-whittle", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format's version.
        format: u32,
    },
    /// The folder to be written holds something that is no part of a capture.
    #[error("{} holds `{name}`, which is no part of a capture; nothing was written\nhint: choose a new folder for the capture", path.display())]
    NotACapture {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        name: String,
    },
}

/// Returns the line that says what to do about a file or folder that cannot be read, or nothing.
pub fn hint_on_reading(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => {
            "\nhint: check the path; a relative one starts at the current folder"
        }
        io::ErrorKind::NotADirectory => "\nhint: name the folder that `mcp-whittle capture` wrote",
        io::ErrorKind::PermissionDenied => "\nhint: check the permissions",
        _ => "",
    }
}

/// Reads a recording.
///
/// # Errors
/// When nothing is there, or a file cannot be read or is not what belongs there; the message has file
/// and line.
pub fn read_folder(folder: &Path) -> Result<Recording, FolderError> {
    fs::read_dir(folder).map_err(|error| FolderError::Read {
        path: folder.to_owned(),
        error,
    })?;
    let mut recording = Recording::new(Meta::default());
    let mut is_empty = true;
    let path = folder.join(META_FILE);
    if let Some(text) = read_file(&path)? {
        recording.meta = serde_json::from_slice(&text).map_err(|error| at(&path, &error))?;
        if recording.meta.format > FORMAT {
            return Err(FolderError::Newer {
                path,
                format: recording.meta.format,
            });
        }
    }
    for name in [HANDSHAKE_FILE, OLD_HANDSHAKE_FILE] {
        let path = folder.join(name);
        if let Some(text) = read_file(&path)? {
            let first = values(&path, &text, 1, "more than one response")?.pop();
            let (line, raw) = first.ok_or_else(|| FolderError::Content {
                path: path.clone(),
                line: 1,
                problem: "there is no response in it".to_owned(),
            })?;
            recording
                .set_handshake(raw)
                .map_err(|error| invalid(&path, line, &error))?;
            is_empty = false;
            break;
        }
    }
    for kind in ListKind::ALL {
        let path = folder.join(list_file(kind));
        let Some(text) = read_file(&path)? else {
            continue;
        };
        let pages = values(&path, &text, MAX_PAGES, "too many pages")?;
        let lines: Vec<usize> = pages.iter().map(|(line, _)| *line).collect();
        let pages = pages.into_iter().map(|(_, raw)| as_response(raw, kind));
        // One by one, so that an error has its line.
        let mut checked = Vec::new();
        for (page, line) in pages.zip(lines) {
            Recording::default()
                .set_list(kind, [page.clone()])
                .map_err(|error| invalid(&path, line, &error))?;
            checked.push(page);
        }
        recording
            .set_list(kind, checked)
            .map_err(|error| invalid(&path, 1, &error))?;
        is_empty = false;
    }
    let path = folder.join(CALLS_FILE);
    if let Some(text) = read_file(&path)? {
        for (line, raw) in values(&path, &text, MAX_EXCHANGES, "too many exchanges")? {
            let exchange = parse_exchange(&path, line, &raw)?;
            recording
                .add_exchange(exchange)
                .map_err(|error| invalid(&path, line, &error))?;
        }
        is_empty = false;
    }
    if is_empty {
        return Err(FolderError::Empty {
            path: folder.to_owned(),
        });
    }
    Ok(recording)
}

/// Writes a recording so that the folder holds all of it or stays as it was. A capture that is there
/// already is replaced, but its `SOURCE.md` stays.
///
/// # Errors
/// When the folder holds anything that is no part of a capture, or writing fails.
pub fn write_folder(recording: &Recording, folder: &Path) -> Result<(), FolderError> {
    let write_error = |path: &Path, source| FolderError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = &std::path::absolute(folder).map_err(|error| write_error(folder, error))?;
    let is_there = check_replaceable(folder)?;
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|error| write_error(parent, error))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let fresh = parent.join(format!(".{name}.new-{}", std::process::id()));
    let old = parent.join(format!(".{name}.old-{}", std::process::id()));
    let written = (|| {
        fs::create_dir(&fresh).map_err(|error| write_error(&fresh, error))?;
        for (name, content) in files(recording) {
            let path = fresh.join(name);
            let mut file = File::create_new(&path).map_err(|error| write_error(&path, error))?;
            file.write_all(&content)
                .and_then(|()| file.sync_all())
                .map_err(|error| write_error(&path, error))?;
        }
        let source = folder.join(SOURCE_FILE);
        if source.exists() {
            fs::copy(&source, fresh.join(SOURCE_FILE))
                .map_err(|error| write_error(&source, error))?;
        }
        if is_there {
            fs::rename(folder, &old).map_err(|error| write_error(folder, error))?;
        }
        fs::rename(&fresh, folder).map_err(|error| {
            if is_there {
                // Better the old capture than none; if that fails too, it is beside the folder.
                let _ = fs::rename(&old, folder);
            }
            write_error(folder, error)
        })
    })();
    // What is left of a failure or of the old capture is only in the way.
    let _ = fs::remove_dir_all(&fresh);
    if written.is_ok() {
        let _ = fs::remove_dir_all(&old);
    }
    written
}

/// Tells whether the folder is there; refuses one that holds something else than a capture.
fn check_replaceable(folder: &Path) -> Result<bool, FolderError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(FolderError::Write {
                path: folder.to_owned(),
                source,
            });
        }
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let is_capture = names.iter().any(|name| name == META_FILE);
    let known = |name: &str| {
        [META_FILE, HANDSHAKE_FILE, CALLS_FILE, SOURCE_FILE].contains(&name)
            || ListKind::ALL
                .into_iter()
                .any(|kind| list_file(kind) == name)
    };
    match names.into_iter().find(|name| !is_capture || !known(name)) {
        Some(name) => Err(FolderError::NotACapture {
            path: folder.to_owned(),
            name,
        }),
        None => Ok(true),
    }
}

/// Renders the files of a recording, in the order of the table above.
pub fn files(recording: &Recording) -> Vec<(&'static str, Vec<u8>)> {
    let mut meta = recording.meta.clone();
    meta.format = FORMAT;
    meta.counts = recording.counts();
    let mut text = serde_json::to_vec_pretty(&meta).expect("strings and numbers are JSON");
    text.push(b'\n');
    let mut files = vec![(META_FILE, text)];
    let lines = |raws: &[Bytes]| {
        let mut text = Vec::new();
        for raw in raws {
            text.extend_from_slice(raw);
            text.push(b'\n');
        }
        text
    };
    if let Some(raw) = recording.handshake() {
        files.push((HANDSHAKE_FILE, lines(std::slice::from_ref(raw))));
    }
    for kind in ListKind::ALL {
        if !recording.list(kind).is_empty() {
            files.push((list_file(kind), lines(recording.list(kind))));
        }
    }
    if !recording.exchanges().is_empty() {
        let raws: Vec<Bytes> = recording.exchanges().iter().map(render_exchange).collect();
        files.push((CALLS_FILE, lines(&raws)));
    }
    files
}

/// Renders one line of `calls.jsonl`.
pub fn render_exchange(exchange: &Exchange) -> Bytes {
    let mut out = b"{\"method\":".to_vec();
    crate::jsonrpc::text::push_string(&mut out, &exchange.method);
    if let Some(params) = &exchange.params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.extend_from_slice(format!(",\"era\":\"{}\"", exchange.era).as_bytes());
    if !exchange.messages.is_empty() {
        out.extend_from_slice(b",\"messages\":[");
        for (index, step) in exchange.messages.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let from = match step.from {
                Side::Server => "server",
                Side::Client => "client",
            };
            out.extend_from_slice(format!("{{\"from\":\"{from}\",\"message\":").as_bytes());
            out.extend_from_slice(&step.message);
            out.push(b'}');
        }
        out.push(b']');
    }
    if let Some(response) = &exchange.response {
        out.extend_from_slice(b",\"response\":");
        out.extend_from_slice(response);
    }
    out.push(b'}');
    out.into()
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum EraName {
    Legacy,
    Modern,
}

#[derive(Deserialize)]
struct StepLine<'a> {
    from: Side,
    #[serde(borrow)]
    message: &'a RawValue,
}

#[derive(Deserialize)]
struct ExchangeLine<'a> {
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    era: Option<EraName>,
    #[serde(borrow, default)]
    messages: Vec<StepLine<'a>>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

fn parse_exchange(path: &Path, line: usize, raw: &[u8]) -> Result<Exchange, FolderError> {
    let parsed: ExchangeLine<'_> =
        serde_json::from_slice(raw).map_err(|error| FolderError::Content {
            path: path.to_owned(),
            line,
            problem: format!("not an exchange: {error}"),
        })?;
    if parsed.messages.len() > MAX_MESSAGES {
        return Err(FolderError::TooLarge {
            path: path.to_owned(),
            what: "too many messages in one exchange",
            limit: MAX_MESSAGES as u64,
        });
    }
    let own = |raw: &RawValue| Bytes::copy_from_slice(raw.get().as_bytes());
    Ok(Exchange {
        method: parsed.method,
        params: parsed.params.map(own),
        era: match parsed.era {
            Some(EraName::Modern) => Era::Modern,
            Some(EraName::Legacy) | None => Era::Legacy,
        },
        messages: parsed
            .messages
            .into_iter()
            .map(|step| Step {
                from: step.from,
                message: own(step.message),
            })
            .collect(),
        response: parsed.response.map(own),
    })
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    let read_error = |error| FolderError::Read {
        path: path.to_owned(),
        error,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_error(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(read_error)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(FolderError::TooLarge {
            path: path.to_owned(),
            what: "the file has too many bytes",
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(Some(text))
}

/// Cuts a file into its JSON values, each with the line where it starts. They usually stand one a
/// line; one that is spread over lines is read as well.
fn values(
    path: &Path,
    text: &[u8],
    limit: usize,
    what: &'static str,
) -> Result<Vec<(usize, Bytes)>, FolderError> {
    let mut found = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
    let (mut line, mut counted) = (1, 0);
    while let Some(value) = stream.next() {
        let value = value.map_err(|error| at(path, &error))?;
        let end = stream.byte_offset();
        let start = end - value.get().len();
        line += memchr::memchr_iter(b'\n', &text[counted..start]).count();
        counted = start;
        if found.len() == limit {
            return Err(FolderError::TooLarge {
                path: path.to_owned(),
                what,
                limit: limit as u64,
            });
        }
        found.push((line, Bytes::copy_from_slice(value.get().as_bytes())));
    }
    Ok(found)
}

/// Makes a response of a bare list result.
fn as_response(raw: Bytes, kind: ListKind) -> Bytes {
    let is_bare = crate::jsonrpc::members::member(&raw, kind.member()).is_some();
    if !is_bare {
        return raw;
    }
    let mut out = b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":".to_vec();
    out.extend_from_slice(&raw);
    out.push(b'}');
    out.into()
}

fn at(path: &Path, error: &serde_json::Error) -> FolderError {
    FolderError::Content {
        path: path.to_owned(),
        line: error.line().max(1),
        problem: format!("not the JSON expected: {error}"),
    }
}

fn invalid(path: &Path, line: usize, error: &RecordingError) -> FolderError {
    FolderError::Content {
        path: path.to_owned(),
        line,
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
