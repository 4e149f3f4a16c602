//! XEP-0045: Multi-User Chat, version 1.35.5, at `conference.{domain}`.
//!
//! What a room does is decided by plain functions on [`model::Room`]; what awaits only looks up, stores and sends.

pub mod card;
pub mod change;
pub mod config;
pub mod context;
mod create;
mod deliver;
mod disco;
#[cfg(test)]
mod fixtures;
pub mod history;
mod homes;
pub mod host;
mod mam;
mod metrics;
pub mod model;
mod moves;
mod occupants;
pub mod outcome;
mod presence;
mod recent;
mod relay;
mod restart;
pub mod room;
pub mod saved;
pub mod service;
pub mod status;
mod storing;
mod turns;

pub use host::Settings;
pub use metrics::Metrics;
pub use presence::Why;
pub use service::{Counts, Muc};
