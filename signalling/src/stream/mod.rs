//! Streams (RFC 6120 §4–7): one pure state machine for each kind, and what they are made of.

pub mod c2s;
pub mod error;
pub mod features;
pub mod sasl;
pub mod sm;
