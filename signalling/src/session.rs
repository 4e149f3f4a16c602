//! One bound resource of an account: a plain value, kept in its account's home.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use campanile_relay::SessionTag;

use crate::features::caps::Capabilities;
use crate::features::extdisco::Interest;
use crate::homes::Home;
use crate::interests::Interests;
use crate::jid::{BareJid, FullJid, Jid};
use crate::mailbox::{Delivery, Mailbox, Outgoing, Unread};
use crate::pubsub::interest::{Debt, Owed};
use crate::stanza::Stanza;
use crate::store::ArchiveId;
use crate::stream::sm::Token;

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

/// How a session may be resumed (XEP-0198 §5).
#[derive(Clone, Copy, Debug)]
pub struct Resumption {
    /// By whom: whoever knows this, and is logged in to the account.
    pub token: Token,
    /// How long it is kept without a connection.
    pub within: Duration,
}

/// The contacts that a session which became available has still to be told of (RFC 6121 §4.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probes {
    /// All of them.
    All,
    /// Those that come after this one in the roster.
    After(BareJid),
}

/// The state of one bound resource (RFC 6121 §2–4, XEP-0280, XEP-0198). It outlives its connection if it can be resumed.
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
    /// It asked for the block list and so is told of changes (XEP-0191 §3.3).
    pub interested_in_blocks: bool,
    /// It asked for external services and so is told of others, and gets new credentials in time (XEP-0215 §3.2).
    pub services: Option<Box<Interest>>,
    /// It enabled message carbons (XEP-0280 §4).
    pub carbons: bool,
    /// Who got directed presence and must learn when it leaves (RFC 6121 §4.6).
    pub directed: BTreeSet<Jid>,
    /// Whose presence it is still owed.
    pub probes_owed: Option<Probes>,
    /// What its client said last that it can do (XEP-0115, XEP-0390); `None` while it is not available, or has said nothing.
    pub capabilities: Option<Arc<Capabilities>>,
    /// The nodes its client wants to be told of (XEP-0060 §9.2), as far as that is known; none while it is not available.
    pub interests: Interests,
    /// Last items that it is still owed (XEP-0163 §4.3.4).
    pub items_owed: Owed,
    /// Up to where it was given the messages that wait for the account (XEP-0160).
    pub given: Option<ArchiveId>,
    /// What TURN credentials issued to it are known by; set with the first of them.
    pub relay: Option<SessionTag>,
    /// Its end has begun: it is given no TURN credentials any more.
    pub is_ending: bool,
    /// How it may be resumed, if it may.
    pub resumption: Option<Resumption>,
    /// Since when it has no connection: it hibernates, and still counts as there.
    pub hibernated: Option<Instant>,
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
            interested_in_blocks: false,
            services: None,
            carbons: false,
            directed: BTreeSet::new(),
            probes_owed: None,
            capabilities: None,
            interests: Interests::default(),
            items_owed: Owed::default(),
            given: None,
            relay: None,
            is_ending: false,
            resumption: None,
            hibernated: None,
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
        self.mailbox.is_managed()
    }

    /// Queues a message of which the store has a row under this number. False as with [`Session::send`].
    pub fn send_stored(&self, stanza: Stanza, id: ArchiveId) -> bool {
        self.mailbox.push(Outgoing::Stanza(Delivery { stanza, stored: Some(id) }))
    }

    /// Last items come to it as its connection takes what came before.
    pub fn owe_items(&mut self, debts: impl IntoIterator<Item = Debt>) {
        if self.items_owed.extend(debts) {
            self.mailbox.push(Outgoing::Owed);
        }
    }

    /// The same as [`Session::send`], and whoever calls it may write in the place of the session's connection.
    pub fn send_unread(&self, stanza: Stanza) -> (bool, Option<Unread>) {
        self.mailbox.push_unread(Outgoing::Stanza(stanza.into()))
    }

    /// Queues a stanza for its client. False when the stream has ended, or ends now since its mailbox is full.
    pub fn send(&self, stanza: Stanza) -> bool {
        self.mailbox.push(Outgoing::Stanza(stanza.into()))
    }
}
