//! `cargo +nightly fuzz run framer`: bytes of a stream through framer, validator and stanza parser. The promises checked are those of
//! `signalling/src/xml/fuzz.rs`, which the tests run over the same corpus on stable.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| campanile_signalling::xml::fuzz::stream(data));
