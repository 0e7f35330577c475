//! How a command becomes a process. Never through a shell: what `execvp` does with a file that is no program.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::child::ChildConfig;
use super::guard;

/// Starts the process of a child, in a group of its own, with pipes to us.
///
/// Where the guard watches over our children this is `posix_spawn`, which neither copies this process's tables of
/// memory nor makes it copy every page that it writes next. Without a guard the child is made to ask the kernel
/// to end it when we die, which only a fork can have it do. So is one with a folder of its own: the standard
/// library has `posix_spawn` change it only since glibc 2.29, and would take `execvp` before.
///
/// # Errors
/// What `execve` says of the last file that could not be run, `ENOENT` if there is none.
pub(super) fn start(config: &ChildConfig) -> io::Result<Child> {
    if config.cwd.is_some() || !guard::is_told() {
        let mut command = command(config, OsStr::new(&config.command));
        exec_as_is(&mut command, Image::new(config)?);
        return command.spawn();
    }
    let mut fault = io::Error::from_raw_os_error(libc::ENOENT);
    for path in candidates(config) {
        // Starting what is not there costs a process each time; a folder that we may not search says so when tried.
        if path.is_absolute()
            && matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
        {
            continue;
        }
        match command(config, path.as_os_str()).spawn() {
            Ok(child) => return Ok(child),
            // A later folder may have it; a refusal is remembered over an absence.
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => fault = error,
                _ => return Err(error),
            },
        }
    }
    Err(fault)
}

fn command(config: &ChildConfig, program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command
        .arg0(&config.command)
        .args(&config.args)
        .env_clear()
        .envs(config.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(cwd) = &config.cwd {
        command.current_dir(cwd);
    }
    command
}

/// Which files the command may be, as a shell looks it up: it names one, or each folder of PATH in turn may have it.
fn candidates(config: &ChildConfig) -> Vec<PathBuf> {
    if config.command.contains('/') {
        return vec![PathBuf::from(&config.command)];
    }
    let path = config
        .env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or_else(
            || OsString::from("/usr/bin:/bin"),
            |(_, value)| value.clone(),
        );
    std::env::split_paths(&path)
        // An empty folder is the working directory; a name without a slash would be looked up again.
        .map(|folder| match folder.as_os_str().is_empty() {
            true => PathBuf::from(".").join(&config.command),
            false => folder.join(&config.command),
        })
        .collect()
}

/// What `execve` is given: C strings made before the fork, because nothing may be allocated after it.
struct Image {
    paths: Vec<CString>,
    _arguments: Vec<CString>,
    _environment: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

// The pointers point into the strings that are kept beside them, which nobody changes.
#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
// SAFETY: the strings are owned by the same value and immutable; a heap allocation does not move with it.
unsafe impl Send for Image {}
#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for Image {}

impl Image {
    fn new(config: &ChildConfig) -> io::Result<Self> {
        let c_string = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
        let paths = candidates(config)
            .iter()
            .map(|path| c_string(path.as_os_str().as_bytes()))
            .collect::<io::Result<Vec<_>>>()?;
        let mut arguments = vec![c_string(config.command.as_bytes())?];
        for argument in &config.args {
            arguments.push(c_string(argument.as_bytes())?);
        }
        let mut environment = Vec::new();
        for (name, value) in &config.env {
            let mut pair = name.as_bytes().to_vec();
            pair.push(b'=');
            pair.extend_from_slice(value.as_bytes());
            environment.push(c_string(&pair)?);
        }
        let pointers = |strings: &[CString]| {
            strings
                .iter()
                .map(|string| string.as_ptr())
                .chain(std::iter::once(std::ptr::null()))
                .collect()
        };
        Ok(Self {
            argv: pointers(&arguments),
            envp: pointers(&environment),
            paths,
            _arguments: arguments,
            _environment: environment,
        })
    }
}

/// Makes the child ask the kernel to end it when we die (the guard does the rest of its tree), and run the
/// program with `execve`: the usual `execvp` hands a file that is no program to `/bin/sh`, and a
/// server's command is never given to a shell.
#[expect(
    unsafe_code,
    reason = "both can be done only between fork and exec, where only system calls are allowed"
)]
fn exec_as_is(command: &mut Command, image: Image) {
    // SAFETY: the closure runs in the child between fork and exec and makes only async-signal-safe system
    // calls on memory that was prepared before; it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            let image = &image;
            #[cfg(target_os = "linux")]
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            let mut fault = libc::ENOENT;
            for path in &image.paths {
                libc::execve(path.as_ptr(), image.argv.as_ptr(), image.envp.as_ptr());
                let error = *libc::__errno_location();
                // A later folder may have it; a refusal is remembered over an absence.
                if error != libc::ENOENT && error != libc::ENOTDIR {
                    fault = error;
                    if error != libc::EACCES {
                        break;
                    }
                }
            }
            Err(io::Error::from_raw_os_error(fault))
        });
    }
}
