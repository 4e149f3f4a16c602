//! Streams: RFC 6120 §4–7.

pub mod error;
pub mod sasl;
