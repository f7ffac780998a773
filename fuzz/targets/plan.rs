#![no_main]
#![allow(missing_docs, reason = "libFuzzer's entry point")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgbackup_fuzz::plan(data));
