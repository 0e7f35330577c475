//! Runs `state` under libFuzzer; the property is in `src/state.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::state::run(data));
