//! XEP-0060: Publish-Subscribe, version 1.30, at `pubsub.{domain}` and, as XEP-0163 (Personal Eventing Protocol, version 1.2.2), at every account;
//! collections of XEP-0248.
//!
//! What a node does is decided by plain functions; what awaits only looks up, stores and sends.

pub mod access;
mod authorization;
pub mod change;
pub mod config;
pub mod context;
mod disco;
mod errands;
pub mod error;
pub mod event;
mod expiry;
mod facts;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod graph;
mod homes;
pub mod host;
pub mod interest;
mod items;
mod listed;
mod local;
mod metrics;
pub mod model;
pub mod node;
mod notify;
pub mod options;
mod outbox;
mod pending;
mod pep;
pub mod reply;
pub mod request;
mod requests;
pub mod service;
mod step;
mod tracked;
pub mod wellknown;

pub(crate) use authorization::decision;
pub use host::Settings;
pub(crate) use local::publish;
pub use local::{Changed, Follower};
pub use metrics::Metrics;
pub use service::PubSub;
