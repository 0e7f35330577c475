//! Runs `operations` under libFuzzer; the property is in `src/operations.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::operations::run(data));
