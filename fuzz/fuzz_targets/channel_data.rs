//! `cargo +nightly fuzz run channel_data`: one datagram of ChannelData. The promises checked are those of `ice/src/stun/fuzz.rs`, which the tests run over the same
//! corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_ice::stun::fuzz::channel_data(data));
