//! Runs `definitions` under libFuzzer; the property is in `src/definitions.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::definitions::run(data));
