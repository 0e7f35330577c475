//! Runs `notation` under libFuzzer; the property is in `src/notation.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::notation::run(data));
