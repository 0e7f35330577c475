//! Runs `recording` under libFuzzer; the property is in `src/recording.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::recording::run(data));
