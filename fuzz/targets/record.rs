//! Runs `record` under libFuzzer; the property is in `src/record.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::record::run(data));
