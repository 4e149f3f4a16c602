//! XEP-0045: Multi-User Chat, version 1.35.5, at `conference.{domain}`.
//!
//! What a room does is decided by plain functions on [`model::Room`]; what awaits only looks up, stores and sends.

pub mod card;
pub mod change;
pub mod config;
pub mod context;
pub mod model;
pub mod outcome;
pub mod status;
