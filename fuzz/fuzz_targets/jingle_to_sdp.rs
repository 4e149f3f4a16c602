//! `cargo +nightly fuzz run jingle_to_sdp`: any element as a `<jingle/>`, to SDP and back. The promises checked are those of
//! `signalling/src/sdp/fuzz.rs`, which the tests run over the same seeds on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::sdp::fuzz::jingle_to_sdp(data));
