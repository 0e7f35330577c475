//! The recordings that the binary carries.
