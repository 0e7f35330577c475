//! With `--transparent` every message passes byte for byte, both ways, through one proxy and through two:
//! conversations recorded with real servers (`testdata/conversations/`), line by line at both ends; and the
//! same servers live, with what passed at the client's pipes held against what passed at the server's.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::json;

use super::PATIENCE;
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{PROXY, peer, peer_runner};

/// How long what must not come is waited for.
const QUIET: Duration = Duration::from_millis(100);

/// Plays the server of the recording in the folder it is given: takes the client's lines in their places and
/// notes them, says the server's. A hop asks `server/discover` under an id of its own; that is what is answered.
const PLAYER: &str = r#"
exec 3<"$1/recording"
old= new=
while IFS= read -r entry <&3; do
  case $entry in
  '> '*)
    IFS= read -r line || exit 0
    printf '%s\n' "$line" >>"$1/received"
    case $entry in
    *'"method":"server/discover"'*)
      old=$(printf '%s\n' "$entry" | grep -o '"id":[^,}]*' | head -n 1)
      new=$(printf '%s\n' "$line" | grep -o '"id":[^,}]*' | head -n 1) ;;
    esac ;;
  '< '*)
    case $old in
    '') printf '%s\n' "${entry#??}" ;;
    *) printf '%s\n' "${entry#??}" | sed "s/$old/$new/" ;;
    esac
    old= new= ;;
  esac
done
cat >>"$1/received"
"#;

/// Passes everything on and keeps it, in files of its own for each life.
const TAP: &str = r#"dir=$1; shift; tee "$dir/up.$$" | "$@" | tee "$dir/down.$$""#;

/// A hop between the client and the server.
#[derive(Clone, Copy)]
enum Hop {
    /// The proxy.
    Transparent,
    /// A relay that writes JSON in its own way.
    Rewriting,
    /// A relay that says something of its own first.
    Talkative,
}

/// The command line that starts these hops in front of a server.
fn behind(hops: &[Hop], server: &[String]) -> Vec<String> {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    hops.iter().rev().fold(server.to_vec(), |server, hop| {
        let mut command = match hop {
            Hop::Transparent => words(&[PROXY, "--transparent", "--no-state", "--"]),
            Hop::Rewriting => words(&["sh", "-c", r#""$@" | sed -u 's/":/": /'"#, "sh"]),
            Hop::Talkative => words(&["sh", "-c", r#"(echo '{}'; cat) | "$@""#, "sh"]),
        };
        command.extend(server);
        command
    })
}

/// Leaves out what the proxy says for itself: `server/discover`, which it asks once for all clients of a server,
/// with its answer; and what it answers to questions that were still open when the client hung up.
fn of_others(passed: &[u8]) -> Vec<u8> {
    const OURS: [&[u8]; 3] = [
        br#""method":"server/discover""#,
        br#""supportedVersions":"#,
        br#""error":{"code":-32603,"message":"the client is gone"}"#,
    ];
    let is_others = |line: &&[u8]| {
        OURS.iter()
            .all(|ours| memchr::memmem::find(line, ours).is_none())
    };
    let lines = passed.split_inclusive(|b| *b == b'\n');
    lines.filter(is_others).flatten().copied().collect()
}

fn recordings() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/conversations");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    };
    paths.iter().map(read).collect()
}

/// Plays the client of a recording before these hops.
fn play(recording: &[u8], hops: &[Hop]) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("recording"), recording).unwrap();
    let server = ["sh", "-c", PLAYER, "sh", folder.path().to_str().unwrap()];
    let command = behind(hops, &server.map(str::to_owned));
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (sender, said) = channel();
    let reader = std::thread::spawn(move || {
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let _ = sender.send(std::mem::take(&mut line));
        }
    });
    let mut input = child.stdin.take().unwrap();
    let mut sent = Vec::new();
    let mut n_messages = 0;
    let mut outcome = Ok(());
    for entry in recording.split_inclusive(|b| *b == b'\n') {
        n_messages += 1;
        let line = &entry[2..];
        if entry.starts_with(b"> ") {
            sent.extend_from_slice(line);
            match input.write_all(line) {
                Ok(()) => continue,
                Err(error) => outcome = Err(error.to_string()),
            }
            break;
        }
        let patience = match hops.iter().all(|hop| matches!(hop, Hop::Transparent)) {
            true => PATIENCE,
            false => Duration::from_secs(5),
        };
        let came = said.recv_timeout(patience).unwrap_or_default();
        if came != line {
            let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
            outcome = Err(format!("{} is not {}", show(&came), show(line)));
            break;
        }
    }
    drop(input);
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait().unwrap();
    outcome?;
    reader.join().unwrap();
    if let Ok(more) = said.recv_timeout(QUIET) {
        return Err(format!("it said more: {}", more.escape_ascii()));
    }
    let received = fs::read(folder.path().join("received")).unwrap();
    let (received, sent) = (of_others(&received), of_others(&sent));
    if received != sent {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        return Err(format!(
            "the server got\n{}\nnot\n{}",
            show(&received),
            show(&sent)
        ));
    }
    Ok(n_messages)
}

#[test]
fn recorded_conversations_pass_byte_for_byte() {
    let mut n_messages = 0;
    for (name, recording) in recordings() {
        for hops in [&[][..], &[Hop::Transparent], &[Hop::Transparent; 2]] {
            match play(&recording, hops) {
                Ok(n) => n_messages += n,
                Err(difference) => panic!("{name} through {} hops: {difference}", hops.len()),
            }
        }
    }
    assert!(n_messages >= 600, "{n_messages} messages");
}

#[test]
fn hops_that_change_something_are_noticed() {
    for (name, recording) in recordings() {
        for hops in [
            &[Hop::Rewriting][..],
            &[Hop::Transparent, Hop::Rewriting],
            &[Hop::Talkative],
        ] {
            assert!(play(&recording, hops).is_err(), "{name}");
        }
    }
}

/// What passed in one direction, each life of the connection by itself.
fn passed(folder: &Path, direction: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem == direction))
        .map(|path| fs::read(path).unwrap())
        .map(|bytes| of_others(&bytes))
        // A proxy whose client says nothing starts no server.
        .filter(|bytes| !bytes.is_empty())
        .collect();
    all.sort();
    all
}

/// A client, a server and what they do.
struct Pair<'a> {
    driver: &'a str,
    era: &'a str,
    steps: &'a str,
    names: serde_json::Value,
    server: Vec<String>,
}

fn live(pair: &Pair<'_>, n_hops: usize) {
    let [near, far] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let tap = |folder: &Path, command: Vec<String>| {
        let head = ["sh", "-c", TAP, "sh", folder.to_str().unwrap()];
        head.map(str::to_owned)
            .into_iter()
            .chain(command)
            .collect::<Vec<_>>()
    };
    let server = tap(far.path(), pair.server.clone());
    let command = tap(
        near.path(),
        behind(&vec![Hop::Transparent; n_hops], &server),
    );
    let mut driver = peer(pair.driver);
    driver.args(["--era", pair.era, "--steps", pair.steps]);
    driver.args(["--names", &pair.names.to_string(), "--stdio", "--"]);
    let ended = run(driver.args(command), PATIENCE);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for direction in ["up", "down"] {
        let (client, server) = (
            passed(near.path(), direction),
            passed(far.path(), direction),
        );
        let who = format!(
            "{} {} {direction}, {n_hops} hops",
            pair.driver, pair.server[1]
        );
        assert!(!client.is_empty(), "{who}: nothing passed");
        // What a server says when its client has hung up already reaches nobody.
        let is_same = client.len() == server.len()
            && client
                .iter()
                .zip(&server)
                .all(|(client, server)| match direction {
                    "up" => client == server,
                    _ => server.starts_with(client),
                });
        let show = |all: &[Vec<u8>]| String::from_utf8_lossy(&all.concat()).into_owned();
        assert!(
            is_same,
            "{who}:\n{}\nat the server\n{}",
            show(&client),
            show(&server)
        );
    }
}

#[test]
fn real_servers_and_clients_see_each_others_bytes() {
    let proof = proof("replay::transparent::real_servers_and_clients_see_each_others_bytes");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("poem.txt"), "violets are blue").unwrap();
    let init = Command::new("git")
        .args(["init", "--quiet"])
        .arg(folder.path())
        .status();
    assert!(init.unwrap().success());
    let runner = peer_runner().to_str().unwrap().to_owned();
    let server = |words: &[&str]| -> Vec<String> {
        let words = words.iter().map(|word| (*word).to_owned());
        std::iter::once(runner.clone()).chain(words).collect()
    };
    let path = folder.path().to_str().unwrap();
    let status = json!({"call": {"name": "git_status", "arguments": {"repo_path": path}, "expect": "No commits"}});
    let pairs = [
        Pair {
            driver: "client-ts1",
            era: "legacy",
            steps: "list,call",
            names: json!({"call": {"name": "read_text_file", "arguments": {"path": folder.path().join("poem.txt")}, "expect": "violets"}}),
            server: server(&["server-filesystem", path]),
        },
        Pair {
            driver: "client-ts2",
            era: "legacy",
            steps: "list,call",
            names: json!({"call": {"name": "echo", "arguments": {"message": "h\u{e9} \u{2028}"}, "expect": "h\u{e9}"}}),
            server: server(&["server-everything", "stdio"]),
        },
        Pair {
            driver: "client-py1",
            era: "legacy",
            steps: "list,call",
            names: status.clone(),
            server: server(&["server-git"]),
        },
        Pair {
            driver: "client-py2",
            era: "modern",
            steps: "list,call",
            names: status,
            server: server(&["server-git"]),
        },
    ];
    for pair in &pairs {
        for n_hops in [1, 2] {
            live(pair, n_hops);
        }
    }
    for (name, n) in [
        ("server-filesystem", 2),
        ("server-everything", 2),
        ("mcp-server-git", 4),
        ("ts-sdk-v1", 2),
        ("ts-client-v2", 2),
        ("py-sdk-v1", 2),
        ("py-sdk-v2", 2),
    ] {
        proof.ran(name, n);
    }
    proof.close();
}
