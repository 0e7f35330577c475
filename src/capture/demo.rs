//! The recordings that the binary carries, so that `demo` runs with nothing else installed: two real
//! servers, one of which answers a call. [`write_to`] unpacks them for `replay`; [`screen`] shows
//! what was measured.

pub mod screen;

use std::fs;
use std::path::{Path, PathBuf};

use crate::capture::folder::FolderError;

/// A recorded server that the binary carries.
#[derive(Debug, Clone, Copy)]
pub struct DemoServer {
    /// Its name, which is also that of its folder.
    pub name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// A call that is in the recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoCall {
    /// The server's name.
    pub server: &'static str,
    /// The tool, as the server names it.
    pub tool: &'static str,
    /// The raw arguments.
    pub arguments: &'static str,
}

macro_rules! recorded {
    ($name:literal: $($file:literal),+) => {
        DemoServer {
            name: $name,
            files: &[$((
                $file,
                include_bytes!(concat!("../../testdata/demo/", $name, "/", $file)),
            )),+],
        }
    };
}

/// The servers. Their origin and licences are in the `SOURCE.md` of each.
pub const SERVERS: [DemoServer; 2] = [
    recorded!("notion": "capture.json", "handshake.json", "tools.json", "SOURCE.md"),
    recorded!(
        "powerpoint": "capture.json",
        "handshake.json",
        "tools.json",
        "prompts.json",
        "resources.json",
        "resource_templates.json",
        "calls.jsonl",
        "SOURCE.md"
    ),
];

/// The call that the demo makes.
pub const CALL: DemoCall = DemoCall {
    server: "powerpoint",
    tool: "list_slide_templates",
    arguments: "{}",
};

/// Unpacks the recordings, each into a folder of its name inside `folder`, and returns these folders
/// in the order of [`SERVERS`]. Files that are there already are overwritten.
///
/// # Errors
/// When writing fails.
pub fn write_to(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut folders = Vec::new();
    for server in SERVERS {
        let own = folder.join(server.name);
        let write = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|source| FolderError::Write {
                path: path.to_owned(),
                source,
            })
        };
        write(&own, fs::create_dir_all(&own))?;
        for (name, content) in server.files {
            let path = own.join(name);
            write(&path, fs::write(&path, content))?;
        }
        folders.push(own);
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{folder, read_folder};
    use crate::jsonrpc::members;
    use crate::mcp::method::{ListKind, TOOLS_CALL};

    #[test]
    fn the_recordings_are_whole_and_in_the_form_that_is_written() {
        let parent = tempfile::tempdir().unwrap();
        let folders = write_to(parent.path()).unwrap();
        for (server, path) in SERVERS.iter().zip(&folders) {
            let recording = read_folder(path).unwrap();
            let written = folder::files(&recording);
            for (name, content) in &written {
                let embedded = server.files.iter().find(|(file, _)| file == name).unwrap();
                assert!(embedded.1 == content, "{}/{name}", server.name);
            }
            // All but SOURCE.md, which people write.
            assert_eq!(written.len() + 1, server.files.len(), "{}", server.name);
            assert!(recording.meta.redacted.is_empty());
        }
    }

    #[test]
    fn the_call_is_of_a_listed_tool_and_recorded() {
        let parent = tempfile::tempdir().unwrap();
        let folders = write_to(parent.path()).unwrap();
        let at = SERVERS
            .iter()
            .position(|server| server.name == CALL.server)
            .unwrap();
        let recording = read_folder(&folders[at]).unwrap();
        let tools = recording.items(ListKind::Tools);
        assert!(tools.iter().any(|tool| {
            members::get_text(tool.as_bytes(), "name").as_deref() == Some(CALL.tool)
        }));
        assert!(recording.exchanges().iter().any(|exchange| {
            let params = exchange.params.as_deref().unwrap_or_default();
            exchange.method == TOOLS_CALL
                && members::get_text(params, "name").as_deref() == Some(CALL.tool)
                && members::get(params, "arguments") == Some(CALL.arguments.as_bytes())
                && exchange.response.is_some()
        }));
    }
}
