//! Versioned state folder: snapshots, secret. Shell.
