//! Runs `config` under libFuzzer; the property is in `src/config.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::config::run(data));
