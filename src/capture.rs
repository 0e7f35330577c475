//! What a server offers, written to a folder, and a server that answers from it. Shell.
//!
//! [`recording`] has the values, [`folder`] puts them on disk and reads them back (the only part that
//! touches files), [`crate::policy::redact`] takes secrets out of conversations, [`replay`] is the server: a pure
//! state machine that `commands::replay` connects to stdin and stdout. [`demo`] has the recordings
//! that the binary carries.

pub mod demo;
pub mod folder;
pub mod recording;
pub mod replay;

pub use folder::{FolderError, read_folder, write_folder};
pub use recording::{Exchange, Meta, Recording, RecordingError, Side, Step};
