//! `cargo +nightly fuzz run proxy_protocol`: the start of a connection from a proxy. The promises checked are those of
//! `relay/src/proxy_protocol.rs`, which the tests run over the same corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_relay::proxy_protocol::fuzz(data));
