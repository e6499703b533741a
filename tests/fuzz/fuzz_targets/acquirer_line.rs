//! `acquirer_line` for libFuzzer; the claim stands in `tests/src/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tolem_tests::fuzz::run("acquirer_line", bytes));
