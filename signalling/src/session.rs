//! One bound resource of an account: a plain value, kept in its account's home.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::homes::Home;
use crate::jid::{FullJid, Jid};
use crate::mailbox::{Delivery, Mailbox, Outgoing};
use crate::stanza::Stanza;
use crate::store::ArchiveId;

/// Tells a session from an earlier one that had the same full JID. Unique within a running node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// The next unused id.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a connection holds of its session: enough to send stanzas in its name.
#[derive(Clone, Debug)]
pub struct SessionRef {
    /// The full JID bound, the `from` of every stanza of this session.
    pub jid: FullJid,
    /// Which session under that JID.
    pub id: SessionId,
    /// The home of its account.
    pub home: Arc<Home>,
}

/// The state of one connected resource (RFC 6121 §2–4, XEP-0280).
#[derive(Debug)]
pub struct Session {
    /// Tells it from its predecessors.
    pub id: SessionId,
    /// The full JID bound.
    pub jid: FullJid,
    /// Where its connection reads.
    pub mailbox: Arc<Mailbox>,
    /// The last presence without type that it broadcast; `None` while it is not available (RFC 6121 §4.2).
    pub presence: Option<Stanza>,
    /// Priority of that presence, -128 to 127 (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// It asked for the roster and so gets roster pushes (RFC 6121 §2.1.6).
    pub interested: bool,
    /// It enabled message carbons (XEP-0280 §4).
    pub carbons: bool,
    /// Who got directed presence and must learn when it leaves (RFC 6121 §4.6).
    pub directed: BTreeSet<Jid>,
}

impl Session {
    /// A session that has just been bound: connected, not yet available.
    pub fn new(jid: FullJid, mailbox: Arc<Mailbox>) -> Self {
        Self {
            id: SessionId::next(),
            jid,
            mailbox,
            presence: None,
            priority: 0,
            interested: false,
            carbons: false,
            directed: BTreeSet::new(),
        }
    }

    /// Whether it sent initial presence and has not become unavailable since (RFC 6121 §4.2.1).
    pub fn is_available(&self) -> bool {
        self.presence.is_some()
    }

    /// Whether messages to the bare JID may reach it (RFC 6121 §8.5.2.1.1).
    pub fn takes_bare_messages(&self) -> bool {
        self.is_available() && self.priority >= 0
    }

    /// Whether its client acknowledges what it gets (XEP-0198): until then the store keeps it in mind.
    pub fn acknowledges(&self) -> bool {
        false
    }

    /// Queues a message of which the store has a row under this number. False as with [`Session::send`].
    pub fn send_stored(&self, stanza: Stanza, id: ArchiveId) -> bool {
        self.mailbox.push(Outgoing::Stanza(Delivery { stanza, stored: Some(id) }))
    }

    /// Queues a stanza for its client. False when the stream has ended, or ends now since its mailbox is full.
    pub fn send(&self, stanza: Stanza) -> bool {
        self.mailbox.push(Outgoing::Stanza(stanza.into()))
    }
}
