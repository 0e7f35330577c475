//! Runs `texts` under libFuzzer; the property is in `src/texts.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::texts::run(data));
