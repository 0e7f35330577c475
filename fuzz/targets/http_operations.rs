//! Runs `http_operations` under libFuzzer; the property is in `src/http_operations.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::http_operations::run(data));
