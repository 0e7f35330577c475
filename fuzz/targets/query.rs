//! Runs `query` under libFuzzer; the property is in `src/query.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::query::run(data));
