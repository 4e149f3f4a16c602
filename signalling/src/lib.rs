//! Signalling: XMPP streams, stanzas, routing and the services on top of them.

pub mod jid;
pub mod ns;
pub mod stanza;
pub mod stream;
pub mod xml;
