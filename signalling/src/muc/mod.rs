//! XEP-0045: Multi-User Chat, version 1.35.5, at `conference.{domain}`.
//!
//! What a room does is decided by plain functions on [`model::Room`]; what awaits only looks up, stores and sends.

pub mod card;
pub mod change;
pub mod config;
pub mod context;
#[cfg(test)]
mod fixtures;
mod history;
pub mod model;
mod moves;
mod occupants;
pub mod outcome;
mod presence;
pub mod room;
pub mod status;

pub use presence::Why;
