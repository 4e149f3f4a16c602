//! What a stanza changes of what is stored of a room. The store writes the changes of one stanza in one transaction, all or none; then the room in
//! memory is the changed one.

use std::sync::Arc;

use super::card::Card;
use super::config::RoomConfig;
use super::model::{Affiliated, Hats, Lasting, Subject};
use crate::jid::BareJid;

/// One change of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The room comes to be.
    Create(Box<Lasting>),
    /// The room is gone with all it has, its archive too.
    Destroy,
    /// The configuration is another one, and the room is open.
    Configure(Box<RoomConfig>),
    /// An entry of the affiliations; `None` takes it away.
    Affiliate(BareJid, Option<Affiliated>),
    /// Somebody waits to be registered under this nickname; `None`: not any more.
    Request(BareJid, Option<String>),
    /// The subject.
    Subject(Option<Box<Subject>>),
    /// The vCard.
    VCard(Option<Card>),
    /// All hats and who wears them.
    Hats(Box<Hats>),
}

impl Change {
    /// Changes what is stored in the same way.
    pub fn apply(self, lasting: &mut Lasting) {
        match self {
            Self::Create(new) => *lasting = *new,
            Self::Destroy => {}
            Self::Configure(config) => {
                lasting.config = *config;
                lasting.locked = false;
            }
            Self::Affiliate(jid, Some(entry)) => lasting.affiliations.insert(jid, entry),
            Self::Affiliate(jid, None) => lasting.affiliations.remove(jid.as_str()),
            Self::Request(jid, Some(nick)) => drop(lasting.requests.insert(jid, nick)),
            Self::Request(jid, None) => drop(lasting.requests.remove(&jid)),
            Self::Subject(subject) => lasting.subject = subject.map(|subject| *subject),
            Self::VCard(vcard) => lasting.vcard = vcard,
            Self::Hats(hats) => lasting.hats = Arc::new(*hats),
        }
    }
}
