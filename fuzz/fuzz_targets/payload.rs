//! `cargo +nightly fuzz run payload`: one element through everything that reads what clients ask for. The promises checked are those of
//! `signalling/src/features/fuzz.rs`, which the tests run over the same corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::features::fuzz::payload(data));
