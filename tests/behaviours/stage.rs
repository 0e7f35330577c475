//! Where a check plays: before the bare server, through the proxy, or through a relay that is broken
//! on purpose.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use super::broken::{Fault, Relay};
use super::client::Client;

/// A message that did not come within this time never comes.
const GUARD: Duration = Duration::from_secs(30);
/// The same where the check has to fail, so that waiting in vain is what is expected.
const GUARD_IN_VAIN: Duration = Duration::from_secs(1);

/// What stands between the client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing.
    Bare,
    /// The proxy as it is by default, with reduction.
    Lean,
    /// The proxy with every tool hidden behind its own.
    Hidden,
    /// The proxy that makes results smaller too: a low cap, repeats said shortly, a cache.
    Shaped,
    /// The proxy with a policy that would refuse every call, in audit mode.
    Audited,
    /// The proxy with a policy in force that decides every call and lets it pass.
    Enforced,
    /// The proxy told to change nothing.
    Transparent,
    /// A relay with a fault.
    Broken(Fault),
}

/// One row's set-up for one way. Clients opened on it talk to servers of their own.
pub(crate) struct Stage {
    pub(crate) way: Way,
    /// Whether the check is known to fail.
    pub(crate) is_vain: bool,
    server: Vec<String>,
    transcripts: Rc<RefCell<Vec<String>>>,
    folders: RefCell<Vec<TempDir>>,
}

impl Stage {
    /// `server` is a command line whose first word names an example.
    pub(crate) fn new(way: Way, server: &str) -> Self {
        Self {
            way,
            is_vain: false,
            server: server.split_whitespace().map(str::to_owned).collect(),
            transcripts: Rc::default(),
            folders: RefCell::default(),
        }
    }

    /// Everything that clients of this stage got, without what differs between runs by nature.
    pub(crate) fn transcript(&self) -> Vec<String> {
        self.transcripts.borrow().clone()
    }

    /// Opens a client that has said nothing yet.
    pub(crate) fn connect(&self) -> Result<Client, String> {
        let program = example(&self.server[0]);
        let mut command = match self.way {
            Way::Bare | Way::Broken(_) => Command::new(program),
            Way::Lean
            | Way::Hidden
            | Way::Shaped
            | Way::Audited
            | Way::Enforced
            | Way::Transparent => {
                let folder = TempDir::new().map_err(|error| error.to_string())?;
                let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"));
                command.arg("--state-dir").arg(folder.path());
                command.args(["--log-level", "warn"]);
                if self.way == Way::Transparent {
                    command.arg("--transparent");
                }
                if self.way == Way::Hidden {
                    command.args(["--pin", "*=hidden"]);
                }
                let policy = match self.way {
                    Way::Audited => Some("audited"),
                    Way::Enforced => Some("enforced"),
                    _ => None,
                };
                if let Some(policy) = policy {
                    let root = env!("CARGO_MANIFEST_DIR");
                    command.arg("--config");
                    command.arg(format!("{root}/tests/conformance/{policy}.toml"));
                    command.env("MCP_WHITTLE_AUDIT_FILE", folder.path().join("audit"));
                }
                if self.way == Way::Shaped {
                    command.args(["--result-cap", "400"]);
                    command.env("MCP_WHITTLE_RESULTS_REPEATS", "true");
                    for tool in ["full", "content", "fail", "refuse"] {
                        command.args(["--cache-tools", &format!("{tool}=1h")]);
                    }
                }
                command.arg("--").arg(program);
                self.folders.borrow_mut().push(folder);
                command
            }
        };
        command.args(&self.server[1..]);
        let relay = match self.way {
            Way::Broken(fault) => Some(Relay::new(fault)),
            _ => None,
        };
        let guard = if self.is_vain { GUARD_IN_VAIN } else { GUARD };
        Client::spawn(command, relay, guard, Rc::clone(&self.transcripts))
    }

    /// Opens a client of 2025-11-25 that has shaken hands.
    pub(crate) fn legacy(&self) -> Result<Client, String> {
        let mut client = self.connect()?;
        client.initialize("2025-11-25")?;
        Ok(client)
    }

    /// Opens a client of 2026-07-28.
    pub(crate) fn modern(&self) -> Result<Client, String> {
        let mut client = self.connect()?;
        client.is_modern = true;
        Ok(client)
    }
}

/// Returns an example's program, which lies beside the folder of the test's own.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running test has a path");
    let folder = own.parent().and_then(Path::parent);
    let program = folder
        .expect("test programs lie in target/<profile>/deps")
        .join("examples")
        .join(name);
    assert!(
        program.is_file(),
        "{} is missing\nhint: cargo build --examples",
        program.display()
    );
    program
}
