//! What the relay sees of a call's media: `meter.rs` per RTP stream, `report.rs` per call.

pub mod meter;
pub mod report;
