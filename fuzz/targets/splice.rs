//! Runs `splice` under libFuzzer; the property is in `src/splice.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::splice::run(data));
