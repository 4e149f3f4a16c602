//! XEP-0060: Publish-Subscribe, version 1.30, at `pubsub.{domain}` and, as XEP-0163 (Personal Eventing Protocol, version 1.2.2), at every account;
//! collections of XEP-0248.
//!
//! What a node does is decided by plain functions; what awaits only looks up, stores and sends.

pub mod change;
pub mod config;
mod disco;
pub mod host;
pub mod model;
pub mod options;
mod pep;
pub mod service;

pub use host::Settings;
pub use service::PubSub;
