//! Runs `shape` under libFuzzer; the property is in `src/shape.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::shape::run(data));
