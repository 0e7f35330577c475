//! `copy-self`: writes this program to a file. For images without `cp`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::CopySelfArgs;

use super::Output;

/// Copies the running program. The file appears whole, and anybody may run it.
///
/// # Errors
/// When the file cannot be written.
pub fn run(args: CopySelfArgs, _output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    copy(&program, &args.file)
        .with_context(|| format!("cannot copy this program to `{}`", args.file.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn copy(program: &Path, to: &Path) -> std::io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let part = to.with_file_name(name);
    let written = fs::copy(program, &part)
        .and_then(|_| fs::set_permissions(&part, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::File::open(&part)?.sync_all())
        .and_then(|()| fs::rename(&part, to));
    if written.is_err() {
        // What could not be finished is of no use.
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_whole_and_runs() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("program");
        copy(Path::new("/bin/true"), &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), fs::read("/bin/true").unwrap());
        assert!(std::process::Command::new(&to).status().unwrap().success());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        copy(Path::new("/bin/true"), &folder.path().join("no/where")).unwrap_err();
    }
}
