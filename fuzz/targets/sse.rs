//! Runs `sse` under libFuzzer; the property is in `src/sse.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::sse::run(data));
