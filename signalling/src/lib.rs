//! Signalling: XMPP streams, stanzas, routing and the services on top of them.

pub mod account;
pub mod addressees;
pub mod administration;
pub mod auth;
pub mod avatar;
pub mod capabilities;
pub mod features;
pub mod forms;
pub mod homes;
pub mod hosts;
pub mod interests;
pub mod iq;
pub mod jid;
#[macro_use]
pub mod jingle;
pub mod mailbox;
pub mod message;
pub mod muc;
mod named;
pub mod net;
pub mod ns;
mod outbox;
pub mod pipeline;
pub mod pubsub;
mod random;
pub mod retention;
pub mod router;
pub mod rsm;
pub mod sdp;
pub mod session;
mod shelf;
pub mod stanza;
pub mod store;
pub mod stream;
mod tasks;
pub mod time;
pub mod xml;
