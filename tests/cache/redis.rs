//! A real Redis or Valkey, and replicas that share it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::{Counting, begin, is_hit, text};
use crate::kit::{Proxy, processes, until};
use crate::peers_kit::account::proof;
use crate::peers_kit::peer;

/// A server of its own, which ends with this value.
pub(crate) struct Redis {
    child: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

/// A port of loopback that nobody uses now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A proxy for the counting server that shares this Redis with others of the same folder.
pub(crate) fn replica(server: &Counting, port: u16, secret: &Path) -> Proxy {
    replica_with(server, &format!("redis://127.0.0.1:{port}"), secret, "")
}

fn replica_with(server: &Counting, url: &str, secret: &Path, more: &str) -> Proxy {
    let file = secret.join("secret");
    if !file.exists() {
        let text = format!("{:064x}", rand_number());
        std::fs::write(&file, text).expect("the secret is written");
    }
    let [command, argument] = &server.command()[..] else {
        panic!("a command and its argument");
    };
    // The working directory and the environment are part of a server's identity: replicas are started alike.
    let mut proxy = Proxy::wrap_command::<&str>(&[])
        .settings(&format!(
            "prefix = \"none\"\n[cache]\nmax_ttl = \"3s\"\n[cache.tools]\nread = \"60s\"\n[cache.redis]\nurl = \"{url}\"\nprefix = \"t\"\nsecret_file = \"{}\"\n{more}[servers.s]\ncommand = \"{command}\"\nargs = [\"{argument}\"]\ncwd = \"{argument}\"\nenv = {{ HOME = \"{argument}\" }}\n",
            file.display()
        ))
        .start();
    begin(&mut proxy);
    proxy
}

fn rand_number() -> u128 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    u128::from(RandomState::new().build_hasher().finish())
}

impl Redis {
    /// Starts one on loopback and waits until it answers.
    pub(crate) fn start(port: u16, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = peer("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Redis starts");
        let redis = Self {
            child,
            port,
            _folder: folder,
        };
        if port != 0 {
            until("Redis listens", || {
                TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
            });
        }
        redis
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let process = i32::try_from(self.child.id()).expect("process ids are small");
        let process = rustix::process::Pid::from_raw(process).expect("a process");
        rustix::process::kill_process(process, signal).expect("a signal");
    }

    /// Freezes it: it accepts, and never answers.
    pub(crate) fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn ask(&self, words: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Redis listens");
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        stream.write_all(&request).expect("Redis reads");
        let mut stream = BufReader::new(stream);
        let mut values = Vec::new();
        let mut missing = 1;
        while missing > 0 {
            missing -= 1;
            let mut line = String::new();
            stream.read_line(&mut line).expect("Redis answers");
            let (kind, rest) = line.trim_end().split_at(1);
            match kind {
                "*" => missing += rest.parse::<usize>().unwrap_or_default(),
                "$" => {
                    if let Ok(length) = rest.parse::<usize>() {
                        let mut value = vec![0; length + 2];
                        stream.read_exact(&mut value).expect("a value");
                        value.truncate(length);
                        values.push(value);
                    }
                }
                "-" => panic!("Redis refused: {rest}"),
                _ => values.push(rest.as_bytes().to_vec()),
            }
        }
        values
    }

    /// Does a command and returns the texts that it answers with.
    pub(crate) fn strings(&self, words: &[&str]) -> Vec<String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let values = self.ask(&words).into_iter();
        values
            .map(|value| String::from_utf8_lossy(&value).into_owned())
            .collect()
    }

    /// Does a command and returns the one value.
    pub(crate) fn bytes(&self, words: &[&str]) -> Vec<u8> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask(&words).pop().unwrap_or_default()
    }

    /// Overwrites a value.
    pub(crate) fn set(&self, key: &str, value: &[u8]) {
        self.ask(&[b"SET", key.as_bytes(), value]);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        processes::kill(i32::try_from(self.child.id()).expect("process ids are small"));
        let _ = self.child.wait();
    }
}

#[test]
fn replicas_share_over_tls_with_an_acl_user() {
    let proof = proof("cache::redis::replicas_share_over_tls_with_an_acl_user");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = authority.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, &ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server_cert = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let ca_file = write("ca.pem", &ca.pem());
    let certificate = write("cert.pem", &server_cert.pem());
    let private = write("key.pem", &key.serialize_pem());
    let password = write("password", "pass-word\n");
    let users = write(
        "users.acl",
        "user default off\nuser whittle on >pass-word ~t:* resetchannels -@all +mget +set +del\n",
    );
    let port = free_port();
    let tls = port.to_string();
    let redis = Redis::start(
        0,
        &[
            "--tls-port",
            &tls,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &private,
            "--tls-ca-cert-file",
            &ca_file,
            "--tls-auth-clients",
            "no",
            "--aclfile",
            &users,
        ],
    );
    until("Redis listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
    });
    let server = Counting::new();
    let url = format!("rediss://localhost:{port}");
    let more =
        format!("ca = \"{ca_file}\"\nusername = \"whittle\"\npassword_file = \"{password}\"\n");
    let mut one = replica_with(&server, &url, folder.path(), &more);
    let mut other = replica_with(&server, &url, folder.path(), &more);
    let mut n = 0;
    until("replicas that share", || {
        n += 1;
        one.ask_call("read", json!({"n": n}));
        is_hit(&other.ask_call("read", json!({"n": n}))).then_some(())
    });
    one.ask_call("write", json!({}));
    assert_eq!(text(&other.ask_call("read", json!({"n": n}))), "value 1");
    for log in [one.stderr(), other.stderr()] {
        assert!(
            !log.contains("pass-word") && !log.contains("refused"),
            "{log}"
        );
    }
    // An authority that did not sign it is no authority.
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let strange = write("strange.pem", &stranger.cert.pem());
    let more = more.replace(&ca_file, &strange);
    let third = replica_with(&server, &url, folder.path(), &more);
    third.wait_stderr("Redis cannot be reached");
    drop(redis);
    proof.ran("redis", 1);
    proof.close();
}
