//! Counting tokens: the `TokenCounter` trait, exact counters, honest labels. Pure after construction.
