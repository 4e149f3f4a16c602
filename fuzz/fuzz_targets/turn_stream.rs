//! `cargo +nightly fuzz run turn_stream`: the bytes of a TCP or TLS connection of TURN, cut into STUN messages and ChannelData. The promises
//! checked are those of `ice/src/stun/fuzz.rs`, which the tests run over the same corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_ice::stun::fuzz::stream(data));
