//! `cargo +nightly fuzz run sdp_session`: a description, the byte 0xFF, and what follows it in the session. The promises checked are those of
//! `signalling/src/sdp/fuzz.rs`, which the tests run over the same seeds on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::sdp::fuzz::session(data));
