//! `cargo +nightly fuzz run sdp_to_jingle`: any text as SDP, to Jingle and back. The promises checked are those of `signalling/src/sdp/fuzz.rs`,
//! which the tests run over the same seeds on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::sdp::fuzz::sdp_to_jingle(data));
