//! What a server offers, written to a folder, and a server that answers from it. Shell.
