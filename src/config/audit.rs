//! The section `audit`: where records of calls go and what is in them.

use std::path::PathBuf;

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    /// Between the lines of the log.
    Stderr,
    /// A file.
    File(PathBuf),
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditSettings {
    /// Where records go; none = nothing is recorded.
    pub target: Option<AuditTarget>,
    /// Whether records hold the values of arguments.
    pub has_arguments: bool,
}

impl AuditSettings {
    /// What the hub records.
    pub fn scope(&self) -> crate::policy::audit::Scope {
        use crate::policy::audit::Scope;
        match (&self.target, self.has_arguments) {
            (None, _) => Scope::Off,
            (Some(_), false) => Scope::Calls,
            (Some(_), true) => Scope::CallsWithArguments,
        }
    }
}
