//! Runs `jq` under libFuzzer; the property is in `src/jq.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::jq::run(data));
