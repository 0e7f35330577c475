//! Logs on stderr. Shell.
