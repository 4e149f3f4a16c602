//! `cargo +nightly fuzz run sasl`: what a client says while it logs in. The promises checked are those of `signalling/src/stream/sasl/fuzz.rs`,
//! which the tests run over the same corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::stream::sasl::fuzz::exchange(data));
