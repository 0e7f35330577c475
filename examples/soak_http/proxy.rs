//! The built program as a process, with a listener and an admin listener on free ports.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::client::Connection;
use super::sample::Sample;

/// It runs.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts it with settings.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn start(program: &Path, settings: &str, is_shared: bool) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("soak.toml");
        std::fs::write(&file, settings)?;
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(&file)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if is_shared {
            command.arg("--stateless");
        }
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        let (mut address, mut admin) = (None, None);
        while address.is_none() || admin.is_none() {
            let Some(line) = lines.next_line().await? else {
                return Err(io::Error::other("the proxy ended at its start"));
            };
            let at = |words: &str| {
                let rest = line.split_once(words)?.1;
                rest.split('/').next()?.trim().parse().ok()
            };
            address = address.or_else(|| at("listening on http://"));
            admin = admin.or_else(|| at("health on http://"));
        }
        // It must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            child,
            address: address.ok_or(io::ErrorKind::AddrNotAvailable)?,
            admin: admin.ok_or(io::ErrorKind::AddrNotAvailable)?,
            _folder: folder,
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// What it holds now.
    ///
    /// # Errors
    /// When the admin listener does not answer.
    pub(crate) async fn sample(&self, at: u64) -> io::Result<Sample> {
        let sample = Sample::of(self.process(), at);
        Ok(sample.with_metrics(&self.metrics().await?))
    }

    /// Reads `/metrics`.
    ///
    /// # Errors
    /// When the admin listener does not answer.
    async fn metrics(&self) -> io::Result<String> {
        Connection::text(self.admin, "/metrics").await
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(crate) async fn stop(mut self) -> io::Result<Option<i32>> {
        if let Some(process) = self.child.id().and_then(|id| i32::try_from(id).ok())
            && let Some(process) = rustix::process::Pid::from_raw(process)
        {
            rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        }
        Ok(self.child.wait().await?.code())
    }
}
