//! `cargo +nightly fuzz run websocket`: bytes of a WebSocket after its handshake. The promises checked are those of
//! `signalling/src/net/websocket/fuzz.rs`, which the tests run over the same corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::net::websocket::fuzz::stream(data));
