//! `lock`: writes down what agents see of the tools, or says what has changed since.

use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::cli::LockArgs;
use crate::config::profiles::Profile;
use crate::config::{self, Mode, Naming, ProcessEnvironment, Shaping, Tokenizer};
use crate::driver::naming_settings;
use crate::hub::named_tools;
use crate::jsonrpc::write::splice;
use crate::policy::guard::HiddenMode;
use crate::policy::hidden::clean_definition;
use crate::surface::lock::{Lock, LockError, LockedSettings, MAX_BYTES, compare};
use crate::surface::made::Made;
use crate::surface::plan::{self, Part, Surface};
use crate::token::{TiktokenCounter, TokenCounter};

use super::count::{Listed, encoding, from_file, from_servers, part_of};
use super::{Output, UNCHECKED, USAGE, load_settings, start_logging, unchecked};

/// The file's name where none is given.
const FILE: &str = "mcp-whittle.lock";

/// Writes the lock file, or compares it with what is now.
///
/// # Errors
/// When a server does not answer or the file cannot be written. With `--check` this is told here and has
/// a code of its own.
pub fn run(args: LockArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if !args.check {
        return match Inputs::of(&args) {
            Ok(inputs) => write(&inputs.lock(&args)?, &path, output),
            Err(error) => Ok(unchecked(&error, USAGE)),
        };
    }
    // Nothing is started for a file that cannot be compared.
    let old = match read(&path) {
        Ok(old) => old,
        Err(error) => return Ok(unchecked(&error, USAGE)),
    };
    let inputs = match Inputs::of(&args) {
        Ok(inputs) => inputs,
        Err(error) => return Ok(unchecked(&error, USAGE)),
    };
    match inputs.lock(&args) {
        Ok(new) => check(&path, &old, &new, output),
        Err(error) => Ok(unchecked(&error, UNCHECKED)),
    }
}

fn check(path: &Path, old: &Lock, new: &Lock, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let differences = compare(old, new);
    let path = path.display();
    if differences.is_empty() {
        output.write(format!("{path} holds: {}\n", cost(new)))?;
        return Ok(ExitCode::SUCCESS);
    }
    output.write(format!(
        "{path} does not hold: {}\n{differences}hint: if all of this is meant, write the file again with the same options without --check\n",
        differences.summary()
    ))?;
    Ok(ExitCode::FAILURE)
}

fn write(lock: &Lock, path: &Path, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let text = lock.to_text();
    if text.len() > MAX_BYTES {
        bail!(
            "the lock would have {} bytes; {MAX_BYTES} are read at most\nhint: lock the servers in several files",
            text.len()
        );
    }
    let before = read(path).ok();
    write_file(path, text.as_bytes())?;
    if let Some(budget) = lock.exceeded_budget() {
        tracing::warn!(
            "what is shown costs {} tokens, more than the budget of {budget}",
            lock.shown_tokens()
        );
    }
    let mut said = format!("wrote {}: {}\n", path.display(), cost(lock));
    if let Some(before) = before {
        let differences = compare(&before, lock);
        if differences.is_empty() {
            said.push_str("nothing differs from what it held\n");
        } else {
            said.push_str(&format!(
                "what it held before differs: {}\n{differences}",
                differences.summary()
            ));
        }
    }
    output.write(said)?;
    Ok(ExitCode::SUCCESS)
}

fn cost(lock: &Lock) -> String {
    format!(
        "{} tools, {} of {} tokens ({}, measured), budget {}",
        lock.tools.len(),
        lock.shown_tokens(),
        lock.tokens(),
        lock.tokenizer,
        lock.settings.budget
    )
}

/// What was asked for, checked before any server is started.
struct Inputs {
    shaping: Shaping,
    naming: Naming,
    tokenizer: Tokenizer,
    mode: Mode,
    /// Whether hidden characters are taken out of what is shown.
    cleans: bool,
    /// None where files are read.
    settings: Option<crate::config::Settings>,
}

impl Inputs {
    fn of(args: &LockArgs) -> anyhow::Result<Self> {
        if args.tools.is_empty() {
            let settings = load_settings(&args.proxy_args())?.settings;
            return Ok(Self {
                shaping: settings.shaping.clone(),
                naming: settings.naming.clone(),
                tokenizer: settings.tokenizer,
                mode: settings.mode,
                cleans: settings.mode != Mode::Transparent
                    && settings.guard.hidden != HiddenMode::Off,
                settings: Some(settings),
            });
        }
        start_logging(&args.source.log)?;
        let loaded = config::load_shaping(&args.shaping, &ProcessEnvironment)?;
        Ok(Self {
            shaping: loaded.shaping,
            naming: Naming {
                prefix: false,
                ..Naming::default()
            },
            tokenizer: loaded.tokenizer,
            mode: Mode::Normal,
            cleans: true,
            settings: None,
        })
    }

    fn lock(&self, args: &LockArgs) -> anyhow::Result<Lock> {
        let listed = self.listed(args)?;
        let sent: Vec<Part> = listed.iter().map(part_of).collect();
        let shown: Vec<Part> = match self.cleans {
            true => sent.iter().map(cleaned).collect(),
            false => sent.clone(),
        };
        let named = named_tools(&shown, &naming_settings(&self.naming));
        // Who runs this is not who will see the tools, so the environment says nothing.
        let plan = match self.mode {
            Mode::Transparent | Mode::Shadow => None,
            Mode::Normal => self.shaping.plan(|_| None),
        };
        let profile = match self.shaping.profile.as_str() {
            "auto" | "" => &Profile::generic().name,
            name => name,
        };
        let counter = TiktokenCounter::new(encoding(self.tokenizer));
        Ok(Lock::of(
            &sent,
            &named,
            &surface(&named, plan.as_ref(), &counter),
            LockedSettings::of(plan.as_ref(), profile),
            &counter,
        ))
    }

    fn listed(&self, args: &LockArgs) -> anyhow::Result<Listed> {
        let Some(settings) = &self.settings else {
            let mut listed = Vec::new();
            for path in &args.tools {
                listed.extend(from_file(path)?);
            }
            return Ok(listed);
        };
        let asked = from_servers(settings)?;
        if asked.n_missing > 0 {
            bail!(
                "{} of {} servers did not list their tools, and a lock without them would not hold\nhint: run their commands by themselves to see what they say, or leave them out",
                asked.n_missing,
                settings.servers.len()
            );
        }
        // What is left out of a lock is told; nobody knows of it whether it is as it was.
        if args.check && asked.n_cut > 0 {
            bail!(
                "the lists of {} of {} servers were cut short, so not all of their tools can be compared\nhint: limits.max_list_pages, limits.max_tools_per_server and limits.max_list_bytes say how much is read",
                asked.n_cut,
                settings.servers.len()
            );
        }
        Ok(asked.listed)
    }
}

/// The tools of a server as they are shown: without hidden characters.
fn cleaned(part: &Part) -> Part {
    let tools = part.tools.iter().map(|tool| {
        let edits = clean_definition(tool).edits;
        splice(tool, edits).to_bytes()
    });
    Part {
        server: part.server.clone(),
        tools: tools.collect(),
    }
}

fn surface(named: &[Part], plan: Option<&plan::Settings>, counter: &dyn TokenCounter) -> Surface {
    match plan {
        Some(settings) => plan::plan(named, settings, counter),
        None => Made::untouched(named).surface,
    }
}

fn read(path: &Path) -> anyhow::Result<Lock> {
    let shown = path.display();
    let bytes = read_bounded(path, MAX_BYTES).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "\nhint: write it first: the same command without --check",
            _ => "",
        };
        anyhow::anyhow!("cannot read `{shown}`: {error}{hint}")
    })?;
    Lock::parse(&bytes).map_err(|error: LockError| anyhow::anyhow!("`{shown}`: {error}"))
}

/// Reads one byte more than allowed, at most, so that the reader can tell.
pub(super) fn read_bounded(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?
        .take(limit)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file so that readers see the old or the new content, never a part. A link stays one, and who may
/// read the old content may read the new one.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = path.clone().into_os_string();
    name.push(format!(
        ".{}-{:08x}",
        std::process::id(),
        rand::random::<u32>()
    ));
    let temporary = PathBuf::from(name);
    let written = (|| {
        let old = std::fs::metadata(&path).ok().map(|old| old.permissions());
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        if let Some(old) = &old {
            // Not for a moment more than it may; what the umask took off comes below.
            options.mode(old.mode() & 0o777);
        }
        let mut file = options.open(&temporary)?;
        if let Some(old) = old {
            // Where a mount decides on modes this is refused; only a file that more may read is wrong.
            let mode = |of: &std::fs::Permissions| of.mode() & 0o777;
            if let Err(error) = file.set_permissions(old.clone())
                && mode(&file.metadata()?.permissions()) & !mode(&old) != 0
            {
                return Err(error);
            }
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: what replaces a file has the mode of a new one; the mode is only asked
    /// for when it is made, and loses what the umask does not grant.
    #[test]
    fn a_file_that_is_replaced_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_file(&path, b"new").unwrap();
        for mode in [0o600, 0o640, 0o666, 0o400] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            write_file(&path, format!("{mode:o}").as_bytes()).unwrap();
            let is = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(is, mode);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{mode:o}"));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
