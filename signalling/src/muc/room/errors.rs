//! What comes back from occupants: XEP-0045 §11.1, §18.1.2.

use super::super::model::Room;
use super::super::outcome::Outcome;
use super::super::status::Status;
use super::private::pass_on;
use crate::ns;
use crate::stanza::Stanza;
use crate::stanza::error::{Condition, StanzaError};
use crate::xml::XmlWriter;

impl Room {
    /// A message came back from an occupant: if it could not be delivered, its session is not there any more (333). Other errors about private
    /// messages go on to whoever has sent these, without any content but the error's.
    pub(super) fn message_error(&mut self, stanza: &Stanza, nick: Option<&str>, out: &mut Outcome) {
        // Those invited are no occupants yet.
        if self.invitation_bounced(stanza, out) {
            return;
        }
        let Some(from) = stanza.from() else { return };
        let Some(sender) = self.occupants.of(from) else { return };
        let author = nick.filter(|nick| sender.correspondents.has(nick));
        if says_gone(stanza, author.is_some()) {
            self.leave(stanza, from, &[Status::Unreachable], out);
        } else if let Some(recipient) = author.and_then(|nick| self.occupants.get(nick)) {
            let mut error = stanza.clone();
            error.remove_children(|child| !child.is(ns::CLIENT, "error"));
            pass_on(error, XmlWriter::with_capacity(128), sender, recipient, out);
        }
    }

    /// Presence came back from an occupant.
    pub(super) fn presence_error(&mut self, stanza: &Stanza, out: &mut Outcome) {
        if let Some(from) = stanza.from().filter(|_| says_gone(stanza, false)) {
            self.leave(stanza, from, &[Status::Unreachable], out);
        }
    }
}

/// Whether an error says that the session is not there: §18.1.2, and what servers say besides of sessions and domains that are not there (RFC 6121
/// §8.5.3.2.1 has `service-unavailable` for a message of type groupchat). About a private message, `service-unavailable` means that it is not
/// wanted: who blocks its author (XEP-0191 §3.3) stays.
fn says_gone(stanza: &Stanza, may_be_private: bool) -> bool {
    StanzaError::of(stanza).is_some_and(|error| match error.condition {
        Condition::ServiceUnavailable => !may_be_private,
        Condition::Gone
        | Condition::ItemNotFound
        | Condition::JidMalformed
        | Condition::RecipientUnavailable
        | Condition::Redirect
        | Condition::RemoteServerNotFound
        | Condition::RemoteServerTimeout => true,
        _ => false,
    })
}
