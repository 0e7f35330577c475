//! Lists of real servers, and fleets of them with names as a client of several servers sees them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use mcp_whittle::jsonrpc::members;
use mcp_whittle::jsonrpc::text::to_string as json_string;
use mcp_whittle::surface::plan::Part;

/// The prefix separator and the longest name, as configuration has them by default.
const SEPARATOR: &str = "__";
const MAX_NAME: usize = 64;

/// Everything that is measured.
pub(crate) struct Corpus {
    /// Each server alone, names as it sent them.
    pub(crate) servers: Vec<Fleet>,
    /// Servers together, names prefixed.
    pub(crate) fleets: Vec<Fleet>,
}

/// What one client is connected to.
pub(crate) struct Fleet {
    pub(crate) name: String,
    pub(crate) parts: Vec<Part>,
}

impl Fleet {
    pub(crate) fn n_tools(&self) -> usize {
        self.tools().count()
    }

    pub(crate) fn tools(&self) -> impl Iterator<Item = &str> {
        let tools = self.parts.iter().flat_map(|part| &part.tools);
        tools.map(|tool| std::str::from_utf8(tool).unwrap_or_default())
    }
}

impl Corpus {
    /// Reads all servers of a folder, and the fleets of `testdata/fleets`.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut lists: BTreeMap<String, Vec<Bytes>> = BTreeMap::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
            let path = entry?.path();
            let Ok(text) = std::fs::read(path.join("tools.json")) else {
                continue;
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            lists.insert(name.into_owned(), tools_of(&text));
        }
        let fleets = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fleets");
        let fleets = if fleets.is_dir() {
            fleets
        } else {
            Path::new("testdata/fleets").to_owned()
        };
        let mut files: Vec<_> = std::fs::read_dir(&fleets)
            .with_context(|| format!("{}", fleets.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "tsv"))
            .collect();
        files.sort_by_cached_key(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let size = name.split('-').next().and_then(|n| n.parse::<u32>().ok());
            (size, name.into_owned())
        });
        let mut read = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            let mut parts = Vec::new();
            for server in text
                .lines()
                .skip(1)
                .filter_map(|line| line.split('\t').next())
            {
                let tools = lists
                    .get(server)
                    .with_context(|| format!("{}: no list of `{server}`", file.display()))?;
                parts.push(Part {
                    server: server.to_owned(),
                    tools: tools.iter().map(|tool| prefixed(server, tool)).collect(),
                });
            }
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            read.push(Fleet {
                name: name.into_owned(),
                parts,
            });
        }
        let servers: Vec<Fleet> = lists
            .into_iter()
            .filter(|(_, tools)| !tools.is_empty())
            .map(|(server, tools)| Fleet {
                name: server.clone(),
                parts: vec![Part { server, tools }],
            })
            .collect();
        ensure!(!servers.is_empty(), "no lists in {}", folder.display());
        Ok(Self {
            servers,
            fleets: read,
        })
    }

    /// Fleets, then servers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Fleet> {
        self.fleets.iter().chain(&self.servers)
    }
}

/// The tools of responses, one on each line.
fn tools_of(text: &[u8]) -> Vec<Bytes> {
    let mut tools = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let list = members::get(line, "result").and_then(|result| members::get(result, "tools"));
        let Some(list) = list else { continue };
        tools.extend(
            members::elements(list)
                .into_iter()
                .map(|at| Bytes::copy_from_slice(&list[at])),
        );
    }
    tools
}

/// The tool under the name that clients of several servers see.
fn prefixed(server: &str, tool: &Bytes) -> Bytes {
    let (Some(at), Some(name)) = (
        members::member(tool, "name"),
        members::get_text(tool, "name"),
    ) else {
        return tool.clone();
    };
    let mut name = format!("{server}{SEPARATOR}{name}");
    if name.chars().count() > MAX_NAME {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        let kept: String = name.chars().take(MAX_NAME - 9).collect();
        name = format!("{kept}_{}", &hash[..8]);
    }
    let mut renamed = tool[..at.start].to_vec();
    renamed.extend_from_slice(json_string(&name).as_bytes());
    renamed.extend_from_slice(&tool[at.end..]);
    renamed.into()
}
