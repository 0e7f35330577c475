//! Runs `kube` under libFuzzer; the property is in `src/kube.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mcp_whittle_fuzz::kube::run(data));
