//! Runs `jwt` under libFuzzer; the property is in `src/jwt.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::jwt::run(data));
