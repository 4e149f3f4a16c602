//! XEP-0045 §7.4, XEP-0359, XEP-0313: what is said in a room gets its number, comes into history and archive, and goes to everyone.

use super::retract::takes_back;
use crate::jid::Jid;
use crate::message::{self, add_stanza_id};
use crate::muc::context::Context;
use crate::muc::model::{Room, Said};
use crate::muc::outcome::{Effect, Outcome};
use crate::stanza::Stanza;
use crate::store::ArchiveId;

impl Room {
    /// Says something to everyone in the room's own name, without `to`; it is always kept. Returns it as it was sent.
    pub(super) fn say(&mut self, mut message: Stanza, real: &Jid, context: &Context<'_>, out: &mut Outcome) -> Stanza {
        let id = self.next_id(context);
        add_stanza_id(&mut message, &self.lasting.jid, id);
        self.spread(message.clone(), Some(id), real, context, out);
        message
    }

    /// The number of the next message.
    pub(super) fn next_id(&self, context: &Context<'_>) -> ArchiveId {
        ArchiveId::after(self.last_id, context.now, (context.random)())
    }

    /// Sends a message to everyone. One with a number, which stands in it, is kept: in the archive where there is one, and in history if it is for
    /// newcomers.
    pub(super) fn spread(&mut self, message: Stanza, id: Option<ArchiveId>, real: &Jid, context: &Context<'_>, out: &mut Outcome) {
        if let Some(id) = id {
            self.last_id = Some(id);
            if self.lasting.config.archived {
                out.effects.push(Effect::Keep { id, real: real.clone(), stanza: message.clone() });
            }
            if is_for_newcomers(&message) {
                let max = self.history_max(context);
                self.history.push(Said { id, stanza: message.clone(), real: real.clone() }, max);
            }
        }
        out.broadcast(message, self.occupants.everyone());
    }
}

/// §7.2.13: whether newcomers are shown a message: there is something to read in it, or it takes back what they may have read in an earlier visit.
/// Subject changes are not among them: the subject comes by itself (§7.2.15).
pub(in crate::muc) fn is_for_newcomers(message: &Stanza) -> bool {
    message::is_readable(message) || takes_back(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Bindings;

    #[test]
    fn s7_2_13_newcomers_are_shown_what_there_is_to_read() {
        for (content, shown) in [
            ("<body>x</body>", true),
            ("<subject>x</subject><body>x</body>", true),
            ("<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true),
            ("<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", true),
            ("<apply-to xmlns='urn:xmpp:fasten:0' id='1'/>", true),
            ("<subject>x</subject>", false),
            ("<subject>x</subject><thread>x</thread>", false),
            ("<retracted xmlns='urn:xmpp:message-retract:1' id='1'/>", false),
            ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", false),
            ("<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false),
        ] {
            let text = format!("<message xmlns='jabber:client' type='groupchat'>{content}</message>");
            let message = Stanza::parse(text.into(), &Bindings::empty()).unwrap();
            assert_eq!(is_for_newcomers(&message), shown, "{content}");
        }
    }
}
