//! Listening on a unix socket that only our own user may connect to.
//!
//! The socket is made under a name of its own, closed to others (mode 0600), and then renamed: nobody
//! sees it open, and a socket that an earlier process left behind is replaced. One that still answers is
//! not taken away from its owner.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A path that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `unix:{path}`: {problem}\nhint: {hint}", path = path.display())]
pub struct SocketError {
    /// The path.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// A socket that listens, and is taken away with its last user.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    _file: SocketFile,
}

/// The socket's name in the file system.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own socket there since.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`, which nobody but our user may connect to.
///
/// # Errors
/// [`SocketError`] when something else is there, or the system refuses.
///
/// # Panics
/// Outside a tokio runtime.
pub(super) fn bind_socket(path: &Path) -> Result<Socket, SocketError> {
    let wrong = |problem: String, hint: &'static str| SocketError {
        path: path.to_owned(),
        problem,
        hint,
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(wrong(
                "a file that is no socket is there".to_owned(),
                "choose another path; only sockets are replaced",
            ));
        }
        // A stale socket refuses; whatever else happens, somebody may own it.
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                tracing::info!("replacing the socket that an earlier process left behind");
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(_) => {
                return Err(wrong(
                    "another process listens there".to_owned(),
                    "stop it (perhaps an earlier mcp-whittle) or choose another path",
                ));
            }
            Err(error) => {
                return Err(wrong(
                    format!("a socket is there that cannot be asked: {error}"),
                    "remove it if nobody uses it, or choose another path",
                ));
            }
        },
        Err(_) => {}
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let failed = |error: io::Error| {
        let _ = fs::remove_file(&new);
        wrong(error.to_string(), hint(error.kind()))
    };
    let _ = fs::remove_file(&new);
    let listener = UnixListener::bind(&new).map_err(failed)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let made = fs::symlink_metadata(&new).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    Ok(Socket {
        listener,
        _file: SocketFile {
            path: path.to_owned(),
            identity: (made.dev(), made.ino()),
        },
    })
}

fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "make its folder first",
        ErrorKind::PermissionDenied => "choose a folder that we may write to",
        ErrorKind::InvalidInput => "paths of sockets have at most 107 bytes; choose a shorter one",
        _ => "choose another path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        // Dropping std's listener leaves the file, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let first = bind_socket(&path).expect("the stale one is replaced");
        let mode = fs::symlink_metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = bind_socket(&path).expect_err("it lives").to_string();
        assert!(
            refused.contains("another process") && refused.contains("hint:"),
            "{refused}"
        );
        drop(first);
        assert!(!path.exists(), "it is taken away at the end");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn other_files_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        fs::write(&path, "precious").expect("a file");
        assert!(bind_socket(&path).is_err());
        assert_eq!(fs::read(&path).expect("a file"), b"precious");
        let nowhere = bind_socket(&folder.path().join("no/s")).expect_err("no folder");
        assert!(nowhere.to_string().contains("folder"), "{nowhere}");
    }

    #[tokio::test]
    async fn a_socket_that_another_process_put_there_since_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let first = bind_socket(&path).expect("a socket");
        fs::remove_file(&path).expect("somebody removes it");
        let second = bind_socket(&path).expect("a socket");
        drop(first);
        assert!(path.exists());
        drop(second);
    }
}
