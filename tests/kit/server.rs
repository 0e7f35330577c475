//! A server that plays a script (`examples/scripted_server`), and what it left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::oracle::assert_no_repeats;
use super::{processes, until};

/// A script in a folder of its own; every process of it runs from there.
#[derive(Debug)]
pub(crate) struct ScriptedServer {
    directory: TempDir,
}

impl ScriptedServer {
    /// Writes the script. See `examples/scripted_server/script.rs` for its lines.
    pub(crate) fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a folder for the script");
        std::fs::write(directory.path().join("script"), script).expect("the script is written");
        Self { directory }
    }

    /// Replaces the script; lives that start from now on play it.
    pub(crate) fn rewrite(&self, script: &str) {
        std::fs::write(self.directory.path().join("script"), script)
            .expect("the script is written");
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Vec<String> {
        vec![
            program().display().to_string(),
            self.path().display().to_string(),
        ]
    }

    /// The same command behind two shells that stay, as behind `npx`.
    pub(crate) fn command_behind_shells(&self) -> Vec<String> {
        let inner = self.command().join("' '");
        let script = format!("sh -c \"'{inner}'; true\"; true");
        ["sh", "-c", &script].map(str::to_owned).to_vec()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lets steps `wait NAME` go on.
    pub(crate) fn open(&self, gate: &str) {
        std::fs::write(self.path().join(gate), "").expect("the gate is opened");
    }

    /// Waits for a step `signal NAME`.
    #[track_caller]
    pub(crate) fn wait_signal(&self, name: &str) {
        until(&format!("signal {name} of the server"), || {
            self.path().join(name).exists().then_some(())
        });
    }

    /// Every line it received: the number of the life, and the line.
    pub(crate) fn received(&self) -> Vec<(usize, String)> {
        self.lines("received")
            .iter()
            .filter_map(|line| {
                let (life, line) = line.split_once('\t')?;
                Some((life.parse().ok()?, line.to_owned()))
            })
            .collect()
    }

    /// The messages with a method that it received, in any life.
    pub(crate) fn received_of(&self, method: &str) -> Vec<Value> {
        self.received()
            .iter()
            .filter_map(|(_, line)| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["method"] == method)
            .collect()
    }

    /// Waits until it received so many messages with a method.
    #[track_caller]
    pub(crate) fn wait_received(&self, method: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} × {method} at the server"), || {
            let found = self.received_of(method);
            (found.len() >= count).then_some(found)
        })
    }

    /// Process ids of its lives.
    pub(crate) fn starts(&self) -> Vec<i32> {
        self.numbers("starts")
    }

    /// Process ids of its grandchildren.
    pub(crate) fn children(&self) -> Vec<i32> {
        self.numbers("children")
    }

    /// Waits for its life number `count` and returns its process id.
    #[track_caller]
    pub(crate) fn wait_start(&self, count: usize) -> i32 {
        until(&format!("start {count} of the server"), || {
            self.starts().get(count - 1).copied()
        })
    }

    /// The `mark` arguments of the calls that ran, in order.
    pub(crate) fn marks(&self) -> Vec<String> {
        self.lines("marks")
    }

    /// Processes of it and its grandchildren that are still there.
    pub(crate) fn survivors(&self) -> Vec<i32> {
        processes::running("scripted_server", &self.path().display().to_string())
    }

    /// Checks that none of its processes is there.
    #[track_caller]
    pub(crate) fn assert_gone(&self) {
        let survivors = self.survivors();
        assert!(survivors.is_empty(), "still there: {survivors:?}");
    }

    fn numbers(&self, name: &str) -> Vec<i32> {
        self.lines(name)
            .iter()
            .filter_map(|line| line.parse().ok())
            .collect()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let bytes = std::fs::read(self.path().join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        // A line that is still being written is none yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        for process in self.survivors() {
            processes::kill(process);
        }
        if !std::thread::panicking() {
            assert_no_repeats(&self.marks());
        }
    }
}

/// Returns the built example. `cargo test` builds examples; a single `cargo test --test it` does not, so
/// what is missing or older than its source is built here.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("the test has a path");
        let profile = test
            .parent()
            .and_then(Path::parent)
            .expect("the test runs from target/PROFILE/deps");
        let program = profile.join("examples/scripted_server");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scripted_server");
        if is_older(&program, &source) {
            build();
        }
        assert!(
            program.exists(),
            "{} is missing: cargo build --example scripted_server",
            program.display()
        );
        program
    })
}

fn is_older(program: &Path, source: &Path) -> bool {
    let modified = |path: &Path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let newest = std::fs::read_dir(source)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| modified(&file.path()))
        .max();
    modified(program) < newest
}

fn build() {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "scripted_server"])
        // The same features as this test: another set would build the library again.
        .args(if cfg!(feature = "otel") {
            &["--features", "otel"][..]
        } else {
            &[]
        })
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the scripted server does not build"
    );
}
