//! Runs `pointer` under libFuzzer; the property is in `src/pointer.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::pointer::run(data));
