//! One downstream: legacy (long) or modern (one request). Pure.
