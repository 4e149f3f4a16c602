//! XMPP: streams, stanzas, routing, features and storage.

pub mod net;
