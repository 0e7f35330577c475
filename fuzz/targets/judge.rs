//! Runs `judge` under libFuzzer; the property is in `src/judge.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::judge::run(data));
