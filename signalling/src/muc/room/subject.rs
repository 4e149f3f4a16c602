//! XEP-0045 §8.1: changing the subject; §7.2.15: telling newcomers of it.

use super::super::change::Change;
use super::super::context::Context;
use super::super::model::{Occupant, Role, Room, Subject};
use super::super::outcome::Outcome;
use super::super::presence::write_occupant_id;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{MessageType, Stanza};
use crate::time;
use crate::xml::XmlWriter;

/// Longest subject in bytes: every newcomer gets it, and so does whoever asks about a public room.
const SUBJECT_BYTES_MAX: usize = 4096;

/// Whether a message to the room changes its subject: it has one, and neither a body nor a thread.
pub(super) fn is_subject(stanza: &Stanza) -> bool {
    let has = |name| stanza.child(ns::CLIENT, name).is_some();
    has("subject") && !has("body") && !has("thread")
}

impl Room {
    pub(super) fn must_change_subject(&self, stanza: &Stanza, occupant: &Occupant) -> Result<(), StanzaError> {
        let may = occupant.role == Role::Moderator || (self.lasting.config.change_subject && occupant.role == Role::Participant);
        if !may {
            return Err(StanzaError::forbidden());
        }
        if stanza.child(ns::CLIENT, "subject").is_some_and(|subject| subject.text().len() > SUBJECT_BYTES_MAX) {
            return Err(StanzaError::not_acceptable().with_text("the subject is too long"));
        }
        Ok(())
    }

    pub(super) fn change_subject(&mut self, stanza: &Stanza, occupant: &Occupant, context: &Context<'_>, out: &mut Outcome) {
        let text = stanza.child(ns::CLIENT, "subject").map(|subject| subject.text().into_owned()).unwrap_or_default();
        let subject = Subject { from: occupant.jid.clone().into(), occupant_id: Some(occupant.id.clone()), at: context.now, text };
        self.lasting.change(Change::Subject(Some(Box::new(subject))), out);
    }

    /// §7.2.15: the message that ends a join, without `to`.
    pub(super) fn subject_for(&self, context: &Context<'_>) -> Stanza {
        let mut xml = XmlWriter::with_capacity(256);
        let subject = self.lasting.subject.as_ref();
        xml.open("subject").text(subject.map_or("", |subject| &subject.text)).close();
        if let Some(subject) = subject {
            let stamp = time::xep0082(subject.at);
            xml.open("delay").ns(ns::DELAY).attr("from", self.lasting.jid.as_str()).attr("stamp", &stamp).close();
            if let Some(id) = &subject.occupant_id {
                write_occupant_id(&mut xml, id);
            }
        }
        let from = subject.map_or_else(|| self.lasting.jid.clone().into(), |subject| subject.from.clone());
        Stanza::message(MessageType::Groupchat).with_from(from).with_id((context.fresh_id)()).with_content(xml.finish())
    }
}
