//! Runs `frame` under libFuzzer; the property is in `src/frame.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::frame::run(data));
