//! Bytes in, bytes out: stdio, child processes, HTTP server and client. Shell.
