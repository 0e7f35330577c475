//! The name under which an original result is kept. Pure.
