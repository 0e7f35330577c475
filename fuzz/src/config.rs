//! Configuration files: whatever stands in one, it is read or refused, the same way each time, and a refusal
//! says something that a terminal can show.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use mcp_whittle::cli::ProxyArgs;
use mcp_whittle::config::{self, EnvSource};
use mcp_whittle::surface::lock::Lock;
use mcp_whittle::surface::summaries::Summaries;

/// An environment that gives nothing away and holds nothing.
struct Empty;

impl EnvSource for Empty {
    fn get(&self, _: &str) -> Option<OsString> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How files are called; the name decides on their syntax.
const NAMES: [&str; 3] = ["settings.toml", "mcp.json", "settings"];

/// What became of a file: nothing to say, or what is wrong.
pub type Read = Result<(), Vec<String>>;

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    check(data, read);
    lock(data);
    summaries(data);
}

/// The property for a reader of configuration files.
pub fn check(data: &[u8], read: impl Fn(&str, &[u8]) -> Read) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let name = NAMES[usize::from(choice) % NAMES.len()];
    let outcome = read(name, text);
    assert_eq!(outcome, read(name, text), "read twice");
    let Err(findings) = outcome else { return };
    assert!(!findings.is_empty(), "refused without a word");
    for finding in findings {
        let is_odd = |c: char| c.is_control() && c != '\n';
        assert!(!finding.contains(is_odd), "not for a terminal: {finding:?}");
    }
}

/// Reads with the loaders of the product: all settings, and the policy alone.
pub fn read(name: &str, text: &[u8]) -> Read {
    let path = Path::new(name);
    // Files that the file names are not there.
    let reader = |asked: &Path| match asked == path {
        true => Ok(text.to_vec()),
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let mut args = ProxyArgs::default();
    args.source.config = Some(path.to_owned());
    let all = config::load(&args, &Empty, &reader);
    let policy = config::load_policy(path, &Empty, &reader);
    let mut said = Vec::new();
    for errors in [all.err(), policy.err()].into_iter().flatten() {
        said.extend(errors.findings.iter().map(ToString::to_string));
    }
    if said.is_empty() { Ok(()) } else { Err(said) }
}

/// A lock that can be read says the same when it is written and read again.
fn lock(data: &[u8]) {
    match Lock::parse(data) {
        Ok(lock) => {
            let again = Lock::parse(lock.to_text().as_bytes()).expect("what is written is read");
            assert_eq!(again.to_text(), lock.to_text());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn summaries(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(summaries) = Summaries::parse(text) {
        assert!(summaries.len() <= text.lines().count());
    }
}
