//! Signalling: XMPP streams, stanzas, routing and the services on top of them.

pub mod auth;
pub mod jid;
pub mod jingle;
pub mod net;
pub mod ns;
pub mod stanza;
pub mod store;
pub mod stream;
pub mod xml;
