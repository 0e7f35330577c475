//! What tests with real peers share: where things are, running programs within a limit, and the account
//! of what ran. It knows no protocol; the peers do.

pub(crate) mod account;
pub(crate) mod process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The proxy under test.
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_mcp-whittle");

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An example's binary, which `cargo test` builds beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a running test has a path");
    let profile = tests
        .ancestors()
        .nth(2)
        .expect("cargo puts tests in target/PROFILE/deps");
    let path = profile.join("examples").join(name);
    assert!(
        path.is_file(),
        "there is no {}\nhint: run `cargo build --examples`, or `cargo test` without --test",
        path.display()
    );
    path
}

/// A command that runs an installed peer by its name.
pub(crate) fn peer(name: &str) -> Command {
    let mut command = Command::new(peer_runner());
    command.arg(name);
    command
}

/// An official client in one of the eras that it speaks.
pub(crate) struct Client {
    /// What runs it: see [`driver`].
    pub(crate) driver: &'static str,
    /// Its name in the account.
    pub(crate) peer: &'static str,
    pub(crate) era: &'static str,
}

const fn client(driver: &'static str, peer: &'static str, era: &'static str) -> Client {
    Client { driver, peer, era }
}

/// Every official client in every era that it speaks.
pub(crate) const CLIENTS: [Client; 8] = [
    client("rmcp", "rmcp", "legacy"),
    client("rmcp", "rmcp", "modern"),
    client("client-ts1", "ts-sdk-v1", "legacy"),
    client("client-ts2", "ts-client-v2", "legacy"),
    client("client-ts2", "ts-client-v2", "modern"),
    client("client-py1", "py-sdk-v1", "legacy"),
    client("client-py2", "py-sdk-v2", "legacy"),
    client("client-py2", "py-sdk-v2", "modern"),
];

/// The driver of a client.
pub(crate) fn driver(name: &str) -> Command {
    match name {
        "rmcp" => Command::new(example("rmcp_client")),
        name => peer(name),
    }
}

/// The script that runs peers; as a program of its own for those who start servers.
pub(crate) fn peer_runner() -> PathBuf {
    root().join("tests/peers/run")
}

/// Runs `work` on every item, `width` at a time, and returns the outcomes in the items' order.
pub(crate) fn in_parallel<I: Sync, O: Send>(
    width: usize,
    items: &[I],
    work: impl Fn(&I) -> O + Sync,
) -> Vec<O> {
    let next = Mutex::new(0);
    let outcomes: Mutex<Vec<(usize, O)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..width.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = {
                        let mut next = next.lock().expect("no holder panics");
                        *next += 1;
                        *next - 1
                    };
                    let Some(item) = items.get(index) else {
                        return;
                    };
                    let outcome = work(item);
                    outcomes
                        .lock()
                        .expect("no holder panics")
                        .push((index, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no holder panics");
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
