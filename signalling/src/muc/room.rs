//! A room decides about a stanza: XEP-0045 §7–§11. What each kind of stanza does stands in a file of its own.

pub(in crate::muc) mod hats;
mod invite;
mod moderate;
mod register;
mod retract;
mod say;
#[cfg(test)]
mod scene;
mod vcard;
mod voice;

use std::time::SystemTime;

use super::config::RoomConfig;
use super::model::{Affiliated, Affiliation, Hats, History, Lasting, Occupants, Room};
use crate::jid::{BareJid, Jid};
use crate::stanza::error::StanzaError;
use crate::stanza::{Child, Stanza};
use crate::xml::{Element, XmlWriter};

impl Room {
    /// A room that nobody has configured yet: locked until its creator, who owns it, has done so or has asked for an instant room (§10.1.1).
    /// `secret` is random: 32 bytes.
    #[must_use]
    pub fn new(jid: BareJid, creator: BareJid, config: RoomConfig, created_at: SystemTime, secret: Vec<u8>) -> Self {
        let owner = Affiliated { affiliation: Affiliation::Owner, nick: None, reason: None };
        Self::of(Lasting {
            jid,
            affiliations: [(creator.clone(), owner)].into(),
            creator,
            created_at,
            locked: true,
            config,
            requests: Default::default(),
            subject: None,
            vcard: None,
            hats: Hats::default(),
            secret,
        })
    }

    /// A room with nobody in it and nothing said, as it is stored.
    #[must_use]
    pub fn of(lasting: Lasting) -> Self {
        Self { lasting, occupants: Occupants::default(), history: History::default(), last_id: None }
    }
}

/// The real full JID of whoever has sent a stanza.
fn sender(stanza: &Stanza) -> Result<&Jid, StanzaError> {
    stanza.from().ok_or_else(|| StanzaError::bad_request("there is no sender"))
}

/// A child as a tree.
fn element(child: &Child<'_>) -> Result<Element, StanzaError> {
    child.element().map_err(|error| StanzaError::bad_request(error.to_string()))
}

/// `<reason/>`, for people.
fn write_reason(xml: &mut XmlWriter, reason: Option<&str>) {
    if let Some(reason) = reason {
        xml.open("reason").text(reason).close();
    }
}
