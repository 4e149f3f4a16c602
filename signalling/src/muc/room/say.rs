//! XEP-0045 §7.4, XEP-0359, XEP-0313: what is said in a room gets its number, comes into history and archive, and goes to everyone.

use crate::jid::Jid;
use crate::message::add_stanza_id;
use crate::muc::context::Context;
use crate::muc::model::{Room, Said};
use crate::muc::outcome::{Effect, Outcome};
use crate::stanza::Stanza;
use crate::store::ArchiveId;

impl Room {
    /// Says something to everyone: a groupchat message from an occupant or from the room itself, without `to`. Returns it as it was sent.
    pub(super) fn say(&mut self, mut message: Stanza, real: &Jid, context: &Context<'_>, out: &mut Outcome) -> Stanza {
        let id = ArchiveId::after(self.last_id, context.now, (context.random)());
        self.last_id = Some(id);
        add_stanza_id(&mut message, &self.lasting.jid, id);
        let max = self.history_max(context);
        self.history.push(Said { id, stanza: message.clone(), real: real.clone() }, max);
        if self.lasting.config.archived {
            out.effects.push(Effect::Keep { id, real: real.clone(), stanza: message.clone() });
        }
        out.broadcast(message.clone(), self.occupants.everyone());
        message
    }
}
