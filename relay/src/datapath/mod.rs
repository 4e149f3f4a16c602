//! The way of media packets: `worker.rs` is the thread, the others are its parts.

pub mod batch;
pub mod demux;
pub mod discovery;
pub mod flow;
pub mod neighbours;
pub mod pace;
pub mod ring;
pub mod socket;
pub mod system;
pub mod tcp_relay;
mod wire;
pub mod worker;
