//! What a room does about a stanza: it is stored first, then sent in this order.

use bytes::Bytes;

use super::change::Change;
use crate::addressees::Addressees;
use crate::jid::Jid;
use crate::stanza::Stanza;
use crate::store::ArchiveId;

/// All that follows from one stanza.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be stored in one transaction before anything is sent.
    pub changes: Vec<Change>,
    /// To be done in this order.
    pub effects: Vec<Effect>,
    /// The payload of the result, for an IQ; empty for a result without one.
    pub reply: Bytes,
    /// The room is no more: nobody is there, and nothing of it is stored once the changes are.
    pub over: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Sends a stanza, which has a `to`.
    Send(Stanza),
    /// Sends a stanza, which has no `to`, to each of these.
    Broadcast {
        /// With `from`, without `to`.
        stanza: Stanza,
        /// Full JIDs.
        to: Addressees,
    },
    /// Keeps a message in the room's archive, under this number.
    Keep {
        /// Its number.
        id: ArchiveId,
        /// The real JID of its sender.
        real: Jid,
        /// As it was broadcast.
        stanza: Stanza,
    },
    /// Puts another stanza in the place of a kept one: the tombstone of a message that was retracted (XEP-0424 §5, XEP-0425 §4).
    Replace {
        /// Its number.
        id: ArchiveId,
        /// What is left of it.
        stanza: Stanza,
    },
}

/// Addressees as last worked out.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// Every session.
    pub everyone: Option<Addressees>,
    /// Sessions of those who see real JIDs and all presence.
    pub moderators: Option<Addressees>,
    /// All others.
    pub others: Option<Addressees>,
}

impl Outcome {
    /// Sends a stanza that has a `to`.
    pub fn send(&mut self, stanza: Stanza) {
        debug_assert!(stanza.to().is_some(), "a stanza to one has a `to`");
        self.effects.push(Effect::Send(stanza));
    }

    /// Sends a stanza to many; to nobody, it is left out.
    pub fn broadcast(&mut self, stanza: Stanza, to: Addressees) {
        debug_assert!(stanza.to().is_none(), "a broadcast has a `to` for each of its recipients");
        if !to.is_empty() {
            self.effects.push(Effect::Broadcast { stanza, to });
        }
    }
}
