//! The hops that are measured, and how each is put in front of the server, as its users would: with its own
//! defaults. What a hop offers is what its documentation says; nothing is patched.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::peers::Peers;
use super::process::Home;

/// The proxy as it is shipped.
const PROXY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

/// One way to the server.
pub(crate) struct Hop {
    /// The key of its numbers.
    pub(crate) id: &'static str,
    /// What the report calls it.
    pub(crate) label: &'static str,
    /// The peer it needs, as `benches/peers/install` calls it.
    pub(crate) peer: Option<&'static str>,
    /// What one has to know to read its numbers.
    pub(crate) note: &'static str,
    words: fn(&Place<'_>) -> io::Result<Vec<String>>,
}

/// Where a hop is started.
pub(crate) struct Place<'a> {
    pub(crate) peers: &'a Peers,
    /// A folder of its own.
    pub(crate) home: &'a Home,
    /// The server on pipes, as a command.
    pub(crate) server: Vec<String>,
    /// The address of the server over HTTP, where one runs.
    pub(crate) upstream: &'a str,
    /// The address it shall listen on, over HTTP.
    pub(crate) listen: &'a str,
}

impl Place<'_> {
    fn port(&self) -> &str {
        self.listen.rsplit(':').next().unwrap_or_default()
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.upstream)
    }
}

impl Hop {
    /// Returns the command that starts it.
    ///
    /// # Errors
    /// When a file that it needs cannot be written.
    pub(crate) fn words(&self, place: &Place<'_>) -> io::Result<Vec<String>> {
        (self.words)(place)
    }

    /// Says whether it is ours.
    pub(crate) fn is_ours(&self) -> bool {
        self.id.starts_with("whittle")
    }
}

/// Returns this program in a role.
pub(crate) fn role(name: &str, arguments: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().unwrap_or_default();
    joined(&[&program.display().to_string(), name], arguments)
}

fn joined(first: &[&str], rest: &[&str]) -> Vec<String> {
    first
        .iter()
        .chain(rest)
        .map(|word| (*word).to_owned())
        .collect()
}

/// Puts words in front of the server's command.
fn before(words: &[&str], place: &Place<'_>) -> Vec<String> {
    let mut all = joined(words, &["--"]);
    all.extend(place.server.iter().cloned());
    all
}

fn path(place: &Place<'_>, below: &str) -> String {
    place.peers.folder.join(below).display().to_string()
}

/// A program of this repository that puts a library on the way.
fn script(name: &str) -> String {
    repository().join(name).display().to_string()
}

/// The repository that this was built from.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

const DIRECT: Hop = Hop {
    id: "direct",
    label: "direct",
    peer: None,
    note: "no hop",
    words: |place| Ok(place.server.clone()),
};
const RELAY: Hop = Hop {
    id: "relay",
    label: "byte relay",
    peer: None,
    note: "two threads that copy bytes and understand none: the floor",
    words: |place| Ok(before(&[&role("relay", &[])[0], "relay"], place)),
};
const WHITTLE: Hop = Hop {
    id: "whittle",
    label: "mcp-whittle",
    peer: None,
    note: "as it is by default: long results are made shorter",
    words: |place| Ok(before(&[PROXY], place)),
};
const TRANSPARENT: Hop = Hop {
    id: "whittle-transparent",
    label: "mcp-whittle --transparent",
    peer: None,
    note: "everything passes as it comes",
    words: |place| Ok(before(&[PROXY, "--transparent"], place)),
};

/// The hops that are spoken to on their pipes.
pub(crate) const ON_PIPES: [Hop; 13] = [
    DIRECT,
    RELAY,
    WHITTLE,
    TRANSPARENT,
    Hop {
        id: "mcp-compressor",
        label: "mcp-compressor",
        peer: Some("mcp-compressor"),
        note: "its default level, `medium`; tools are called through its `invoke_tool`",
        words: |place| Ok(before(&[&path(place, "cargo/bin/mcp-compressor")], place)),
    },
    Hop {
        id: "mcp-rtk",
        label: "mcp-rtk",
        peer: Some("mcp-rtk"),
        note: "cuts long results, and what is cut cannot be had",
        words: |place| Ok(before(&[&path(place, "cargo/bin/mcp-rtk")], place)),
    },
    Hop {
        id: "terse-mcp",
        label: "terse-mcp",
        peer: Some("terse-mcp"),
        note: "its default, with differences between calls",
        words: |place| {
            Ok(before(
                &[&path(place, "py-terse-mcp/bin/terse"), "proxy"],
                place,
            ))
        },
    },
    Hop {
        id: "ultra-lean-mcp-proxy",
        label: "ultra-lean-mcp-proxy",
        peer: Some("ultra-lean-mcp-proxy"),
        note: "each call has another argument, so that its cache does not answer",
        words: |place| {
            let program = path(place, "py-ultra-lean-mcp-proxy/bin/ultra-lean-mcp-proxy");
            Ok(before(&[&program, "proxy"], place))
        },
    },
    Hop {
        id: "jmunch-mcp",
        label: "jmunch-mcp",
        peer: Some("jmunch-mcp"),
        note: "results above 2,000 of its tokens become handles",
        words: |place| {
            let file = place.home.0.join("jmunch.json");
            let upstream = json!({"command": place.server[0], "args": &place.server[1..]});
            std::fs::write(&file, json!({"upstream": upstream}).to_string())?;
            let program = path(place, "py-jmunch-mcp/bin/jmunch-mcp");
            Ok(joined(
                &[&program, "--config"],
                &[&file.display().to_string()],
            ))
        },
    },
    Hop {
        id: "lazy-mcp",
        label: "lazy-mcp",
        peer: Some("lazy-mcp"),
        note: "tools are called through its `invoke_command`",
        words: |place| {
            let file = place.home.0.join("lazy-mcp.json");
            let server = json!({"name": "echo", "description": "echo", "command": &place.server});
            std::fs::write(&file, json!({"servers": [server]}).to_string())?;
            let program = path(place, "py-lazy-mcp/bin/lazy-mcp");
            Ok(joined(
                &[&program, "--config"],
                &[&file.display().to_string()],
            ))
        },
    },
    Hop {
        id: "fastmcp",
        label: "FastMCP proxy",
        peer: Some("fastmcp"),
        note: "`create_proxy` without a transform",
        words: |place| {
            let python = path(place, "py-fastmcp/bin/python");
            let script = script("benches/peers/fastmcp_proxy.py");
            Ok(before(&[&python, &script], place))
        },
    },
    Hop {
        id: "mcp-proxy-client",
        label: "mcp-proxy, HTTP server",
        peer: Some("mcp-proxy"),
        note: "a bridge: pipes in front, the server over HTTP",
        words: |place| {
            let program = path(place, "py-mcp-proxy/bin/mcp-proxy");
            let options = ["--transport", "streamablehttp", &place.url()];
            Ok(joined(&[&program], &options))
        },
    },
    Hop {
        id: "headroom",
        label: "headroom, library",
        peer: Some("headroom-ai"),
        note: "no hop of its own: its library in a relay of ours, its lossless mode",
        words: |place| {
            let python = path(place, "py-headroom-ai/bin/python");
            let script = script("testdata/sidebyside/headroom_hop.py");
            let mut words = joined(&[&python, &script, "agent"], &[]);
            words.extend(place.server.iter().cloned());
            Ok(words)
        },
    },
];

/// The server over HTTP, reached directly.
const DIRECT_HTTP: Hop = Hop {
    words: |place| Ok(role("echo", &["--http", place.listen])),
    ..DIRECT
};

const RELAY_HTTP: Hop = Hop {
    words: |place| {
        Ok(role(
            "relay",
            &["--listen", place.listen, "--connect", place.upstream],
        ))
    },
    note: "copies bytes between TCP connections: the floor",
    ..RELAY
};

/// The hops that are spoken to over HTTP and speak HTTP to the server.
pub(crate) const OVER_HTTP: [Hop; 5] = [
    DIRECT_HTTP,
    RELAY_HTTP,
    Hop {
        words: |place| {
            let url = place.url();
            let options = ["--listen", place.listen, "--upstream", &url];
            Ok(joined(&[PROXY], &options))
        },
        ..WHITTLE
    },
    Hop {
        words: |place| {
            let url = place.url();
            let options = [
                "--transparent",
                "--listen",
                place.listen,
                "--upstream",
                &url,
            ];
            Ok(joined(&[PROXY], &options))
        },
        ..TRANSPARENT
    },
    Hop {
        id: "mcp-compressor",
        label: "mcp-compressor",
        peer: Some("mcp-compressor"),
        note: "its default level, `medium`; tools are called through its `invoke_tool`",
        words: |place| {
            let program = path(place, "cargo/bin/mcp-compressor");
            let options = [
                "--transport",
                "streamable-http",
                "--port",
                place.port(),
                "--",
            ];
            // Without this it asks for OAuth first, whatever the server wants.
            let mut words = joined(&[&program], &options);
            words.extend([place.url(), "--auth=explicit-headers".to_owned()]);
            Ok(words)
        },
    },
];

/// The hops that are spoken to over HTTP and start servers on pipes. No relay of bytes can do that: the one between
/// two connections is the floor here too.
pub(crate) const BRIDGES: [Hop; 7] = [
    DIRECT_HTTP,
    RELAY_HTTP,
    Hop {
        words: |place| Ok(before(&[PROXY, "--listen", place.listen], place)),
        ..WHITTLE
    },
    Hop {
        words: |place| {
            let options = [PROXY, "--transparent", "--listen", place.listen];
            Ok(before(&options, place))
        },
        ..TRANSPARENT
    },
    Hop {
        id: "mcp-compressor",
        label: "mcp-compressor",
        peer: Some("mcp-compressor"),
        note: "its default level, `medium`; tools are called through its `invoke_tool`",
        words: |place| {
            let program = path(place, "cargo/bin/mcp-compressor");
            let options = ["--transport", "streamable-http", "--port", place.port()];
            Ok(before(&[&[program.as_str()], &options[..]].concat(), place))
        },
    },
    Hop {
        id: "mcp-proxy",
        label: "mcp-proxy, stdio server",
        peer: Some("mcp-proxy"),
        note: "HTTP in front, one server on pipes",
        words: |place| {
            let program = path(place, "py-mcp-proxy/bin/mcp-proxy");
            let options = [
                &program,
                "--log-level",
                "ERROR",
                "--host",
                "127.0.0.1",
                "--port",
                place.port(),
            ];
            Ok(before(&options, place))
        },
    },
    Hop {
        id: "supergateway",
        label: "supergateway, stdio server",
        peer: Some("supergateway"),
        note: "`--stateful`: HTTP in front, a server on pipes for each session",
        words: |place| {
            let program = path(place, "npm/node_modules/supergateway/dist/index.js");
            let server: Vec<String> = place
                .server
                .iter()
                .map(|word| format!("'{word}'"))
                .collect();
            let options = [
                "--outputTransport",
                "streamableHttp",
                "--stateful",
                "--logLevel",
                "none",
                "--port",
                place.port(),
                "--stdio",
            ];
            let mut words = joined(&["node", &program], &options);
            words.push(server.join(" "));
            Ok(words)
        },
    },
];

/// Further ways to shorten lists, for the tokens alone.
pub(crate) const SHORTER: [Hop; 2] = [
    Hop {
        id: "whittle-budget",
        label: "mcp-whittle --budget 100",
        note: "a budget that no list fits: every tool is hidden, our own find, describe and call it",
        words: |place| Ok(before(&[PROXY, "--budget", "100"], place)),
        ..WHITTLE
    },
    Hop {
        id: "mcp-compressor-max",
        label: "mcp-compressor -c max",
        peer: Some("mcp-compressor"),
        note: "names only",
        words: |place| {
            let program = path(place, "cargo/bin/mcp-compressor");
            Ok(before(&[&program, "-c", "max"], place))
        },
    },
];

/// Returns what a hop takes on disk: a program, or the packages of one, without their interpreter.
pub(crate) fn installed(hop: &Hop, folder: &Path) -> Option<PathBuf> {
    let Some(peer) = hop.peer else {
        return hop.is_ours().then(|| PathBuf::from(PROXY));
    };
    Some(match peer {
        "mcp-compressor" | "mcp-rtk" => folder.join("cargo/bin").join(peer),
        "supergateway" => folder.join("npm/node_modules"),
        python => folder.join(format!("py-{python}")).join("lib"),
    })
}
