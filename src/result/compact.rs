//! Denser notations of the same value: decodes back to what was sent. Pure.
