//! Answers that repeat.
