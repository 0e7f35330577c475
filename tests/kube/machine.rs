//! `deploy/` for one machine: the systemd unit, and the entries of clients for a server of one's own and for
//! the listener that the unit starts.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::deploy::{deploy, text};
use crate::kit::{ScriptedServer, processes, until};
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{PROXY, peer, peer_runner};

const LIMIT: Duration = Duration::from_secs(60);
const UNIT: &str = "systemd/mcp-whittle.service";

fn unit() -> String {
    std::fs::read_to_string(deploy().join(UNIT)).expect("the unit")
}

#[test]
fn systemd_takes_the_unit() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mcp-whittle.service");
    let verify = |unit: &str| {
        std::fs::write(&file, unit).expect("it is written");
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&file)
            .output()
            .expect("systemd-analyze runs\nhint: install Debian's package systemd")
    };
    // It looks for the program, which is not installed here.
    let unit = unit().replace("/usr/local/bin/mcp-whittle", PROXY);
    let output = verify(&unit);
    assert!(
        output.status.success() && text(&output).is_empty(),
        "{}",
        text(&output)
    );
    // The control: a misspelt member is told.
    let output = verify(&unit.replace("ProtectHome=", "ProtectHomes="));
    assert!(text(&output).contains("ProtectHomes"), "{}", text(&output));
    // 0 is the least that a service is exposed, 10 the most.
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=40", "--no-pager"])
        .arg(&file)
        .output()
        .expect("systemd-analyze runs");
    assert!(output.status.success(), "{}", text(&output));
}

/// The unit's command as a process: its program, file, port and folder are this test's.
struct Service {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start(server: &ScriptedServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mcp-whittle.toml");
        let entry = crate::kit::start::server_entry("files", &server.command());
        std::fs::write(&file, entry).expect("it is written");
        let unit = unit();
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        let mut words = line.expect("a command").split(' ');
        assert_eq!(words.next(), Some("/usr/local/bin/mcp-whittle"));
        let words = words.map(|word| match word {
            "/etc/mcp-whittle/mcp-whittle.toml" => file.display().to_string(),
            "/var/lib/mcp-whittle" => folder.path().join("state").display().to_string(),
            "127.0.0.1:8931" => "127.0.0.1:0".to_owned(),
            word => word.to_owned(),
        });
        let mut child = Command::new(PROXY)
            .args(words)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = std::io::BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on http://")?;
            Some(rest.split(['/', ' ']).next()?.to_owned())
        });
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            address: address.expect("it listens"),
            _folder: folder,
        }
    }

    fn process(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are small")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client's file says: a command with its arguments, and a URL.
fn entries(file: &str) -> (Vec<String>, String) {
    let path = deploy().join("clients").join(file);
    let text = std::fs::read_to_string(path).expect("a file");
    let whole: Value = if Path::new(file)
        .extension()
        .is_some_and(|kind| kind == "toml")
    {
        toml::from_str(&text).expect("TOML")
    } else {
        serde_json::from_str(&text).expect("JSON")
    };
    let servers = ["mcpServers", "servers", "mcp_servers"]
        .iter()
        .find_map(|name| whole.get(*name))
        .expect("servers");
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let own = &servers["files"];
    let mut command = vec![word(&own["command"])];
    command.extend(own["args"].as_array().expect("arguments").iter().map(word));
    (command, word(&servers["shared"]["url"]))
}

#[test]
fn client_files_do_what_they_say() {
    let proof = proof("kube::machine::client_files_do_what_they_say");
    let server = ScriptedServer::new("");
    let mut service = Service::start(&server);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a-file"), "hello").expect("it is written");
    let runner: PathBuf = peer_runner();
    for (file, profile) in [
        ("claude-code.json", "claude-code"),
        ("vscode.json", "vscode"),
        ("cursor.json", "cursor"),
        ("codex.toml", "codex"),
    ] {
        let (command, url) = entries(file);
        // A server of one's own. `npx` would fetch what is installed here.
        let (ours, theirs) = command.split_at(4);
        assert_eq!(ours, ["mcp-whittle", "--profile", profile, "--"]);
        assert_eq!(
            theirs[..3],
            ["npx", "-y", "@modelcontextprotocol/server-filesystem"]
        );
        assert!(
            [".", "${workspaceFolder}"].contains(&theirs[3].as_str()),
            "{file}"
        );
        let mut client = peer("client-ts1");
        let call =
            r#"{"call":{"name":"list_directory","arguments":{"path":"."},"expect":"a-file"}}"#;
        client
            .args(["--era", "legacy", "--steps", "list,call", "--names", call])
            .args(["--stdio", "--", PROXY, "--no-state"])
            .args(&ours[1..])
            .arg(&runner)
            .args(["server-filesystem", "."])
            .current_dir(folder.path());
        let ended = run(&mut client, LIMIT);
        assert_eq!(ended.code, Some(0), "{file}: {ended:?}");
        // The listener of the unit, at the path of the profile.
        assert_eq!(
            url,
            format!("http://127.0.0.1:8931/mcp/{profile}"),
            "{file}"
        );
        let url = url.replace("127.0.0.1:8931", &service.address);
        let call = r#"{"call":{"name":"files__echo","arguments":{"message":"hello"}}}"#;
        let mut client = peer("client-ts1");
        client.args([
            "--era",
            "legacy",
            "--steps",
            "list,call",
            "--names",
            call,
            "--url",
            &url,
        ]);
        let ended = run(&mut client, LIMIT);
        assert_eq!(ended.code, Some(0), "{file}: {ended:?}");
        proof.ran("ts-sdk-v1", 2);
        proof.ran("server-filesystem", 1);
    }
    // `systemctl reload` and `stop`.
    processes::signal(service.process(), Signal::HUP);
    processes::signal(service.process(), Signal::TERM);
    let status = until("its end", || service.child.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(0));
    server.assert_gone();
    proof.close();
}
