//! Signalling: XMPP streams, stanzas, routing and the services on top of them.

pub mod account;
pub mod administration;
pub mod auth;
pub mod capabilities;
pub mod features;
pub mod forms;
pub mod homes;
pub mod iq;
pub mod jid;
pub mod jingle;
pub mod mailbox;
pub mod message;
pub mod net;
pub mod ns;
pub mod pipeline;
pub mod pubsub;
mod random;
pub mod retention;
pub mod router;
pub mod rsm;
pub mod session;
pub mod stanza;
pub mod store;
pub mod stream;
pub mod time;
pub mod xml;
